"""Resource quantities: `500m`, `1Gi`, `1e3`, in their canonical form.

A `Quantity` is the canonical text; two equal amounts written in the same notation are equal strings. Arithmetic is done
on `Decimal` amounts (`amount`) or on whole units (`value`, `milli_value`, both rounded up, as Kubernetes does).
Specified in the Kubernetes API reference under "Quantity". Errors: `ValueError` with the message clients know.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_UP, Context, Decimal

from tiphys.machinery.bounded_cache import bounded_cache

_PATTERN = re.compile(r"^([+-]?)(\d+(?:\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_BY_POWER = {power: suffix for suffix, power in _DECIMAL.items()}
_CONTEXT = Context(prec=60)
_NANO, _MILLI = Decimal(1).scaleb(-9), Decimal(1).scaleb(-3)
_LARGEST = Decimal(2**63 - 1)

# The text that clients match on, with the expression as Kubernetes prints it.
FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class Quantity(str):
    """An amount in canonical form. Build it with `parse` or one of the `from_` functions."""

    __slots__ = ()

    @property
    def amount(self) -> Decimal:
        """The exact amount in base units (cores, bytes, pieces)."""
        return _amount(str(self))

    @property
    def value(self) -> int:
        """The amount in base units, rounded up."""
        return int(self.amount.to_integral_value(ROUND_CEILING))

    @property
    def milli_value(self) -> int:
        """The amount in thousandths, rounded up."""
        return int((self.amount * 1000).to_integral_value(ROUND_CEILING))


@bounded_cache(8192)
def _amount(text: str) -> Decimal:
    return _split(text)[0]


def _split(text: str) -> tuple[Decimal, str]:
    """The amount and the notation ("binary", "decimal" or "exponent") of a text."""
    match = _PATTERN.match(text)
    if match is None:
        raise ValueError(FORMAT_MESSAGE)
    sign, digits, suffix = match.group(1), match.group(2), match.group(3) or ""
    number = Decimal(sign + digits)
    if suffix in _BINARY:
        notation, number = "binary", _CONTEXT.multiply(number, Decimal(1024 ** _BINARY[suffix]))
    elif suffix in _DECIMAL:
        notation, number = "decimal", number.scaleb(_DECIMAL[suffix], _CONTEXT)
    else:
        written = suffix[1:]
        exponent = int(written) if len(written.lstrip("+-0")) <= 2 else 99
        if abs(exponent) > 40:
            raise ValueError("unable to parse quantity's suffix")
        notation, number = "exponent", number.scaleb(exponent, _CONTEXT)
    rounding = Context(prec=60, rounding="ROUND_UP")
    return min(max(number, -_LARGEST), _LARGEST).quantize(_NANO, context=rounding), notation


@bounded_cache(8192)
def parse(text: str | int | float) -> Quantity:
    """The canonical quantity of what a client wrote. ValueError when it is not a quantity."""
    text = str(text)
    amount, notation = _split(text)
    return _canonical(amount, notation)


def _canonical(amount: Decimal, notation: str) -> Quantity:
    if amount == 0:
        return Quantity("0")
    if notation == "binary" and abs(amount) >= 1024 and amount == amount.to_integral_value():
        return Quantity(_binary_text(int(amount)))
    if notation == "binary" and amount != amount.to_integral_value():
        notation = "decimal"
    if notation == "binary":
        return Quantity(str(int(amount)))
    power, mantissa = _decimal_parts(amount)
    if notation == "exponent":
        return Quantity(f"{mantissa}e{power}" if power else str(mantissa))
    return Quantity(f"{mantissa}{_DECIMAL_BY_POWER[power]}")


def _binary_text(number: int) -> str:
    for suffix, power in sorted(_BINARY.items(), key=lambda item: -item[1]):
        if number % 1024**power == 0:
            return f"{number // 1024**power}{suffix}"
    return str(number)


def _decimal_parts(amount: Decimal) -> tuple[int, int]:
    """The largest power of 1000 that leaves a whole mantissa."""
    for power in (18, 15, 12, 9, 6, 3, 0, -3, -6):
        scaled = amount.scaleb(-power, _CONTEXT)
        if scaled == scaled.to_integral_value():
            return power, int(scaled)
    return -9, int(amount.scaleb(9, _CONTEXT).to_integral_value(ROUND_CEILING))


def from_value(value: int) -> Quantity:
    """A whole number of base units in decimal notation."""
    return _canonical(Decimal(value), "decimal")


def from_bytes(count: int) -> Quantity:
    """A number of bytes in binary notation."""
    return _canonical(Decimal(count), "binary")


def from_milli(value: int) -> Quantity:
    """Thousandths of a base unit in decimal notation."""
    return _canonical(Decimal(value).scaleb(-3), "decimal")


def from_amount(amount: Decimal, *, binary: bool = False) -> Quantity:
    """An exact amount of base units, in binary notation where that is asked for and possible."""
    return _canonical(amount, "binary" if binary else "decimal")


def round_up_to_milli(quantity: Quantity) -> Quantity:
    """The next larger amount (by size, whatever its sign) of whole thousandths, in the same notation."""
    amount, notation = _split(quantity)
    return _canonical(amount.quantize(_MILLI, rounding=ROUND_UP), notation)


ZERO = Quantity("0")


def total(quantities: list[Quantity]) -> Quantity:
    """The sum, in the notation of the first that is not zero."""
    amount, notation = Decimal(0), ""
    for quantity in quantities:
        part, part_notation = _split(quantity)
        if part and not notation:
            notation = part_notation
        amount += part
    return _canonical(amount, notation or "decimal")

"""Plain JSON values as Go prints them: some messages that clients know show values in no other way."""

from __future__ import annotations

import decimal
from typing import Any

import msgspec

_INT64 = range(-(1 << 63), 1 << 63)
# Numbers with an exponent of six and more are printed with it, and those with many zeros behind the point.
_EXPONENTS = range(-4, 6)


def type_name(value: Any) -> str:
    """What Go calls the type of a value (`%T`)."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, int) and not isinstance(value, bool):
        return "int64" if value in _INT64 else "float64"
    return {str: "string", bool: "bool", float: "float64"}.get(type(value), "<nil>")


JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


def json_name(value: Any) -> str:
    """What Go's reader of JSON calls a value."""
    return JSON_NAMES.get(type(value), "null")


def plain(value: Any) -> str:
    """A value without marks around texts (`%v`)."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{plain(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(plain(item) for item in value)}]"
    return "<nil>" if value is None else _scalar(value)


def literal(value: Any) -> str:
    """A value as a program would say it (`%#v`)."""
    if isinstance(value, dict):
        members = (f"{quoted(key)}:{literal(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(literal(item) for item in value)}}}"
    if isinstance(value, str):
        return quoted(value)
    return "interface {}(nil)" if value is None else _scalar(value)


def quoted(text: str) -> str:
    """A text between quotation marks (`%q`)."""
    return msgspec.json.encode(text).decode()


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and value not in _INT64):
        return _float(float(value))
    return str(value)


def _float(number: float) -> str:
    """With the fewest digits that name this number and no other."""
    shortest = repr(number)
    exact = decimal.Decimal(shortest).normalize()
    if not number or exact.adjusted() in _EXPONENTS:
        return shortest.removesuffix(".0")
    return f"{number:.{len(exact.as_tuple().digits) - 1}e}"

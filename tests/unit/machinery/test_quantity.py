from __future__ import annotations

from decimal import Decimal

import pytest

from tiphys.machinery import quantity
from tiphys.machinery.quantity import Quantity, parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1.5Ki", "1536"),
        ("1025", "1025"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("1e3", "1e3"),
        ("1E6", "1e6"),
        ("100e1", "1e3"),
        ("0", "0"),
        ("0Mi", "0"),
        ("-5m", "-5m"),
        ("+1", "1"),
        ("0.0000000001", "1n"),
        ("12E", "9223372036854775807"),
        ("0.5Ki", "512"),
        ("0.1Ki", "102400m"),
    ],
)
def test_canonical_forms(text: str, canonical: str) -> None:
    assert parse(text) == canonical
    assert parse(parse(text)) == canonical


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1Gii", "1.2.3", "--1", "1ki", "abc", "1e", "0x10"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        parse(text)


def test_amounts_round_up() -> None:
    assert parse("100m").value == 1
    assert parse("1.5Gi").value == 1610612736
    assert parse("0.0001").milli_value == 1
    assert parse("2500m").milli_value == 2500
    assert parse("250m").amount == Decimal("0.25")


def test_making_and_adding() -> None:
    assert quantity.from_value(2000) == "2k"
    assert quantity.from_bytes(64 << 20) == "64Mi"
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.total([parse("100m"), parse("0.9")]) == "1"
    assert quantity.total([parse("1Gi"), parse("512Mi")]) == "1536Mi"
    assert quantity.total([]) == "0"
    assert isinstance(quantity.total([]), Quantity)


@pytest.mark.parametrize("text", ["1" * 52, "1" * 5000, "9" * 30 + "E", "1" * 60 + "Ki", "1e40"])
def test_more_than_fits_is_the_most_there_is(text: str) -> None:
    assert quantity.parse(text) == str(2**63 - 1)
    assert quantity.parse("-" + text) == str(-(2**63 - 1))


@pytest.mark.parametrize("text", ["1e41", "1e-41", "1E" + "1" * 5000, "1e-" + "9" * 5000])
def test_exponents_beyond_reason(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        quantity.parse(text)

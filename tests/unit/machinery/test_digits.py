"""Texts that are whole numbers, and those that only look like it."""

from __future__ import annotations

import pytest

from tiphys.kinds import int_or_percent
from tiphys.machinery.digits import LONGEST, is_number


@pytest.mark.parametrize("text", ["0", "007", "18446744073709551616", "9" * LONGEST])
def test_digits_are_a_number(text: str) -> None:
    assert is_number(text)
    assert int(text) >= 0


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "²", "1²", "٣", "१", "x", "1.0", "9" * (LONGEST + 1)])
def test_what_looks_like_a_number(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize(("text", "total", "amount"), [("25%", 8, 2), ("0000000000000005%", 100, 5), ("0%", 9, 0)])
def test_shares(text: str, total: int, amount: int) -> None:
    assert int_or_percent.amount_of(text, total, round_up=False) == amount


def test_a_share_of_many_digits_is_too_large() -> None:
    share = int_or_percent.percent_of("9" * 5000 + "%")
    assert share is not None
    assert share > 100

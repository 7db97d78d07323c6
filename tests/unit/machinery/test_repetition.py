"""Repeated members of lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tiphys.machinery.repetition import repeated


@given(st.lists(st.integers(0, 5)))
def test_what_came_before(values: list[int]) -> None:
    assert repeated(values) == {at for at, value in enumerate(values) if value in values[:at]}


def test_long_lists_take_one_pass() -> None:
    """Looking back for each member would take minutes here."""
    assert repeated(range(500_000)) == set()

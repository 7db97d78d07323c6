"""Quantities against a twin that knows fractions and nothing else."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tiphys.machinery.quantity import parse

BINARY = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
DECIMAL = {"m": Fraction(1, 1000), "": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, Fraction]:
    digits = draw(st.integers(0, 10**6))
    places = draw(st.integers(0, 3))
    suffix, factor = draw(st.sampled_from([*BINARY.items(), *DECIMAL.items()]))
    number = f"{digits / 10**places:.{places}f}" if places else str(digits)
    return number + suffix, Fraction(number) * factor


@given(texts())
def test_the_amount_is_kept_and_the_canonical_form_is_stable(case: tuple[str, Fraction]) -> None:
    text, amount = case
    found = parse(text)
    nano = Fraction(1, 10**9)
    assert 0 <= Fraction(found.amount) - amount < nano
    assert parse(found) == found


@given(texts())
def test_the_canonical_mantissa_is_a_whole_number(case: tuple[str, Fraction]) -> None:
    assert "." not in parse(case[0])

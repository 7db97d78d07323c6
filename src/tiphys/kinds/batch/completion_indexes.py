"""Texts that name completion indexes of an Indexed Job, such as `0,2-4`: whether they can be read, and what they name.

Intervals are in increasing order, inclusive, and end below the number of completions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.machinery.digits import is_number

Interval = tuple[int, int]
LONGEST_NUMBER = 18  # digits of a number that surely fits 64 bits


def interval_of(text: str, completions: int) -> Interval:
    """The first and last index of `3` or `3-7`. ValueError, in words for the user, when it is no such interval."""
    bounds = text.split("-")
    if len(bounds) > 2:
        raise ValueError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts'
            " separated by '-'"
        )
    numbers = []
    for bound in bounds:
        if not (is_number(bound) and len(bound) <= LONGEST_NUMBER):
            raise ValueError(f'cannot convert string to integer for index: "{bound}"')
        if int(bound) >= completions:
            raise ValueError(f'too large index: "{bound}"')
        numbers.append(int(bound))
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise ValueError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]


def count_indexes(text: str, completions: int) -> int:
    """How many indexes a text names. ValueError as with `interval_of`, or when the intervals are not in order."""
    count, last = 0, -1
    for part in text.split(",") if text else ():
        low, high = interval_of(part, completions)
        if low <= last:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        count, last = count + high - low + 1, high
    return count


def first_common_index(one: str, other: str, completions: int) -> int | None:
    """The lowest index that both texts name; what cannot be read in either names nothing here."""
    ours, theirs = _readable(one, completions), _readable(other, completions)
    left, right = next(ours, None), next(theirs, None)
    while left is not None and right is not None:
        low = max(left[0], right[0])
        if low <= min(left[1], right[1]):
            return low
        if left[1] < right[1]:
            left = next(ours, None)
        else:
            right = next(theirs, None)
    return None


def _readable(text: str, completions: int) -> Iterator[Interval]:
    for part in text.split(",") if text else ():
        try:
            yield interval_of(part, completions)
        except ValueError:
            continue

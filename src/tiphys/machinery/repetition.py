"""Which members of a list stood there before, found in one pass however long the list is."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def repeated(values: Iterable[Hashable]) -> set[int]:
    """The positions of values that came before."""
    seen: set[Hashable] = set()
    found: set[int] = set()
    for position, value in enumerate(values):
        if value in seen:
            found.add(position)
        seen.add(value)
    return found

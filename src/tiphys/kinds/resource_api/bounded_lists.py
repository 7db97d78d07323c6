"""Lists of bounded length whose items are checked one by one: one that is too long is not looked into any further."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from tiphys.machinery.field_errors import FieldError, Path, duplicate, too_many
from tiphys.machinery.repetition import repeated

T = TypeVar("T")
Check = Callable[[T, Path], list[FieldError]]

KEY_SHOWN_LEAST_CHARACTERS = 16
ELLIPSIS = "..."


def validate_list(items: Sequence[T] | None, limit: int | None, check: Check[T], path: Path) -> list[FieldError]:
    """`limit` None: as many as one likes."""
    items = items or ()
    if limit is not None and len(items) > limit:
        return [too_many(path, len(items), limit)]
    return [finding for position, item in enumerate(items) for finding in check(item, path.index(position))]


def validate_set(
    items: Sequence[T] | None,
    limit: int | None,
    check: Check[T],
    path: Path,
    key: Callable[[T], Hashable],
    shown_key: Callable[[T], Any] | None = None,
) -> list[FieldError]:
    """A list without two items of the same key, which the finding shows (in the form of `shown_key`)."""
    items = items or ()
    if limit is not None and len(items) > limit:
        return [too_many(path, len(items), limit)]
    again = sorted(repeated(key(item) for item in items))
    return validate_list(items, None, check, path) + [
        duplicate(path.index(position), (shown_key or key)(items[position])) for position in again
    ]


def validate_map(
    items: Mapping[str, T] | None,
    limit: int | None,
    check_key: Callable[[str, Path], list[FieldError]],
    check: Check[T],
    path: Path,
    key_characters: int,
) -> list[FieldError]:
    """Findings on a key are about the map, those on a value about its place, whose path shows at most so many
    characters of the key."""
    items = items or {}
    if limit is not None and len(items) > limit:
        return [too_many(path, len(items), limit)]
    found: list[FieldError] = []
    for key, item in items.items():
        found += check_key(key, path) + check(item, path.key(_shortened(key, key_characters)))
    return found


def _shortened(key: str, limit: int) -> str:
    """A long key without its middle."""
    limit = max(limit, KEY_SHOWN_LEAST_CHARACTERS)
    if len(key) <= limit:
        return key
    kept = limit - len(ELLIPSIS)
    return key[: (kept + 1) // 2] + ELLIPSIS + key[len(key) - kept // 2 :]

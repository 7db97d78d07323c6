"""Findings on counts and durations, the same in the specs and statuses of many kinds."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.value_findings import NOT_NEGATIVE
from tiphys.machinery.field_errors import FieldError, Path, invalid


def not_negative(value: int | None, path: Path) -> list[FieldError]:
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def none_negative(thing: Any, path: Path, *fields: str) -> list[FieldError]:
    """Each of these fields is unset or not below zero."""
    found: list[FieldError] = []
    for field in fields:
        found += not_negative(getattr(thing, field), path.child(field))
    return found


def not_above(thing: Any, path: Path, field: str, limit: str, word: str) -> list[FieldError]:
    """`field` counts a part of `limit`; `word` is how the finding calls the limit."""
    value = getattr(thing, field) or 0
    if value > (getattr(thing, limit) or 0):
        return [invalid(path.child(field), value, f"cannot be greater than {word}")]
    return []


def not_decremented(new: int | None, old: int | None, path: Path) -> list[FieldError]:
    """A counter that only goes up, once it is set."""
    if old is None:
        return []
    return [] if new is not None and new >= old else [invalid(path, new, "cannot be decremented")]

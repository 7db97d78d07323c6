"""Conditions in a status: setting one. Specified in the API conventions, "Typical status properties"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

C = TypeVar("C", bound=Any)


def with_condition(conditions: Sequence[C] | None, fresh: C) -> list[C]:
    """The conditions with the one of this type set anew. Its time is that of its last change of status."""
    old = next((each for each in conditions or () if each.type == fresh.type), None)
    if old is not None and old.status == fresh.status:
        fresh.lastTransitionTime = old.lastTransitionTime
    return [*(each for each in conditions or () if each.type != fresh.type), fresh]

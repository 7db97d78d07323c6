"""Since when conditions hold, where their writer does not say."""

from __future__ import annotations

from typing import Any

from tiphys.machinery import timestamps


def date_transitions(new: Any, old: Any, now: float) -> None:
    """Conditions of the new object without a lastTransitionTime keep that of the same one before, or come to be now."""
    known = {(each.type, each.status): each.lastTransitionTime for each in old.status.conditions or ()}
    for condition in new.status.conditions or ():
        before = known.get((condition.type, condition.status))
        condition.lastTransitionTime = condition.lastTransitionTime or before or timestamps.time_of(now)

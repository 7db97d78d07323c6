"""PodDisruptionBudgets: how many pods of a selection may be evicted at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.kinds import cells
from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.int_or_percent import at_most_hundred_percent, validate_int_or_percent
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.number_findings import none_negative
from tiphys.kinds.policy import empty_selectors
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.policy_v1 import PodDisruptionBudget
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported

SPEC, STATUS = Path("spec"), Path("status")
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def default(budget: PodDisruptionBudget) -> None:
    budget.spec.selector = empty_selectors.settled(budget.spec.selector)
    show_counts(budget)


def show_counts(budget: Any) -> None:
    """Of a budget in any version: what is counted is always shown."""
    for field in COUNTS:
        if getattr(budget.status, field) is None:
            setattr(budget.status, field, 0)


def validate(budget: PodDisruptionBudget) -> list[FieldError]:
    spec = budget.spec
    found: list[FieldError] = []
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        found.append(invalid(SPEC, spec, "minAvailable and maxUnavailable cannot be both set"))
    for field in ("minAvailable", "maxUnavailable"):
        value = getattr(spec, field)
        if value is not None:
            found += validate_int_or_percent(value, SPEC.child(field))
            found += at_most_hundred_percent(value, SPEC.child(field))
    found += validate_label_selector(spec.selector, SPEC.child("selector"))
    policy = spec.unhealthyPodEvictionPolicy
    if policy is not None and policy not in POLICIES:
        found.append(not_supported(SPEC.child("unhealthyPodEvictionPolicy"), policy, POLICIES))
    return found


def validate_status_update(new: PodDisruptionBudget, old: PodDisruptionBudget) -> list[FieldError]:
    found = validate_conditions(new.status.conditions or (), STATUS.child("conditions"))
    return found + none_negative(new.status, STATUS, *COUNTS)


def _amount(value: int | str | None) -> str:
    return "N/A" if value is None else str(value)


# Of every version.
COLUMNS: Sequence[Column[Any]] = (
    cells.name_column(),
    Column(name="Min Available", cell=lambda budget, _: _amount(budget.spec.minAvailable)),
    Column(name="Max Unavailable", cell=lambda budget, _: _amount(budget.spec.maxUnavailable)),
    cells.number("Allowed Disruptions", lambda budget: budget.status.disruptionsAllowed),
    cells.age_column(),
)
STRATEGY: Strategy[PodDisruptionBudget] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_status_update=validate_status_update,
    columns=COLUMNS,
    qualified_finalizers=False,
)

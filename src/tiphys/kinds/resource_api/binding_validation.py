"""What a slice says of the use of its devices and an allocation repeats: when a pod may be bound to a node, and what
its node need not do."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.resource_api.bounded_lists import validate_list, validate_set
from tiphys.kinds.resource_api.device_names import condition_type_findings
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported
from tiphys.machinery.repetition import repeated

CONDITIONS_LIMIT = 4
PREPARE, UNPREPARE, EVERYTHING = "NodePrepareResources", "NodeUnprepareResources", "*"
OPERATIONS = (EVERYTHING, PREPARE, UNPREPARE)


def validate_binding_conditions(
    conditions: Sequence[str] | None, failures: Sequence[str] | None, path: Path
) -> list[FieldError]:
    """Either none, or both those that let a pod be bound and those that say that it will not be."""
    conditions, failures = conditions or [], failures or []
    at, failures_at = path.child("bindingConditions"), path.child("bindingFailureConditions")
    found = validate_list(conditions, CONDITIONS_LIMIT, condition_type_findings, at)
    found += validate_list(failures, CONDITIONS_LIMIT, condition_type_findings, failures_at)
    found += [duplicate(at.index(position), conditions[position]) for position in sorted(repeated(conditions))]
    again = repeated(failures)
    for position, failure in enumerate(failures):
        if position in again:
            found.append(duplicate(failures_at.index(position), failure))
        if failure in conditions:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            found.append(invalid(failures_at.index(position), failure, detail))
    if failures and not conditions:
        found.append(invalid(at, [], "bindingConditions are required to use bindingFailureConditions"))
    if conditions and not failures:
        found.append(invalid(failures_at, [], "bindingFailureConditions are required to use bindingConditions"))
    return found


def validate_skipped_operations(skipped: Sequence[str] | None, path: Path) -> list[FieldError]:
    """What was prepared on a node must be cleaned up there, and nothing else."""

    def check(operation: str, at: Path) -> list[FieldError]:
        return [] if operation in OPERATIONS else [not_supported(at, operation, OPERATIONS)]

    found = validate_set(skipped, None, check, path, key=str)
    if PREPARE in (skipped or ()) and not {UNPREPARE, EVERYTHING} & set(skipped or ()):
        detail = "NodePrepareResources cannot be skipped unless NodeUnprepareResources is also skipped"
        found.append(invalid(path, skipped, detail))
    return found

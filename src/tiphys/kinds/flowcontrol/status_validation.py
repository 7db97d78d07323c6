"""Whether the conditions of flow schemas and priority levels are well formed: each has a type, and one of its own."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.types.flowcontrol_v1 import (
    FlowSchema,
    FlowSchemaCondition,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationCondition,
)
from tiphys.machinery.field_errors import FieldError, Path, duplicate, required

CONDITIONS = Path("status.conditions")


def validate_status_update(
    new: FlowSchema | PriorityLevelConfiguration, old: FlowSchema | PriorityLevelConfiguration
) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str | None] = set()
    conditions: Sequence[FlowSchemaCondition | PriorityLevelConfigurationCondition] = new.status.conditions or ()
    for position, condition in enumerate(conditions):
        at = CONDITIONS.index(position).child("type")
        if condition.type in seen:
            found.append(duplicate(at, condition.type))
        seen.add(condition.type)
        if not condition.type:
            found.append(required(at, "must not be empty"))
    return found

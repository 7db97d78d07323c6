"""FlowSchemas: whether the priority level that each names is there, told by its condition Dangling.

Specified in "API Priority and Fairness", "FlowSchema".
"""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, UpdateStatus
from tiphys.controllers.conditions import with_condition
from tiphys.controllers.controller import Controller, Index, View, Watch, own_key
from tiphys.kinds import codec
from tiphys.kinds.types import flowcontrol_v1
from tiphys.machinery import timestamps

DANGLING = "Dangling"
BY_LEVEL = "priority level"


def level_of(schema: flowcontrol_v1.FlowSchema) -> tuple[str, ...]:
    """Index function: the name of the level."""
    return (schema.spec.priorityLevelConfiguration.name,)


def _of_level(
    view: View,
    old: flowcontrol_v1.PriorityLevelConfiguration | None,
    new: flowcontrol_v1.PriorityLevelConfiguration | None,
) -> list[ObjectKey]:
    level = new or old
    name = (level.metadata.name or "") if level is not None else ""
    schemas = view.by_index(flowcontrol_v1.FlowSchema, BY_LEVEL, name)
    return [ObjectKey("", schema.metadata.name or "") for schema in schemas]


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    schema = view.get(flowcontrol_v1.FlowSchema, "", key.name)
    if schema is None:
        return []
    name = schema.spec.priorityLevelConfiguration.name
    is_there = view.get(flowcontrol_v1.PriorityLevelConfiguration, "", name) is not None
    words = "and it exists" if is_there else "but there is no such object"
    status, reason = ("False", "Found") if is_there else ("True", "NotFound")
    message = f'This FlowSchema references the PriorityLevelConfiguration object named "{name}" {words}'
    condition = flowcontrol_v1.FlowSchemaCondition(
        type=DANGLING, status=status, reason=reason, message=message, lastTransitionTime=timestamps.time_of(now)
    )
    changed = codec.copy(schema)
    changed.status.conditions = with_condition(changed.status.conditions, condition)
    return [UpdateStatus(object=changed)] if changed.status != schema.status else []


CONTROLLER = Controller(
    name="flow-schemas",
    reconcile=reconcile,
    watches=(
        Watch(kind=flowcontrol_v1.FlowSchema, keys=own_key),
        Watch(kind=flowcontrol_v1.PriorityLevelConfiguration, keys=_of_level),
    ),
    indexes=(Index(kind=flowcontrol_v1.FlowSchema, name=BY_LEVEL, function=level_of),),
)

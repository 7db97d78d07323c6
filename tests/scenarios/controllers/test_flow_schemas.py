"""Flow schemas say whether their priority level is there."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import flowcontrol_v1, meta_v1


def schema(level: str) -> flowcontrol_v1.FlowSchema:
    reference = flowcontrol_v1.PriorityLevelConfigurationReference(name=level)
    return flowcontrol_v1.FlowSchema(
        metadata=meta_v1.ObjectMeta(name="mine"),
        spec=flowcontrol_v1.FlowSchemaSpec(priorityLevelConfiguration=reference),
    )


def level(name: str) -> flowcontrol_v1.PriorityLevelConfiguration:
    return flowcontrol_v1.PriorityLevelConfiguration(metadata=meta_v1.ObjectMeta(name=name))


def told(cluster: Any) -> list[tuple[str | None, ...]]:
    found = cluster.api.get(flowcontrol_v1.FlowSchema, "", "mine")
    return [(c.type, c.status, c.reason, c.message) for c in found.status.conditions or ()]


async def test_a_schema_dangles_until_its_level_is_there(cluster: Any) -> None:
    about = 'This FlowSchema references the PriorityLevelConfiguration object named "slow"'
    dangling = [("Dangling", "True", "NotFound", f"{about} but there is no such object")]
    cluster.api.add(schema("slow"))
    await cluster.steps(2)
    assert told(cluster) == dangling
    cluster.api.add(level("slow"))
    await cluster.steps(2)
    assert told(cluster) == [("Dangling", "False", "Found", f"{about} and it exists")]
    cluster.api.remove(flowcontrol_v1.PriorityLevelConfiguration, "", "slow")
    await cluster.steps(2)
    assert told(cluster) == dangling

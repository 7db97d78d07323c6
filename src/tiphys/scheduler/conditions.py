"""What the scheduler writes into a pod's status: why it waits, which node it was promised, that it must make room."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1
from tiphys.machinery import timestamps

POD_SCHEDULED = "PodScheduled"
UNSCHEDULABLE = "Unschedulable"
SCHEDULER_ERROR = "SchedulerError"


def waiting_patch(
    pod: core_v1.Pod, *, reason: str, message: str, now: float, nominated_node_name: str | None = None
) -> dict[str, Any] | None:
    """The strategic merge patch of the status that says why a pod has no node; None when it says so already.

    `nominated_node_name`: "" takes a promise back, None leaves it as it is."""
    status: dict[str, Any] = {}
    current = next((c for c in pod.status.conditions or () if c.type == POD_SCHEDULED), None)
    same = current is not None and (current.status, current.reason, current.message) == ("False", reason, message)
    if not same:
        condition: dict[str, Any] = {"type": POD_SCHEDULED, "status": "False", "reason": reason, "message": message}
        if current is None or current.status != "False":
            condition["lastTransitionTime"] = str(timestamps.time_of(now))
        if pod.metadata.generation:
            condition["observedGeneration"] = pod.metadata.generation
        status["conditions"] = [condition]
    if nominated_node_name is not None and (pod.status.nominatedNodeName or "") != nominated_node_name:
        status["nominatedNodeName"] = nominated_node_name or None
    return {"status": status} if status else None


def disruption_patch(victim: core_v1.Pod, scheduler_name: str, now: float) -> dict[str, Any]:
    """The strategic merge patch that tells a victim why it will be deleted."""
    condition: dict[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": f"{scheduler_name}: preempting to accommodate a higher priority pod",
        "lastTransitionTime": str(timestamps.time_of(now)),
    }
    if victim.metadata.generation:
        condition["observedGeneration"] = victim.metadata.generation
    return {"status": {"conditions": [condition]}}

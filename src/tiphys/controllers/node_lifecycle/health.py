"""Whether nodes still report: by their Lease and status, judged by this machine's clock alone.

A node whose Lease and status have not changed for the grace period has unknown conditions. What is remembered is when
each node's report was last seen to change; after a restart every node gets a fresh grace period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tiphys.controllers.actions import Action, UpdateStatus, record
from tiphys.kinds import codec
from tiphys.kinds.types import coordination_v1, core_v1
from tiphys.machinery import timestamps

STARTUP_GRACE_SECONDS = 60.0
JUDGED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def node_condition(node: core_v1.Node, kind: str) -> core_v1.NodeCondition | None:
    return next((c for c in node.status.conditions or () if c.type == kind), None)


def ready_status(node: core_v1.Node) -> str:
    """True, False or Unknown; a node that never said anything is Unknown."""
    condition = node_condition(node, "Ready")
    return (condition.status or "Unknown") if condition is not None else "Unknown"


@dataclass(slots=True)
class _Report:
    seen: tuple[str | None, str | None]
    at: float


@dataclass(slots=True)
class NodeReports:
    """When each node last reported. `grace_seconds` is how long silence is borne."""

    grace_seconds: float
    reports: dict[str, _Report] = field(default_factory=dict)

    def is_silent(self, node: core_v1.Node, lease: coordination_v1.Lease | None, now: float) -> bool:
        """Take note of the node's report; True when there was no new one for too long."""
        ready = node_condition(node, "Ready")
        renewed = lease.spec.renewTime if lease is not None and lease.spec is not None else None
        seen = (ready.lastHeartbeatTime if ready is not None else None, renewed)
        report = self.reports.get(node.metadata.name or "")
        if report is None or report.seen != seen:
            self.reports[node.metadata.name or ""] = _Report(seen, now)
            return False
        never = ready is None and renewed is None
        return now > report.at + (STARTUP_GRACE_SECONDS if never else self.grace_seconds)

    def forget_others(self, nodes: Sequence[core_v1.Node]) -> None:
        names = {node.metadata.name for node in nodes}
        self.reports = {name: report for name, report in self.reports.items() if name in names}


def silenced(node: core_v1.Node, now: float) -> list[Action]:
    """All judged conditions become Unknown."""
    changed = codec.copy(node)
    conditions = list(changed.status.conditions or ())
    moment = timestamps.time_of(now)
    is_new = False
    for kind in JUDGED_CONDITIONS:
        known = next((c for c in conditions if c.type == kind), None)
        if known is None:
            is_new = True
            conditions.append(
                core_v1.NodeCondition(
                    type=kind,
                    status="Unknown",
                    reason="NodeStatusNeverUpdated",
                    message="Kubelet never posted node status.",
                    lastHeartbeatTime=node.metadata.creationTimestamp,
                    lastTransitionTime=moment,
                )
            )
        elif known.status != "Unknown":
            is_new = True
            known.status, known.reason = "Unknown", "NodeStatusUnknown"
            known.message = "Kubelet stopped posting node status."
            known.lastTransitionTime = moment
    if not is_new:
        return []
    changed.status.conditions = conditions
    actions: list[Action] = [UpdateStatus(object=changed)]
    if ready_status(node) == "True":
        message = f"Node {node.metadata.name} status is now: NodeNotReady"
        actions.append(record(node, "Normal", "NodeNotReady", message))
    return actions


def pods_not_ready(pods: Sequence[core_v1.Pod], now: float) -> list[Action]:
    """The pods of a node that is not ready serve nobody: their Ready condition becomes False."""
    updates: list[Action] = []
    events: list[Action] = []
    for pod in pods:
        ready = next((c for c in pod.status.conditions or () if c.type == "Ready"), None)
        if ready is None or ready.status != "True":
            continue
        changed = codec.copy(pod)
        for condition in changed.status.conditions or ():
            if condition.type == "Ready":
                condition.status = "False"
                condition.lastTransitionTime = timestamps.time_of(now)
        updates.append(UpdateStatus(object=changed))
        events.append(record(pod, "Warning", "NodeNotReady", "Node is not ready"))
    return updates + events

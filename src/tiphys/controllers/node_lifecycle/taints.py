"""Taints that follow a node's conditions: what is wrong with a node keeps pods away (NoSchedule), and when it is not
ready or not reachable drives them off (NoExecute). Specified in "Taints and Tolerations", "Taint based evictions" and
"Taint nodes by condition".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tiphys.controllers.actions import Action, Patch
from tiphys.controllers.node_lifecycle.health import node_condition, ready_status
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.machinery import timestamps

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_MANAGED_NO_SCHEDULE = frozenset(_BY_CONDITION.values()) | {UNSCHEDULABLE}
_MANAGED_NO_EXECUTE = frozenset({NOT_READY, UNREACHABLE})


def no_schedule_keys(node: core_v1.Node) -> set[str]:
    """The taints that keep new pods away from this node."""
    keys = {UNSCHEDULABLE} if node.spec.unschedulable else set()
    for (kind, status), key in _BY_CONDITION.items():
        condition = node_condition(node, kind)
        if condition is not None and condition.status == status:
            keys.add(key)
    return keys


def no_execute_key(node: core_v1.Node) -> str:
    """The taint that drives pods off this node; "" for none."""
    status = ready_status(node)
    if node_condition(node, "Ready") is None or status == "True":
        return ""
    return NOT_READY if status == "False" else UNREACHABLE


def has_no_execute(node: core_v1.Node, key: str = "") -> bool:
    """Whether the node has the taint (any of ours with "")."""
    keys = {key} if key else _MANAGED_NO_EXECUTE
    return any(t.effect == "NoExecute" and t.key in keys for t in node.spec.taints or ())


def with_taints(node: core_v1.Node, *, no_execute: str | None, now: float) -> list[Action]:
    """Bring the node's taints in line; `no_execute` None leaves those alone, "" takes them off."""
    old = list(node.spec.taints or ())
    wanted = {(key, "NoSchedule") for key in no_schedule_keys(node)}
    if no_execute:
        wanted.add((no_execute, "NoExecute"))
    kept = [t for t in old if (t.key, t.effect) in wanted or not _is_managed(t, no_execute is not None)]
    present = {(t.key, t.effect) for t in kept}
    moment = timestamps.time_of(now)
    fresh = [core_v1.Taint(key=k, effect=e, timeAdded=moment) for k, e in sorted(wanted - present)]
    if not fresh and len(kept) == len(old):
        return []
    return [_taint_patch(node, [*kept, *fresh])]


def _is_managed(taint: core_v1.Taint, no_execute: bool) -> bool:
    if taint.effect == "NoSchedule":
        return taint.key in _MANAGED_NO_SCHEDULE
    return no_execute and taint.effect == "NoExecute" and taint.key in _MANAGED_NO_EXECUTE


def _taint_patch(node: core_v1.Node, taints: Sequence[core_v1.Taint]) -> Patch:
    meta = node.metadata
    patch = {
        "metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion},
        "spec": {"taints": codec.plain(list(taints)) or None},
    }
    return Patch(kind=core_v1.Node, namespace="", name=meta.name or "", patch=patch, tolerate_missing=False)


def tolerates(toleration: core_v1.Toleration, taint: core_v1.Taint) -> bool:
    """Whether one toleration bears one taint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    operator = toleration.operator or "Equal"
    if operator == "Exists":
        return True
    if not toleration.key:
        return False
    if operator == "Equal":
        return (toleration.value or "") == (taint.value or "")
    try:
        left, right = int(taint.value or ""), int(toleration.value or "")
    except ValueError:
        return False
    return left < right if operator == "Lt" else operator == "Gt" and left > right


def seconds_borne(tolerations: Iterable[core_v1.Toleration], taints: Sequence[core_v1.Taint]) -> float | None:
    """How long a pod may stay under these NoExecute taints: 0 not at all, None for ever."""
    tolerations = list(tolerations)
    shortest: float | None = None
    for taint in taints:
        bearing = [t for t in tolerations if tolerates(t, taint)]
        if not bearing:
            return 0.0
        limits = [max(float(t.tolerationSeconds), 0.0) for t in bearing if t.tolerationSeconds is not None]
        for limit in limits:
            shortest = limit if shortest is None else min(shortest, limit)
    return shortest

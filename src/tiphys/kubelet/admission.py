"""Whether this node takes a pod that was bound to it: room, ports, node selection, taints, sysctls.

The scheduler has looked at most of it, but it may have been too late or not been asked at all. A refusal is the
pod's end: phase Failed with a reason that controllers know. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import is_static
from tiphys.kubelet.pod_status import Verdict
from tiphys.kubelet.resources import CRITICAL_PRIORITY, pod_requests
from tiphys.machinery.labels import Requirement
from tiphys.machinery.quantity import Quantity

SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip


def admit(
    pod: core_v1.Pod,
    others: Sequence[core_v1.Pod],
    node: core_v1.Node,
    allocatable: Mapping[str, Quantity],
    allowed_sysctls: Sequence[str] = (),
) -> Verdict | None:
    """None when the node takes the pod; `others` are the pods that have their share of it already."""
    sysctl = _forbidden_sysctl(pod, allowed_sysctls)
    if sysctl:
        message = f'Pod was rejected: forbidden sysctl: "{sysctl}" not allowlisted'
        return Verdict(reason="SysctlForbidden", message=message)
    return (
        _lacks_room(pod, others, allocatable)
        or _fails_selection(pod, node)
        or _clashes_ports(pod, others)
        or _fails_tolerations(pod, node)
    )


def _forbidden_sysctl(pod: core_v1.Pod, allowed: Sequence[str]) -> str:
    context = pod.spec.securityContext
    for sysctl in (context.sysctls or ()) if context is not None else ():
        name = sysctl.name.replace("/", ".")
        if name in SAFE_SYSCTLS:
            continue
        if not any(name == each or (each.endswith("*") and name.startswith(each[:-1])) for each in allowed):
            return sysctl.name
    return ""


def _amount(name: str, amount: Quantity) -> int:
    return amount.milli_value if name == "cpu" else amount.value


def _lacks_room(pod: core_v1.Pod, others: Sequence[core_v1.Pod], allocatable: Mapping[str, Quantity]) -> Verdict | None:
    limit = allocatable.get("pods")
    if limit is not None and len(others) + 1 > limit.value:
        return _out_of("pods", 1, len(others), limit.value)
    requested = pod_requests(pod)
    used: dict[str, int] = {}
    for other in others:
        for name, amount in pod_requests(other).items():
            used[name] = used.get(name, 0) + _amount(name, amount)
    for name, amount in requested.items():
        wanted = _amount(name, amount)
        if not wanted:
            continue
        capacity = _amount(name, allocatable[name]) if name in allocatable else 0
        if name not in allocatable and "/" in name:
            continue  # a resource that is not the node's own: who offers it, counts it
        if used.get(name, 0) + wanted > capacity:
            return _out_of(name, wanted, used.get(name, 0), capacity)
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Verdict:
    return Verdict(
        reason=f"OutOf{name}",
        message=f"Pod was rejected: Node didn't have enough resource: {name}, requested: {requested}, "
        f"used: {used}, capacity: {capacity}",
    )


def _predicate(name: str) -> Verdict:
    return Verdict(reason=name, message=f"Pod was rejected: Predicate {name} failed")


def _fails_selection(pod: core_v1.Pod, node: core_v1.Node) -> Verdict | None:
    labels = node.metadata.labels or {}
    if any(labels.get(key) != value for key, value in (pod.spec.nodeSelector or {}).items()):
        return _predicate("NodeAffinity")
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    if required is None:
        return None
    fields = {"metadata.name": node.metadata.name or ""}
    for term in required.nodeSelectorTerms:
        if not term.matchExpressions and not term.matchFields:
            continue
        if _all(term.matchExpressions or (), labels) and _all(term.matchFields or (), fields):
            return None
    return _predicate("NodeAffinity")


def _all(expressions: Iterable[core_v1.NodeSelectorRequirement], values: Mapping[str, str]) -> bool:
    return all(Requirement(each.key, each.operator, tuple(each.values or ())).matches(values) for each in expressions)


def _ports(pod: core_v1.Pod) -> set[tuple[str, int, str]]:
    return {
        (port.protocol or "TCP", port.hostPort, port.hostIP or "0.0.0.0")
        for container in (*pod.spec.containers, *(pod.spec.initContainers or ()))
        for port in container.ports or ()
        if port.hostPort
    }


def _clashes_ports(pod: core_v1.Pod, others: Sequence[core_v1.Pod]) -> Verdict | None:
    wanted = _ports(pod)
    if not wanted:
        return None
    for other in others:
        for protocol, port, address in _ports(other):
            for own_protocol, own_port, own_address in wanted:
                same = address == own_address or "0.0.0.0" in (address, own_address)
                if protocol == own_protocol and port == own_port and same:
                    return _predicate("NodePorts")
    return None


def tolerates(pod: core_v1.Pod, taint: core_v1.Taint) -> bool:
    for each in pod.spec.tolerations or ():
        if each.effect and each.effect != taint.effect:
            continue
        if each.key and each.key != taint.key:
            continue
        if each.operator == "Exists" or (each.key and (each.value or "") == (taint.value or "")):
            return True
    return False


def _fails_tolerations(pod: core_v1.Pod, node: core_v1.Node) -> Verdict | None:
    if is_static(pod):
        return None
    for taint in node.spec.taints or ():
        if taint.effect == "NoExecute" and not tolerates(pod, taint):
            return _predicate("TaintToleration")
    return None


def is_critical(pod: core_v1.Pod) -> bool:
    return is_static(pod) or (pod.spec.priority or 0) >= CRITICAL_PRIORITY

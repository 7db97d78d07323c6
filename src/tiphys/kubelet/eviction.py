"""When a node runs short of memory, disk or process ids, and which pod then has to go.

Pure. A threshold that is met gives the node a condition, which stays for five minutes after it was met last; pods are
ended one at a time, those first that use more than they asked for, then by priority, then by how much more they use.
Specified in "Node-pressure Eviction" and "Local ephemeral storage".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.kinds.types import core_v1
from tiphys.kubelet.admission import is_critical, tolerates
from tiphys.kubelet.node_status import Pressure
from tiphys.kubelet.pod_status import Verdict
from tiphys.kubelet.resources import pod_limits, pod_requests, qos_class
from tiphys.machinery import quantity
from tiphys.machinery.quantity import Quantity

TRANSITION_SECONDS = 300.0
DISRUPTION = "TerminationByKubelet"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUsage:
    """How much is left on the machine. Inodes and process ids are counts."""

    memory_available_bytes: int
    root_available_bytes: int
    root_capacity_bytes: int
    root_inodes_free: int
    root_inodes: int
    images_available_bytes: int
    images_capacity_bytes: int
    pids: int
    maximum_pids: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Below these the node is under pressure; 0 switches one off."""

    memory_available_bytes: int = 100 << 20
    root_available_percent: int = 10
    root_inodes_percent: int = 5
    images_available_percent: int = 15
    pids_percent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A threshold that is met. `resource` is what pods use too much of; `condition` what the node has then."""

    condition: str
    resource: str
    threshold: Quantity
    available: Quantity


def shortages(usage: MachineUsage, thresholds: Thresholds) -> tuple[Shortage, ...]:
    """The thresholds that are met, the most urgent first."""
    found = [
        _below("MemoryPressure", "memory", usage.memory_available_bytes, thresholds.memory_available_bytes),
        _below(
            "DiskPressure",
            "ephemeral-storage",
            usage.root_available_bytes,
            usage.root_capacity_bytes * thresholds.root_available_percent // 100,
        ),
        _below(
            "DiskPressure",
            "ephemeral-storage",
            usage.images_available_bytes,
            usage.images_capacity_bytes * thresholds.images_available_percent // 100,
        ),
        _below(
            "DiskPressure",
            "inodes",
            usage.root_inodes_free,
            usage.root_inodes * thresholds.root_inodes_percent // 100,
        ),
        _below(
            "PIDPressure",
            "pids",
            usage.maximum_pids - usage.pids,
            usage.maximum_pids * thresholds.pids_percent // 100,
        ),
    ]
    return tuple(each for each in found if each is not None)


def _below(condition: str, resource: str, available: int, threshold: int) -> Shortage | None:
    if available >= threshold:
        return None
    amount = quantity.from_value if resource in ("inodes", "pids") else quantity.from_bytes
    return Shortage(
        condition=condition, resource=resource, threshold=amount(threshold), available=amount(max(available, 0))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureState:
    """When each condition was last true by its threshold."""

    met_at: Mapping[str, float] = field(default_factory=dict)


def observe(state: PressureState, found: Sequence[Shortage], now: float) -> tuple[PressureState, Pressure]:
    met_at = {**state.met_at, **{each.condition: now for each in found}}
    met_at = {condition: moment for condition, moment in met_at.items() if now - moment < TRANSITION_SECONDS}
    pressure = Pressure(memory="MemoryPressure" in met_at, disk="DiskPressure" in met_at, pids="PIDPressure" in met_at)
    return PressureState(met_at=met_at), pressure


def refused_under(pressure: Pressure, pod: core_v1.Pod) -> Verdict | None:
    """Whether the node takes no such pod while it is under pressure."""
    if is_critical(pod):
        return None
    names = []
    memory_taint = core_v1.Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")
    if pressure.memory and qos_class(pod) == "BestEffort" and not tolerates(pod, memory_taint):
        names.append("MemoryPressure")
    if pressure.disk:
        names.append("DiskPressure")
    if pressure.pids:
        names.append("PIDPressure")
    if not names:
        return None
    return Verdict(reason="Evicted", message=f"Pod was rejected: The node had condition: [{' '.join(names)}]. ")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUse:
    """What a pod uses: bytes of memory and of disk by container, and of its emptyDir volumes by name."""

    pod: core_v1.Pod
    memory: Mapping[str, int] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)

    def of(self, resource: str) -> int:
        if resource == "memory":
            return sum(self.memory.values())
        if resource == "ephemeral-storage":
            return sum(self.disk.values()) + sum(self.volumes.values())
        return 0


def _requested(pod: core_v1.Pod, resource: str) -> int:
    amount = pod_requests(pod).get(resource)
    return amount.value if amount is not None else 0


def victim(shortage: Shortage, uses: Sequence[PodUse]) -> PodUse | None:
    """The pod to end for a shortage; None when there is none that may be."""

    def order(use: PodUse) -> tuple[bool, int, int, str]:
        over = use.of(shortage.resource) - _requested(use.pod, shortage.resource)
        return (over <= 0, use.pod.spec.priority or 0, -over, use.pod.metadata.uid or "")

    candidates = [use for use in uses if not is_critical(use.pod)]
    return min(candidates, key=order, default=None)


def evicted(shortage: Shortage, use: PodUse) -> Verdict:
    """The verdict on a victim: why, and which of its containers use more than they asked for."""
    message = (
        f"The node was low on resource: {shortage.resource}. Threshold quantity: {shortage.threshold}, "
        f"available: {shortage.available}. "
    )
    used = use.memory if shortage.resource == "memory" else use.disk if shortage.resource == "ephemeral-storage" else {}
    for container in (*(use.pod.spec.initContainers or ()), *use.pod.spec.containers):
        amount = used.get(container.name, 0)
        requests = (container.resources.requests or {}) if container.resources is not None else {}
        request = requests.get(shortage.resource, quantity.ZERO)
        if amount > request.value:
            message += (
                f"Container {container.name} was using {quantity.from_bytes(amount // 1024 * 1024)}, "
                f"request is {request}, has larger consumption of {shortage.resource}. "
            )
    return Verdict(reason="Evicted", message=message, disruption=DISRUPTION)


def has_disk_limits(pod: core_v1.Pod) -> bool:
    """Whether the disk that the pod uses must be measured."""
    if any(each.emptyDir is not None and each.emptyDir.sizeLimit for each in pod.spec.volumes or ()):
        return True
    return "ephemeral-storage" in pod_limits(pod)


def over_its_disk(use: PodUse) -> Verdict | None:
    """A pod that uses more disk than it may by its own limits."""
    for volume in use.pod.spec.volumes or ():
        limit = volume.emptyDir.sizeLimit if volume.emptyDir is not None else None
        if limit is not None and limit.value and use.volumes.get(volume.name, 0) > limit.value:
            message = f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
            return Verdict(reason="Evicted", message=message, disruption=DISRUPTION)
    total = pod_limits(use.pod).get("ephemeral-storage")
    for container in use.pod.spec.containers:
        limits = (container.resources.limits or {}) if container.resources is not None else {}
        limit = limits.get("ephemeral-storage")
        if limit is not None and use.disk.get(container.name, 0) > limit.value:
            message = f'Container {container.name} exceeded its local ephemeral storage limit "{limit}". '
            return Verdict(reason="Evicted", message=message, disruption=DISRUPTION)
    every = all(
        each.resources is not None and "ephemeral-storage" in (each.resources.limits or {})
        for each in use.pod.spec.containers
    )
    if total is not None and every and use.of("ephemeral-storage") > total.value:
        message = f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
        return Verdict(reason="Evicted", message=message, disruption=DISRUPTION)
    return None

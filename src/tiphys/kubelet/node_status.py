"""What a Node object says of its node: capacity, allocatable, conditions, addresses, system, images.

Pure: from an observation of the machine and the runtime. What others wrote into a Node (extended resources, their own
conditions, taints) is kept. Heartbeats are leases; a status is written when it has changed, or is old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import ImageRecord, RuntimeConditions
from tiphys.machinery import quantity, timestamps
from tiphys.machinery.quantity import Quantity

KUBELET_VERSION = "v1.37.0"
REPORT_SECONDS = 300.0
MAXIMUM_IMAGES = 50
MAXIMUM_NAMES_OF_IMAGE = 5

_MEMORY_LOW = ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
_MEMORY_FINE = ("KubeletHasSufficientMemory", "kubelet has sufficient memory available")
_DISK_LOW = ("KubeletHasDiskPressure", "kubelet has disk pressure")
_DISK_FINE = ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")
_PIDS_LOW = ("KubeletHasInsufficientPID", "kubelet has insufficient PID available")
_PIDS_FINE = ("KubeletHasSufficientPID", "kubelet has sufficient PID available")
# What pods can count on here and not on every node, as the scheduler and the API server look for it.
DECLARED_FEATURES = (
    "GuaranteedQoSPodCPUResize",
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
    "RestartAllContainersOnContainerExits",
)
_READY = ("KubeletReady", "kubelet is posting ready status")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """What does not change while the node is up. `hugepages` maps sizes in bytes to the bytes there are."""

    cores: int
    memory_bytes: int
    storage_bytes: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel_version: str
    os_image: str
    architecture: str
    swap_bytes: int = 0
    hugepages: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """What the node runs short of; the times are for hysteresis of the observer."""

    memory: bool = False
    disk: bool = False
    pids: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeObservation:
    """`not_ready` lists reasons why no pod can run; () when all is well."""

    machine: MachineInfo
    runtime_version: str
    runtime: RuntimeConditions
    addresses: Sequence[tuple[str, str]]
    port: int
    max_pods: int
    reserved: Mapping[str, Quantity] = field(default_factory=dict)
    pressure: Pressure = field(default_factory=Pressure)
    images: Sequence[ImageRecord] = ()
    not_ready: Sequence[str] = ()
    runtime_handlers: Sequence[str] = ("",)


def capacity(machine: MachineInfo, max_pods: int) -> dict[str, Quantity]:
    found = {
        "cpu": quantity.from_value(machine.cores),
        "memory": quantity.parse(f"{machine.memory_bytes // 1024}Ki"),
        "ephemeral-storage": quantity.parse(f"{machine.storage_bytes // 1024}Ki"),
        "pods": quantity.from_value(max_pods),
    }
    for size, amount in sorted(machine.hugepages.items()):
        found[f"hugepages-{quantity.from_bytes(size)}"] = quantity.from_bytes(amount)
    return found


def allocatable(of: Mapping[str, Quantity], reserved: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Capacity less what is kept for the system."""
    result = dict(of)
    huge_bytes = sum(amount.value for name, amount in of.items() if name.startswith("hugepages-"))
    for name, amount in result.items():
        less = reserved[name].amount if name in reserved else Decimal(0)
        if name == "memory":
            less += huge_bytes
        if less:
            left = max(amount.amount - less, Decimal(0))
            if name == "cpu":
                result[name] = quantity.from_milli(int(left * 1000))
            elif name == "pods":
                result[name] = quantity.from_value(int(left))
            else:
                result[name] = quantity.parse(f"{int(left) // 1024}Ki")
    return result


def node_status(old: core_v1.NodeStatus, seen: NodeObservation, now: float) -> core_v1.NodeStatus:
    own = capacity(seen.machine, seen.max_pods)
    usable = allocatable(own, seen.reserved)
    machine = seen.machine
    return msgspec.structs.replace(
        old,
        capacity={**_extended(old.capacity), **own},
        allocatable={**_extended(old.capacity), **usable},
        conditions=conditions(old.conditions or (), seen, now),
        addresses=[core_v1.NodeAddress(type=kind, address=address) for kind, address in seen.addresses],
        daemonEndpoints=core_v1.NodeDaemonEndpoints(kubeletEndpoint=core_v1.DaemonEndpoint(Port=seen.port)),
        nodeInfo=core_v1.NodeSystemInfo(
            machineID=machine.machine_id,
            systemUUID=machine.system_uuid,
            bootID=machine.boot_id,
            kernelVersion=machine.kernel_version,
            osImage=machine.os_image,
            containerRuntimeVersion=seen.runtime_version,
            kubeletVersion=KUBELET_VERSION,
            kubeProxyVersion="",
            operatingSystem="linux",
            architecture=machine.architecture,
            swap=core_v1.NodeSwapStatus(capacity=machine.swap_bytes) if machine.swap_bytes else None,
        ),
        images=node_images(seen.images) or None,
        declaredFeatures=[*DECLARED_FEATURES],
        runtimeHandlers=[core_v1.NodeRuntimeHandler(name=name) for name in seen.runtime_handlers],
    )


def _extended(amounts: Mapping[str, Quantity] | None) -> dict[str, Quantity]:
    """What others say the node has: names with a domain. Pages of sizes that the machine no longer has become 0."""
    found = {}
    for name, amount in (amounts or {}).items():
        if "/" in name:
            found[name] = amount
        elif name.startswith("hugepages-"):
            found[name] = quantity.ZERO
    return found


def node_images(images: Sequence[ImageRecord]) -> list[core_v1.ContainerImage]:
    """The largest first, with at most five names each; without a name an image is no use to a scheduler."""
    named = [each for each in images if each.tags or each.digests]
    named.sort(key=lambda each: (-each.size_bytes, each.id))
    return [
        core_v1.ContainerImage(names=[*each.digests, *each.tags][:MAXIMUM_NAMES_OF_IMAGE], sizeBytes=each.size_bytes)
        for each in named[:MAXIMUM_IMAGES]
    ]


def conditions(old: Sequence[core_v1.NodeCondition], seen: NodeObservation, now: float) -> list[core_v1.NodeCondition]:
    """Ours in Kubernetes' order; those of others stay."""
    reasons = [text for text in (*_runtime_reasons(seen.runtime), *seen.not_ready) if text]
    joined = f"[{', '.join(reasons)}]" if len(reasons) > 1 else "".join(reasons)
    pressure = seen.pressure
    wanted = [
        ("MemoryPressure", pressure.memory, _MEMORY_LOW if pressure.memory else _MEMORY_FINE),
        ("DiskPressure", pressure.disk, _DISK_LOW if pressure.disk else _DISK_FINE),
        ("PIDPressure", pressure.pids, _PIDS_LOW if pressure.pids else _PIDS_FINE),
        ("Ready", not reasons, ("KubeletNotReady", joined) if reasons else _READY),
    ]
    known = {each.type: each for each in old}
    result = []
    for kind, holds, (reason, message) in wanted:
        status = "True" if holds else "False"
        before = known.pop(kind, None)
        same = before is not None and before.status == status and before.lastTransitionTime is not None
        result.append(
            core_v1.NodeCondition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                lastHeartbeatTime=timestamps.time_of(now),
                lastTransitionTime=before.lastTransitionTime
                if before is not None and same
                else timestamps.time_of(now),
            )
        )
    return [*(each for each in old if each.type in known), *result]


def _runtime_reasons(runtime: RuntimeConditions) -> list[str]:
    reasons = []
    if not runtime.ready:
        reasons.append(f"container runtime not ready: {runtime.message or 'container runtime is down'}")
    if not runtime.network_ready:
        reasons.append(f"container runtime network not ready: {runtime.network_message}")
    return reasons


def same_but_heartbeats(first: core_v1.NodeStatus, second: core_v1.NodeStatus) -> bool:
    """Whether nothing but the times of heartbeats differs."""

    def still(status: core_v1.NodeStatus) -> core_v1.NodeStatus:
        quiet = [msgspec.structs.replace(each, lastHeartbeatTime=None) for each in status.conditions or ()]
        return msgspec.structs.replace(status, conditions=quiet)

    return still(first) == still(second)


def node_labels(name: str, architecture: str, extra: Mapping[str, str]) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
        **extra,
    }


def new_node(
    name: str, labels: Mapping[str, str], taints: Sequence[core_v1.Taint], status: core_v1.NodeStatus
) -> core_v1.Node:
    """What a node registers itself as."""
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(
            name=name,
            labels=dict(labels),
            annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        ),
        spec=core_v1.NodeSpec(taints=list(taints) or None),
        status=status,
    )

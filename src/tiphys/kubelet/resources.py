"""What a pod's requests and limits become in cgroups: shares, quotas, limits, the order of out-of-memory kills, and the
groups themselves.

Numbers are those of "Resource Management for Pods and Containers": a core is 1024 shares and 100 ms of each 100 ms
period. Pure; `io/cgroups.py` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import CriMessage
from tiphys.machinery.quantity import Quantity, total

SHARES_PER_CORE = 1024
LEAST_SHARES = 2
PERIOD_MICROSECONDS = 100_000
LEAST_QUOTA_MICROSECONDS = 1_000
GUARANTEED_OOM_SCORE_ADJ = -997
BEST_EFFORT_OOM_SCORE_ADJ = 1000
# Pods of at least this priority are critical to the node.
CRITICAL_PRIORITY = 2_000_000_000
HUGE_PAGES = "hugepages-"
_Chosen = Callable[[core_v1.ResourceRequirements], Mapping[str, Quantity]]


def milli_cpu(resources: Mapping[str, Quantity] | None) -> int:
    amount = (resources or {}).get("cpu")
    return amount.milli_value if amount is not None else 0


def memory_bytes(resources: Mapping[str, Quantity] | None) -> int:
    amount = (resources or {}).get("memory")
    return amount.value if amount is not None else 0


def shares(milli: int) -> int:
    return max(LEAST_SHARES, milli * SHARES_PER_CORE // 1000) if milli else LEAST_SHARES


def quota(milli: int) -> int:
    """Microseconds in each period; 0 for no limit."""
    return max(LEAST_QUOTA_MICROSECONDS, milli * PERIOD_MICROSECONDS // 1000) if milli else 0


def is_sidecar(container: core_v1.Container) -> bool:
    """An init container that keeps running beside the others."""
    return container.restartPolicy == "Always"


def qos_class(pod: core_v1.Pod) -> str:
    """Guaranteed, Burstable or BestEffort: what the API server set, else by the containers' cpu and memory."""
    if pod.status.qosClass:
        return pod.status.qosClass
    limits_equal_requests, any_set = True, False
    own = [pod.spec.resources] if pod.spec.resources is not None else []
    for each in own or [c.resources for c in (*pod.spec.containers, *(pod.spec.initContainers or ()))]:
        requests, limits = (each.requests or {}, each.limits or {}) if each is not None else ({}, {})
        for name in ("cpu", "memory"):
            limit = limits.get(name)
            request = requests.get(name, limit)
            if (limit is not None and limit.amount) or (request is not None and request.amount):
                any_set = True
            if limit is None or not limit.amount or request is None or request.amount != limit.amount:
                limits_equal_requests = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if limits_equal_requests else "Burstable"


def oom_score_adj(pod: core_v1.Pod, container: core_v1.Container, memory_capacity_bytes: int) -> int:
    """Who is killed first when the node's memory is used up: from -997 (last) to 1000 (first)."""
    if (pod.spec.priority or 0) >= CRITICAL_PRIORITY:
        return GUARANTEED_OOM_SCORE_ADJ
    quality = qos_class(pod)
    if quality == "Guaranteed":
        return GUARANTEED_OOM_SCORE_ADJ
    if quality == "BestEffort":
        return BEST_EFFORT_OOM_SCORE_ADJ
    resources = container.resources or core_v1.ResourceRequirements()
    requested = memory_bytes({**(resources.limits or {}), **(resources.requests or {})})
    score = 1000 - (1000 * requested) // max(memory_capacity_bytes, 1)
    return min(max(score, 1000 + GUARANTEED_OOM_SCORE_ADJ), BEST_EFFORT_OOM_SCORE_ADJ - 1)


def linux_resources(
    pod: core_v1.Pod, container: core_v1.Container, memory_capacity_bytes: int, unified: bool
) -> CriMessage:
    """CRI LinuxContainerResources of a container. `unified` says that the node has cgroups v2."""
    resources = container.resources or core_v1.ResourceRequirements()
    limits, requests = resources.limits or {}, resources.requests or {}
    cpu_limit = milli_cpu(limits)
    cpu_request = milli_cpu(requests) if "cpu" in requests else cpu_limit
    result: CriMessage = {
        "cpu_period": PERIOD_MICROSECONDS,
        "cpu_shares": shares(cpu_request),
        "oom_score_adj": oom_score_adj(pod, container, memory_capacity_bytes),
    }
    if cpu_limit:
        result["cpu_quota"] = quota(cpu_limit)
    if memory_bytes(limits):
        result["memory_limit_in_bytes"] = memory_bytes(limits)
    pages = [
        {"page_size": page_size(name), "limit": amount.value}
        for name, amount in sorted(limits.items())
        if name.startswith(HUGE_PAGES)
    ]
    if pages:
        result["hugepage_limits"] = pages
    if unified:
        # A container dies as a whole when its memory is used up, not by one of its processes.
        result["unified"] = {"memory.oom.group": "1"}
    return result


def page_size(resource: str) -> str:
    """`2MB` of `hugepages-2Mi`, as the kernel names it."""
    size = Quantity(resource.removeprefix(HUGE_PAGES)).value
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def pod_requests(pod: core_v1.Pod) -> dict[str, Quantity]:
    """What a pod asks of its node: all containers and sidecars together, or the largest init container with the
    sidecars before it, plus overhead."""
    return _effective(pod, lambda resources: {**(resources.limits or {}), **(resources.requests or {})})


def pod_limits(pod: core_v1.Pod) -> dict[str, Quantity]:
    return _effective(pod, lambda resources: resources.limits or {})


def _effective(pod: core_v1.Pod, chosen: _Chosen) -> dict[str, Quantity]:
    def of(container: core_v1.Container) -> Mapping[str, Quantity]:
        return chosen(container.resources) if container.resources is not None else {}

    sidecars: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container in pod.spec.initContainers or ():
        if is_sidecar(container):
            sidecars = _sum(sidecars, of(container))
            peak = _largest(peak, sidecars)
        else:
            peak = _largest(peak, _sum(sidecars, of(container)))
    together = sidecars
    for container in pod.spec.containers:
        together = _sum(together, of(container))
    result = _largest(peak, together)
    if pod.spec.resources is not None:
        result = {**result, **chosen(pod.spec.resources)}
    return _sum(result, pod.spec.overhead or {})


def _sum(first: Mapping[str, Quantity], second: Mapping[str, Quantity]) -> dict[str, Quantity]:
    names = dict.fromkeys([*first, *second])
    return {name: total([each[name] for each in (first, second) if name in each]) for name in names}


def _largest(first: Mapping[str, Quantity], second: Mapping[str, Quantity]) -> dict[str, Quantity]:
    result = dict(first)
    for name, amount in second.items():
        if name not in result or amount.amount > result[name].amount:
            result[name] = amount
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLimits:
    """What to set on a group; 0 is no limit. `hugepages` maps the kernel's page size (2MB) to bytes."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    memory_bytes: int = 0
    pids: int = 0
    hugepages: Mapping[str, int] = field(default_factory=dict)


def kubepods(root: str) -> str:
    """The group of all pods of a node; `root` is the node's own group."""
    return f"/{root.strip('/')}/kubepods" if root.strip("/") else "/kubepods"


def qos_cgroup(root: str, quality: str) -> str:
    return kubepods(root) if quality == "Guaranteed" else f"{kubepods(root)}/{quality.lower()}"


def pod_cgroup(root: str, pod: core_v1.Pod) -> str:
    return f"{qos_cgroup(root, qos_class(pod))}/pod{pod.metadata.uid}"


def pod_cgroup_limits(pod: core_v1.Pod, pod_pids_limit: int) -> CgroupLimits:
    """Limits of the pod as a whole: set only where every container has one (or the pod has its own)."""
    containers = [*pod.spec.containers, *(each for each in pod.spec.initContainers or () if is_sidecar(each))]
    limits = pod_limits(pod)
    own = (pod.spec.resources.limits or {}) if pod.spec.resources is not None else {}

    def bounded(name: str) -> bool:
        return name in own or all(
            each.resources is not None and name in (each.resources.limits or {}) for each in containers
        )

    return CgroupLimits(
        cpu_shares=shares(milli_cpu(pod_requests(pod))),
        cpu_quota=quota(milli_cpu(limits)) if bounded("cpu") else 0,
        memory_bytes=memory_bytes(limits) if bounded("memory") else 0,
        pids=pod_pids_limit,
        hugepages={page_size(name): each.value for name, each in sorted(limits.items()) if name.startswith(HUGE_PAGES)},
    )

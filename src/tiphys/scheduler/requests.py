"""The resources that a pod asks of a node: containers, init containers, sidecars, overhead, pod-level requests.

cpu is in thousandths of a core, everything else in whole units, rounded up. Specified in "Resource Management for
Pods and Containers", "Init Containers" (effective requests) and "Sidecar Containers".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.machinery.quantity import Quantity

DEFAULT_MILLI_CPU = 100
"""What a container without a cpu request counts for in scoring, so that such pods spread too."""
DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024

CPU = "cpu"
MEMORY = "memory"
PODS = "pods"


@dataclass(frozen=True, slots=True)
class PodRequests:
    """`amounts` by resource, without zeros. The `scored_` amounts count the defaults for containers that ask for
    nothing."""

    amounts: Mapping[str, int]
    scored_milli_cpu: int
    scored_memory_bytes: int


def amount(resource: str, quantity: Quantity) -> int:
    """A quantity in the scheduler's unit for the resource."""
    return quantity.milli_value if resource == CPU else quantity.value


def amounts(quantities: Mapping[str, Quantity] | None) -> dict[str, int]:
    return {resource: amount(resource, quantity) for resource, quantity in (quantities or {}).items()}


def requests_of(pod: core_v1.Pod) -> PodRequests:
    """The effective requests of a pod. For one that runs, what its containers were given counts if it is more than
    they ask."""
    statuses = {status.name: status for status in pod.status.containerStatuses or ()} if pod.spec.nodeName else {}
    exact = _effective(pod.spec, statuses, {})
    scored = _effective(pod.spec, statuses, {CPU: DEFAULT_MILLI_CPU, MEMORY: DEFAULT_MEMORY_BYTES})
    return PodRequests(
        {resource: value for resource, value in exact.items() if value},
        scored.get(CPU, 0),
        scored.get(MEMORY, 0),
    )


def _effective(
    spec: core_v1.PodSpec, statuses: Mapping[str, core_v1.ContainerStatus], missing: Mapping[str, int]
) -> dict[str, int]:
    total: dict[str, int] = {}
    for container in spec.containers:
        _add(total, _container(container, statuses.get(container.name), missing))
    sidecars: dict[str, int] = {}
    largest_at_start: dict[str, int] = {}
    for container in spec.initContainers or ():
        needed = _container(container, None, missing)
        if container.restartPolicy == "Always":
            _add(total, needed)
            _add(sidecars, needed)
            needed = dict(sidecars)
        else:
            _add(needed, sidecars)
        _raise(largest_at_start, needed)
    _raise(total, largest_at_start)
    if spec.resources is not None:
        total.update(amounts(spec.resources.requests))
    _add(total, amounts(spec.overhead))
    return total


def _container(
    container: core_v1.Container, status: core_v1.ContainerStatus | None, missing: Mapping[str, int]
) -> dict[str, int]:
    found = amounts(container.resources.requests if container.resources is not None else None)
    if status is not None:
        _raise(found, amounts(status.allocatedResources))
        if status.resources is not None:
            _raise(found, amounts(status.resources.requests))
    return {**missing, **found}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for resource, value in more.items():
        total[resource] = total.get(resource, 0) + value


def _raise(total: dict[str, int], floor: Mapping[str, int]) -> None:
    for resource, value in floor.items():
        total[resource] = max(total.get(resource, 0), value)

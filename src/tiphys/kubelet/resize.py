"""Giving running containers other resources without ending them ("Resize CPU and Memory Resources assigned to Pods").

What a container runs with (`applied`) is compared with what its pod asks for. A resize that the node cannot ever give
is Infeasible, one that it cannot give now is Deferred; both leave everything as it is. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import PodRuntime
from tiphys.kubelet.resources import pod_requests
from tiphys.machinery.quantity import Quantity

RESIZABLE = ("cpu", "memory")
Applied = Mapping[str, core_v1.ResourceRequirements]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerResize:
    """`restart`: its resize policy wants it to be started anew for this change."""

    name: str
    container_id: str
    resources: core_v1.ResourceRequirements
    restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeProblem:
    """Why it is not done: the condition PodResizePending with this reason (Infeasible or Deferred)."""

    reason: str
    message: str


def _amounts(of: core_v1.ResourceRequirements | None) -> dict[tuple[str, str], Quantity]:
    if of is None:
        return {}
    found = {}
    for kind, amounts in (("limits", of.limits), ("requests", of.requests)):
        for name, amount in (amounts or {}).items():
            if name in RESIZABLE:
                found[kind, name] = amount
    return found


def changed_resources(
    applied: core_v1.ResourceRequirements | None, wanted: core_v1.ResourceRequirements | None
) -> frozenset[str]:
    """cpu, memory, both or none."""
    before, after = _amounts(applied), _amounts(wanted)
    differ = {key for key in {*before, *after} if _value(before.get(key)) != _value(after.get(key))}
    return frozenset(name for _, name in differ)


def _value(amount: Quantity | None) -> object:
    return amount.amount if amount is not None else None


def resizes(pod: core_v1.Pod, runtime: PodRuntime, applied: Applied) -> tuple[ContainerResize, ...]:
    """The running containers that run with other resources than the pod asks for."""
    found = []
    for container in (*(pod.spec.initContainers or ()), *pod.spec.containers):
        record = runtime.current(container.name)
        if record is None or record.state != "running" or record.id not in applied:
            continue
        changed = changed_resources(applied[record.id], container.resources)
        if not changed:
            continue
        policies = {each.resourceName: each.restartPolicy for each in container.resizePolicy or ()}
        found.append(
            ContainerResize(
                name=container.name,
                container_id=record.id,
                resources=container.resources or core_v1.ResourceRequirements(),
                restart=any(policies.get(name) == "RestartContainer" for name in changed),
            )
        )
    return tuple(found)


def problem(
    pod: core_v1.Pod, others: Sequence[core_v1.Pod], allocatable: Mapping[str, Quantity]
) -> ResizeProblem | None:
    """None when the node has room for what the pod asks for now."""
    wanted = pod_requests(pod)
    for name in RESIZABLE:
        if name not in wanted or name not in allocatable:
            continue
        requested, capacity = _number(name, wanted[name]), _number(name, allocatable[name])
        if requested > capacity:
            message = f"Node didn't have enough capacity: {name}, requested: {requested}, capacity: {capacity}"
            return ResizeProblem(reason="Infeasible", message=message)
        used = sum(
            _number(name, amount) for other in others for key, amount in pod_requests(other).items() if key == name
        )
        if used + requested > capacity:
            message = (
                f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
            )
            return ResizeProblem(reason="Deferred", message=message)
    return None


def _number(name: str, amount: Quantity) -> int:
    return amount.milli_value if name == "cpu" else amount.value

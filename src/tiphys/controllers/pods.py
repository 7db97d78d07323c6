"""Facts about pods that several controllers decide by, and how a pod is made from a template."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiphys.controllers.controller import controller_reference
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import timestamps

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def is_finished(pod: core_v1.Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def is_active(pod: core_v1.Pod) -> bool:
    """Neither finished nor being deleted: it counts as a replica."""
    return pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletionTimestamp is None


def is_terminating(pod: core_v1.Pod) -> bool:
    return pod.metadata.deletionTimestamp is not None and not is_finished(pod)


def condition(pod: core_v1.Pod, condition_type: str) -> core_v1.PodCondition | None:
    for found in pod.status.conditions or ():
        if found.type == condition_type:
            return found
    return None


def is_ready(pod: core_v1.Pod) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def available_at(pod: core_v1.Pod, min_ready_seconds: int) -> float | None:
    """The moment from which the pod is (or was) available; None while it is not ready."""
    found = condition(pod, "Ready")
    if found is None or found.status != "True":
        return None
    if not min_ready_seconds:
        return -math.inf
    if not found.lastTransitionTime:
        return None
    return timestamps.seconds(found.lastTransitionTime) + min_ready_seconds


def is_available(pod: core_v1.Pod, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least that long."""
    moment = available_at(pod, min_ready_seconds)
    return moment is not None and moment <= now


def next_availability(pods: Sequence[core_v1.Pod], min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the next ready pod becomes available; None when none is waiting for that."""
    if not min_ready_seconds:
        return None
    moments = [available_at(pod, min_ready_seconds) for pod in pods]
    waiting = [moment - now for moment in moments if moment is not None and moment > now]
    return min(waiting) if waiting else None


def pod_of_template(
    template: core_v1.PodTemplateSpec, owner: Any, *, name: str = "", generate_name: str = ""
) -> core_v1.Pod:
    """A pod of the owner; its namespace is the owner's. With neither name the server makes one from the owner's."""
    prefix = "" if name else generate_name or f"{owner.metadata.name}-"
    source = codec.copy(template)
    meta = source.metadata or meta_v1.ObjectMeta()
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name=name or None,
            generateName=prefix or None,
            namespace=owner.metadata.namespace,
            labels=meta.labels,
            annotations=meta.annotations,
            finalizers=meta.finalizers,
            ownerReferences=[controller_reference(owner)],
        ),
        spec=source.spec or core_v1.PodSpec(),
    )


def deletion_cost(pod: core_v1.Pod) -> int:
    """What the pod's annotation says; 0 for none and for what is no 32 bit number."""
    text = (pod.metadata.annotations or {}).get(DELETION_COST, "0")
    try:
        cost = int(text)
    except ValueError:
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def _restarts(pod: core_v1.Pod) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar."""
    sidecars = {c.name for c in pod.spec.initContainers or () if c.restartPolicy == "Always"}
    regular = max((c.restartCount for c in pod.status.containerStatuses or ()), default=0)
    side = max((c.restartCount for c in pod.status.initContainerStatuses or () if c.name in sidecars), default=0)
    return regular, side


def _age_bucket(moment: str | None, now: float) -> int:
    """Ages on a scale of powers of two: replicas of about the same age are equals, so that the oldest is not always
    spared."""
    if not moment:
        return -1
    age_seconds = now - timestamps.seconds(moment)
    return int(math.log2(age_seconds)) if age_seconds >= 1 else 0


def deletion_order(now: float, crowd: Mapping[str, int]) -> Callable[[core_v1.Pod], tuple[Any, ...]]:
    """A sort key: pods whose loss costs least come first. `crowd`: how many pods of the same owner (at last) run on a
    node."""

    def rank(pod: core_v1.Pod) -> tuple[Any, ...]:
        ready = is_ready(pod)
        ready_condition = condition(pod, "Ready")
        ready_since = ready_condition.lastTransitionTime if ready and ready_condition is not None else None
        restarts, side_restarts = _restarts(pod)
        return (
            bool(pod.spec.nodeName),
            _PHASE_RANK.get(pod.status.phase or "", 0),
            ready,
            deletion_cost(pod),
            -crowd.get(pod.spec.nodeName or "", 0),
            _age_bucket(ready_since, now) if ready else 0,
            -restarts,
            -side_restarts,
            _age_bucket(pod.metadata.creationTimestamp, now),
            pod.metadata.uid or "",
        )

    return rank

"""The quality-of-service class of a pod: Guaranteed, Burstable or BestEffort, from its requests and limits alone.

Specified in "Pod Quality of Service Classes". The class is set once, when the pod is created, and never changes.
"""

from __future__ import annotations

from collections.abc import Iterable

from tiphys.kinds.types.core_v1 import Pod, PodSpec, ResourceRequirements
from tiphys.machinery.quantity import Quantity

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COUNTED = ("cpu", "memory")


def _counted(amounts: dict[str, Quantity] | None) -> dict[str, Quantity]:
    """The amounts above zero of the resources that decide about the class."""
    if not amounts:
        return {}
    return {name: amounts[name] for name in _COUNTED if name in amounts and amounts[name].amount > 0}


def qos_class_of(requirements: Iterable[ResourceRequirements | None]) -> str:
    """The class of containers with these requirements (or of a pod with requirements of its own)."""
    guaranteed, best_effort = True, True
    for requirement in requirements:
        requests = _counted(requirement.requests) if requirement else {}
        limits = _counted(requirement.limits) if requirement else {}
        if requests or limits:
            best_effort = False
        asked = (requirement.requests if requirement else None) or {}
        # A limit without a request is the request too; a request of nothing is not.
        if len(limits) != len(_COUNTED) or any(asked.get(n, limits[n]).amount != limits[n].amount for n in limits):
            guaranteed = False
        if not guaranteed and not best_effort:
            return BURSTABLE
    return BEST_EFFORT if best_effort else GUARANTEED


def spec_qos_class(spec: PodSpec) -> str:
    """The class of a pod with this spec; requirements of the pod as a whole count instead of its containers'."""
    if spec.resources and (_counted(spec.resources.requests) or _counted(spec.resources.limits)):
        return qos_class_of([spec.resources])
    requirements = [container.resources for container in spec.containers]
    requirements += [container.resources for container in spec.initContainers or ()]
    return qos_class_of(requirements)


def qos_class(pod: Pod) -> str:
    """The pod's class: the one in its status, or else computed."""
    return pod.status.qosClass or spec_qos_class(pod.spec)

"""What an object uses of a ResourceQuota, and which objects a quota is about.

Specified in "Resource Quotas". Every name in a quota's `hard` is fed by exactly one resource (`source_of`); an object's
usage is what it adds to those names. Scopes narrow a quota to some pods (or claims). Amounts are Decimal base units.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from tiphys.kinds.core.persistent_volume_claim import storage_class_of
from tiphys.kinds.core.pod_amounts import LIMITS, REQUESTS, Amounts, amounts, gather, largest, pod_amounts, side_of
from tiphys.kinds.core.qos import BEST_EFFORT, qos_class
from tiphys.kinds.core.resource_validation import is_extended, is_huge_page
from tiphys.kinds.resource_api.allocation_validation import ALLOCATED_LIMIT
from tiphys.kinds.types import core_v1, resource_v1
from tiphys.machinery import quantity, timestamps
from tiphys.machinery.quantity import Quantity

Source = tuple[str, str]  # group and plural
PODS: Source = ("", "pods")
SERVICES: Source = ("", "services")
CLAIMS: Source = ("", "persistentvolumeclaims")
DEVICE_CLAIMS: Source = ("resource.k8s.io", "resourceclaims")
# Events come and go in numbers and by themselves.
UNCOUNTED = frozenset({("", "events"), ("events.k8s.io", "events")})
# Objects that had a name of their own in quotas before `count/` came.
BY_OWN_NAME = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
OF_CLASS = ".storageclass.storage.k8s.io/"
DEVICES_OF_CLASS = ".deviceclass.resource.k8s.io/devices"
COUNT = "count/"
ONE = Decimal(1)
# What uses more than its number, so that it matters what an object says. Nothing else can be in a scope.
MEASURED = frozenset({PODS, SERVICES, CLAIMS, DEVICE_CLAIMS})
# What every container has to state when a quota limits it.
STATED = ("cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory")
_BYTES = ("memory", "storage", "ephemeral-storage")


def count_name(source: Source) -> str:
    """`count/deployments.apps`, `count/pods`."""
    group, plural = source
    return f"{COUNT}{plural}.{group}" if group else COUNT + plural


@functools.lru_cache(maxsize=4096)
def source_of(name: str) -> Source:
    """The resource whose objects use what a quota calls `name`."""
    if name.startswith(COUNT):
        plural, _, group = name[len(COUNT) :].partition(".")
        return (group, plural)
    if name in BY_OWN_NAME:
        return ("", name)
    if name.partition(".")[0] == "services":
        return SERVICES
    if name in ("persistentvolumeclaims", "requests.storage") or OF_CLASS in name:
        return CLAIMS
    if name.endswith(DEVICES_OF_CLASS):
        return DEVICE_CLAIMS
    return PODS


def sources(quota: core_v1.ResourceQuota) -> set[Source]:
    return {source_of(name) for name in quota.spec.hard or ()}


def usage(source: Source, obj: Any, now: float) -> Amounts:
    """What an object uses, under every name that a quota may have for it."""
    used: Amounts = {count_name(source): ONE}
    if source == PODS:
        if counts(obj, now):
            used.update(pod_usage(obj))
    elif source == SERVICES:
        used.update(_service_usage(obj))
    elif source == CLAIMS:
        used.update(_claim_usage(obj))
    elif source == DEVICE_CLAIMS:
        used.update(_device_usage(obj))
    elif source[0] == "" and source[1] in BY_OWN_NAME:
        used[source[1]] = ONE
    return used


# -- pods


def counts(pod: core_v1.Pod, now: float) -> bool:
    """Whether a pod still uses anything: it has not ended, and its time to end is not over."""
    if pod.status.phase in ("Failed", "Succeeded"):
        return False
    end = end_of_counting(pod)
    return end is None or now <= end


def end_of_counting(pod: core_v1.Pod) -> float | None:
    """When a pod that is being deleted stops counting even if it is still there, in seconds since the epoch."""
    ending, grace_seconds = pod.metadata.deletionTimestamp, pod.metadata.deletionGracePeriodSeconds
    if ending is None or grace_seconds is None:
        return None
    # deletionTimestamp has the grace period in it already; the pod gets that time once more.
    return timestamps.seconds(ending) + grace_seconds


def pod_usage(pod: core_v1.Pod) -> Mapping[str, Decimal]:
    """What a pod uses while it counts; not to be changed. Pods of one template are worked out once."""
    spec = pod.spec
    if spec.initContainers or spec.resources is not None or spec.overhead:
        return _used_by(pod_amounts(spec, REQUESTS), pod_amounts(spec, LIMITS))
    return _used_by_containers(
        tuple(tuple(side_of(container.resources, REQUESTS).items()) for container in spec.containers),
        tuple(tuple(side_of(container.resources, LIMITS).items()) for container in spec.containers),
    )


_Sides: TypeAlias = tuple[tuple[tuple[str, Quantity], ...], ...]


@functools.lru_cache(maxsize=4096)
def _used_by_containers(requests: _Sides, limits: _Sides) -> Mapping[str, Decimal]:
    """Of containers that run together and nothing else."""
    totals: tuple[Amounts, Amounts] = ({}, {})
    for total, sides in zip(totals, (requests, limits), strict=True):
        for side in sides:
            gather(total, amounts(dict(side)))
    return _used_by(*totals)


def _used_by(requests: Amounts, limits: Amounts) -> Mapping[str, Decimal]:
    return {"pods": ONE, **_compute(requests, limits)}


def _compute(requests: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Requests and limits by the names that quotas have for them."""
    used: dict[str, Any] = {}
    for name, amount in requests.items():
        if name in ("cpu", "memory", "ephemeral-storage") or is_huge_page(name):
            used[name] = used[f"requests.{name}"] = amount
        elif is_extended(name):
            used[f"requests.{name}"] = amount
    for name, amount in limits.items():
        if name in ("cpu", "memory", "ephemeral-storage"):
            used[f"limits.{name}"] = amount
    return used


def unstated(pod: core_v1.Pod, names: Iterable[str]) -> str:
    """`must specify cpu for: a,b; memory for: b`: what containers leave open that a quota limits; "" when nothing."""
    wanted = sorted(set(names) & set(STATED))
    if not wanted:
        return ""
    of_pod = _compute(side_of(pod.spec.resources, REQUESTS), side_of(pod.spec.resources, LIMITS))
    missing: dict[str, list[str]] = {}
    for container in (*pod.spec.containers, *(pod.spec.initContainers or ())):
        given = _compute(side_of(container.resources, REQUESTS), side_of(container.resources, LIMITS))
        for name in wanted:
            if name not in given and name not in of_pod:
                missing.setdefault(name, []).append(container.name)
    words = [f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing)]
    return f"must specify {'; '.join(words)}" if words else ""


# -- services and claims of volumes and devices


def _service_usage(service: core_v1.Service) -> Amounts:
    spec, ports = service.spec, service.spec.ports or []
    node_ports = balancers = 0
    if spec.type == "NodePort":
        node_ports = len(ports)
    elif spec.type == "LoadBalancer":
        balancers = 1
        given = spec.allocateLoadBalancerNodePorts is not False
        node_ports = len(ports) if given else sum(bool(port.nodePort) for port in ports)
    return {
        "services": ONE,
        "services.nodeports": Decimal(node_ports),
        "services.loadbalancers": Decimal(balancers),
    }


def _claim_usage(claim: core_v1.PersistentVolumeClaim) -> Amounts:
    used = {"persistentvolumeclaims": ONE}
    requests = (claim.spec.resources.requests if claim.spec.resources else None) or {}
    asked = [
        amounts["storage"].amount
        for amounts in (requests, claim.status.allocatedResources or {})
        if "storage" in amounts
    ]
    if asked:
        used["requests.storage"] = max(asked)
    name = storage_class_of(claim)
    if name:
        used |= {f"{name}{OF_CLASS}{of}": amount for of, amount in used.items()}
    return used


def _device_usage(claim: resource_v1.ResourceClaim) -> Amounts:
    """Devices by class; where a request has alternatives, the most that any may bring of each class."""
    total: Amounts = {}
    for request in (claim.spec.devices.requests if claim.spec.devices is not None else None) or ():
        most: Amounts = {}
        for asked in (*(request.firstAvailable or ()), *((request.exactly,) if request.exactly is not None else ())):
            count = Decimal(ALLOCATED_LIMIT if asked.allocationMode == "All" else asked.count or 0)
            most = largest(most, {f"{asked.deviceClassName}{DEVICES_OF_CLASS}": count})
        gather(total, most)
    return total


# -- scopes


class Requirement(NamedTuple):
    """One condition on what a quota is about; `values` are names of classes."""

    scope: str
    operator: str = "Exists"
    values: tuple[str, ...] = ()


Scopes: TypeAlias = tuple[Requirement, ...]


def scopes_of(spec: core_v1.ResourceQuotaSpec) -> Scopes:
    """All conditions of a quota, which an object has to meet together; none for a quota about everything."""
    selector = spec.scopeSelector
    return (
        *(Requirement(scope) for scope in spec.scopes or ()),
        *(
            Requirement(expression.scopeName, expression.operator, tuple(expression.values or ()))
            for expression in (selector.matchExpressions if selector is not None else None) or ()
        ),
    )


def in_scopes(scopes: Scopes, source: Source, obj: Any) -> bool:
    """Whether a quota with these scopes is about this object."""
    return not scopes or all(_in_scope(requirement, source, obj) for requirement in scopes)


def _in_scope(requirement: Requirement, source: Source, obj: Any) -> bool:
    scope = requirement.scope
    if source == CLAIMS:
        return scope == "VolumeAttributesClass" and any(
            _selects(requirement, name) for name in _attributes_classes(obj) or ("",)
        )
    if source != PODS:
        return False
    if scope in ("Terminating", "NotTerminating"):
        return (obj.spec.activeDeadlineSeconds is not None) == (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return (qos_class(obj) == BEST_EFFORT) == (scope == "BestEffort")
    if scope == "CrossNamespacePodAffinity":
        return any(term.namespaces or term.namespaceSelector is not None for term in _affinity_terms(obj))
    return scope == "PriorityClass" and _selects(requirement, obj.spec.priorityClassName or "")


def _selects(requirement: Requirement, name: str) -> bool:
    """Whether a requirement on a class takes this class ("" for none)."""
    if requirement.operator == "In":
        return bool(name) and name in requirement.values
    if requirement.operator == "NotIn":
        return name not in requirement.values
    return bool(name) == (requirement.operator == "Exists")


def _attributes_classes(claim: core_v1.PersistentVolumeClaim) -> set[str]:
    """What a claim asks for, has, and is being changed to."""
    change = claim.status.modifyVolumeStatus
    wanted = change.targetVolumeAttributesClassName if change is not None else None
    return {
        n for n in (claim.spec.volumeAttributesClassName, claim.status.currentVolumeAttributesClassName, wanted) if n
    }


def _affinity_terms(pod: core_v1.Pod) -> Iterable[core_v1.PodAffinityTerm]:
    affinity = pod.spec.affinity
    for side in (affinity.podAffinity, affinity.podAntiAffinity) if affinity is not None else ():
        if side is not None:
            yield from side.requiredDuringSchedulingIgnoredDuringExecution or ()
            for weighted in side.preferredDuringSchedulingIgnoredDuringExecution or ():
                yield weighted.podAffinityTerm


# -- amounts


def text_of(name: str, amount: Decimal) -> Quantity:
    """An amount as a quota shows it: bytes in powers of 1024."""
    plain = name.rpartition("/")[2].removeprefix("requests.").removeprefix("limits.")
    return quantity.from_amount(amount, binary=plain in _BYTES or is_huge_page(plain))

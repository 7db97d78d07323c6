"""What the LimitRanges of a namespace do to its pods and claims: containers get the defaults, and what asks for too
little, too much, or the right things in the wrong proportion is refused with every finding of one LimitRange.

Specified in "Limit Ranges". Pods are looked at when they are created or resized, claims whenever they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.core.limit_range import CLAIM, CONTAINER, POD
from tiphys.kinds.core.pod_amounts import LIMITS, REQUESTS, amounts, pod_amounts, side_of
from tiphys.kinds.core.qos import spec_qos_class
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors, quantity
from tiphys.machinery.quantity import Quantity

ANNOTATION = "kubernetes.io/limit-ranger"
Asked = Mapping[str, Decimal]


class LimitRanger:
    name = "LimitRanger"
    resources: Resources = (("", "pods"), ("", "persistentvolumeclaims"))

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if obj is None or not _concerned(request):
            return
        if getattr(obj.metadata, "deletionTimestamp", None):
            return
        ranges = sorted(
            lookups.list(core_v1.LimitRange, request.namespace), key=lambda found: found.metadata.name or ""
        )
        is_pod = request.resource.plural == "pods"
        if is_pod and request.operation == "CREATE":
            for found in ranges:
                apply_defaults(found, obj)
            obj.status.qosClass = spec_qos_class(obj.spec)  # the class follows from what the containers got
        for found in ranges:
            texts = list(pod_findings(found, obj) if is_pod else claim_findings(found, obj))
            if texts:
                unique = list(dict.fromkeys(texts))
                detail = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
                name = request.name or obj.metadata.name or ""
                raise errors.forbidden(request.resource.plural, request.resource.group, name, detail)


def _concerned(request: AdmissionRequest) -> bool:
    if request.resource.group != "":
        return False
    if request.resource.plural == "pods":
        is_create = request.operation == "CREATE" and not request.subresource
        return is_create or (request.operation == "UPDATE" and request.subresource == "resize")
    return request.on("", "persistentvolumeclaims") and request.operation in ("CREATE", "UPDATE")


# -- defaults


def apply_defaults(limit_range: core_v1.LimitRange, pod: core_v1.Pod) -> None:
    """Fill in, in place, what containers leave out, and note it in an annotation."""
    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}
    for item in limit_range.spec.limits:
        if item.type == CONTAINER:
            limits.update(item.default or {})
            requests.update(item.defaultRequest or {})
    notes: list[str] = []
    for kind, containers in (("container", pod.spec.containers), ("init container", pod.spec.initContainers)):
        for container in containers or ():
            notes += _complete(container, kind, requests, limits)
    if notes:
        pod.metadata.annotations = {
            **(pod.metadata.annotations or {}),
            ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes),
        }


def _complete(
    container: core_v1.Container, kind: str, requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]
) -> list[str]:
    notes: list[str] = []
    for side, defaults in ((REQUESTS, requests), (LIMITS, limits)):
        given = side_of(container.resources, side)
        missing = {name: amount for name, amount in defaults.items() if name not in given}
        if missing:
            if container.resources is None:
                container.resources = core_v1.ResourceRequirements()
            setattr(container.resources, side, {**given, **missing})
            notes.append(f"{', '.join(sorted(missing))} {side[:-1]} for {kind} {container.name}")
    return notes


# -- findings


def pod_findings(limit_range: core_v1.LimitRange, pod: core_v1.Pod) -> Iterator[str]:
    for item in limit_range.spec.limits:
        if item.type == CONTAINER:
            for container in (*pod.spec.containers, *(pod.spec.initContainers or ())):
                requests = amounts(side_of(container.resources, REQUESTS))
                yield from item_findings(item, requests, amounts(side_of(container.resources, LIMITS)))
        elif item.type == POD:
            yield from item_findings(item, pod_amounts(pod.spec, REQUESTS), pod_amounts(pod.spec, LIMITS))


def claim_findings(limit_range: core_v1.LimitRange, claim: core_v1.PersistentVolumeClaim) -> Iterator[str]:
    requests = amounts((claim.spec.resources.requests if claim.spec.resources else None) or {})
    for item in limit_range.spec.limits:
        if item.type != CLAIM:
            continue
        for name, bound in sorted((item.min or {}).items()):
            yield from _below(item.type, name, bound, requests, {})
        for name, bound in sorted((item.max or {}).items()):
            start = f"maximum {name} usage per {item.type} is {bound}"
            if name not in requests:
                yield f"{start}.  No request is specified"
            elif requests[name] > bound.amount:
                yield f"{start}, but request is {_text(name, requests[name])}"


def item_findings(item: core_v1.LimitRangeItem, requests: Asked, limits: Asked) -> Iterator[str]:
    """What one item of a LimitRange has against these requests and limits."""
    for name, bound in sorted((item.min or {}).items()):
        yield from _below(item.type, name, bound, requests, limits)
    for name, bound in sorted((item.max or {}).items()):
        yield from _above(item.type, name, bound, requests, limits)
    for name, bound in sorted((item.maxLimitRequestRatio or {}).items()):
        yield from _out_of_proportion(item.type, name, bound, requests, limits)


def _below(kind: str, name: str, bound: Quantity, requests: Asked, limits: Asked) -> Iterator[str]:
    start = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{start}.  No request is specified"
    elif requests[name] < bound.amount:
        yield f"{start}, but request is {_text(name, requests[name])}"
    if name in limits and limits[name] < bound.amount:
        yield f"{start}, but limit is {_text(name, limits[name])}"


def _above(kind: str, name: str, bound: Quantity, requests: Asked, limits: Asked) -> Iterator[str]:
    start = f"maximum {name} usage per {kind} is {bound}"
    if name not in limits:
        yield f"{start}.  No limit is specified"
    elif limits[name] > bound.amount:
        yield f"{start}, but limit is {_text(name, limits[name])}"
    if name in requests and requests[name] > bound.amount:
        yield f"{start}, but request is {_text(name, requests[name])}"


def _out_of_proportion(kind: str, name: str, bound: Quantity, requests: Asked, limits: Asked) -> Iterator[str]:
    start = f"{name} max limit to request ratio per {kind} is {bound}"
    if not requests.get(name):
        yield f"{start}, but no request is specified or request is 0"
    elif not limits.get(name):
        yield f"{start}, but no limit is specified or limit is 0"
    elif limits[name] / requests[name] > bound.amount:
        yield f"{start}, but provided ratio is {float(limits[name] / requests[name]):f}"


def _text(name: str, amount: Decimal) -> Quantity:
    """An amount as people write it: bytes in powers of 1024, everything else in powers of 1000."""
    is_bytes = name in ("memory", "storage", "ephemeral-storage") or name.startswith("hugepages-")
    return quantity.from_amount(amount, binary=is_bytes)

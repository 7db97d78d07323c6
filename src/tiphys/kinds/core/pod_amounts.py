"""How much a pod asks for as a whole, as limit ranges and quotas count it.

Containers and sidecars run together; init containers one after the other, each beside the sidecars before it. What the
pod asks for as a whole goes before what its containers ask for; overhead comes on top of both. Amounts are exact
(Decimal, base units); a resource that nobody names is not in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tiphys.kinds.types.core_v1 import Container, PodSpec, ResourceRequirements
from tiphys.machinery.quantity import Quantity

Amounts = dict[str, Decimal]
REQUESTS, LIMITS = "requests", "limits"


def side_of(requirements: ResourceRequirements | None, side: str) -> Mapping[str, Quantity]:
    """The requests or the limits of a container (or of a pod)."""
    found: Mapping[str, Quantity] | None = getattr(requirements, side) if requirements is not None else None
    return found or {}


def amounts(quantities: Mapping[str, Quantity]) -> Amounts:
    return {name: quantity.amount for name, quantity in quantities.items()}


def gather(total: Amounts, more: Mapping[str, Decimal]) -> None:
    """Add in place, resource by resource."""
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def added(left: Mapping[str, Decimal], right: Mapping[str, Decimal]) -> Amounts:
    """The sum, resource by resource."""
    result = dict(left)
    gather(result, right)
    return result


def largest(left: Mapping[str, Decimal], right: Mapping[str, Decimal]) -> Amounts:
    """The larger one, resource by resource."""
    result = dict(left)
    for name, amount in right.items():
        result[name] = max(result.get(name, amount), amount)
    return result


def pod_amounts(spec: PodSpec, side: str) -> Amounts:
    """The pod's requests or limits. Overhead counts among limits only where there is a limit."""
    total = container_amounts(spec, side)
    total.update(amounts(side_of(spec.resources, side)))
    for name, quantity in (spec.overhead or {}).items():
        if side == REQUESTS or name in total:
            total[name] = total.get(name, Decimal(0)) + quantity.amount
    return total


def container_amounts(spec: PodSpec, side: str) -> Amounts:
    """What the containers need while the pod needs most."""
    together: Amounts = {}
    for container in spec.containers:
        together = added(together, _asked(container, side))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.initContainers or ():
        if container.restartPolicy == "Always":
            sidecars = added(sidecars, _asked(container, side))
            peak = largest(peak, sidecars)
        else:
            peak = largest(peak, added(sidecars, _asked(container, side)))
    return largest(added(together, sidecars), peak)


def _asked(container: Container, side: str) -> Amounts:
    return amounts(side_of(container.resources, side))

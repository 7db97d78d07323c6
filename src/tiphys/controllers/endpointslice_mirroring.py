"""Endpoints made by hand, for Services without a selector, are mirrored as EndpointSlices, which is what proxies read.

At most CAPACITY addresses of each subset are mirrored. Endpoints with the skip-mirror label, leader election records
and those of Services with a selector are not. Specified in "EndpointSlices", "EndpointSlice mirroring".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Create, Update, delete_of
from tiphys.controllers.controller import Controller, Index, View, Watch, controller_reference, own_key
from tiphys.controllers.endpointslice import BY_SERVICE, MANAGED_BY, SERVICE_NAME, service_of
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1

CONTROLLER_NAME = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
CAPACITY = 1000


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    endpoints = view.get(core_v1.Endpoints, key.namespace, key.name)
    service = view.get(core_v1.Service, key.namespace, key.name)
    known = [s for s in view.by_index(discovery_v1.EndpointSlice, BY_SERVICE, key) if _is_ours(s)]
    if endpoints is None or not _is_mirrored(endpoints) or service is None or service.spec.selector:
        return [delete_of(slice_) for slice_ in known]
    wanted = [s for subset in endpoints.subsets or () for s in _slices(endpoints, subset)]
    actions: list[Action] = []
    left = sorted(known, key=lambda s: s.metadata.name or "")
    for slice_ in wanted:
        same = next((s for s in left if (s.addressType, s.ports) == (slice_.addressType, slice_.ports)), None)
        if same is None:
            actions.append(Create(object=slice_))
            continue
        left.remove(same)
        if same.endpoints != slice_.endpoints or same.metadata.labels != slice_.metadata.labels:
            changed = codec.copy(same)
            changed.endpoints, changed.metadata.labels = slice_.endpoints, slice_.metadata.labels
            actions.append(Update(object=changed))
    actions += [delete_of(slice_) for slice_ in left]
    order: dict[type[Action], int] = {Create: 0, Update: 1}
    return sorted(actions, key=lambda action: order.get(type(action), 2))


def _is_ours(slice_: discovery_v1.EndpointSlice) -> bool:
    return (slice_.metadata.labels or {}).get(MANAGED_BY) == CONTROLLER_NAME


def _is_mirrored(endpoints: core_v1.Endpoints) -> bool:
    skips = (endpoints.metadata.labels or {}).get(SKIP_LABEL) == "true"
    return not skips and LEADER_ANNOTATION not in (endpoints.metadata.annotations or {})


def _slices(endpoints: core_v1.Endpoints, subset: core_v1.EndpointSubset) -> list[discovery_v1.EndpointSlice]:
    """One slice for each address family of a subset."""
    by_family: dict[str, list[discovery_v1.Endpoint]] = {}
    addresses = [(a, True) for a in subset.addresses or ()] + [(a, False) for a in subset.notReadyAddresses or ()]
    for address, ready in addresses[:CAPACITY]:
        try:
            family = "IPv6" if ipaddress.ip_address(address.ip).version == 6 else "IPv4"
        except ValueError:
            continue
        by_family.setdefault(family, []).append(_endpoint(address, ready))
    return [_slice(endpoints, family, found, subset.ports or ()) for family, found in sorted(by_family.items())]


def _endpoint(address: core_v1.EndpointAddress, ready: bool) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[address.ip],
        conditions=discovery_v1.EndpointConditions(ready=ready),
        hostname=address.hostname,
        nodeName=address.nodeName,
        targetRef=codec.copy(address.targetRef) if address.targetRef is not None else None,
    )


def _slice(
    endpoints: core_v1.Endpoints,
    family: str,
    found: list[discovery_v1.Endpoint],
    ports: Sequence[core_v1.EndpointPort],
) -> discovery_v1.EndpointSlice:
    labels = {k: v for k, v in (endpoints.metadata.labels or {}).items() if k != SKIP_LABEL}
    labels |= {SERVICE_NAME: endpoints.metadata.name or "", MANAGED_BY: CONTROLLER_NAME}
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            generateName=f"{endpoints.metadata.name}-",
            namespace=endpoints.metadata.namespace,
            labels=labels,
            ownerReferences=[controller_reference(endpoints)],
        ),
        addressType=family,
        endpoints=found,
        ports=[
            discovery_v1.EndpointPort(
                name=p.name or "", port=p.port, protocol=p.protocol or "TCP", appProtocol=p.appProtocol
            )
            for p in ports
        ],
    )


def _slice_keys(
    _: View, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None
) -> set[ObjectKey]:
    return {key for slice_ in (old, new) if slice_ is not None and _is_ours(slice_) for key in service_of(slice_)}


CONTROLLER = Controller(
    name="endpointslicemirroring",
    source="endpoint-slice-mirroring-controller",
    reconcile=reconcile,
    watches=(
        Watch(kind=core_v1.Endpoints, keys=own_key),
        Watch(kind=core_v1.Service, keys=own_key),
        Watch(kind=discovery_v1.EndpointSlice, keys=_slice_keys),
    ),
    indexes=(Index(kind=discovery_v1.EndpointSlice, name=BY_SERVICE, function=service_of),),
)

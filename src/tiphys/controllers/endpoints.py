"""Endpoints objects: the older form of EndpointSlices, one object a Service, ready and not ready addresses by port set.

Only the Service's first address family is shown, and at most CAPACITY addresses; more is noted in an annotation.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.client.interface import ObjectKey
from tiphys.controllers import service_endpoints
from tiphys.controllers.actions import Action, Create, Update, delete_of
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.controllers.service_endpoints import HEADLESS_LABEL, TRIGGER_TIME, Backend, Port
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1

CAPACITY = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER_NAME = "endpoint-controller"


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    service = view.get(core_v1.Service, key.namespace, key.name)
    known = view.get(core_v1.Endpoints, key.namespace, key.name)
    if service is None:
        ours = known is not None and (known.metadata.labels or {}).get(MANAGED_BY) == CONTROLLER_NAME
        return [delete_of(known)] if ours else []
    if not service_endpoints.has_backends(service):
        return []
    pods = service_endpoints.selected_pods(view, service)
    ending = bool(service.spec.publishNotReadyAddresses)
    found = service_endpoints.backends(service, pods, service_endpoints.families(service)[0], terminating=ending)
    subsets, is_truncated = _truncated(_subsets(found))
    labels = {**(service.metadata.labels or {}), MANAGED_BY: CONTROLLER_NAME}
    labels.pop(HEADLESS_LABEL, None)
    if service_endpoints.is_headless(service):
        labels[HEADLESS_LABEL] = ""
    if known is not None and (known.subsets or []) == subsets and (known.metadata.labels or {}) == labels:
        return []
    return [_write(service, known, subsets, labels, is_truncated, [backend.pod for backend in found])]


def _write(
    service: core_v1.Service,
    known: core_v1.Endpoints | None,
    subsets: list[core_v1.EndpointSubset],
    labels: dict[str, str],
    is_truncated: bool,
    pods: Sequence[core_v1.Pod],
) -> Action:
    meta = meta_v1.ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
    endpoints = codec.copy(known) if known is not None else core_v1.Endpoints(metadata=meta)
    endpoints.subsets = subsets or None
    endpoints.metadata.labels = labels
    annotations = dict(endpoints.metadata.annotations or {})
    moment = service_endpoints.trigger_time(pods, service)
    annotations.pop(OVER_CAPACITY, None)
    if moment:
        annotations[TRIGGER_TIME] = str(moment)
    if is_truncated:
        annotations[OVER_CAPACITY] = "truncated"
    endpoints.metadata.annotations = annotations or None
    return Create(object=endpoints) if known is None else Update(object=endpoints)


def _address(backend: Backend) -> core_v1.EndpointAddress:
    return core_v1.EndpointAddress(
        ip=backend.address,
        nodeName=backend.pod.spec.nodeName or None,
        hostname=backend.hostname or None,
        targetRef=service_endpoints.reference(backend.pod),
    )


def _port(port: Port) -> core_v1.EndpointPort:
    return core_v1.EndpointPort(
        name=port.name or None,
        port=port.number,
        protocol=port.protocol,
        appProtocol=port.app_protocol or None,
    )


def _subsets(found: Sequence[Backend]) -> list[core_v1.EndpointSubset]:
    """Addresses with the same ports together; ports, addresses and subsets in a fixed order."""
    by_ports: dict[tuple[Port, ...], list[Backend]] = {}
    for backend in sorted(found, key=lambda b: (b.address, b.pod.metadata.uid or "")):
        by_ports.setdefault(tuple(sorted(backend.ports)), []).append(backend)
    return [
        core_v1.EndpointSubset(
            addresses=[_address(b) for b in members if b.ready] or None,
            notReadyAddresses=[_address(b) for b in members if not b.ready] or None,
            ports=[_port(port) for port in ports] or None,
        )
        for ports, members in sorted(by_ports.items(), key=lambda item: item[0])
    ]


def _truncated(subsets: list[core_v1.EndpointSubset]) -> tuple[list[core_v1.EndpointSubset], bool]:
    """At most CAPACITY addresses, ready ones first."""
    total = sum(len(s.addresses or ()) + len(s.notReadyAddresses or ()) for s in subsets)
    if total <= CAPACITY:
        return subsets, False
    room = CAPACITY
    for subset in subsets:
        subset.addresses = (subset.addresses or [])[:room] or None
        room -= len(subset.addresses or ())
    for subset in subsets:
        subset.notReadyAddresses = (subset.notReadyAddresses or [])[:room] or None
        room -= len(subset.notReadyAddresses or ())
    return [s for s in subsets if s.addresses or s.notReadyAddresses], True


CONTROLLER = Controller(
    name="endpoints",
    identity="system:serviceaccount:kube-system:endpoint-controller",
    source="endpoint-controller",
    reconcile=reconcile,
    watches=(
        Watch(kind=core_v1.Service, keys=own_key),
        Watch(kind=core_v1.Pod, keys=service_endpoints.service_keys_of_pod),
        Watch(kind=core_v1.Endpoints, keys=own_key),
    ),
)

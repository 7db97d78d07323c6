"""EndpointSlices of Services with a selector: the addresses behind a Service in pieces, changed with as few writes as
possible.

An endpoint stays in the slice where it is; new ones fill slices that change anyway, then one that has room, then new
slices. A Service without endpoints has one empty slice for each family. Slices of others (another managed-by label) are
left alone. Specified in "EndpointSlices".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.client.interface import ObjectKey
from tiphys.controllers import service_endpoints
from tiphys.controllers.actions import Action, Create, Delete, Update, delete_of
from tiphys.controllers.controller import Controller, Index, View, Watch, controller_reference, own_key
from tiphys.controllers.service_endpoints import HEADLESS_LABEL, TRIGGER_TIME, Backend, Port
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER_NAME = "endpointslice-controller.k8s.io"
ZONE_LABEL = "topology.kubernetes.io/zone"
BY_SERVICE = "service"
_RESERVED_LABELS = frozenset({SERVICE_NAME, MANAGED_BY, HEADLESS_LABEL})
_RESERVED_ANNOTATIONS = frozenset({TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"})


def service_of(slice_: discovery_v1.EndpointSlice) -> tuple[ObjectKey, ...]:
    """Index function: the Service that a slice belongs to."""
    name = (slice_.metadata.labels or {}).get(SERVICE_NAME)
    return (ObjectKey(slice_.metadata.namespace or "", name),) if name else ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One port set of one family: its ports, and its endpoints by the uid of their pod."""

    family: str
    ports: tuple[Port, ...]
    endpoints: Mapping[str, discovery_v1.Endpoint]


@dataclass(frozen=True, slots=True)
class SlicePlanner:
    """Decides for one Service; `capacity` is how many endpoints fit in a slice."""

    capacity: int

    def reconcile(self, view: View, key: ObjectKey, now: float) -> list[Action]:
        service = view.get(core_v1.Service, key.namespace, key.name)
        if service is None or not service_endpoints.has_backends(service):
            return []
        if service.metadata.deletionTimestamp is not None:
            return []
        known = [s for s in view.by_index(discovery_v1.EndpointSlice, BY_SERVICE, key) if _is_ours(s)]
        families = service_endpoints.families(service)
        pods = service_endpoints.selected_pods(view, service)
        moment = service_endpoints.trigger_time(pods, service)
        actions: list[Action] = [delete_of(s) for s in known if s.addressType not in families]
        for family in families:
            present = [s for s in known if s.addressType == family]
            found = service_endpoints.backends(service, pods, family, terminating=True)
            actions += self._family(view, service, family, present, found, str(moment or ""))
        order: tuple[type[Action], ...] = (Create, Update, Delete)
        return sorted(actions, key=lambda action: order.index(type(action)))

    def _family(
        self,
        view: View,
        service: core_v1.Service,
        family: str,
        present: Sequence[discovery_v1.EndpointSlice],
        found: Sequence[Backend],
        moment: str,
    ) -> list[Action]:
        groups: dict[tuple[Port, ...], dict[str, discovery_v1.Endpoint]] = {}
        for backend in found:
            ports = tuple(sorted(backend.ports))
            groups.setdefault(ports, {})[backend.pod.metadata.uid or ""] = endpoint_of(view, service, backend)
        by_ports: dict[tuple[Port, ...], list[discovery_v1.EndpointSlice]] = {}
        for slice_ in sorted(present, key=lambda s: s.metadata.name or ""):
            by_ports.setdefault(ports_of(slice_), []).append(slice_)
        actions: list[Action] = []
        for ports, endpoints in sorted(groups.items(), key=lambda item: item[0]):
            wanted = _Wanted(family, ports, endpoints)
            actions += self._port_set(service, wanted, by_ports.pop(ports, []), moment)
        leftover = [slice_ for slices in by_ports.values() for slice_ in slices]
        if not groups:
            return actions + self._placeholder(service, family, leftover, moment)
        return actions + [delete_of(slice_) for slice_ in leftover]

    def _placeholder(
        self, service: core_v1.Service, family: str, leftover: Sequence[discovery_v1.EndpointSlice], moment: str
    ) -> list[Action]:
        """One empty slice stays (or comes), so that consumers know that there is nothing."""
        empty = _Wanted(family, (), {})
        kept = next((s for s in leftover if not s.endpoints and not s.ports), None)
        actions: list[Action] = [delete_of(slice_) for slice_ in leftover if slice_ is not kept]
        if kept is None:
            return [*actions, Create(object=_new_slice(service, empty, [], moment))]
        return [*actions, *_rewritten(service, kept, [], moment)]

    def _port_set(
        self,
        service: core_v1.Service,
        wanted: _Wanted,
        present: Sequence[discovery_v1.EndpointSlice],
        moment: str,
    ) -> list[Action]:
        missing = dict(wanted.endpoints)
        contents: list[list[discovery_v1.Endpoint]] = []
        for slice_ in present:
            kept: list[discovery_v1.Endpoint] = []
            for endpoint in slice_.endpoints or ():
                uid = endpoint.targetRef.uid if endpoint.targetRef is not None else None
                if uid in missing and len(kept) < self.capacity:
                    kept.append(missing.pop(uid or ""))
            contents.append(kept)
        self._place([*missing.values()], present, contents)
        actions: list[Action] = []
        for slice_, endpoints in zip(present, contents, strict=False):
            actions += _rewritten(service, slice_, endpoints, moment) if endpoints else [delete_of(slice_)]
        for endpoints in contents[len(present) :]:
            actions.append(Create(object=_new_slice(service, wanted, endpoints, moment)))
        return actions

    def _place(
        self,
        missing: list[discovery_v1.Endpoint],
        present: Sequence[discovery_v1.EndpointSlice],
        contents: list[list[discovery_v1.Endpoint]],
    ) -> None:
        """Distribute new endpoints: `contents` of present slices grow, and new ones are appended to it."""
        changing = [c for s, c in zip(present, contents, strict=True) if c and c != (s.endpoints or [])]
        for content in sorted(changing, key=len, reverse=True):
            room = self.capacity - len(content)
            content += missing[:room]
            del missing[:room]
        while len(missing) >= self.capacity:
            contents.append(missing[: self.capacity])
            del missing[: self.capacity]
        if not missing:
            return
        roomy = [c for c in contents if len(c) + len(missing) <= self.capacity]
        if roomy:
            max(roomy, key=len).extend(missing)
        else:
            contents.append(missing)


def _is_ours(slice_: discovery_v1.EndpointSlice) -> bool:
    return (slice_.metadata.labels or {}).get(MANAGED_BY) == CONTROLLER_NAME


def ports_of(slice_: discovery_v1.EndpointSlice) -> tuple[Port, ...]:
    """The port set of a slice, as backends have it."""
    found = [Port(p.name or "", p.protocol or "TCP", p.port or 0, p.appProtocol or "") for p in slice_.ports or ()]
    return tuple(sorted(found))


def endpoint_of(view: View, service: core_v1.Service, backend: Backend) -> discovery_v1.Endpoint:
    """The endpoint of a backend, with the zone of its node."""
    node_name = backend.pod.spec.nodeName or None
    node = view.get(core_v1.Node, "", node_name) if node_name else None
    zone = (node.metadata.labels or {}).get(ZONE_LABEL) if node is not None else None
    return discovery_v1.Endpoint(
        addresses=[backend.address],
        conditions=discovery_v1.EndpointConditions(
            ready=backend.ready, serving=backend.serving, terminating=backend.terminating
        ),
        hostname=backend.hostname or None,
        nodeName=node_name,
        zone=zone,
        targetRef=service_endpoints.reference(backend.pod),
        hints=_hints(service, backend, node_name, zone),
    )


def _hints(
    service: core_v1.Service, backend: Backend, node_name: str | None, zone: str | None
) -> discovery_v1.EndpointHints | None:
    """Who should prefer this endpoint, when the Service wants traffic kept near."""
    wish = service.spec.trafficDistribution
    if wish not in ("PreferClose", "PreferSameZone", "PreferSameNode") or not backend.ready:
        return None
    hints = discovery_v1.EndpointHints()
    if zone:
        hints.forZones = [discovery_v1.ForZone(name=zone)]
    if wish == "PreferSameNode" and node_name:
        hints.forNodes = [discovery_v1.ForNode(name=node_name)]
    return hints if hints.forZones or hints.forNodes else None


def _labels(service: core_v1.Service) -> dict[str, str]:
    labels = {k: v for k, v in (service.metadata.labels or {}).items() if k not in _RESERVED_LABELS}
    labels |= {SERVICE_NAME: service.metadata.name or "", MANAGED_BY: CONTROLLER_NAME}
    if service_endpoints.is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return labels


def _annotations(service: core_v1.Service, moment: str) -> dict[str, str] | None:
    passed_on = {k: v for k, v in (service.metadata.annotations or {}).items() if k not in _RESERVED_ANNOTATIONS}
    return {**passed_on, **({TRIGGER_TIME: moment} if moment else {})} or None


def _new_slice(
    service: core_v1.Service, wanted: _Wanted, endpoints: list[discovery_v1.Endpoint], moment: str
) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            generateName=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            labels=_labels(service),
            annotations=_annotations(service, moment),
            ownerReferences=[controller_reference(service)],
        ),
        addressType=wanted.family,
        endpoints=endpoints,
        ports=[_port(port) for port in wanted.ports],
    )


def _port(port: Port) -> discovery_v1.EndpointPort:
    return discovery_v1.EndpointPort(
        name=port.name, port=port.number, protocol=port.protocol, appProtocol=port.app_protocol or None
    )


def _rewritten(
    service: core_v1.Service,
    slice_: discovery_v1.EndpointSlice,
    endpoints: list[discovery_v1.Endpoint],
    moment: str,
) -> list[Action]:
    """Update a slice whose endpoints, labels or annotations are not as they should be."""
    labels, annotations = _labels(service), _annotations(service, moment)
    old = {k: v for k, v in (slice_.metadata.annotations or {}).items() if k not in _RESERVED_ANNOTATIONS}
    new = {k: v for k, v in (annotations or {}).items() if k not in _RESERVED_ANNOTATIONS}
    if (slice_.endpoints or []) == endpoints and (slice_.metadata.labels or {}) == labels and old == new:
        return []
    changed = codec.copy(slice_)
    changed.endpoints = endpoints
    changed.metadata.labels = labels
    changed.metadata.annotations = annotations
    return [Update(object=changed)]


def _slice_keys(
    _: View, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None
) -> set[ObjectKey]:
    return {key for slice_ in (old, new) if slice_ is not None and _is_ours(slice_) for key in service_of(slice_)}


def _node_keys(view: View, old: core_v1.Node | None, new: core_v1.Node | None) -> list[ObjectKey]:
    """A node that moved to another zone changes every Service with endpoints there."""
    zones = [(node.metadata.labels or {}).get(ZONE_LABEL) if node is not None else None for node in (old, new)]
    if zones[0] == zones[1]:
        return []
    return [ObjectKey(s.metadata.namespace or "", s.metadata.name or "") for s in view.list(core_v1.Service)]


def controller(capacity: int) -> Controller:
    """With at most `capacity` endpoints a slice."""
    return Controller(
        name="endpointslice",
        source="endpoint-slice-controller",
        reconcile=SlicePlanner(capacity).reconcile,
        watches=(
            Watch(kind=core_v1.Service, keys=own_key),
            Watch(kind=core_v1.Pod, keys=service_endpoints.service_keys_of_pod),
            Watch(kind=discovery_v1.EndpointSlice, keys=_slice_keys),
            Watch(kind=core_v1.Node, keys=_node_keys),
        ),
        indexes=(Index(kind=discovery_v1.EndpointSlice, name=BY_SERVICE, function=service_of),),
    )

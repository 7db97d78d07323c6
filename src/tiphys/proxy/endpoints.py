"""Which endpoints a service port has, from all the slices of its service.

Ready endpoints serve; when there is none, those that terminate but still serve do. The same choice is made among the
endpoints of this node alone, for traffic policies that ask for it. Zone and node hints narrow the choice only where
every ready endpoint has them and some are meant for us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tiphys.kinds.types import core_v1, discovery_v1

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where a connection can go."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortEndpoints:
    """`cluster` serves whoever asks, `local` is on this node; both sorted. `local_ready` counts the ready ones of
    this node."""

    cluster: tuple[Target, ...] = ()
    local: tuple[Target, ...] = ()
    local_ready: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    target: Target
    ready: bool
    serving_while_terminating: bool
    local: bool
    zones: tuple[str, ...]
    nodes: tuple[str, ...]


def _candidate(endpoint: discovery_v1.Endpoint, port: int, node_name: str) -> _Candidate | None:
    if not endpoint.addresses:
        return None
    conditions = endpoint.conditions or discovery_v1.EndpointConditions()
    ready = conditions.ready is not False
    serving = conditions.serving if conditions.serving is not None else ready
    hints = endpoint.hints or discovery_v1.EndpointHints()
    return _Candidate(
        target=Target(endpoint.addresses[0], port),
        ready=ready,
        serving_while_terminating=bool(serving and conditions.terminating),
        local=bool(node_name) and endpoint.nodeName == node_name,
        zones=tuple(each.name for each in hints.forZones or ()),
        nodes=tuple(each.name for each in hints.forNodes or ()),
    )


def _serving(candidates: list[_Candidate]) -> list[_Candidate]:
    ready = [each for each in candidates if each.ready]
    return ready or [each for each in candidates if each.serving_while_terminating]


def _nearest(candidates: list[_Candidate], node_name: str, zone: str) -> list[_Candidate]:
    if not candidates or not all(each.ready for each in candidates):
        return candidates
    if all(each.nodes for each in candidates):
        for_node = [each for each in candidates if node_name in each.nodes]
        if for_node:
            return for_node
    if zone and all(each.zones for each in candidates):
        return [each for each in candidates if zone in each.zones] or candidates
    return candidates


def _targets(candidates: Iterable[_Candidate]) -> tuple[Target, ...]:
    return tuple(sorted({each.target for each in candidates}))


def port_endpoints(
    port: core_v1.ServicePort,
    slices: Iterable[discovery_v1.EndpointSlice],
    *,
    family: str,
    node_name: str,
    zone: str = "",
) -> PortEndpoints:
    """The endpoints of one service port. `family` is "IPv4" or "IPv6"; slices of other address types are left out."""
    candidates: dict[Target, _Candidate] = {}
    for slice_ in slices:
        if slice_.addressType != family:
            continue
        for slice_port in slice_.ports or ():
            if (slice_port.name or "") != (port.name or "") or slice_port.port is None:
                continue
            if (slice_port.protocol or "TCP") != (port.protocol or "TCP"):
                continue
            for endpoint in slice_.endpoints or ():
                found = _candidate(endpoint, slice_port.port, node_name)
                # The same address may be in two slices for a moment: the ready sighting counts.
                if found and (found.target not in candidates or found.ready):
                    candidates[found.target] = found
    everywhere = _serving(list(candidates.values()))
    here = _serving([each for each in candidates.values() if each.local])
    return PortEndpoints(
        cluster=_targets(_nearest(everywhere, node_name, zone)),
        local=_targets(here),
        local_ready=sum(each.ready for each in here),
    )

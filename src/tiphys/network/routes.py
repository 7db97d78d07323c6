"""Which routes a machine needs so that it reaches every node's pods, and the service network.

A node's pods are behind its internal address: all nodes share one link, so the next hop is that address. The service
network is behind one Ready node, whose proxy translates it; only a machine without a proxy of its own (the control
plane's host) needs that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address, ip_network

from tiphys.kinds.types import core_v1

Routes = Mapping[str, str]
"""Destination CIDR -> next hop address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChanges:
    """What to do, in the order of destinations: `replace` also adds."""

    replace: tuple[tuple[str, str], ...]
    remove: tuple[tuple[str, str], ...]


def internal_address(node: core_v1.Node) -> str:
    """The node's first internal IPv4 address, "" when it has reported none."""
    for address in (node.status.addresses if node.status else None) or ():
        if address.type == "InternalIP" and "." in address.address:
            return address.address
    return ""


def _is_ready(node: core_v1.Node) -> bool:
    conditions = (node.status.conditions if node.status else None) or ()
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def pod_cidr(node: core_v1.Node) -> str:
    """The node's IPv4 pod range, "" when none was assigned yet."""
    spec = node.spec
    for each in spec.podCIDRs or ([spec.podCIDR] if spec.podCIDR else []):
        if "." in each:
            return each
    return ""


def pod_routes(nodes: Iterable[core_v1.Node], own_node: str, link: IPv4Network) -> dict[str, str]:
    """Routes to the other nodes' pods. A node whose address is not on `link` is left out: it is not reached by a
    plain route."""
    routes = {}
    for node in sorted(nodes, key=lambda each: each.metadata.name or ""):
        address, cidr = internal_address(node), pod_cidr(node)
        if node.metadata.name == own_node or not address or not cidr or ip_address(address) not in link:
            continue
        routes[str(ip_network(cidr, strict=False))] = address
    return routes


def service_route(
    nodes: Iterable[core_v1.Node], service_cidr: IPv4Network, link: IPv4Network, current: str
) -> dict[str, str]:
    """The route to the service network: by the current next hop while that node is Ready, else by the first Ready
    node."""
    addresses = [
        address
        for node in sorted(nodes, key=lambda each: each.metadata.name or "")
        if _is_ready(node) and (address := internal_address(node)) and ip_address(address) in link
    ]
    if not addresses:
        return {}
    return {str(service_cidr): current if current in addresses else addresses[0]}


def route_changes(applied: Routes, desired: Routes) -> RouteChanges:
    return RouteChanges(
        replace=tuple((cidr, hop) for cidr, hop in sorted(desired.items()) if applied.get(cidr) != hop),
        remove=tuple((cidr, hop) for cidr, hop in sorted(applied.items()) if cidr not in desired),
    )

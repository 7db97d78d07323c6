"""The EndpointSlice by which a node's DNS server is part of the cluster's DNS service.

The service has no selector and keeps traffic on the node that asks, so each node's server keeps a slice of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.kinds.types import core_v1, discovery_v1, meta_v1

MANAGED_BY = "dns.tiphys.dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The service by namespace and name, the node, and where its server answers."""

    namespace: str
    service_name: str
    node_name: str
    address: str
    port: int

    @property
    def slice_name(self) -> str:
        return f"{self.service_name}-{self.node_name}"


def endpoint_slice(presence: Presence, node: core_v1.Node | None) -> discovery_v1.EndpointSlice:
    """The slice as it should be; it goes with its node when that is known."""
    owners = None
    if node is not None and node.metadata.uid:
        owners = [
            meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=node.metadata.name or "", uid=node.metadata.uid)
        ]
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            name=presence.slice_name,
            namespace=presence.namespace,
            labels={
                "kubernetes.io/service-name": presence.service_name,
                "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
            },
            ownerReferences=owners,
        ),
        addressType="IPv6" if ":" in presence.address else "IPv4",
        endpoints=[
            discovery_v1.Endpoint(
                addresses=[presence.address],
                nodeName=presence.node_name,
                conditions=discovery_v1.EndpointConditions(ready=True, serving=True, terminating=False),
            )
        ],
        ports=[
            discovery_v1.EndpointPort(name="dns", port=presence.port, protocol="UDP"),
            discovery_v1.EndpointPort(name="dns-tcp", port=presence.port, protocol="TCP"),
        ],
    )


def is_current(found: discovery_v1.EndpointSlice, wanted: discovery_v1.EndpointSlice) -> bool:
    """Whether a slice in the cluster says what it should."""
    labels = found.metadata.labels or {}
    return (
        found.endpoints == wanted.endpoints
        and found.ports == wanted.ports
        and all(labels.get(key) == value for key, value in (wanted.metadata.labels or {}).items())
    )

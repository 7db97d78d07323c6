"""The other objects of a new cluster: namespaces, priority classes, the cluster's own services, what extension
servers read."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from tiphys.kinds.types.core_v1 import (
    ConfigMap,
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Namespace,
    Service,
    ServicePort,
    ServiceSpec,
)
from tiphys.kinds.types.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from tiphys.kinds.types.discovery_v1 import EndpointPort as SlicePort
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.types.networking_v1 import ServiceCIDR, ServiceCIDRSpec
from tiphys.kinds.types.scheduling_v1 import PriorityClass

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
SYSTEM_NODE_CRITICAL = 2_000_001_000
SYSTEM_CLUSTER_CRITICAL = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapConfig:
    """`addresses` are the API server's, as pods reach it, with its `port`; `service_cidrs` the networks of Services
    (one a family, the first is the primary one). `dns_address` is the cluster address of DNS ("" for a cluster
    without), `dns_port` where its servers listen. The authorities are PEM; extension API servers read them to know
    clients and the front proxy."""

    addresses: tuple[str, ...]
    port: int
    service_cidrs: tuple[str, ...]
    dns_address: str = ""
    dns_port: int = 53
    client_authority: bytes = b""
    front_proxy_authority: bytes = b""
    front_proxy_names: tuple[str, ...] = ("front-proxy-client",)


def namespaces() -> list[Namespace]:
    return [Namespace(metadata=ObjectMeta(name=name)) for name in NAMESPACES]


def wanted_objects(config: BootstrapConfig) -> list[Any]:
    """Everything but namespaces, roles and flow schemas."""
    found: list[Any] = [*_priority_classes(), _service_cidr(config), _kubernetes_service(config)]
    found += [_endpoints(config), _endpoint_slice(config)]
    if config.client_authority:
        found.append(_authentication(config))
    if config.dns_address:
        found.append(_dns_service(config))
    return found


def _priority_classes() -> list[PriorityClass]:
    return [
        PriorityClass(
            metadata=ObjectMeta(name="system-node-critical"),
            value=SYSTEM_NODE_CRITICAL,
            description="For system pods that a node cannot do without: they stay on the node they are on.",
            preemptionPolicy="PreemptLowerPriority",
        ),
        PriorityClass(
            metadata=ObjectMeta(name="system-cluster-critical"),
            value=SYSTEM_CLUSTER_CRITICAL,
            description="For system pods that the cluster cannot do without: they may move to another node.",
            preemptionPolicy="PreemptLowerPriority",
        ),
    ]


def _service_cidr(config: BootstrapConfig) -> ServiceCIDR:
    return ServiceCIDR(metadata=ObjectMeta(name="kubernetes"), spec=ServiceCIDRSpec(cidrs=list(config.service_cidrs)))


def _family(address: str) -> str:
    return "IPv6" if ipaddress.ip_address(address).version == 6 else "IPv4"


def _kubernetes_service(config: BootstrapConfig) -> Service:
    address = str(ipaddress.ip_network(config.service_cidrs[0])[1])
    return Service(
        metadata=ObjectMeta(
            name="kubernetes", namespace="default", labels={"component": "apiserver", "provider": "kubernetes"}
        ),
        spec=ServiceSpec(
            clusterIP=address,
            clusterIPs=[address],
            ipFamilies=[_family(address)],
            ipFamilyPolicy="SingleStack",
            ports=[ServicePort(name="https", port=443, protocol="TCP", targetPort=config.port)],
            sessionAffinity="None",
            type="ClusterIP",
        ),
    )


def _endpoints(config: BootstrapConfig) -> Endpoints:
    return Endpoints(
        metadata=ObjectMeta(
            name="kubernetes", namespace="default", labels={"endpointslice.kubernetes.io/skip-mirror": "true"}
        ),
        subsets=[
            EndpointSubset(
                addresses=[EndpointAddress(ip=address) for address in sorted(config.addresses)],
                ports=[EndpointPort(name="https", port=config.port, protocol="TCP")],
            )
        ],
    )


def _endpoint_slice(config: BootstrapConfig) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            name="kubernetes", namespace="default", labels={"kubernetes.io/service-name": "kubernetes"}
        ),
        addressType=_family(config.addresses[0]),
        endpoints=[
            Endpoint(addresses=[address], conditions=EndpointConditions(ready=True))
            for address in sorted(config.addresses)
        ],
        ports=[SlicePort(name="https", port=config.port, protocol="TCP")],
    )


def _authentication(config: BootstrapConfig) -> ConfigMap:
    data = {"client-ca-file": config.client_authority.decode()}
    if config.front_proxy_authority:
        data |= {
            "requestheader-allowed-names": json.dumps(list(config.front_proxy_names)),
            "requestheader-client-ca-file": config.front_proxy_authority.decode(),
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        }
    name = "extension-apiserver-authentication"
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="kube-system"), data=data)


def _dns_service(config: BootstrapConfig) -> Service:
    address = config.dns_address
    return Service(
        metadata=ObjectMeta(
            name="kube-dns",
            namespace="kube-system",
            labels={"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        ),
        spec=ServiceSpec(
            clusterIP=address,
            clusterIPs=[address],
            ipFamilies=[_family(address)],
            ipFamilyPolicy="SingleStack",
            # Every node has a server of its own; a pod asks the one beside it.
            internalTrafficPolicy="Local",
            ports=[
                ServicePort(name="dns", port=53, protocol="UDP", targetPort=config.dns_port),
                ServicePort(name="dns-tcp", port=53, protocol="TCP", targetPort=config.dns_port),
            ],
            sessionAffinity="None",
            type="ClusterIP",
        ),
    )

"""Which keys, certificates and kubeconfigs a cluster has, and where they stand in its state directory.

Paths are relative to the state directory. The cluster authority signs everything but the front proxy's client
certificate, which has an authority of its own: whoever holds a certificate of that one may name any user, so nothing
else may be signed by it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiphys.pki.certificates import LeafProfile

ADMIN = LeafProfile(common_name="kubernetes-admin", organizations=("system:masters",))
CONTROLLER_MANAGER = LeafProfile(common_name="system:kube-controller-manager")
SCHEDULER = LeafProfile(common_name="system:kube-scheduler")
PROXY = LeafProfile(common_name="system:kube-proxy")
DNS = LeafProfile(
    common_name="system:serviceaccount:kube-system:coredns",
    organizations=("system:serviceaccounts", "system:serviceaccounts:kube-system"),
)
KUBELET_CLIENT = LeafProfile(common_name="kube-apiserver-kubelet-client", organizations=("system:masters",))
FRONT_PROXY_CLIENT = LeafProfile(common_name="front-proxy-client")

AUTHORITY_NAME = "kubernetes"
FRONT_PROXY_AUTHORITY_NAME = "front-proxy-ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """One node of this cluster: the names and addresses its kubelet serves under, and the API server's URL as seen
    from it ("" for the same as everybody's)."""

    name: str
    addresses: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiOptions:
    """`server` is the API server's URL in the kubeconfigs; `service_cidrs` give the addresses of the `kubernetes`
    Service; `addresses` and `dns_names` are more names under which the API server is reached."""

    cluster: str
    server: str
    node_server: str = ""
    addresses: tuple[str, ...] = ("127.0.0.1",)
    dns_names: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ("10.96.0.0/16",)
    cluster_domain: str = "cluster.local"
    nodes: tuple[NodeOptions, ...] = ()


@dataclass(frozen=True, slots=True)
class PairPaths:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePki:
    """What one node's kubelet needs."""

    kubeconfig: Path
    serving: PairPaths


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPki:
    """Absolute paths of everything. `written` names (relative to the state directory) what this run made or renewed."""

    authority: PairPaths
    apiserver: PairPaths
    kubelet_client: PairPaths
    front_proxy_authority: PairPaths
    front_proxy_client: PairPaths
    service_account_key: Path
    service_account_public_key: Path
    admin_kubeconfig: Path
    controller_manager_kubeconfig: Path
    scheduler_kubeconfig: Path
    proxy_kubeconfig: Path
    dns_kubeconfig: Path
    nodes: Mapping[str, NodePki] = field(default_factory=dict)
    written: tuple[str, ...] = ()


def pair_paths(directory: Path, stem: str) -> PairPaths:
    return PairPaths(directory / f"{stem}.crt", directory / f"{stem}.key")


def node_paths(state: Path, name: str) -> NodePki:
    return NodePki(
        kubeconfig=state / "kubeconfigs" / f"node-{name}.conf",
        serving=pair_paths(state / "nodes" / name / "kubelet" / "pki", "kubelet"),
    )


def cluster_paths(state: Path, nodes: tuple[NodeOptions, ...] = (), written: tuple[str, ...] = ()) -> ClusterPki:
    """Where everything stands below a state directory, whether it is there or not."""
    pki, kubeconfigs = state / "pki", state / "kubeconfigs"
    return ClusterPki(
        authority=pair_paths(pki, "ca"),
        apiserver=pair_paths(pki, "apiserver"),
        kubelet_client=pair_paths(pki, "apiserver-kubelet-client"),
        front_proxy_authority=pair_paths(pki, "front-proxy-ca"),
        front_proxy_client=pair_paths(pki, "front-proxy-client"),
        service_account_key=pki / "sa.key",
        service_account_public_key=pki / "sa.pub",
        admin_kubeconfig=state / "kubeconfig",
        controller_manager_kubeconfig=kubeconfigs / "controller-manager.conf",
        scheduler_kubeconfig=kubeconfigs / "scheduler.conf",
        proxy_kubeconfig=kubeconfigs / "proxy.conf",
        dns_kubeconfig=kubeconfigs / "dns.conf",
        nodes={node.name: node_paths(state, node.name) for node in nodes},
        written=written,
    )


def first_address(cidr: str) -> str:
    """The address of the `kubernetes` Service in a service network. ValueError when it is no network."""
    return str(ipaddress.ip_network(cidr)[1])


def apiserver_profile(options: PkiOptions) -> LeafProfile:
    """The API server is reached by address, by Service name in its short and long forms, and as localhost."""
    service = "kubernetes.default.svc"
    names = ("localhost", "kubernetes", "kubernetes.default", service, f"{service}.{options.cluster_domain}")
    service_addresses = tuple(first_address(cidr) for cidr in options.service_cidrs)
    return LeafProfile(
        common_name="kube-apiserver",
        dns_names=names + options.dns_names,
        addresses=("127.0.0.1", *options.addresses, *service_addresses),
        usages=("server",),
    )


def node_client_profile(name: str) -> LeafProfile:
    return LeafProfile(common_name=f"system:node:{name}", organizations=("system:nodes",))


def node_serving_profile(node: NodeOptions) -> LeafProfile:
    return LeafProfile(
        common_name=f"system:node:{node.name}",
        organizations=("system:nodes",),
        dns_names=(node.name, *node.dns_names),
        addresses=node.addresses,
        usages=("server",),
    )

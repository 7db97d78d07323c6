"""What a cluster on this machine is: its number, its networks, its nodes, and where its files are.

Everything follows from the settings in `cluster.json` (`Cluster`) and the state directory (`Layout`); nothing here
touches either. Clusters side by side differ in their number, which keeps their networks apart.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Annotated

import msgspec

from tiphys.network.addresses import MAXIMUM_CLUSTERS, ClusterAddresses, cluster_addresses
from tiphys.network.machine_plan import node_namespace

MAXIMUM_NODES = 200
KUBELET_PORT = 10250
MAXIMUM_SOCKET_PATH_BYTES = 107  # the kernel's limit


class Cluster(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, forbid_unknown_fields=True):
    """The settings of one cluster, fixed when it is first brought up (but for `nodes`, which may grow, and
    `token_file`, the file of static tokens: lines of `token,user,uid,"group,group"`)."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=MAXIMUM_CLUSTERS)]
    nodes: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_NODES)]
    api_port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    domain: str = "cluster.local"
    max_pods: Annotated[int, msgspec.Meta(ge=1)] = 110
    token_file: str = ""

    @property
    def identifier(self) -> str:
        """Names the network of this cluster on its machine: lower-case letters and digits."""
        return f"c{self.number}"

    @property
    def name(self) -> str:
        """Names the cluster to people, in its kubeconfigs, and its cgroups."""
        return f"tiphys{self.number}"

    @property
    def addresses(self) -> ClusterAddresses:
        return cluster_addresses(self.number)

    @property
    def host_address(self) -> str:
        """Where nodes and pods reach the API server."""
        return str(self.addresses.host_address)

    @property
    def pod_cidr(self) -> str:
        return str(self.addresses.pod_cidr)

    @property
    def service_cidr(self) -> str:
        return str(self.addresses.service_cidr)

    @property
    def kubernetes_address(self) -> str:
        return str(self.addresses.kubernetes_service_address)

    @property
    def dns_address(self) -> str:
        return str(self.addresses.dns_service_address)

    @property
    def api_url(self) -> str:
        """For clients on this machine."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def node_api_url(self) -> str:
        """For nodes, from their own network namespaces."""
        return f"https://{self.host_address}:{self.api_port}"

    def node_names(self) -> list[str]:
        return [f"node-{index}" for index in range(1, self.nodes + 1)]

    def node_list(self) -> list[ClusterNode]:
        """The nodes in their order, which fixes their addresses."""
        return [
            ClusterNode(
                name=name,
                address=str(self.addresses.node_address(index)),
                namespace=node_namespace(self.identifier, name),
                cgroup=f"/{self.name}-{name}",
            )
            for index, name in enumerate(self.node_names())
        ]

    def node(self, name: str) -> ClusterNode:
        """KeyError for a name that no node has."""
        return {node.name: node for node in self.node_list()}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """One node on this machine: its address on the machine network, its network namespace and its cgroup."""

    name: str
    address: str
    namespace: str
    cgroup: str

    @property
    def namespace_path(self) -> str:
        return f"/run/netns/{self.namespace}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of a cluster are, under its state directory."""

    state: pathlib.Path

    @property
    def cluster_file(self) -> pathlib.Path:
        return self.state / "cluster.json"

    @property
    def pki(self) -> pathlib.Path:
        return self.state / "pki"

    @property
    def kubeconfig(self) -> pathlib.Path:
        return self.state / "kubeconfig"

    @property
    def kubeconfigs(self) -> pathlib.Path:
        return self.state / "kubeconfigs"

    def node_kubeconfig(self, node: str) -> pathlib.Path:
        return self.kubeconfigs / f"node-{node}.conf"

    @property
    def control_plane(self) -> pathlib.Path:
        return self.state / "control-plane"

    @property
    def database(self) -> pathlib.Path:
        return self.control_plane / "state.db"

    def node(self, name: str) -> pathlib.Path:
        return self.state / "nodes" / name

    def containerd(self, name: str) -> pathlib.Path:
        return self.node(name) / "containerd"

    def cni(self, name: str) -> pathlib.Path:
        return self.node(name) / "cni"

    def cni_data(self, name: str) -> pathlib.Path:
        return self.node(name) / "cni-data"

    def kubelet(self, name: str) -> pathlib.Path:
        return self.node(name) / "kubelet"

    def pod_logs(self, name: str) -> pathlib.Path:
        return self.node(name) / "logs" / "pods"

    @property
    def notify_socket(self) -> pathlib.Path:
        return self.state / "supervisor.sock"

    @property
    def supervisor_pid(self) -> pathlib.Path:
        return self.state / "supervisor.pid"

    @property
    def supervisor_log(self) -> pathlib.Path:
        return self.state / "supervisor.log"

    def unit_pid(self, unit: str) -> pathlib.Path:
        return self.unit_directory(unit) / f"{self._stem(unit)}.pid"

    def unit_log(self, unit: str) -> pathlib.Path:
        return self.unit_directory(unit) / f"{self._stem(unit)}.log"

    def unit_directory(self, unit: str) -> pathlib.Path:
        return self.control_plane if unit == CONTROL_PLANE else self.node(unit.removeprefix(AGENT_PREFIX))

    @staticmethod
    def _stem(unit: str) -> str:
        return "control-plane" if unit == CONTROL_PLANE else "agent"


CONTROL_PLANE = "control-plane"
AGENT_PREFIX = "agent-"


def agent_unit(node: str) -> str:
    return AGENT_PREFIX + node


def settings_findings(state: pathlib.Path, nodes: int, existing: Cluster | None) -> list[str]:
    """What is wrong with a wish for a cluster; empty when nothing is."""
    found = []
    if not 1 <= nodes <= MAXIMUM_NODES:
        found.append(f"--nodes must be between 1 and {MAXIMUM_NODES}")
    if existing is not None and nodes < existing.nodes:
        found.append(
            f"this cluster has {existing.nodes} nodes and cannot shrink to {nodes}; "
            "remove it first with `tiphys down --purge`"
        )
    if len(str(Layout(state).notify_socket).encode()) > MAXIMUM_SOCKET_PATH_BYTES:
        found.append(f"the state directory's path is too long for unix sockets: {state}")
    return found

"""The agent process of one node: containerd, pod network, service proxy, DNS, kubelet. `python -m tiphys.launch.agent
STATE NODE`, started inside the node's network namespace.

Each part talks to the API with an identity of its own. When the agent ends, containers, rules and routes stay: the next
agent takes them over.
"""

from __future__ import annotations

import os
import pathlib
import random
import sys
from collections.abc import Sequence

from tiphys.aio.clock import SystemClock
from tiphys.aio.component import Component
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.io.kubeconfig import from_kubeconfig
from tiphys.client.io.reflector import InformerSet
from tiphys.dns.component import Dns, DnsConfig
from tiphys.kubelet.component import Kubelet
from tiphys.launch.cluster import Cluster, ClusterNode, Layout, agent_unit
from tiphys.launch.io import state
from tiphys.launch.io.informers import Informers
from tiphys.launch.io.node_runtime import NodeRuntime
from tiphys.launch.io.process import OnFailure, run_process
from tiphys.launch.node import kubelet_config
from tiphys.network.cni import PLUGIN_DIRECTORIES
from tiphys.network.component import NodeNetwork, NodeNetworkConfig
from tiphys.proxy.component import Proxy, ProxyConfig
from tiphys.proxy.rules import RulesConfig
from tiphys.runtime.io.containerd import Containerd, ContainerdPaths, containerd_config


class NodeAgent:
    """Wires the components of one node."""

    def __init__(self, cluster: Cluster, node: ClusterNode, layout: Layout, on_failure: OnFailure) -> None:
        self.cluster = cluster
        self.node = node
        self.layout = layout
        self.on_failure = on_failure
        self.clock = SystemClock()
        self.paths = ContainerdPaths(directory=layout.containerd(node.name))

    def components(self) -> Sequence[Component]:
        """In the order of their start."""
        return [self.runtime(), self.network_and_proxy(), self.dns(), self.kubelet()]

    def runtime(self) -> Component:
        """containerd, with the pause image that every pod needs."""
        config = containerd_config(
            self.paths,
            cni_plugin_directory=next((d for d in PLUGIN_DIRECTORIES if os.path.isdir(d)), PLUGIN_DIRECTORIES[0]),
            cni_configuration_directory=str(self.layout.cni(self.node.name)),
        )
        return NodeRuntime(Containerd(config, self.paths, self.clock, self.on_failure), self.clock)

    def _informers(self, name: str, kubeconfig: str) -> tuple[InformerSet, Client, TaskOwner]:
        transport = from_kubeconfig(self.layout.kubeconfigs / kubeconfig)
        client = Client(transport)
        owner = TaskOwner(f"{name}-informers", self.on_failure)
        return InformerSet(client, self.clock, owner, jitter=random.random), client, owner

    def network_and_proxy(self) -> Component:
        """They read the same objects with the same identity, so they share their informers."""
        informers, client, owner = self._informers("proxy", "proxy.conf")
        name, address = self.node.name, self.node.address
        network = NodeNetwork(
            NodeNetworkConfig(
                node_name=name,
                node_address=address,
                cluster_pod_cidr=self.cluster.pod_cidr,
                cni_configuration_directory=str(self.layout.cni(name)),
                cni_data_directory=str(self.layout.cni_data(name)),
            ),
            informers,
            self.clock,
            self.on_failure,
        )
        rules = RulesConfig(node_name=name, node_addresses=(address,), pod_cidr=self.cluster.pod_cidr)
        proxy = Proxy(ProxyConfig(rules=rules), informers, self.clock, self.on_failure)
        return Informers("proxy", informers, owner, client.transport, [network, proxy])

    def dns(self) -> Component:
        informers, client, owner = self._informers("dns", "dns.conf")
        config = DnsConfig(
            node_name=self.node.name,
            addresses=(self.node.address,),
            domain=self.cluster.domain,
            service_addresses=(self.cluster.dns_address,),
        )
        dns = Dns(config, client, informers, self.clock, self.on_failure)
        return Informers("dns", informers, owner, client.transport, [dns])

    def kubelet(self) -> Component:
        config = kubelet_config(self.cluster, self.node, self.layout, str(self.paths.socket))
        transport = from_kubeconfig(self.layout.node_kubeconfig(self.node.name))
        return Kubelet(config, transport, self.clock, self.on_failure)


async def build(layout: Layout, name: str, on_failure: OnFailure) -> Sequence[Component]:
    cluster = state.load(layout)
    if cluster is None:
        raise state.BadState(f"no cluster in {layout.state}")
    return NodeAgent(cluster, cluster.node(name), layout, on_failure).components()


def main() -> None:
    layout, name = Layout(pathlib.Path(sys.argv[1])), sys.argv[2]
    run_process(agent_unit(name), lambda on_failure: build(layout, name, on_failure))


if __name__ == "__main__":
    main()

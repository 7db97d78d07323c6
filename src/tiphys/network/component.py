"""The network of one node, and of the control plane's machine: wires Node objects to CNI, routes and rules.

`NodeNetwork` belongs into the node's agent, `HostNetwork` into the control plane's process when that has no node of
its own. Both only follow Nodes; the ranges are assigned elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.io.reflector import InformerSet
from tiphys.kinds.types import core_v1
from tiphys.linux.io.nft import NftError
from tiphys.network.cni import PodNetwork, conflist
from tiphys.network.io import node as kernel
from tiphys.network.routes import pod_cidr, pod_routes, route_changes, service_route

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNetworkConfig:
    """`node_address` is the node's internal address, on the link that it shares with the other nodes.
    `cluster_pod_cidr` holds all nodes' pod ranges. `cni_data_directory` keeps which pod addresses are taken: it must
    go when the node's containers go. `table` is the name of our nftables table (family ip)."""

    node_name: str
    node_address: str
    cluster_pod_cidr: str
    cni_configuration_directory: str
    cni_data_directory: str
    table: str = "tiphys-network"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetworkConfig:
    """`host_address` is the machine's own address on the nodes' link."""

    host_address: str
    service_cidr: str


class _NodeFollower:
    """Runs `apply` when Nodes have changed, as often as needed but never twice at a time; a failure is tried again
    later."""

    def __init__(
        self, name: str, informers: InformerSet, clock: Clock, on_failure: Callable[[str, BaseException], None]
    ) -> None:
        self.name = name
        self._informer = informers.informer(core_v1.Node)
        self._clock = clock
        self._owner = TaskOwner(name, on_failure)
        self._changed = asyncio.Event()
        self._backoff: Backoff[str] = Backoff(initial_seconds=0.5, maximum_seconds=30)
        self._following = False

    def _nodes(self) -> list[core_v1.Node]:
        return list(self._informer.cache)

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        """Heartbeats change a Node every few seconds: only what routes are made of wakes us."""
        if old is None or new is None or _relevant(old) != _relevant(new):
            self._changed.set()

    def _follow(self) -> None:
        self._following = True
        self._informer.add_handler(self._node_changed)
        self._owner.start(self._run(), "nodes")

    async def _unfollow(self) -> None:
        if self._following:
            self._following = False
            self._informer.remove_handler(self._node_changed)
        await self._owner.close()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._apply()
                self._backoff.reset(self.name)
            except (OSError, NftError) as error:
                wait_seconds = self._backoff.next(self.name)
                log.warning("%s: %s; tried again in %.1f s", self.name, error, wait_seconds)
                await self._clock.sleep(wait_seconds)
                self._changed.set()

    async def _apply(self) -> None:
        raise NotImplementedError

    async def _set_routes(self, desired: dict[str, str], index: int) -> None:
        changes = route_changes(await asyncio.to_thread(kernel.applied_routes, index), desired)
        if changes.replace or changes.remove:
            await asyncio.to_thread(kernel.change_routes, changes, index)
            log.info("routes set: %s, removed: %s", changes.replace, changes.remove)


def _relevant(node: core_v1.Node) -> tuple[object, ...]:
    status = node.status
    ready = [each.status for each in (status.conditions if status else None) or () if each.type == "Ready"]
    return pod_cidr(node), status.addresses if status else None, ready


class NodeNetwork(_NodeFollower):
    """Component of a node's agent: writes the CNI configuration when the node has got its range of pod addresses,
    keeps the routes to the other nodes' pods, and lets pods reach the outside under the node's address."""

    def __init__(
        self,
        config: NodeNetworkConfig,
        informers: InformerSet,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__("node-network", informers, clock, on_failure)
        self.config = config
        self._filtered_bridge = False

    async def start(self) -> None:
        """Returns when the kernel is prepared; the rest follows as Nodes appear. Raises OSError, NftError."""
        self._filtered_bridge = await asyncio.to_thread(kernel.prepare_kernel)
        pods = IPv4Network(self.config.cluster_pod_cidr)
        await asyncio.to_thread(kernel.masquerade, self.config.table, [pods], [pods])
        self._follow()

    async def stop(self) -> None:
        """Stop following. Configuration, routes and rules stay, because pods live on; `remove` takes them away."""
        await self._unfollow()

    async def remove(self) -> None:
        """Take away our routes and rules, after `stop`."""
        link = await asyncio.to_thread(kernel.link_of, self.config.node_address)
        if link is not None:
            await asyncio.to_thread(lambda: kernel.remove_routes(kernel.applied_routes(link.index)))
        await asyncio.to_thread(kernel.remove_masquerade, self.config.table)

    async def _apply(self) -> None:
        link = await asyncio.to_thread(kernel.link_of, self.config.node_address)
        if link is None:
            raise OSError(f"no interface has the node's address {self.config.node_address}")
        nodes = self._nodes()
        for node in nodes:
            if node.metadata.name == self.config.node_name and pod_cidr(node):
                await asyncio.to_thread(self._configure_pods, pod_cidr(node), link.mtu)
        await self._set_routes(pod_routes(nodes, self.config.node_name, link.network), link.index)

    def _configure_pods(self, cidr: str, mtu: int) -> None:
        network = PodNetwork(
            pod_cidr=cidr,
            data_directory=self.config.cni_data_directory,
            mtu=mtu,
            filtered_bridge=self._filtered_bridge,
            has_port_mapping=kernel.has_port_mapping(),
        )
        if not network.has_port_mapping:
            log.warning("pods' host ports are not served: the program iptables is missing")
        if kernel.write_conflist(Path(self.config.cni_configuration_directory), conflist(network)):
            log.info("pods get addresses from %s", cidr)


class HostNetwork(_NodeFollower):
    """Component of the control plane: keeps the machine's routes to pods and to service addresses (for webhooks,
    aggregated APIs and the API's proxy)."""

    def __init__(
        self,
        config: HostNetworkConfig,
        informers: InformerSet,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__("host-network", informers, clock, on_failure)
        self.config = config
        self._service_hop = ""

    async def start(self) -> None:
        self._follow()

    async def stop(self) -> None:
        """Stop following; the routes stay until the machine's network is removed."""
        await self._unfollow()

    async def _apply(self) -> None:
        link = await asyncio.to_thread(kernel.link_of, self.config.host_address)
        if link is None:
            raise OSError(f"no interface has the address {self.config.host_address}")
        nodes = self._nodes()
        services = IPv4Network(self.config.service_cidr)
        desired = pod_routes(nodes, "", link.network)
        via = service_route(nodes, services, link.network, self._service_hop)
        self._service_hop = via.get(str(services), "")
        await self._set_routes(desired | via, link.index)

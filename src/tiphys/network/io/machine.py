"""Makes and removes the network of a cluster on this machine, as root: see `machine_plan.py` for what it consists of.

Blocking calls, about ten milliseconds for each node. `ensure` makes what is missing and leaves what is there;
`remove` finds everything by name, whatever a killed process left.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tiphys.linux.io import namespace
from tiphys.linux.io.nft import NftError, delete_table, open_nft
from tiphys.linux.io.sysctl import write_sysctl
from tiphys.network.addresses import MAXIMUM_CLUSTERS, ClusterAddresses, cluster_addresses, free_numbers
from tiphys.network.machine_plan import (
    NODE_INTERFACE,
    SWITCH_BRIDGE,
    SWITCH_HOST_PORT,
    MachinePlan,
    NodePlan,
    check_cluster,
    host_interface,
    is_owned_namespace,
    machine_plan,
    masquerade_rules,
    switch_namespace,
    table_name,
)

log = logging.getLogger(__name__)

_DEFAULT_MTU = 1500


class MachineNetworkError(Exception):
    """The network could not be made; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAttachment:
    """Where a node lives: `namespace_path` is what its processes are entered into (nsenter --net=PATH)."""

    name: str
    namespace_path: Path
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """The network that stands now."""

    addresses: ClusterAddresses
    host_interface: str
    nodes: tuple[NodeAttachment, ...]


def link_index(netlink: IPRoute, name: str) -> int:
    """The interface's index, 0 when there is none of this name."""
    found = netlink.link_lookup(ifname=name)
    return int(found[0]) if found else 0


def _set_address(netlink: IPRoute, index: int, cidr: str) -> None:
    address, _, length = cidr.partition("/")
    try:
        netlink.addr("add", index=index, address=address, prefixlen=int(length))
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def _up(netlink: IPRoute, index: int, mtu: int = 0) -> None:
    netlink.link("set", index=index, state="up", **({"mtu": mtu} if mtu else {}))


class MachineNetwork:
    """The network of the cluster named `cluster` (lower-case letters and digits, unique on the machine)."""

    def __init__(self, cluster: str) -> None:
        check_cluster(cluster)
        self.cluster = cluster

    def number(self) -> int | None:
        """The number that this cluster has claimed, None when its network does not stand."""
        switch = switch_namespace(self.cluster)
        if not namespace.exists(switch):
            return None

        def find() -> int | None:
            with IPRoute() as netlink:
                for link in netlink.get_links():
                    name = link.get_attr("IFLA_IFNAME")
                    if name.startswith(SWITCH_HOST_PORT) and name[len(SWITCH_HOST_PORT) :].isdigit():
                        return int(name[len(SWITCH_HOST_PORT) :])
            return None

        return namespace.run_in(namespace.path_of(switch), find)

    def ensure(self, nodes: Sequence[str], number: int | None = None) -> MachineState:
        """Make the network for these nodes (a node's address follows from its place) and say where each one lives.
        `number` is the one that the cluster had before, when it had one: its certificates and objects name those
        addresses. Raises MachineNetworkError."""
        try:
            return self._ensure(nodes, number)
        except NetlinkError as error:
            raise MachineNetworkError(f"netlink: {error}") from error
        except OSError as error:
            raise MachineNetworkError(str(error)) from error
        except NftError as error:
            raise MachineNetworkError(f"nftables: {error}") from error

    def _ensure(self, nodes: Sequence[str], wanted: int | None) -> MachineState:
        mtu, has_default_route = self._uplink()
        number = self.number()
        if number is None:
            number = self._claim(wanted)
        elif wanted is not None and wanted != number:
            raise MachineNetworkError(f"cluster {self.cluster} stands with number {number}, not {wanted}")
        plan = machine_plan(self.cluster, cluster_addresses(number), nodes)
        self._host(plan, mtu)
        for node in plan.nodes:
            self._node(plan, node, mtu)
        if has_default_route:
            self._outside(plan)
        return MachineState(
            addresses=plan.addresses,
            host_interface=plan.host_interface,
            nodes=tuple(
                NodeAttachment(
                    name=node.name,
                    namespace_path=namespace.path_of(node.namespace),
                    address=node.address.partition("/")[0],
                )
                for node in plan.nodes
            ),
        )

    def _uplink(self) -> tuple[int, bool]:
        """The size of packets that the machine's way out carries, and whether there is one."""
        with IPRoute() as netlink:
            for route in netlink.get_default_routes(family=2):
                index = route.get_attr("RTA_OIF")
                if index:
                    link = netlink.get_links(index)[0]
                    return min(_DEFAULT_MTU, int(link.get_attr("IFLA_MTU"))), True
        return _DEFAULT_MTU, False

    def _claim(self, wanted: int | None) -> int:
        """Take the wanted or the lowest free number by making the host's interface, whose name only one cluster can
        have."""
        switch = namespace.create(switch_namespace(self.cluster))
        with IPRoute() as netlink:
            taken = [
                f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
                for route in netlink.get_routes(family=2)
                if route.get_attr("RTA_DST")
            ]
            for number in free_numbers(taken):
                if wanted not in (None, number):
                    continue
                peer = {"ifname": f"{SWITCH_HOST_PORT}{number}", "net_ns_fd": str(switch)}
                try:
                    netlink.link("add", ifname=host_interface(number), kind="veth", peer=peer)
                except NetlinkError as error:
                    if error.code != errno.EEXIST:
                        raise
                else:
                    return number
        if wanted is not None:
            ranges = cluster_addresses(wanted)
            raise MachineNetworkError(
                f"one of {ranges.machine_cidr}, {ranges.pod_cidr}, {ranges.service_cidr} is in use already: "
                "see `ip route`"
            )
        raise MachineNetworkError(f"none of the {MAXIMUM_CLUSTERS} address ranges for clusters is free: see `ip route`")

    def _host(self, plan: MachinePlan, mtu: int) -> None:
        def switch() -> None:
            for name in ("iptables", "ip6tables", "arptables"):
                write_sysctl(f"net.bridge.bridge-nf-call-{name}", "0")
            with IPRoute() as netlink:
                bridge = link_index(netlink, SWITCH_BRIDGE)
                if not bridge:
                    netlink.link("add", ifname=SWITCH_BRIDGE, kind="bridge")
                    bridge = link_index(netlink, SWITCH_BRIDGE)
                port = link_index(netlink, f"{SWITCH_HOST_PORT}{plan.addresses.number}")
                netlink.link("set", index=port, master=bridge, mtu=mtu, state="up")
                _up(netlink, bridge)

        namespace.run_in(namespace.path_of(plan.switch_namespace), switch)
        with IPRoute() as netlink:
            index = link_index(netlink, plan.host_interface)
            _set_address(netlink, index, plan.host_address)
            _up(netlink, index, mtu)

    def _node(self, plan: MachinePlan, node: NodePlan, mtu: int) -> None:
        path = namespace.create(node.namespace)

        def plug() -> None:
            with IPRoute() as netlink:
                if not link_index(netlink, node.port):
                    peer = {"ifname": NODE_INTERFACE, "net_ns_fd": str(path)}
                    netlink.link("add", ifname=node.port, kind="veth", peer=peer)
                bridge = link_index(netlink, SWITCH_BRIDGE)
                netlink.link("set", index=link_index(netlink, node.port), master=bridge, mtu=mtu, state="up")

        def configure() -> None:
            with IPRoute() as netlink:
                _up(netlink, link_index(netlink, "lo"))
                index = link_index(netlink, NODE_INTERFACE)
                _set_address(netlink, index, node.address)
                _up(netlink, index, mtu)
                netlink.route("replace", dst="default", gateway=plan.gateway, oif=index)

        namespace.run_in(namespace.path_of(plan.switch_namespace), plug)
        namespace.run_in(path, configure)

    def _outside(self, plan: MachinePlan) -> None:
        """Let the nodes reach what the machine reaches."""
        ranges = (plan.addresses.machine_cidr, plan.addresses.pod_cidr)
        inside = (*ranges, plan.addresses.service_cidr)
        nft = open_nft()
        try:
            nft.run(masquerade_rules(plan.table, ranges, inside))
        finally:
            nft.close()
        write_sysctl("net.ipv4.ip_forward", "1")

    def remove(self) -> None:
        """Remove all of it; nothing to remove is no error. The nodes' processes should have ended: a namespace with
        a process in it loses its name and links here, and itself when that process ends. Raises MachineNetworkError."""
        steps: list[Callable[[], Any]] = [self._remove_links]
        steps += [
            lambda name=name: namespace.delete(name)  # type: ignore[misc]
            for name in namespace.names()
            if is_owned_namespace(self.cluster, name)
        ]
        steps.append(self._remove_table)
        faults: list[str] = []
        for step in steps:
            try:
                step()
            except (OSError, NetlinkError, NftError) as error:
                faults.append(str(error))
        if faults:
            raise MachineNetworkError("; ".join(faults))

    def _remove_links(self) -> None:
        """Links first: deleting a port takes its peer along at once, while a namespace is cleaned up later by the
        kernel."""
        switch = switch_namespace(self.cluster)
        if not namespace.exists(switch):
            return

        def unplug() -> None:
            with IPRoute() as netlink:
                for link in netlink.get_links():
                    if link.get_attr("IFLA_IFNAME") != "lo":
                        try:
                            netlink.link("del", index=link["index"])
                        except NetlinkError as error:
                            if error.code != errno.ENODEV:
                                raise

        namespace.run_in(namespace.path_of(switch), unplug)

    def _remove_table(self) -> None:
        nft = open_nft()
        try:
            delete_table(nft, "ip", table_name(self.cluster))
        finally:
            nft.close()

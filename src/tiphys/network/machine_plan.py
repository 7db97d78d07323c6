"""The network of a cluster whose nodes all live on one machine: which namespaces, links, addresses and rules it
consists of.

The nodes' namespaces hang on a bridge. The bridge lives in a namespace of its own (the switch), so that the host
sees a single interface, no firewall of the host stands between nodes, and removing the cluster cannot miss a port.
Names follow from the cluster's identifier alone, so what a killed process left behind can always be found again.
Routes to the pods' subnets are not here: they follow from Node objects (`routes.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from tiphys.network.addresses import ClusterAddresses

NODE_INTERFACE = "eth0"
SWITCH_BRIDGE = "bridge0"
SWITCH_HOST_PORT = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One node: its namespace's name, its address as a CIDR ("10.201.0.10/24"), its port's name in the switch."""

    name: str
    namespace: str
    address: str
    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePlan:
    """All of a cluster's network on one machine. `table` is the host's nftables table (family ip)."""

    switch_namespace: str
    host_interface: str
    host_address: str
    gateway: str
    addresses: ClusterAddresses
    nodes: tuple[NodePlan, ...]
    table: str


def check_cluster(cluster: str) -> None:
    """Raises ValueError for an identifier that could not be told apart in names."""
    if not re.fullmatch(r"[a-z0-9]{1,32}", cluster):
        raise ValueError(f"cluster identifier {cluster!r}: 1 to 32 lower-case letters and digits are allowed")


def switch_namespace(cluster: str) -> str:
    return f"tiphys-{cluster}"


def node_namespace(cluster: str, node: str) -> str:
    return f"tiphys-{cluster}-{node}"


def table_name(cluster: str) -> str:
    return f"tiphys-{cluster}"


def host_interface(number: int) -> str:
    return f"tiphys{number}"


def is_owned_namespace(cluster: str, namespace: str) -> bool:
    """Whether a namespace's name says that it is this cluster's switch or one of its nodes."""
    switch = switch_namespace(cluster)
    return namespace == switch or namespace.startswith(f"{switch}-")


def machine_plan(cluster: str, addresses: ClusterAddresses, nodes: Sequence[str]) -> MachinePlan:
    """The plan for these nodes; a node's address follows from its place in the sequence."""
    check_cluster(cluster)
    length = addresses.machine_cidr.prefixlen
    return MachinePlan(
        switch_namespace=switch_namespace(cluster),
        host_interface=host_interface(addresses.number),
        host_address=f"{addresses.host_address}/{length}",
        gateway=str(addresses.host_address),
        addresses=addresses,
        nodes=tuple(
            NodePlan(
                name=node,
                namespace=node_namespace(cluster, node),
                address=f"{addresses.node_address(index)}/{length}",
                port=f"node{index}",
            )
            for index, node in enumerate(nodes)
        ),
        table=table_name(cluster),
    )


def masquerade_rules(table: str, sources: Sequence[IPv4Network], inside: Sequence[IPv4Network]) -> str:
    """The nft transaction that gives a table the one rule: what comes from `sources` and leaves for anywhere but
    `inside` takes the address of the interface that it leaves by. It replaces what the table held."""
    source = ", ".join(str(each) for each in sources)
    destination = ", ".join(str(each) for each in inside)
    return (
        f"table ip {table}\n"
        f"delete table ip {table}\n"
        f"table ip {table} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority 110; policy accept;\n"
        f"    ip saddr {{ {source} }} ip daddr != {{ {destination} }}"
        " fib daddr type != { local, broadcast, multicast } masquerade\n"
        "  }\n"
        "}\n"
    )

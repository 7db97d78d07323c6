"""What a node's network needs of its machine: kernel parameters, the CNI file, routes, the rule for traffic to the
outside.

Blocking calls of a millisecond or so, in the network namespace of the calling process: run them in a thread.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tiphys.linux.io.nft import delete_table, open_nft
from tiphys.linux.io.sysctl import write_sysctl
from tiphys.network.cni import FILE_NAME, PLUGIN_DIRECTORIES, missing_plugins
from tiphys.network.machine_plan import masquerade_rules
from tiphys.network.routes import RouteChanges, Routes

log = logging.getLogger(__name__)

# Marks our routes among the kernel's, so that a restarted process finds what the one before it set.
ROUTE_PROTOCOL = 84


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The interface that carries an address: its index, its network, its largest packet in bytes."""

    index: int
    network: IPv4Network
    mtu: int


def link_of(address: str) -> Link | None:
    """The interface that has the address; None when none has."""
    with IPRoute() as netlink:
        for entry in netlink.get_addr(family=2):
            if entry.get_attr("IFA_ADDRESS") == address or entry.get_attr("IFA_LOCAL") == address:
                index = entry["index"]
                interface = ip_interface(f"{address}/{entry['prefixlen']}")
                mtu = netlink.get_links(index)[0].get_attr("IFLA_MTU")
                return Link(index=index, network=IPv4Network(interface.network), mtu=int(mtu))
    return None


def applied_routes(index: int) -> dict[str, str]:
    """Our routes through one interface that the kernel has: destination CIDR -> next hop. Routes through others are
    those of another cluster on the same machine."""
    with IPRoute() as netlink:
        return {
            f"{route.get_attr('RTA_DST')}/{route['dst_len']}": route.get_attr("RTA_GATEWAY") or ""
            for route in netlink.get_routes(family=2, proto=ROUTE_PROTOCOL)
            if route.get_attr("RTA_DST") and route.get_attr("RTA_OIF") == index
        }


def change_routes(changes: RouteChanges, index: int) -> None:
    """Raises OSError when the kernel refuses one; those before it are set."""
    with IPRoute() as netlink:
        try:
            for cidr, hop in changes.remove:
                try:
                    netlink.route("del", dst=cidr, gateway=hop, proto=ROUTE_PROTOCOL)
                except NetlinkError as error:
                    if error.code != errno.ESRCH:
                        raise
            for cidr, hop in changes.replace:
                netlink.route("replace", dst=cidr, gateway=hop, oif=index, proto=ROUTE_PROTOCOL)
        except NetlinkError as error:
            raise OSError(error.code, f"routes: {error}") from error


def remove_routes(routes: Routes) -> None:
    change_routes(RouteChanges(replace=(), remove=tuple(sorted(routes.items()))), 0)


def prepare_kernel() -> bool:
    """Turn forwarding on; whether bridged packets pass the packet filter, asking for the kernel module where it is
    one."""
    write_sysctl("net.ipv4.ip_forward", "1")
    name = "net.bridge.bridge-nf-call-iptables"
    if write_sysctl(name, "1"):
        return True
    program = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return False
    subprocess.run([program, "-q", "br_netfilter"], check=False)
    return write_sysctl(name, "1")


def find_plugin_directory(filtered_bridge: bool) -> tuple[str, tuple[str, ...]]:
    """The first usual directory with all needed CNI plugins, and what is missing (from the best one) when none has."""
    best: tuple[str, tuple[str, ...]] | None = None
    for directory in PLUGIN_DIRECTORIES:
        try:
            missing = missing_plugins(os.listdir(directory), filtered_bridge)
        except OSError:
            continue
        if best is None or len(missing) < len(best[1]):
            best = (directory, missing)
    return best or (PLUGIN_DIRECTORIES[0], missing_plugins((), filtered_bridge))


def has_port_mapping() -> bool:
    """The portmap plugin runs iptables."""
    return shutil.which("iptables", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def write_conflist(directory: Path, content: bytes) -> bool:
    """Put the configuration in place at once (the runtime watches the directory); whether it was another before."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    path = directory / FILE_NAME
    if path.is_file() and path.read_bytes() == content:
        return False
    temporary = directory / f".{FILE_NAME}.new"
    temporary.write_bytes(content)
    temporary.replace(path)
    return True


def masquerade(table: str, sources: Sequence[IPv4Network], inside: Sequence[IPv4Network]) -> None:
    """Raises NftError."""
    nft = open_nft()
    try:
        nft.run(masquerade_rules(table, sources, inside))
    finally:
        nft.close()


def remove_masquerade(table: str) -> None:
    nft = open_nft()
    try:
        delete_table(nft, "ip", table)
    finally:
        nft.close()

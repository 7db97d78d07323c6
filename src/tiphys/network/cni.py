"""The CNI configuration of a node: which plugins make a pod's interface, with which addresses.

Pods hang on the bridge cni0. Where the kernel cannot show bridged packets to its packet filter, an answer between
two pods of one node would pass by the translation of service addresses: there each pod gets a routed link of its own
instead (ptp). Translation to the outside is not CNI's business here (`ipMasq` would run a process for each pod): one
rule in the node's own table does it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

BRIDGE = "cni0"
FILE_NAME = "10-tiphys.conflist"
PLUGIN_DIRECTORIES = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
# What the oldest plugins in use (0.9) understand.
_CNI_VERSION = "0.4.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNetwork:
    """`pod_cidr` is the node's own range; `data_directory` is where host-local keeps which addresses are taken;
    `filtered_bridge` says whether the kernel filters bridged packets; `has_port_mapping`, whether host ports can be
    had."""

    pod_cidr: str
    data_directory: str
    mtu: int
    filtered_bridge: bool
    has_port_mapping: bool = True


def conflist(network: PodNetwork) -> bytes:
    """The configuration list as CNI reads it."""
    interface: dict[str, Any] = (
        {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True}
        if network.filtered_bridge
        else {"type": "ptp"}
    )
    interface |= {
        "mtu": network.mtu,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": network.data_directory,
            "ranges": [[{"subnet": network.pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    plugins = [interface]
    if network.has_port_mapping:
        plugins.append({"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    document = {"cniVersion": _CNI_VERSION, "name": "tiphys", "plugins": plugins}
    return (json.dumps(document, indent=2) + "\n").encode()


def missing_plugins(present: Collection[str], filtered_bridge: bool) -> tuple[str, ...]:
    """Which of the needed plugins a directory with these files lacks."""
    needed = ("bridge" if filtered_bridge else "ptp", "host-local", "loopback", "portmap")
    return tuple(name for name in needed if name not in present)

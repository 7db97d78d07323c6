"""Ends UDP flows that the kernel still remembers as going to an endpoint that is gone.

A UDP flow is remembered while packets keep coming, so without this a busy client would talk into the void for ever.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Collection

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from tiphys.proxy.rules import UdpFlow

log = logging.getLogger(__name__)


def forget_stale_flows(flows: Collection[UdpFlow], node_addresses: Collection[str]) -> int:
    """Remove the entries that lead anywhere but to a flow's targets; how many. Blocks while it reads the kernel's
    table."""
    allowed: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for flow in flows:
        for address in [flow.address] if flow.address else node_addresses:
            allowed[address, flow.port] = {(target.address, target.port) for target in flow.targets}
    removed = 0
    with NFCTSocket() as connections:
        # The socket answers one request at a time: read all before deleting any.
        for entry in list(connections.dump(tuple_orig=NFCTAttrTuple(proto=socket.IPPROTO_UDP))):
            original = NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr("CTA_TUPLE_ORIG"))
            targets = allowed.get((original.daddr, original.dport))
            if targets is None:
                continue
            reply = NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr("CTA_TUPLE_REPLY"))
            if (reply.saddr, reply.sport) in targets:
                continue
            try:
                connections.entry("del", tuple_orig=original)
                removed += 1
            except NetlinkError as error:
                log.debug("conntrack entry %s: %s", original, error)
    return removed

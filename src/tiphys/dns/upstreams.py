"""Which name servers questions about the rest of the world go to, from a resolv.conf.

Addresses of our own are left out: asking them would come back to us. So are loopback addresses, which in a network
namespace of our own lead nowhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address

MAXIMUM_UPSTREAMS = 3


@dataclass(frozen=True, slots=True)
class Upstream:
    address: str
    port: int = 53


def parse_upstreams(resolv_conf: str, own_addresses: Collection[str], *, loopback: bool) -> tuple[Upstream, ...]:
    """The usable name servers in order, at most three. `loopback` says whether loopback addresses can be asked."""
    found: list[Upstream] = []
    for line in resolv_conf.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ip_address(words[1].partition("%")[0])
        except ValueError:
            continue
        if str(address) in own_addresses or (address.is_loopback and not loopback):
            continue
        upstream = Upstream(str(address))
        if upstream not in found:
            found.append(upstream)
    return tuple(found[:MAXIMUM_UPSTREAMS])

"""Which address ranges a cluster uses on its machine, and which cluster number is free.

A number k fixes three ranges that the clusters of one machine do not share: the machine network (host and nodes),
the pod network and the service network. Everything else takes its addresses from a `ClusterAddresses` value as
configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network

MAXIMUM_CLUSTERS = 40  # pod networks 10.244 down to 10.205, service networks 10.96 up to 10.135
FIRST_NODE_HOST = 10
NODE_POD_PREFIX_LENGTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAddresses:
    """The ranges of one cluster. The host has the machine network's first address, node i (from 0) the one with host
    part 10 + i."""

    number: int
    machine_cidr: IPv4Network
    pod_cidr: IPv4Network
    service_cidr: IPv4Network

    @property
    def host_address(self) -> IPv4Address:
        """Where the API server answers."""
        return self.machine_cidr[1]

    @property
    def kubernetes_service_address(self) -> IPv4Address:
        return self.service_cidr[1]

    @property
    def dns_service_address(self) -> IPv4Address:
        return self.service_cidr[10]

    def node_address(self, index: int) -> IPv4Address:
        """The address of the index-th node. Raises ValueError when the machine network has no such host."""
        address = self.machine_cidr[FIRST_NODE_HOST] + index
        if index < 0 or address >= self.machine_cidr.broadcast_address:
            raise ValueError(f"the machine network {self.machine_cidr} has no address for node number {index}")
        return address


def cluster_addresses(number: int) -> ClusterAddresses:
    """The ranges of cluster number `number`, from 0 to 39."""
    if not 0 <= number < MAXIMUM_CLUSTERS:
        raise ValueError(f"cluster number {number} is not between 0 and {MAXIMUM_CLUSTERS - 1}")
    return ClusterAddresses(
        number=number,
        machine_cidr=IPv4Network(f"10.201.{number}.0/24"),
        pod_cidr=IPv4Network(f"10.{244 - number}.0.0/16"),
        service_cidr=IPv4Network(f"10.{96 + number}.0.0/16"),
    )


def _overlaps(addresses: ClusterAddresses, taken: Iterable[IPv4Network]) -> bool:
    ranges = (addresses.machine_cidr, addresses.pod_cidr, addresses.service_cidr)
    return any(own.overlaps(other) for other in taken for own in ranges if other.prefixlen > 0)


def free_numbers(taken: Iterable[str]) -> list[int]:
    """The numbers whose ranges meet none of the machine's networks (addresses and routes as CIDRs; default routes do
    not count)."""
    networks = [network for network in (ip_network(each, strict=False) for each in taken) if network.version == 4]
    return [number for number in range(MAXIMUM_CLUSTERS) if not _overlaps(cluster_addresses(number), networks)]

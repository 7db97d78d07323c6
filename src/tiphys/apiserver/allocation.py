"""Cluster addresses and node ports of Services: which are free, which a Service gets, which it gives back.

Nothing is stored but the Services themselves: what is in use follows from them, so it survives restarts and cannot
disagree with them. Between a decision and its write, what was chosen is reserved. ServiceCIDRs add networks;
IPAddresses of others than Services keep theirs from them. Invariant: no two Services have the same cluster address, nor
the same node port and protocol. Specified in "Service ClusterIP allocation", "Extend Service IP Ranges" and "Service".
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.kinds.networking.ip_address import is_of_service
from tiphys.kinds.networking.service_cidr import is_ready
from tiphys.kinds.types.core_v1 import Service, ServicePort, ServiceSpec
from tiphys.kinds.types.networking_v1 import IPAddress, ServiceCIDR
from tiphys.machinery import field_errors
from tiphys.machinery.field_errors import FieldError, Path

NONE = "None"
WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
SPEC = Path("spec")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# (lowest, how many) -> a number in that range
Choose = Callable[[int, int], int]


@dataclass(slots=True)
class Reservation:
    """What a write that is under way holds."""

    addresses: list[str] = field(default_factory=list)
    ports: list[tuple[int, str]] = field(default_factory=list)


class Refused(Exception):
    """The Service cannot get what it asks for."""

    def __init__(self, *findings: FieldError) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = list(findings)


def _family(text: str) -> str:
    return "IPv6" if ":" in text else "IPv4"


def addresses_of(spec: ServiceSpec) -> list[str]:
    """The cluster addresses of a Service (none for headless and external ones)."""
    if spec.type == "ExternalName":
        return []
    given = spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else [])
    return [address for address in given if address and address != NONE]


def ports_of(spec: ServiceSpec) -> list[tuple[int, str]]:
    """The node ports of a Service with their protocols, and its health check port."""
    found = [(port.nodePort, port.protocol or "TCP") for port in spec.ports or () if port.nodePort]
    if spec.healthCheckNodePort:
        found.append((spec.healthCheckNodePort, "TCP"))
    return found


def wants_node_ports(spec: ServiceSpec) -> bool:
    if spec.type == "LoadBalancer":
        return spec.allocateLoadBalancerNodePorts is not False
    return spec.type == "NodePort"


def _refuse_two(spec: ServiceSpec) -> None:
    """Refused: one family is asked for, and two of its kind are named."""
    found = [
        field_errors.invalid(
            SPEC.child("ipFamilyPolicy"),
            spec.ipFamilyPolicy,
            f"must be RequireDualStack or PreferDualStack when multiple {field} are specified",
        )
        for field in ("clusterIPs", "ipFamilies")
        if len(getattr(spec, field) or ()) > 1
    ]
    if found:
        raise Refused(*found)


def _still_prefers(spec: ServiceSpec, old: ServiceSpec) -> bool:
    """A Service that prefers two families has what there was when it said so; another change asks for no more."""
    fields = ("ipFamilyPolicy", "clusterIP", "clusterIPs", "ipFamilies")
    return spec.ipFamilyPolicy == "PreferDualStack" and all(getattr(spec, f) == getattr(old, f) for f in fields)


class ServiceAllocator:
    """`networks` are the Service networks, the primary one first; `port_range` is inclusive. `choose` is randomness."""

    def __init__(self, networks: Sequence[str], port_range: tuple[int, int], choose: Choose) -> None:
        self._own_networks: list[Network] = [ipaddress.ip_network(network) for network in networks]
        self._added_networks: dict[str, list[Network]] = {}
        self._port_range = port_range
        self._choose = choose
        self._addresses: dict[str, int] = {}
        self._ports: dict[tuple[int, str], int] = {}

    # -- what is in use

    def observe(self, old: Service | None, new: Service | None) -> None:
        """A Service appeared, changed or went."""
        if old is not None:
            self._release(addresses_of(old.spec), ports_of(old.spec))
        if new is not None:
            self._take(addresses_of(new.spec), ports_of(new.spec))

    def observe_network(self, old: ServiceCIDR | None, new: ServiceCIDR | None) -> None:
        """A ServiceCIDR appeared, changed or went: what is ready is given out of, after the networks of the start."""
        if old is not None:
            self._added_networks.pop(old.metadata.name or "", None)
        if new is not None and is_ready(new):
            networks = [ipaddress.ip_network(text) for text in new.spec.cidrs or ()]
            self._added_networks[new.metadata.name or ""] = [n for n in networks if n not in self._own_networks]

    def observe_address(self, old: IPAddress | None, new: IPAddress | None) -> None:
        """An IPAddress appeared, changed or went. Those of Services follow from the Services."""
        if old is not None and not is_of_service(old):
            self._release([old.metadata.name or ""], [])
        if new is not None and not is_of_service(new):
            self._take([new.metadata.name or ""], [])

    @property
    def _networks(self) -> list[Network]:
        added = (networks for _, networks in sorted(self._added_networks.items()))
        return [*self._own_networks, *itertools.chain.from_iterable(added)]

    def release(self, reservation: Reservation) -> None:
        """The write has ended; if it succeeded, the Service itself holds what it got."""
        self._release(reservation.addresses, reservation.ports)
        reservation.addresses, reservation.ports = [], []

    def _take(self, addresses: Iterable[str], ports: Iterable[tuple[int, str]]) -> None:
        for address in addresses:
            self._addresses[address] = self._addresses.get(address, 0) + 1
        for port in ports:
            self._ports[port] = self._ports.get(port, 0) + 1

    def _release(self, addresses: Iterable[str], ports: Iterable[tuple[int, str]]) -> None:
        for held, keys in ((self._addresses, addresses), (self._ports, ports)):
            counts: dict[Any, int] = held
            for key in keys:
                left = counts.get(key, 0) - 1
                if left > 0:
                    counts[key] = left
                else:
                    counts.pop(key, None)

    # -- what a Service gets

    def assign(self, new: Service, old: Service | None) -> Reservation:
        """Complete a Service that is about to be written, in place. Refused."""
        reservation = Reservation()
        try:
            self._assign_addresses(new.spec, old.spec if old is not None else None, reservation)
            self._assign_ports(new.spec, old.spec if old is not None else None, reservation)
        except Refused:
            self.release(reservation)
            raise
        return reservation

    def _reserve_address(self, address: str, reservation: Reservation) -> None:
        self._take([address], [])
        reservation.addresses.append(address)

    def _reserve_port(self, port: int, protocol: str, reservation: Reservation) -> None:
        self._take([], [(port, protocol)])
        reservation.ports.append((port, protocol))

    def _assign_addresses(self, spec: ServiceSpec, old: ServiceSpec | None, reservation: Reservation) -> None:
        if spec.type not in WITH_ADDRESS or not self._own_networks:
            return
        if spec.ipFamilyPolicy == "SingleStack":
            _refuse_two(spec)
        if spec.clusterIP == NONE or (spec.clusterIPs or [""])[0] == NONE:
            self._headless(spec)
            return
        if old is not None and _still_prefers(spec, old):
            return
        families = self._families(spec)
        held = set(addresses_of(old)) if old is not None else set()
        given = list(spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else []))
        for position, address in enumerate(given):
            if address not in held:
                self._check_given(address, position)
                self._reserve_address(address, reservation)
        for family in families[len(given) :]:
            address = self._free_address(family)
            self._reserve_address(address, reservation)
            given.append(address)
        spec.clusterIPs = given
        spec.clusterIP = given[0]
        spec.ipFamilies = [_family(address) for address in given]

    def _headless(self, spec: ServiceSpec) -> None:
        spec.clusterIP, spec.clusterIPs = NONE, [NONE]
        primary = _family(str(self._own_networks[0]))
        if not spec.ipFamilies:
            spec.ipFamilies = [primary]
            if not spec.selector and spec.ipFamilyPolicy is None and len(self._own_networks) == 1:
                # Without a selector the endpoints may be of either family.
                spec.ipFamilies = [primary, "IPv4" if primary == "IPv6" else "IPv6"]
                spec.ipFamilyPolicy = "RequireDualStack"
        if spec.ipFamilyPolicy is None:
            spec.ipFamilyPolicy = "SingleStack"

    def _families(self, spec: ServiceSpec) -> list[str]:
        """The families of the addresses that the Service is to have. Refused when the cluster has not got them."""
        available = list(dict.fromkeys(_family(str(network)) for network in self._networks))
        if spec.ipFamilyPolicy is None:
            both = len(spec.ipFamilies or ()) == 2 or len(spec.clusterIPs or ()) == 2
            spec.ipFamilyPolicy = "RequireDualStack" if both else "SingleStack"
        wanted = list(spec.ipFamilies or [_family(address) for address in spec.clusterIPs or ()])
        if not wanted and spec.clusterIP:
            wanted = [_family(spec.clusterIP)]
        for position, family in enumerate(wanted):
            if family not in available:
                detail = "not configured on this cluster"
                raise Refused(field_errors.invalid(SPEC.child("ipFamilies").index(position), family, detail))
        if spec.ipFamilyPolicy == "RequireDualStack" and len(available) < 2:
            detail = "this cluster is not configured for dual-stack services"
            raise Refused(field_errors.invalid(SPEC.child("ipFamilyPolicy"), spec.ipFamilyPolicy, detail))
        wanted = wanted or [available[0]]
        if spec.ipFamilyPolicy in ("RequireDualStack", "PreferDualStack"):
            wanted += [family for family in available if family not in wanted]
        return wanted[: 1 if spec.ipFamilyPolicy == "SingleStack" else 2]

    def _check_given(self, address: str, position: int) -> None:
        path = SPEC.child("clusterIPs").index(position)
        parsed = ipaddress.ip_address(address)
        network = next((n for n in self._networks if parsed.version == n.version and parsed in n), None)
        if network is None:
            words = ", ".join(str(n) for n in self._networks)
            detail = (
                f"failed to allocate IP {address}: the provided IP is not in the valid range."
                f" The range of valid IPs is {words}"
            )
            raise Refused(field_errors.invalid(path, [address], detail))
        if parsed in (network.network_address, network.broadcast_address):
            detail = f"failed to allocate IP {address}: the provided network does not match the current range"
            raise Refused(field_errors.invalid(path, [address], detail))
        if address in self._addresses:
            detail = f"failed to allocate IP {address}: provided IP is already allocated"
            raise Refused(field_errors.invalid(path, [address], detail))

    def _free_address(self, family: str) -> str:
        """An address of the first network that has one left."""
        networks = [network for network in self._networks if _family(str(network)) == family]
        for network in networks:
            found = self._free_address_in(network)
            if found is not None:
                return str(ipaddress.ip_address(found) if family == "IPv4" else ipaddress.IPv6Address(found))
        words = ", ".join(map(str, networks))
        detail = f"failed to allocate a serviceIP: range is full ({words})"
        raise Refused(field_errors.invalid(SPEC.child("clusterIPs"), [], detail))

    def _free_address_in(self, network: Network) -> int | None:
        """An address from the upper part of the network; from the lower part, kept for addresses given by hand, only
        when that is used up."""
        last = network.num_addresses - (2 if network.version == 4 else 1)
        lower = min(max(16, network.num_addresses // 16), 256) if network.num_addresses > 64 else 0
        base = int(network.network_address)
        found = self._probe(base + lower + 1, last - lower)
        return self._probe(base + 1, lower) if found is None and lower else found

    def _probe(self, first: int, count: int) -> int | None:
        if count <= 0:
            return None
        count = min(count, 1 << 20)
        start = self._choose(0, count)
        for step in range(count):
            number = first + (start + step) % count
            if str(ipaddress.ip_address(number)) not in self._addresses:
                return number
        return None

    # -- node ports

    def _assign_ports(self, spec: ServiceSpec, old: ServiceSpec | None, reservation: Reservation) -> None:
        held = set(ports_of(old)) if old is not None else set()
        chosen: dict[int, int] = {}
        for position, port in enumerate(spec.ports or ()):
            path = SPEC.child("ports").index(position).child("nodePort")
            protocol = port.protocol or "TCP"
            if port.nodePort:
                self._check_port(port.nodePort, protocol, path, held, reservation)
                chosen.setdefault(port.port, port.nodePort)
        if wants_node_ports(spec):
            for port in spec.ports or ():
                if not port.nodePort:
                    self._choose_port(port, chosen, held, reservation)
        if spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local":
            path = SPEC.child("healthCheckNodePort")
            if spec.healthCheckNodePort:
                self._check_port(spec.healthCheckNodePort, "TCP", path, held, reservation)
            else:
                spec.healthCheckNodePort = self._free_port("TCP")
                self._reserve_port(spec.healthCheckNodePort, "TCP", reservation)

    def _check_port(
        self, port: int, protocol: str, path: Path, held: set[tuple[int, str]], reservation: Reservation
    ) -> None:
        if (port, protocol) in held:
            return
        low, high = self._port_range
        if not low <= port <= high:
            detail = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
            raise Refused(field_errors.invalid(path, port, detail))
        if (port, protocol) in self._ports:
            raise Refused(field_errors.invalid(path, port, "provided port is already allocated"))
        self._reserve_port(port, protocol, reservation)

    def _choose_port(
        self, port: ServicePort, chosen: dict[int, int], held: set[tuple[int, str]], reservation: Reservation
    ) -> None:
        """The same port number of another protocol gets the same node port when that is free."""
        protocol = port.protocol or "TCP"
        twin = chosen.get(port.port)
        if twin is not None and (twin, protocol) not in self._ports:
            number = twin
        else:
            number = self._free_port(protocol)
        port.nodePort = number
        chosen.setdefault(port.port, number)
        self._reserve_port(number, protocol, reservation)

    def _free_port(self, protocol: str) -> int:
        low, high = self._port_range
        count = high - low + 1
        kept = min(max(16, count // 32), 128) if count > 64 else 0
        for first, some in ((low + kept, count - kept), (low, kept)):
            if some <= 0:
                continue
            start = self._choose(0, some)
            for step in range(some):
                number = first + (start + step) % some
                if (number, protocol) not in self._ports:
                    return number
        raise Refused(field_errors.invalid(SPEC.child("ports"), [], "failed to allocate a nodePort: range is full"))

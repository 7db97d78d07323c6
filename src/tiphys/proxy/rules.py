"""What the packet filter must hold for one Service: chains, sets and map elements, as text of nft's language.

Addresses and ports lead through verdict maps to one chain for each service port, so a packet meets a few lookups
however many services there are. All rules live in one table of ours; the mark that asks for masquerading is set and
cleared in it. A service without endpoints is refused, one whose policy allows only this node's endpoints (and there
are none) is dropped. Headless services and those of type ExternalName have nothing here. How sets of rules become
transactions is `changes.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tiphys.kinds.types import core_v1, discovery_v1
from tiphys.proxy.endpoints import PortEndpoints, Target, port_endpoints

DEFAULT_AFFINITY_SECONDS = 10800
# The name of an empty chain that says which shape the table has: another shape cannot be taken over.
LAYOUT = "layout-1"
_PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesConfig:
    """`family` is "ip" or "ip6". `pod_cidr` holds all pods' addresses ("" when unknown): what asks a cluster address
    from elsewhere is masqueraded, so that answers come back this way. Node ports answer on `node_addresses` alone.
    `masquerade_mark` is one bit. `zone` is the node's, for endpoints' zone hints."""

    table: str = "tiphys"
    family: str = "ip"
    node_name: str = ""
    node_addresses: tuple[str, ...] = ()
    pod_cidr: str = ""
    zone: str = ""
    masquerade_mark: int = 0x4000


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpFlow:
    """A UDP address of a service, and where its flows may go: flows that go elsewhere are stale. `address` is "" for a
    node port."""

    address: str
    port: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRules:
    """`chains`: name -> rules; one name always has the same rules when several services name it. `sets`: name ->
    definition, of sets that the kernel fills itself. `elements`: (map, key) -> value ("" in a set).
    `local_endpoints` is given for a service whose health is asked from outside (its health check node port -> ready
    endpoints on this node)."""

    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    elements: Mapping[tuple[str, str], str] = field(default_factory=dict)
    udp_flows: tuple[UdpFlow, ...] = ()
    health_check: tuple[int, int] | None = None


def base_table(config: RulesConfig) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The table without services: sets and maps (name -> "set ..." or "map ..." definition), and chains (name ->
    body)."""
    address = "ipv4_addr" if config.family == "ip" else "ipv6_addr"
    own = config.family
    mark = hex(config.masquerade_mark)
    lookup = f"{own} daddr . meta l4proto . th dport vmap"
    node_lookup = f"{own} daddr @node_addresses meta l4proto . th dport vmap"
    sets = {
        "service_ips": f"map service_ips {{ type {address} . inet_proto . inet_service : verdict; }}",
        "service_nodeports": "map service_nodeports { type inet_proto . inet_service : verdict; }",
        "endpoints": (
            f"map endpoints {{ type {address} . inet_proto . inet_service . classid : {address} . inet_service; }}"
        ),
        "nodeport_endpoints": (
            f"map nodeport_endpoints {{ type inet_proto . inet_service . classid : {address} . inet_service; }}"
        ),
        "no_endpoint_services": f"map no_endpoint_services {{ type {address} . inet_proto . inet_service : verdict; }}",
        "no_endpoint_nodeports": "map no_endpoint_nodeports { type inet_proto . inet_service : verdict; }",
        "firewall_ips": f"map firewall_ips {{ type {address} . inet_proto . inet_service : verdict; }}",
        "cluster_ips": f"set cluster_ips {{ type {address}; }}",
        "node_addresses": f"set node_addresses {{ type {address}; }}",
        "hairpin": f"set hairpin {{ type {address} . {address}; }}",
    }
    chains = {
        "mark_for_masquerade": f"meta mark set meta mark or {mark}",
        "refuse": "reject",
        LAYOUT: "",
        "services": f"{_off_cluster(config)}{lookup} @service_ips\n{node_lookup} @service_nodeports",
        "checks": (f"{lookup} @firewall_ips\n{lookup} @no_endpoint_services\n{node_lookup} @no_endpoint_nodeports\n"),
        "unknown_ports": f"{own} daddr @cluster_ips meta l4proto {{ tcp, udp, sctp }} reject",
        "prerouting_checks": "type filter hook prerouting priority -110; policy accept;\nct state new jump checks",
        "output_checks": "type filter hook output priority -110; policy accept;\nct state new jump checks",
        "prerouting": "type nat hook prerouting priority -100; policy accept;\njump services",
        "output": "type nat hook output priority -100; policy accept;\njump services",
        # Behind address translation: what still goes to a cluster address asks for a port that no service has.
        "forward": "type filter hook forward priority 0; policy accept;\nct state new jump unknown_ports",
        "output_filter": "type filter hook output priority 0; policy accept;\nct state new jump unknown_ports",
        "postrouting": (
            "type nat hook postrouting priority 100; policy accept;\n"
            f"meta mark and {mark} != 0 meta mark set meta mark xor {mark} masquerade fully-random\n"
            f"ct status dnat {own} saddr . {own} daddr @hairpin masquerade fully-random"
        ),
    }
    return sets, chains


def _off_cluster(config: RulesConfig) -> str:
    """What asks a cluster address from outside the pod network gets its answer through this node."""
    if not config.pod_cidr:
        return ""
    own = config.family
    return f"{own} daddr @cluster_ips {own} saddr != {config.pod_cidr} jump mark_for_masquerade\n"


def base_elements(config: RulesConfig) -> dict[tuple[str, str], str]:
    """The elements that belong to no service."""
    return {("node_addresses", address): "" for address in config.node_addresses if _is_family(config, address)}


def _is_family(config: RulesConfig, address: str) -> bool:
    try:
        return ip_address(address).version == (4 if config.family == "ip" else 6)
    except ValueError:
        return False


def is_proxied(service: core_v1.Service) -> bool:
    """Whether the service has an address of its own that the proxy answers for."""
    spec = service.spec
    return spec.type != "ExternalName" and bool(spec.clusterIP) and spec.clusterIP != "None"


def service_rules(
    service: core_v1.Service, slices: Iterable[discovery_v1.EndpointSlice], config: RulesConfig
) -> ServiceRules:
    """All that one service needs."""
    if not is_proxied(service):
        return ServiceRules()
    builder = _Builder(service, config)
    kept = list(slices)
    family = "IPv4" if config.family == "ip" else "IPv6"
    ready_here = 0
    for port in service.spec.ports or ():
        endpoints = port_endpoints(port, kept, family=family, node_name=config.node_name, zone=config.zone)
        ready_here = max(ready_here, endpoints.local_ready)
        builder.add_port(port, endpoints)
    return ServiceRules(
        chains=builder.chains,
        sets=builder.sets,
        elements=builder.elements,
        udp_flows=tuple(builder.udp_flows),
        health_check=(service.spec.healthCheckNodePort, ready_here) if service.spec.healthCheckNodePort else None,
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256("/".join(str(part) for part in parts).encode()).hexdigest()[:12]


class _Builder:
    """Gathers the rules of one service, port by port."""

    def __init__(self, service: core_v1.Service, config: RulesConfig) -> None:
        self.config = config
        self.spec = service.spec
        self.namespace = service.metadata.namespace or ""
        self.name = service.metadata.name or ""
        self.chains: dict[str, tuple[str, ...]] = {}
        self.sets: dict[str, str] = {}
        self.elements: dict[tuple[str, str], str] = {}
        self.udp_flows: list[UdpFlow] = []
        self.cluster_ips = self._own(self.spec.clusterIPs or [self.spec.clusterIP or ""])
        ingress = (service.status.loadBalancer.ingress if service.status.loadBalancer else None) or ()
        self.load_balancer_ips = self._own([each.ip or "" for each in ingress if each.ipMode in (None, "VIP")])
        self.external_ips = self._own(self.spec.externalIPs or [])
        self.affinity_seconds = self._affinity_seconds()
        self.internal_local = self.spec.internalTrafficPolicy == "Local"
        self.external_local = self.spec.externalTrafficPolicy == "Local"
        for address in self.cluster_ips:
            self.elements["cluster_ips", address] = ""

    def _own(self, addresses: Iterable[str]) -> list[str]:
        return [address for address in addresses if _is_family(self.config, address)]

    def _affinity_seconds(self) -> int:
        """0 without affinity."""
        if self.spec.sessionAffinity != "ClientIP":
            return 0
        client = self.spec.sessionAffinityConfig.clientIP if self.spec.sessionAffinityConfig else None
        return (client.timeoutSeconds if client else None) or DEFAULT_AFFINITY_SECONDS

    def add_port(self, port: core_v1.ServicePort, endpoints: PortEndpoints) -> None:
        protocol = _PROTOCOLS.get(port.protocol or "TCP")
        if protocol is None:
            return
        identity = _digest(self.namespace, self.name, port.name or "", protocol)
        label = f"{identity}-{self.namespace}/{self.name}"[:100]
        self._cluster_addresses(label, protocol, port.port, endpoints)
        node_port = port.nodePort or 0
        if node_port or self.external_ips or self.load_balancer_ips:
            self._outside_addresses(label, protocol, port.port, node_port, endpoints)
        for target in endpoints.local:
            self.elements["hairpin", f"{target.address} . {target.address}"] = ""
        if protocol == "udp":
            self._udp_flows(port.port, node_port, endpoints)

    def _cluster_addresses(self, label: str, protocol: str, port: int, endpoints: PortEndpoints) -> None:
        chosen = endpoints.local if self.internal_local else endpoints.cluster
        for address in self.cluster_ips:
            key = f"{address} . {protocol} . {port}"
            if not chosen:
                self.elements["no_endpoint_services", key] = self._without_endpoints(endpoints)
            elif self.affinity_seconds:
                chain = self._targets_chain(label, protocol, endpoints, local=self.internal_local)
                self.elements["service_ips", key] = f"goto {chain}"
            else:
                self.elements["service_ips", key] = f"goto {self._choice_chain(len(chosen))}"
                self._number("endpoints", key, chosen)

    def _number(self, name: str, key: str, targets: tuple[Target, ...]) -> None:
        for index, target in enumerate(targets):
            self.elements[name, f"{key} . 0:{index:x}"] = f"{target.address} . {target.port}"

    def _choice_chain(self, count: int) -> str:
        """The chain for all addresses with `count` endpoints; its name."""
        chain = f"choose-{count}"
        key = f"{self.config.family} daddr . meta l4proto . th dport . meta priority"
        self.chains[chain] = (
            f"meta priority set numgen random mod {count}",
            f"meta l4proto {{ tcp, udp, sctp }} dnat to {key} map @endpoints",
        )
        return chain

    def _without_endpoints(self, endpoints: PortEndpoints) -> str:
        """Dropped where another node would have served, refused where nobody does."""
        return "drop" if endpoints.cluster else "goto refuse"

    def _outside_addresses(
        self, label: str, protocol: str, port: int, node_port: int, endpoints: PortEndpoints
    ) -> None:
        plain = not self.external_local and not self.affinity_seconds
        for address in (*self.external_ips, *self.load_balancer_ips):
            key = f"{address} . {protocol} . {port}"
            if not endpoints.cluster:
                self.elements["no_endpoint_services", key] = "goto refuse"
            elif plain:
                self._number("endpoints", key, endpoints.cluster)
                self.elements["service_ips", key] = f"goto {self._plain_outside_chain(len(endpoints.cluster))}"
            else:
                self.elements["service_ips", key] = f"goto {self._outside_chain(label, protocol, endpoints)}"
        if node_port:
            key = f"{protocol} . {node_port}"
            if not endpoints.cluster:
                self.elements["no_endpoint_nodeports", key] = "goto refuse"
            elif plain:
                self._number("nodeport_endpoints", key, endpoints.cluster)
                self.elements["service_nodeports", key] = f"goto {self._plain_node_port_chain(len(endpoints.cluster))}"
            else:
                self.elements["service_nodeports", key] = f"goto {self._outside_chain(label, protocol, endpoints)}"
        if self.load_balancer_ips and self.spec.loadBalancerSourceRanges:
            self._firewall(label, protocol, port)

    def _plain_outside_chain(self, count: int) -> str:
        chain = f"outside-{count}"
        self.chains[chain] = ("jump mark_for_masquerade", f"goto {self._choice_chain(count)}")
        return chain

    def _plain_node_port_chain(self, count: int) -> str:
        chain = f"nodeport-{count}"
        key = "meta l4proto . th dport . meta priority"
        self.chains[chain] = (
            "jump mark_for_masquerade",
            f"meta priority set numgen random mod {count}",
            f"meta l4proto {{ tcp, udp, sctp }} dnat to {key} map @nodeport_endpoints",
        )
        return chain

    def _outside_chain(self, label: str, protocol: str, endpoints: PortEndpoints) -> str:
        """The chain of a service's own for connections from outside; its name."""
        chain = f"external-{label}"
        if chain not in self.chains:
            self.chains[chain] = self._outside_rules(label, protocol, endpoints)
        return chain

    def _outside_rules(self, label: str, protocol: str, endpoints: PortEndpoints) -> tuple[str, ...]:
        everywhere = self._targets_chain(label, protocol, endpoints, local=False)
        if not self.external_local:
            return ("jump mark_for_masquerade", f"goto {everywhere}")
        own = self.config.family
        rules = []
        # Pods and the node itself reach all endpoints: the policy is about what comes from outside.
        if self.config.pod_cidr:
            rules.append(f"{own} saddr {self.config.pod_cidr} goto {everywhere}")
        rules.append("fib saddr type local jump mark_for_masquerade")
        rules.append(f"fib saddr type local goto {everywhere}")
        if endpoints.local:
            rules.append(f"goto {self._targets_chain(label, protocol, endpoints, local=True)}")
        else:
            rules.append("drop")
        return tuple(rules)

    def _firewall(self, label: str, protocol: str, port: int) -> None:
        ranges = []
        for text in self.spec.loadBalancerSourceRanges or ():
            network = ip_network(text.strip(), strict=False)
            if network.version == (4 if self.config.family == "ip" else 6):
                ranges.append(str(network))
        chain = f"firewall-{label}"
        # Pods and nodes that use a load balancer's address do not pass the load balancer: the ranges hold for them too.
        allowed = f"{self.config.family} saddr != {{ {', '.join(sorted(set(ranges)))} }} drop" if ranges else "drop"
        self.chains[chain] = (allowed,)
        for address in self.load_balancer_ips:
            self.elements["firewall_ips", f"{address} . {protocol} . {port}"] = f"goto {chain}"

    def _targets_chain(self, label: str, protocol: str, endpoints: PortEndpoints, *, local: bool) -> str:
        """The chain that chooses one of the cluster's or of this node's endpoints; its name."""
        chain = f"{'local' if local else 'service'}-{label}"
        if chain not in self.chains:
            targets = endpoints.local if local else endpoints.cluster
            sticky = self.affinity_seconds
            self.chains[chain] = self._sticky(label, protocol, targets) if sticky else self._random(protocol, targets)
        return chain

    def _random(self, protocol: str, targets: tuple[Target, ...]) -> tuple[str, ...]:
        if len(targets) == 1:
            return (f"meta l4proto {protocol} dnat to {self._destination(targets[0])}",)
        choices = ", ".join(f"{index} : {each.address} . {each.port}" for index, each in enumerate(targets))
        return (f"meta l4proto {protocol} dnat to numgen random mod {len(targets)} map {{ {choices} }}",)

    def _destination(self, target: Target) -> str:
        return f"{target.address}:{target.port}" if self.config.family == "ip" else f"[{target.address}]:{target.port}"

    def _sticky(self, label: str, protocol: str, targets: tuple[Target, ...]) -> tuple[str, ...]:
        """A client goes where it went before; each endpoint keeps the set of its clients, which the kernel fills."""
        own = self.config.family
        address = "ipv4_addr" if own == "ip" else "ipv6_addr"
        known, choices = [], []
        for index, target in enumerate(targets):
            identity = _digest(label, target.address, target.port, self.affinity_seconds)
            chain, clients = f"endpoint-{identity}", f"affinity-{identity}"
            self.sets[clients] = (
                f"set {clients} {{ type {address}; flags dynamic,timeout; timeout {self.affinity_seconds}s; }}"
            )
            self.chains[chain] = (
                f"update @{clients} {{ {own} saddr }}",
                f"meta l4proto {protocol} dnat to {self._destination(target)}",
            )
            known.append(f"{own} saddr @{clients} goto {chain}")
            choices.append(f"{index} : goto {chain}")
        return (*known, f"numgen random mod {len(targets)} vmap {{ {', '.join(choices)} }}")

    def _udp_flows(self, port: int, node_port: int, endpoints: PortEndpoints) -> None:
        inside = endpoints.local if self.internal_local else endpoints.cluster
        for address in self.cluster_ips:
            self.udp_flows.append(UdpFlow(address=address, port=port, targets=inside))
        for address in (*self.external_ips, *self.load_balancer_ips):
            self.udp_flows.append(UdpFlow(address=address, port=port, targets=endpoints.cluster))
        if node_port:
            self.udp_flows.append(UdpFlow(address="", port=node_port, targets=endpoints.cluster))

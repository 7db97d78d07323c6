"""What one service needs of the packet filter."""

from __future__ import annotations

from tiphys.kinds.types import core_v1, discovery_v1, meta_v1
from tiphys.proxy.endpoints import PortEndpoints, Target, port_endpoints
from tiphys.proxy.rules import RulesConfig, ServiceRules, UdpFlow, service_rules

CONFIG = RulesConfig(node_name="here", node_addresses=("10.201.0.10",), pod_cidr="10.244.0.0/16")
HTTP = core_v1.ServicePort(name="http", port=80, protocol="TCP", nodePort=30080)


def service(**spec: object) -> core_v1.Service:
    values = {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "type": "ClusterIP", "ports": [HTTP]} | spec
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="shop"), spec=core_v1.ServiceSpec(**values)
    )


def endpoint(address: str, node: str = "here", **conditions: bool) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[address], nodeName=node, conditions=discovery_v1.EndpointConditions(**conditions)
    )


def endpoint_slice(*endpoints: discovery_v1.Endpoint, protocol: str = "TCP") -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        addressType="IPv4",
        endpoints=list(endpoints),
        ports=[discovery_v1.EndpointPort(name="http", port=8080, protocol=protocol)],
    )


PLAIN = core_v1.ServicePort(name="http", port=80, protocol="TCP")
TWO = endpoint_slice(endpoint("10.244.0.2"), endpoint("10.244.1.3", "there"))


def test_a_plain_service_is_elements_and_a_shared_chain() -> None:
    assert service_rules(service(ports=[PLAIN]), [TWO], CONFIG) == ServiceRules(
        chains={
            "choose-2": (
                "meta priority set numgen random mod 2",
                "meta l4proto { tcp, udp, sctp } dnat to "
                "ip daddr . meta l4proto . th dport . meta priority map @endpoints",
            )
        },
        elements={
            ("cluster_ips", "10.96.0.9"): "",
            ("service_ips", "10.96.0.9 . tcp . 80"): "goto choose-2",
            ("endpoints", "10.96.0.9 . tcp . 80 . 0:0"): "10.244.0.2 . 8080",
            ("endpoints", "10.96.0.9 . tcp . 80 . 0:1"): "10.244.1.3 . 8080",
            ("hairpin", "10.244.0.2 . 10.244.0.2"): "",
        },
    )


def test_node_port_and_external_addresses_are_masqueraded() -> None:
    rules = service_rules(service(type="NodePort", externalIPs=["192.0.2.1", "fd00::1"]), [TWO], CONFIG)
    assert rules.elements["service_nodeports", "tcp . 30080"] == "goto nodeport-2"
    assert rules.elements["nodeport_endpoints", "tcp . 30080 . 0:1"] == "10.244.1.3 . 8080"
    assert rules.elements["service_ips", "192.0.2.1 . tcp . 80"] == "goto outside-2"
    assert rules.chains["outside-2"] == ("jump mark_for_masquerade", "goto choose-2")
    assert rules.chains["nodeport-2"][0] == "jump mark_for_masquerade"
    assert not any("fd00" in key for _, key in rules.elements)


def test_without_endpoints_connections_are_refused() -> None:
    rules = service_rules(service(type="NodePort"), [endpoint_slice(endpoint("10.244.0.2", ready=False))], CONFIG)
    assert rules.chains == {}
    assert rules.elements == {
        ("cluster_ips", "10.96.0.9"): "",
        ("no_endpoint_services", "10.96.0.9 . tcp . 80"): "goto refuse",
        ("no_endpoint_nodeports", "tcp . 30080"): "goto refuse",
    }


def test_internal_policy_local_keeps_to_this_node_or_drops() -> None:
    local = service(ports=[PLAIN], internalTrafficPolicy="Local")
    rules = service_rules(local, [TWO], CONFIG)
    assert rules.elements["service_ips", "10.96.0.9 . tcp . 80"] == "goto choose-1"
    assert rules.elements["endpoints", "10.96.0.9 . tcp . 80 . 0:0"] == "10.244.0.2 . 8080"
    away = service_rules(local, [endpoint_slice(endpoint("10.244.1.3", "there"))], CONFIG)
    assert away.elements["no_endpoint_services", "10.96.0.9 . tcp . 80"] == "drop"


def test_external_policy_local_has_chains_of_its_own_and_a_health_check() -> None:
    rules = service_rules(
        service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32000), [TWO], CONFIG
    )
    (external,) = [name for name in rules.chains if name.startswith("external-")]
    label = external.removeprefix("external-")
    assert rules.chains[external] == (
        f"ip saddr 10.244.0.0/16 goto service-{label}",
        "fib saddr type local jump mark_for_masquerade",
        f"fib saddr type local goto service-{label}",
        f"goto local-{label}",
    )
    assert rules.chains[f"local-{label}"] == ("meta l4proto tcp dnat to 10.244.0.2:8080",)
    assert rules.chains[f"service-{label}"] == (
        "meta l4proto tcp dnat to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.1.3 . 8080 }",
    )
    assert rules.elements["service_nodeports", "tcp . 30080"] == f"goto {external}"
    assert rules.health_check == (32000, 1)


def test_session_affinity_remembers_clients_per_endpoint() -> None:
    rules = service_rules(service(ports=[PLAIN], sessionAffinity="ClientIP"), [TWO], CONFIG)
    assert len(rules.sets) == 2
    for name, definition in rules.sets.items():
        assert definition == f"set {name} {{ type ipv4_addr; flags dynamic,timeout; timeout 10800s; }}"
    (chain,) = [name for name in rules.chains if name.startswith("service-")]
    first, second, choice = rules.chains[chain]
    assert first.startswith("ip saddr @affinity-") and second.startswith("ip saddr @affinity-")
    assert choice.startswith("numgen random mod 2 vmap { 0 : goto endpoint-")
    shorter = service(
        ports=[PLAIN],
        sessionAffinity="ClientIP",
        sessionAffinityConfig=core_v1.SessionAffinityConfig(clientIP=core_v1.ClientIPConfig(timeoutSeconds=10)),
    )
    assert not rules.sets.keys() & service_rules(shorter, [TWO], CONFIG).sets.keys()


def test_source_ranges_guard_the_load_balancer_address() -> None:
    balanced = service(type="LoadBalancer", loadBalancerSourceRanges=["192.0.2.0/24", "fd00::/8"])
    balanced.status = core_v1.ServiceStatus(
        loadBalancer=core_v1.LoadBalancerStatus(
            ingress=[
                core_v1.LoadBalancerIngress(ip="198.51.100.1"),
                core_v1.LoadBalancerIngress(ip="198.51.100.2", ipMode="Proxy"),
            ]
        )
    )
    rules = service_rules(balanced, [TWO], CONFIG)
    (firewall,) = [name for name in rules.chains if name.startswith("firewall-")]
    assert rules.chains[firewall] == ("ip saddr != { 192.0.2.0/24 } drop",)
    assert rules.elements["firewall_ips", "198.51.100.1 . tcp . 80"] == f"goto {firewall}"
    assert not any("198.51.100.2" in key for _, key in rules.elements)


def test_headless_and_external_name_have_nothing() -> None:
    assert service_rules(service(clusterIP="None", clusterIPs=["None"]), [TWO], CONFIG) == ServiceRules()
    assert service_rules(service(type="ExternalName", clusterIP=None), [TWO], CONFIG) == ServiceRules()


def test_the_same_port_by_tcp_and_udp() -> None:
    ports = [PLAIN, core_v1.ServicePort(name="http", port=80, protocol="UDP")]
    rules = service_rules(service(ports=ports), [TWO, endpoint_slice(endpoint("10.244.0.2"), protocol="UDP")], CONFIG)
    assert rules.elements["service_ips", "10.96.0.9 . tcp . 80"] == "goto choose-2"
    assert rules.elements["service_ips", "10.96.0.9 . udp . 80"] == "goto choose-1"
    assert rules.udp_flows == (UdpFlow(address="10.96.0.9", port=80, targets=(Target("10.244.0.2", 8080),)),)


def choose(*endpoints: discovery_v1.Endpoint, zone: str = "") -> PortEndpoints:
    return port_endpoints(PLAIN, [endpoint_slice(*endpoints)], family="IPv4", node_name="here", zone=zone)


def test_endpoints_that_end_serve_only_when_nobody_else_does() -> None:
    ending = endpoint("10.244.0.2", ready=False, serving=True, terminating=True)
    gone = endpoint("10.244.0.3", ready=False, serving=False, terminating=True)
    ready = endpoint("10.244.1.4", "there", ready=True)
    assert choose(ending, gone).cluster == (Target("10.244.0.2", 8080),)
    assert choose(ending, gone, ready) == PortEndpoints(
        cluster=(Target("10.244.1.4", 8080),), local=(Target("10.244.0.2", 8080),), local_ready=0
    )


def test_slices_are_merged_and_other_families_left_out() -> None:
    six = discovery_v1.EndpointSlice(addressType="IPv6", endpoints=[endpoint("fd00::1")], ports=TWO.ports)
    again = endpoint_slice(endpoint("10.244.0.2", ready=False))
    found = port_endpoints(PLAIN, [again, six, TWO], family="IPv4", node_name="here")
    assert found.cluster == (Target("10.244.0.2", 8080), Target("10.244.1.3", 8080))


def test_hints_narrow_the_choice_only_when_all_have_them() -> None:
    def hinted(address: str, zone: str) -> discovery_v1.Endpoint:
        made = endpoint(address, ready=True)
        made.hints = discovery_v1.EndpointHints(forZones=[discovery_v1.ForZone(name=zone)])
        return made

    a, b = hinted("10.244.0.2", "a"), hinted("10.244.0.3", "b")
    assert choose(a, b, zone="a").cluster == (Target("10.244.0.2", 8080),)
    assert len(choose(a, b, zone="c").cluster) == 2
    assert len(choose(a, b, endpoint("10.244.0.4", ready=True), zone="a").cluster) == 3

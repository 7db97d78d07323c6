"""Cluster addresses and node ports."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.apiserver.allocation import Refused, ServiceAllocator
from tiphys.kinds import codec
from tiphys.kinds.types.core_v1 import Service, ServicePort, ServiceSpec
from tiphys.kinds.types.meta_v1 import Condition, ObjectMeta
from tiphys.kinds.types.networking_v1 import (
    IPAddress,
    IPAddressSpec,
    ParentReference,
    ServiceCIDR,
    ServiceCIDRSpec,
    ServiceCIDRStatus,
)


def service(**spec: Any) -> Service:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("ports", [ServicePort(port=80, protocol="TCP")])
    return Service(spec=ServiceSpec(**spec))


def allocator(network: str = "10.0.0.0/29", ports: tuple[int, int] = (30000, 30003)) -> ServiceAllocator:
    return ServiceAllocator([network], ports, lambda low, count: low)


def written(found: ServiceAllocator, new: Service, old: Service | None = None) -> Service:
    """Assign and let the write succeed."""
    reservation = found.assign(new, old)
    found.observe(old, new)
    found.release(reservation)
    return new


def test_addresses_are_given_once_and_come_back() -> None:
    found = allocator()
    made = [written(found, service()) for _ in range(6)]
    assert [one.spec.clusterIP for one in made] == [f"10.0.0.{n}" for n in range(1, 7)]
    assert (made[0].spec.clusterIPs, made[0].spec.ipFamilies, made[0].spec.ipFamilyPolicy) == (
        ["10.0.0.1"],
        ["IPv4"],
        "SingleStack",
    )
    with pytest.raises(Refused, match="range is full"):
        found.assign(service(), None)
    found.observe(made[3], None)
    assert written(found, service()).spec.clusterIP == "10.0.0.4"


@pytest.mark.parametrize("address", ["", "None"])
def test_a_single_stack_is_of_one_family(address: str) -> None:
    found = ServiceAllocator(["10.0.0.0/29", "fd00::/120"], (30000, 30003), lambda low, count: low)
    two = service(clusterIP=address, ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="SingleStack")
    with pytest.raises(Refused) as refused:
        found.assign(two, None)
    assert [str(finding) for finding in refused.value.findings] == [
        'spec.ipFamilyPolicy: Invalid value: "SingleStack":'
        " must be RequireDualStack or PreferDualStack when multiple ipFamilies are specified"
    ]


def test_what_is_reserved_is_not_given_to_others() -> None:
    found = allocator()
    first = service()
    reservation = found.assign(first, None)
    second = service()
    found.assign(second, None)
    assert (first.spec.clusterIP, second.spec.clusterIP) == ("10.0.0.1", "10.0.0.2")
    found.release(reservation)
    third = service()
    found.assign(third, None)
    assert third.spec.clusterIP == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.0.3", "provided IP is already allocated"),
        ("10.1.0.3", "the provided IP is not in the valid range. The range of valid IPs is 10.0.0.0/29"),
        ("10.0.0.0", "the provided network does not match the current range"),
    ],
)
def test_addresses_asked_for(address: str, message: str) -> None:
    found = allocator()
    written(found, service(clusterIP="10.0.0.3", clusterIPs=["10.0.0.3"]))
    with pytest.raises(Refused) as caught:
        found.assign(service(clusterIP=address, clusterIPs=[address]), None)
    assert [finding.field for finding in caught.value.findings] == ["spec.clusterIPs[0]"]
    assert message in str(caught.value)


def test_headless_and_external_services_take_none() -> None:
    found = allocator()
    headless = written(found, service(clusterIP="None", clusterIPs=["None"], selector={"a": "b"}))
    assert (headless.spec.clusterIPs, headless.spec.ipFamilies) == (["None"], ["IPv4"])
    external = written(found, service(type="ExternalName", externalName="example.com", ports=None))
    assert external.spec.clusterIP is None
    assert written(found, service()).spec.clusterIP == "10.0.0.1"


def test_a_service_that_becomes_external_gives_its_address_back() -> None:
    found = allocator()
    old = written(found, service())
    written(found, service(type="ExternalName", externalName="example.com", ports=None), old)
    assert written(found, service()).spec.clusterIP == "10.0.0.1"


def test_an_update_keeps_what_it_has() -> None:
    found = allocator()
    old = written(found, service(type="NodePort"))
    new = service(type="NodePort", clusterIP=old.spec.clusterIP, clusterIPs=old.spec.clusterIPs)
    assert new.spec.ports is not None and old.spec.ports is not None
    new.spec.ports[0].nodePort = old.spec.ports[0].nodePort
    written(found, new, old)
    assert (new.spec.clusterIP, new.spec.ports[0].nodePort) == ("10.0.0.1", 30000)
    with pytest.raises(Refused, match="provided port is already allocated"):
        found.assign(service(type="NodePort", ports=[ServicePort(port=1, nodePort=30000)]), None)


def test_the_same_port_of_two_protocols_shares_its_node_port() -> None:
    found = allocator()
    both = [ServicePort(port=53, protocol="UDP"), ServicePort(port=53, protocol="TCP")]
    made = written(found, service(type="NodePort", ports=both))
    assert [port.nodePort for port in made.spec.ports or ()] == [30000, 30000]


def test_node_ports_asked_for_and_used_up() -> None:
    found = allocator()
    with pytest.raises(Refused, match="The range of valid ports is 30000-30003"):
        found.assign(service(type="NodePort", ports=[ServicePort(port=1, nodePort=80)]), None)
    written(found, service(type="NodePort", ports=[ServicePort(port=n, protocol="TCP") for n in range(4)]))
    with pytest.raises(Refused, match="range is full"):
        found.assign(service(type="NodePort"), None)


def test_a_refused_service_keeps_nothing() -> None:
    found = allocator()
    with pytest.raises(Refused):
        found.assign(service(type="NodePort", ports=[ServicePort(port=1, nodePort=80)]), None)
    assert written(found, service()).spec.clusterIP == "10.0.0.1"


def test_local_balancers_get_a_health_check_port() -> None:
    found = allocator()
    made = written(found, service(type="LoadBalancer", externalTrafficPolicy="Local"))
    assert made.spec.healthCheckNodePort == 30001


def test_two_families_when_the_cluster_has_them() -> None:
    found = ServiceAllocator(["10.0.0.0/29", "fd00::/120"], (30000, 30003), lambda low, count: low)
    made = written(found, service(ipFamilyPolicy="PreferDualStack"))
    assert (made.spec.clusterIPs, made.spec.ipFamilies) == (["10.0.0.1", "fd00::11"], ["IPv4", "IPv6"])
    with pytest.raises(Refused, match="not configured for dual-stack"):
        allocator().assign(service(ipFamilyPolicy="RequireDualStack"), None)


def network(name: str, cidr: str, *, ready: bool = True, ending: bool = False) -> ServiceCIDR:
    condition = Condition(type="Ready", status="True" if ready else "False")
    meta = ObjectMeta(name=name, deletionTimestamp="2026-01-01T00:00:00Z" if ending else None)
    return ServiceCIDR(
        metadata=meta, spec=ServiceCIDRSpec(cidrs=[cidr]), status=ServiceCIDRStatus(conditions=[condition])
    )


def test_networks_are_added_while_they_are_ready() -> None:
    found = allocator("10.0.0.0/30")
    assert [written(found, service()).spec.clusterIP for _ in range(2)] == ["10.0.0.1", "10.0.0.2"]
    young, more = network("more", "10.1.0.0/30", ready=False), network("more", "10.1.0.0/30")
    found.observe_network(None, young)
    with pytest.raises(Refused, match=r"range is full \(10\.0\.0\.0/30\)"):
        found.assign(service(), None)
    found.observe_network(young, more)
    assert written(found, service()).spec.clusterIP == "10.1.0.1"
    assert written(found, service(clusterIP="10.1.0.2")).spec.clusterIP == "10.1.0.2"
    ends = network("more", "10.1.0.0/30", ending=True)
    found.observe_network(more, ends)
    with pytest.raises(Refused, match="range is full"):
        found.assign(service(), None)
    found.observe_network(ends, None)
    with pytest.raises(Refused, match="not in the valid range"):
        found.assign(service(clusterIP="10.1.0.2"), None)


def test_addresses_of_others_are_not_given_out() -> None:
    found = allocator()
    gateway = ParentReference(group="gateway.networking.k8s.io", resource="gateways", namespace="default", name="g")
    of_gateway = IPAddress(metadata=ObjectMeta(name="10.0.0.1"), spec=IPAddressSpec(parentRef=gateway))
    of_service = IPAddress(
        metadata=ObjectMeta(name="10.0.0.2"),
        spec=IPAddressSpec(parentRef=ParentReference(resource="services", namespace="default", name="s")),
    )
    found.observe_address(None, of_gateway)
    found.observe_address(None, of_service)
    assert written(found, service()).spec.clusterIP == "10.0.0.2"
    with pytest.raises(Refused, match="already allocated"):
        found.assign(service(clusterIP="10.0.0.1"), None)
    found.observe_address(of_gateway, None)
    assert written(found, service(clusterIP="10.0.0.1")).spec.clusterIP == "10.0.0.1"


def test_a_second_family_is_given_to_those_who_ask_anew() -> None:
    found = allocator()
    old = written(found, service(ipFamilyPolicy="PreferDualStack"))
    found.observe_network(None, network("six", "fd00::/120"))
    labelled = codec.copy(old)
    labelled.spec.selector = {"app": "web"}
    assert written(found, labelled, old).spec.clusterIPs == old.spec.clusterIPs
    asking = codec.copy(old)
    asking.spec.ipFamilyPolicy = "RequireDualStack"
    assert written(found, asking, labelled).spec.clusterIPs == ["10.0.0.1", "fd00::11"]
    assert written(found, service(ipFamilyPolicy="PreferDualStack")).spec.ipFamilies == ["IPv4", "IPv6"]

"""Addresses, plans, routes and CNI configuration."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.network.addresses import MAXIMUM_CLUSTERS, cluster_addresses, free_numbers
from tiphys.network.cni import PodNetwork, conflist, missing_plugins
from tiphys.network.machine_plan import (
    NodePlan,
    check_cluster,
    host_interface,
    is_owned_namespace,
    machine_plan,
    masquerade_rules,
)
from tiphys.network.routes import RouteChanges, pod_routes, route_changes, service_route

LINK = IPv4Network("10.201.0.0/24")


def node(name: str, address: str = "", cidr: str = "", ready: bool = True) -> core_v1.Node:
    addresses = [core_v1.NodeAddress(type="Hostname", address=name)]
    if address:
        addresses.append(core_v1.NodeAddress(type="InternalIP", address=address))
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name),
        spec=core_v1.NodeSpec(podCIDR=cidr or None, podCIDRs=[cidr] if cidr else None),
        status=core_v1.NodeStatus(
            addresses=addresses,
            conditions=[core_v1.NodeCondition(type="Ready", status="True" if ready else "False")],
        ),
    )


def test_no_two_clusters_share_a_range() -> None:
    ranges = [
        network
        for number in range(MAXIMUM_CLUSTERS)
        for each in [cluster_addresses(number)]
        for network in (each.machine_cidr, each.pod_cidr, each.service_cidr)
    ]
    assert not any(a.overlaps(b) for index, a in enumerate(ranges) for b in ranges[:index])
    assert host_interface(MAXIMUM_CLUSTERS - 1) == "tiphys39"
    with pytest.raises(ValueError, match="40"):
        cluster_addresses(40)


def test_addresses_in_a_cluster() -> None:
    first = cluster_addresses(0)
    assert first.host_address == IPv4Address("10.201.0.1")
    assert first.node_address(2) == IPv4Address("10.201.0.12")
    assert first.kubernetes_service_address == IPv4Address("10.96.0.1")
    assert first.dns_service_address == IPv4Address("10.96.0.10")
    with pytest.raises(ValueError, match="no address for node number 300"):
        first.node_address(300)


def test_taken_numbers_are_passed_over() -> None:
    taken = ["0.0.0.0/0", "10.201.0.0/24", "10.243.7.0/24", "10.98.0.0/15", "fd00::/64", "192.0.2.0/24"]
    assert free_numbers(taken)[:2] == [4, 5]
    assert free_numbers(["10.0.0.0/8"]) == []


def test_the_plan_of_a_machine() -> None:
    plan = machine_plan("ab12", cluster_addresses(1), ["one", "two"])
    assert (plan.switch_namespace, plan.host_interface, plan.table) == ("tiphys-ab12", "tiphys1", "tiphys-ab12")
    assert (plan.host_address, plan.gateway) == ("10.201.1.1/24", "10.201.1.1")
    assert plan.nodes == (
        NodePlan(name="one", namespace="tiphys-ab12-one", address="10.201.1.10/24", port="node0"),
        NodePlan(name="two", namespace="tiphys-ab12-two", address="10.201.1.11/24", port="node1"),
    )
    assert is_owned_namespace("ab12", "tiphys-ab12") and is_owned_namespace("ab12", "tiphys-ab12-one")
    assert not is_owned_namespace("ab1", "tiphys-ab12") and not is_owned_namespace("ab12", "cni-1")
    with pytest.raises(ValueError, match="letters and digits"):
        check_cluster("a-b")


def test_masquerading_is_one_rule_in_a_table_of_its_own() -> None:
    text = masquerade_rules("mine", [IPv4Network("10.244.0.0/16")], [IPv4Network("10.244.0.0/16"), LINK])
    assert text.startswith("table ip mine\ndelete table ip mine\ntable ip mine {\n")
    assert "ip saddr { 10.244.0.0/16 } ip daddr != { 10.244.0.0/16, 10.201.0.0/24 }" in text


def test_routes_lead_to_the_other_nodes_of_the_link() -> None:
    nodes = [
        node("b", "10.201.0.11", "10.244.1.0/24"),
        node("a", "10.201.0.10", "10.244.0.0/24"),
        node("far", "192.0.2.1", "10.244.2.0/24"),
        node("new", "10.201.0.13"),
        node("silent", "", "10.244.4.0/24"),
    ]
    assert pod_routes(nodes, "a", LINK) == {"10.244.1.0/24": "10.201.0.11"}
    assert pod_routes(nodes, "", LINK) == {"10.244.0.0/24": "10.201.0.10", "10.244.1.0/24": "10.201.0.11"}


def test_service_addresses_stay_with_a_ready_node() -> None:
    services = IPv4Network("10.96.0.0/16")
    nodes = [node("b", "10.201.0.11"), node("a", "10.201.0.10"), node("c", "10.201.0.12", ready=False)]
    assert service_route(nodes, services, LINK, "") == {"10.96.0.0/16": "10.201.0.10"}
    assert service_route(nodes, services, LINK, "10.201.0.11") == {"10.96.0.0/16": "10.201.0.11"}
    assert service_route(nodes, services, LINK, "10.201.0.12") == {"10.96.0.0/16": "10.201.0.10"}
    assert service_route([], services, LINK, "10.201.0.11") == {}


def test_only_what_differs_is_changed() -> None:
    applied = {"10.244.0.0/24": "10.201.0.10", "10.244.1.0/24": "10.201.0.11", "10.244.9.0/24": "10.201.0.19"}
    desired = {"10.244.0.0/24": "10.201.0.10", "10.244.1.0/24": "10.201.0.12", "10.244.2.0/24": "10.201.0.13"}
    assert route_changes(applied, desired) == RouteChanges(
        replace=(("10.244.1.0/24", "10.201.0.12"), ("10.244.2.0/24", "10.201.0.13")),
        remove=(("10.244.9.0/24", "10.201.0.19"),),
    )


@pytest.mark.parametrize(("filtered", "kind"), [(True, "bridge"), (False, "ptp")])
def test_pods_are_bridged_only_where_the_bridge_is_filtered(filtered: bool, kind: str) -> None:
    network = PodNetwork(pod_cidr="10.244.3.0/24", data_directory="/state/cni", mtu=1400, filtered_bridge=filtered)
    document = json.loads(conflist(network))
    interface, ports = document["plugins"]
    assert (interface["type"], interface["mtu"], interface["ipMasq"]) == (kind, 1400, False)
    assert interface["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}]]
    assert interface["ipam"]["dataDir"] == "/state/cni"
    assert ports == {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}


def test_missing_plugins_are_named() -> None:
    assert missing_plugins(["bridge", "loopback"], True) == ("host-local", "portmap")

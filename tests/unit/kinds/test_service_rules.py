"""Services of one family and of two: what may change of them, and how their addresses are written."""

from __future__ import annotations

from typing import Any

import pytest
from documents import changed, create_findings, row, stored, told, update_findings

from tiphys.kinds import codec, value_findings
from tiphys.kinds.core import service as services

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"ports": [{"port": 80}]},
}
ONE = {"spec.clusterIPs": ["10.0.0.5"], "spec.ipFamilies": ["IPv4"], "spec.ipFamilyPolicy": "SingleStack"}
TWO = {
    "spec.clusterIPs": ["10.0.0.5", "fd00::5"],
    "spec.ipFamilies": ["IPv4", "IPv6"],
    "spec.ipFamilyPolicy": "RequireDualStack",
}
ADDRESS = {"spec.clusterIP": "10.0.0.5"}
POLICY, SET_ONCE = "spec.ipFamilyPolicy", "may not change once set"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ONE, TWO, []),
        (TWO, ONE, []),
        (
            TWO,
            {**ONE, POLICY: "PreferDualStack"},
            [
                (POLICY, "must be set to 'SingleStack' when releasing the secondary clusterIP"),
                (POLICY, "must be set to 'SingleStack' when releasing the secondary ipFamily"),
            ],
        ),
        (
            TWO,
            {"spec.clusterIPs": ["10.0.0.5", "fd00::6"], "spec.ipFamilies": ["IPv4", "IPv6"]},
            [("spec.clusterIPs[1]", SET_ONCE)],
        ),
        (
            ONE,
            {"spec.clusterIP": "fd00::5", "spec.clusterIPs": ["fd00::5"], "spec.ipFamilies": ["IPv6"]},
            [("spec.clusterIPs[0]", SET_ONCE), ("spec.ipFamilies[0]", SET_ONCE)],
        ),
    ],
)
def test_families_come_and_go_by_the_second(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    old = stored(changed(SERVICE, {**ADDRESS, **before}))
    found = update_findings(old, changed(SERVICE, {**ADDRESS, **after}))
    assert [(field, message.rpartition(": ")[2]) for field, _, message in found] == expected


def test_a_single_stack_alone_gives_back_the_second_family() -> None:
    old = stored(changed(SERVICE, {**ADDRESS, **TWO}))
    new = codec.copy(old)
    new.spec.ipFamilyPolicy = "SingleStack"
    services.prepare_for_update(new, old)
    assert (new.spec.clusterIPs, new.spec.ipFamilies) == (["10.0.0.5"], ["IPv4"])


def test_the_class_of_a_load_balancer_stays() -> None:
    old = stored(changed(SERVICE, {"spec.type": "LoadBalancer", "spec.loadBalancerClass": "acme.io/a"}))
    found = update_findings(old, changed(codec.plain(old), {"spec.loadBalancerClass": "acme.io/b"}))
    assert found == [("spec.loadBalancerClass", "Invalid", f'Invalid value: "acme.io/b": {SET_ONCE}')]


def test_traffic_is_distributed_in_known_ways() -> None:
    assert create_findings(changed(SERVICE, {"spec.trafficDistribution": "PreferFar"})) == [
        (
            "spec.trafficDistribution",
            "NotSupported",
            'Unsupported value: "PreferFar": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"',
        )
    ]


def test_the_two_names_of_topology_hints_agree() -> None:
    hints, mode = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    assert create_findings(changed(SERVICE, {"metadata.annotations": {hints: "auto", mode: "Auto"}})) == [
        (
            f"metadata.annotations[{mode}]",
            "Invalid",
            f'Invalid value: "Auto": must match annotations[{hints}] when both are specified',
        )
    ]


def test_names_may_begin_with_a_digit() -> None:
    assert services.STRATEGY.name_findings is not None
    assert services.STRATEGY.name_findings("1a", False) == []
    assert services.STRATEGY.name_findings("a.b", False) != []


def test_addresses_of_load_balancers_have_a_mode() -> None:
    balancing = changed(SERVICE, {"spec.type": "LoadBalancer"})
    entries = [{"ip": "1.2.3.4", "ipMode": "NAT"}, {"hostname": "b", "ipMode": "VIP"}]
    new = stored(balancing, {"loadBalancer": {"ingress": entries}})
    path = "status.loadBalancer.ingress"
    assert told(services.STRATEGY.validate_status_update(new, new)) == [
        (f"{path}[0].ipMode", "NotSupported", 'Unsupported value: "NAT": supported values: "Proxy", "VIP"'),
        (f"{path}[1].ipMode", "Forbidden", "Forbidden: may not be specified when `ip` is not set"),
    ]
    assert row(new)["External-IP"] == "1.2.3.4,b"
    plain = stored(SERVICE, {"loadBalancer": {"ingress": entries}})
    assert told(services.STRATEGY.validate_status_update(plain, plain)) == [
        (path, "Forbidden", "Forbidden: may only be used when `spec.type` is 'LoadBalancer'")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.5", []),
        ("fd00::5", []),
        ("010.000.000.005", ["must not have leading 0s"]),
        ("::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]),
        ("::ffff:102:304", ["must not be an IPv4-mapped IPv6 address"]),
        ("1.2.3", [value_findings.IP_MESSAGE]),
        ("", [value_findings.IP_MESSAGE]),
        ("fe80::1%eth0", [value_findings.IP_MESSAGE]),
    ],
)
def test_addresses_are_read_alike_by_everybody(text: str, expected: list[str]) -> None:
    assert value_findings.ip_address(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", []),
        ("fd00::/64", []),
        ("0.0.0.0/0", []),
        ("10.0.0.5/8", [value_findings.HOST_BITS]),
        ("010.0.0.0/8", ["must not have leading 0s in IP or prefix length"]),
        ("10.0.0.0/08", ["must not have leading 0s in IP or prefix length"]),
        ("::ffff:1.2.3.4/128", ["must not have an IPv4-mapped IPv6 address"]),
        ("10.0.0.0", [value_findings.CIDR_MESSAGE]),
        ("10.0.0.0/33", [value_findings.CIDR_MESSAGE]),
        ("/8", [value_findings.CIDR_MESSAGE]),
    ],
)
def test_networks_are_read_alike_by_everybody(text: str, expected: list[str]) -> None:
    assert value_findings.cidr(text) == expected


def test_what_was_read_less_strictly_before_may_stay() -> None:
    balancing = {"spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10.0.0.5/8"]}
    old = stored(changed(SERVICE, balancing))
    longer = {**balancing, "spec.loadBalancerSourceRanges": ["10.1.0.0/16", "10.0.0.5/8", "10.0.0.6/8"]}
    assert services.STRATEGY.validate_changed is not None
    found = told(services.STRATEGY.validate_changed(stored(changed(SERVICE, longer)), old))
    assert found == [
        (
            "spec.LoadBalancerSourceRanges[2]",
            "Invalid",
            f'Invalid value: "10.0.0.6/8": {value_findings.HOST_BITS}',
        )
    ]
    assert told(services.STRATEGY.validate_changed(old, old)) == []

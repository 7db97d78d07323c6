"""Networks of Services and the addresses given out of them, as objects."""

from __future__ import annotations

from typing import Any

from tiphys.controllers.service_cidrs import FINALIZER, IN_USE
from tiphys.kinds.types import core_v1, meta_v1, networking_v1


def service(*addresses: str) -> core_v1.Service:
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=core_v1.ServiceSpec(type="ClusterIP", clusterIP=addresses[0], clusterIPs=list(addresses)),
    )


def network(name: str, *cidrs: str) -> networking_v1.ServiceCIDR:
    return networking_v1.ServiceCIDR(
        metadata=meta_v1.ObjectMeta(name=name), spec=networking_v1.ServiceCIDRSpec(cidrs=list(cidrs))
    )


def addresses(cluster: Any) -> dict[str, str]:
    found = cluster.api.list(networking_v1.IPAddress)
    return {each.metadata.name: each.spec.parentRef.name for each in found}


def ready(cluster: Any, name: str) -> tuple[str, str, str] | None:
    found = cluster.api.get(networking_v1.ServiceCIDR, "", name)
    return next(((c.status, c.reason, c.message) for c in found.status.conditions or () if c.type == "Ready"), None)


async def test_addresses_come_and_go_with_their_service(cluster: Any) -> None:
    cluster.api.add(service("10.96.0.5", "fd00::5"))
    other = networking_v1.ParentReference(resource="gateways", name="g", group="example.com")
    held = networking_v1.IPAddress(
        metadata=meta_v1.ObjectMeta(name="10.96.0.9"), spec=networking_v1.IPAddressSpec(parentRef=other)
    )
    cluster.api.add(held)
    await cluster.steps(2)
    assert addresses(cluster) == {"10.96.0.5": "web", "fd00::5": "web", "10.96.0.9": "g"}
    families = [each.metadata.labels for each in cluster.api.list(networking_v1.IPAddress) if each.metadata.labels]
    assert sorted(labels["ipaddress.kubernetes.io/ip-family"] for labels in families) == ["IPv4", "IPv6"]
    cluster.api.change(core_v1.Service, "default", "web", lambda s: s.spec.clusterIPs.pop())
    await cluster.steps(2)
    assert addresses(cluster) == {"10.96.0.5": "web", "10.96.0.9": "g"}
    cluster.api.remove(core_v1.Service, "default", "web")
    await cluster.steps(2)
    assert addresses(cluster) == {"10.96.0.9": "g"}


async def test_headless_services_have_no_address(cluster: Any) -> None:
    cluster.api.add(service("None"))
    await cluster.steps(2)
    assert addresses(cluster) == {}


async def test_a_network_goes_when_nothing_of_it_is_in_use(cluster: Any) -> None:
    cluster.api.add(network("more", "10.200.0.0/24"))
    cluster.api.add(service("10.200.0.5"))
    await cluster.steps(3)
    assert ready(cluster, "more") == ("True", "", "Kubernetes Service CIDR is ready")
    assert cluster.api.get(networking_v1.ServiceCIDR, "", "more").metadata.finalizers == [FINALIZER]
    cluster.api.remove(networking_v1.ServiceCIDR, "", "more")
    await cluster.steps(12)
    assert ready(cluster, "more") == ("False", "Terminating", IN_USE)
    cluster.api.remove(core_v1.Service, "default", "web")
    await cluster.steps(3)
    assert cluster.api.get(networking_v1.ServiceCIDR, "", "more") is None


async def test_a_network_goes_when_another_has_its_addresses(cluster: Any) -> None:
    cluster.api.add(network("small", "10.200.0.0/24"))
    cluster.api.add(service("10.200.0.5"))
    await cluster.steps(3)
    cluster.api.remove(networking_v1.ServiceCIDR, "", "small")
    await cluster.steps(12)
    assert cluster.api.get(networking_v1.ServiceCIDR, "", "small") is not None
    cluster.api.add(network("large", "10.200.0.0/16"))
    await cluster.steps(3)
    assert cluster.api.get(networking_v1.ServiceCIDR, "", "small") is None
    assert addresses(cluster) == {"10.200.0.5": "web"}

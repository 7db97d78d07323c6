"""Which names services, endpoints and pods have."""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.dns.records import Records, Srv, Zone, service_names
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1

DOMAIN = "cluster.local"
KEY = ObjectKey("shop", "web")


def service(**spec: object) -> core_v1.Service:
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name="web", namespace="shop"), spec=core_v1.ServiceSpec(**spec))


def endpoint(address: str, hostname: str | None = None, ready: bool | None = True) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[address], hostname=hostname, conditions=discovery_v1.EndpointConditions(ready=ready)
    )


def endpoint_slice(*endpoints: discovery_v1.Endpoint) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        addressType="IPv4",
        endpoints=list(endpoints),
        ports=[discovery_v1.EndpointPort(name="http", port=8080, protocol="TCP")],
    )


HTTP = core_v1.ServicePort(name="http", port=80, protocol="TCP")


def test_cluster_address() -> None:
    names = service_names(service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"], ports=[HTTP]), [], DOMAIN)
    assert names == {
        "web.shop.svc.cluster.local": Records(a=("10.96.0.9",)),
        "_http._tcp.web.shop.svc.cluster.local": Records(srv=(Srv(80, "web.shop.svc.cluster.local", 0, 100),)),
        "9.0.96.10.in-addr.arpa": Records(ptr=("web.shop.svc.cluster.local",)),
    }


def test_headless_with_hostnames_and_unready_endpoints() -> None:
    slices = [
        endpoint_slice(endpoint("10.244.0.3", "web-0"), endpoint("10.244.0.2"), endpoint("10.244.0.4", None, False))
    ]
    headless = service(clusterIP="None", ports=[HTTP])
    base = "web.shop.svc.cluster.local"
    assert service_names(headless, slices, DOMAIN) == {
        base: Records(a=("10.244.0.2", "10.244.0.3")),
        f"web-0.{base}": Records(a=("10.244.0.3",)),
        f"10-244-0-2.{base}": Records(a=("10.244.0.2",)),
        f"_http._tcp.{base}": Records(srv=(Srv(8080, f"10-244-0-2.{base}", 0, 50), Srv(8080, f"web-0.{base}", 0, 50))),
        "3.0.244.10.in-addr.arpa": Records(ptr=(f"web-0.{base}",)),
    }
    headless.spec.publishNotReadyAddresses = True
    assert service_names(headless, slices, DOMAIN)[base].a == ("10.244.0.2", "10.244.0.3", "10.244.0.4")


def test_external_name_is_a_cname_or_an_address() -> None:
    name = "web.shop.svc.cluster.local"
    external = service(type="ExternalName", externalName="Example.org.")
    assert service_names(external, [], DOMAIN) == {name: Records(cname="example.org")}
    external.spec.externalName = "192.0.2.1"
    assert service_names(external, [], DOMAIN) == {name: Records(a=("192.0.2.1",))}


def test_a_zone_knows_names_above_its_names_and_forgets_them() -> None:
    zone = Zone(DOMAIN)
    zone.set_service(KEY, service_names(service(clusterIP="10.96.0.9", ports=[HTTP]), [], DOMAIN))
    assert zone.lookup("_tcp.web.shop.svc.cluster.local") == Records()
    assert zone.lookup("shop.svc.cluster.local") == Records()
    assert zone.lookup("other.svc.cluster.local") is None
    assert zone.lookup("dns-version.cluster.local") == Records(txt="1.1.0")
    before = zone.serial
    assert zone.set_service(KEY, None)
    assert zone.serial == before + 1
    assert not zone.set_service(KEY, None)
    assert zone.lookup("shop.svc.cluster.local") is None
    assert zone.lookup("web.shop.svc.cluster.local") is None
    assert zone.lookup("svc.cluster.local") == Records()
    assert not zone.contains("9.0.96.10.in-addr.arpa")
    assert not zone.contains("example.org")


def test_a_name_that_two_services_share_has_both_and_keeps_the_other() -> None:
    zone = Zone(DOMAIN)
    reverse = "3.0.244.10.in-addr.arpa"
    for name in ("a", "b"):
        zone.set_service(ObjectKey("shop", name), {reverse: Records(ptr=(f"{name}.x",))})
    assert zone.lookup(reverse) == Records(ptr=("a.x", "b.x"))
    zone.set_service(ObjectKey("shop", "a"), None)
    assert zone.lookup(reverse) == Records(ptr=("b.x",))


def test_pods_have_names_by_address_in_namespaces_that_exist() -> None:
    zone = Zone(DOMAIN)
    zone.set_namespaces(["shop"])
    assert zone.lookup("10-244-0-3.shop.pod.cluster.local") == Records(a=("10.244.0.3",))
    assert zone.lookup("fd00--3.shop.pod.cluster.local") == Records(aaaa=("fd00::3",))
    assert zone.lookup("10-244-0-3.nowhere.pod.cluster.local") is None
    assert zone.lookup("web-0.shop.pod.cluster.local") is None
    assert zone.lookup("shop.pod.cluster.local") == Records()

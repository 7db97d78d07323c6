"""Endpoints and EndpointSlices follow pods."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, discovery_v1, meta_v1


def service(name: str = "web", **spec: Any) -> core_v1.Service:
    ports = [core_v1.ServicePort(name="http", port=80, targetPort="web", protocol="TCP")]
    values: dict[str, Any] = {"selector": {"app": "web"}, "ports": ports, "clusterIP": "10.96.0.9", **spec}
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels={"team": "x"}),
        spec=core_v1.ServiceSpec(**values),
    )


def pod(name: str, port: int = 8080, **spec: Any) -> core_v1.Pod:
    container = core_v1.Container(name="c", image="a", ports=[core_v1.ContainerPort(name="web", containerPort=port)])
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels={"app": "web"}),
        spec=core_v1.PodSpec(containers=[container], nodeName="a", **spec),
    )


def slices(cluster: Any, name: str = "web") -> list[discovery_v1.EndpointSlice]:
    found = cluster.api.list(discovery_v1.EndpointSlice, "default")
    return [s for s in found if (s.metadata.labels or {}).get("kubernetes.io/service-name") == name]


def endpoints_of(slice_: discovery_v1.EndpointSlice) -> list[tuple[Any, ...]]:
    return [
        (e.targetRef.name, e.addresses, e.conditions.ready, e.conditions.serving, e.conditions.terminating)
        for e in slice_.endpoints
    ]


async def test_a_service_without_pods_has_one_empty_slice(cluster: Any) -> None:
    cluster.api.add(service())
    await cluster.quiet()
    [found] = slices(cluster)
    assert (found.addressType, found.endpoints, found.ports) == ("IPv4", [], [])
    assert found.metadata.labels == {
        "team": "x",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found.metadata.ownerReferences[0].kind == "Service"
    assert cluster.api.get(core_v1.Endpoints, "default", "web").subsets is None


async def test_readiness_and_termination_show_as_conditions(cluster: Any) -> None:
    cluster.api.add(service())
    cluster.api.add(pod("p1"))
    cluster.api.add(pod("p2"))
    cluster.ready = lambda p: p.metadata.name == "p1"
    await cluster.steps(2)
    [found] = slices(cluster)
    assert endpoints_of(found) == [
        ("p1", ["10.0.0.1"], True, True, False),
        ("p2", ["10.0.0.2"], False, False, False),
    ]
    assert found.ports == [discovery_v1.EndpointPort(name="http", port=8080, protocol="TCP")]
    assert found.endpoints[0].nodeName == "a"
    [subset] = cluster.api.get(core_v1.Endpoints, "default", "web").subsets
    assert [a.ip for a in subset.addresses] == ["10.0.0.1"]
    assert [a.ip for a in subset.notReadyAddresses] == ["10.0.0.2"]
    cluster.ends_pods = False
    cluster.api.remove(core_v1.Pod, "default", "p1", meta_v1.DeleteOptions(gracePeriodSeconds=30))
    await cluster.quiet()
    [found] = slices(cluster)
    assert endpoints_of(found)[0] == ("p1", ["10.0.0.1"], False, True, True)
    [subset] = cluster.api.get(core_v1.Endpoints, "default", "web").subsets
    assert subset.addresses is None
    assert [a.ip for a in subset.notReadyAddresses] == ["10.0.0.2"]


async def test_pods_with_another_number_behind_a_named_port_have_a_slice_of_their_own(cluster: Any) -> None:
    cluster.api.add(service())
    cluster.api.add(pod("p1", 8080))
    cluster.api.add(pod("p2", 9090))
    await cluster.steps(2)
    found = {s.ports[0].port: [e.targetRef.name for e in s.endpoints] for s in slices(cluster)}
    assert found == {8080: ["p1"], 9090: ["p2"]}
    ports = [s.ports[0].port for s in cluster.api.get(core_v1.Endpoints, "default", "web").subsets]
    assert ports == [8080, 9090]


async def test_a_hundred_endpoints_fill_a_slice_and_removal_touches_one(cluster: Any) -> None:
    for number in range(250):
        cluster.api.add(pod(f"p{number:03d}"))
    cluster.api.add(service())
    await cluster.steps(2)
    assert sorted(len(s.endpoints) for s in slices(cluster)) == [50, 100, 100]
    user = "system:serviceaccount:kube-system:endpointslice-controller"
    before = len(cluster.api.writes(user))
    cluster.api.remove(core_v1.Pod, "default", "p010")
    await cluster.steps(2)
    after = cluster.api.writes(user)[before:]
    assert [c.verb for c in after] == ["update"]
    cluster.api.add(pod("q1"))
    await cluster.steps(2)
    assert sorted(len(s.endpoints) for s in slices(cluster)) in ([51, 99, 100], [50, 100, 100])


async def test_unready_addresses_are_published_when_the_service_says_so(cluster: Any) -> None:
    cluster.api.add(service(publishNotReadyAddresses=True, clusterIP="None"))
    cluster.api.add(pod("p1", hostname="zero", subdomain="web"))
    cluster.ready = lambda p: False
    await cluster.steps(2)
    [found] = slices(cluster)
    assert endpoints_of(found) == [("p1", ["10.0.0.1"], True, False, False)]
    assert found.endpoints[0].hostname == "zero"
    assert found.metadata.labels["service.kubernetes.io/headless"] == ""
    [subset] = cluster.api.get(core_v1.Endpoints, "default", "web").subsets
    assert [(a.ip, a.hostname) for a in subset.addresses] == [("10.0.0.1", "zero")]


async def test_zones_come_from_nodes_and_hints_from_the_wish_to_keep_traffic_near(cluster: Any) -> None:
    cluster.api.add(service(trafficDistribution="PreferSameZone"))
    cluster.api.add(pod("p1"))
    await cluster.steps(2)

    def place(node: core_v1.Node) -> None:
        node.metadata.labels = {"topology.kubernetes.io/zone": "z1"}

    cluster.api.change(core_v1.Node, "", "a", place)
    await cluster.quiet()
    [endpoint] = slices(cluster)[0].endpoints
    assert endpoint.zone == "z1"
    assert endpoint.hints == discovery_v1.EndpointHints(forZones=[discovery_v1.ForZone(name="z1")])


async def test_endpoints_and_slices_go_with_their_service(cluster: Any) -> None:
    cluster.api.add(service())
    cluster.api.add(service("plain", selector=None))
    cluster.api.add(core_v1.Endpoints(metadata=meta_v1.ObjectMeta(name="plain", namespace="default")))
    await cluster.quiet()
    cluster.api.remove(core_v1.Service, "default", "web")
    await cluster.quiet()
    assert slices(cluster) == []
    assert [e.metadata.name for e in cluster.api.list(core_v1.Endpoints)] == ["plain"]


async def test_slices_that_somebody_deletes_come_back(cluster: Any) -> None:
    cluster.api.add(service())
    cluster.api.add(pod("p1"))
    cluster.api.add(pod("p2", port=9090))
    await cluster.steps(2)
    before = sorted((s.ports[0].port, s.endpoints[0].targetRef.name) for s in slices(cluster))
    assert before == [(8080, "p1"), (9090, "p2")]
    for found in slices(cluster):
        cluster.api.remove(discovery_v1.EndpointSlice, "default", found.metadata.name)
    await cluster.steps(2)
    assert sorted((s.ports[0].port, s.endpoints[0].targetRef.name) for s in slices(cluster)) == before


async def test_endpoints_made_by_hand_are_mirrored_as_long_as_they_are_there(cluster: Any) -> None:
    cluster.api.add(service(selector=None))
    ports = [core_v1.EndpointPort(port=80)]
    subset = core_v1.EndpointSubset(ports=ports, addresses=[core_v1.EndpointAddress(ip="192.0.2.3")])
    meta = meta_v1.ObjectMeta(name="web", namespace="default")
    cluster.api.add(core_v1.Endpoints(metadata=meta, subsets=[subset]))
    await cluster.quiet()

    def mirrored() -> list[tuple[Any, ...]]:
        return [([p.port for p in s.ports or ()], [e.addresses for e in s.endpoints]) for s in slices(cluster)]

    assert mirrored() == [([80], [["192.0.2.3"]])]

    def move(endpoints: core_v1.Endpoints) -> None:
        endpoints.subsets = [core_v1.EndpointSubset(ports=ports, addresses=[core_v1.EndpointAddress(ip="192.0.2.4")])]

    cluster.api.change(core_v1.Endpoints, "default", "web", move)
    await cluster.quiet()
    assert mirrored() == [([80], [["192.0.2.4"]])]
    cluster.api.remove(core_v1.Endpoints, "default", "web")
    await cluster.quiet()
    assert slices(cluster) == []

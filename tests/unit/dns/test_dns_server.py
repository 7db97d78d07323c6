"""The server on loopback addresses, asked by dnspython."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tiphys.aio.clock import SystemClock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.interface import ObjectKey
from tiphys.client.io.reflector import InformerSet
from tiphys.dns.component import Dns, DnsConfig
from tiphys.dns.upstreams import Upstream
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1
from tiphys.machinery.errors import ApiError


class Upper(asyncio.DatagramProtocol):
    """Another name server: knows one name, counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heard = asyncio.Event()
        self.silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query.question[0].name.to_text())
        self.heard.set()
        if self.silent:
            return
        answer = dns.message.make_response(query)
        if self.asked[-1] == "example.org.":
            answer.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "A", "192.0.2.7"))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)


class Api:
    """Takes calls and remembers them; `client` of the component."""

    def __init__(self) -> None:
        self.slices: dict[str, discovery_v1.EndpointSlice] = {}
        self.calls: list[str] = []
        self.called: asyncio.Queue[str] = asyncio.Queue()

    def _note(self, verb: str) -> None:
        self.calls.append(verb)
        self.called.put_nowait(verb)

    async def create(self, obj: discovery_v1.EndpointSlice) -> discovery_v1.EndpointSlice:
        self._note("create")
        obj.metadata.resourceVersion = "10"
        self.slices[obj.metadata.name or ""] = obj
        return obj

    async def update(self, obj: discovery_v1.EndpointSlice) -> discovery_v1.EndpointSlice:
        self._note("update")
        obj.metadata.resourceVersion = "20"
        self.slices[obj.metadata.name or ""] = obj
        return obj

    async def delete(self, kind: type[Any], namespace: str, name: str) -> None:
        self._note("delete")
        if self.slices.pop(name, None) is None:
            raise ApiError(code=404, reason="NotFound", message="not found")


class World:
    def __init__(self, component: Dns, informers: InformerSet, upper: Upper, api: Api) -> None:
        self.component, self.informers, self.upper, self.api = component, informers, upper, api

    async def ask(self, name: str, kind: str, tcp: bool = False, **options: Any) -> dns.message.Message:
        query = dns.message.make_query(name, kind, **options)
        address, port = self.component.server.endpoints[0]
        function = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await function(query, address, port=port, timeout=5)


def services() -> list[core_v1.Service]:
    web = core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="shop", resourceVersion="1"),
        spec=core_v1.ServiceSpec(clusterIP="10.96.0.9", ports=[core_v1.ServicePort(name="http", port=80)]),
    )
    outside = core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="outside", namespace="shop", resourceVersion="1"),
        spec=core_v1.ServiceSpec(type="ExternalName", externalName="example.org"),
    )
    inside = core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="inside", namespace="shop", resourceVersion="1"),
        spec=core_v1.ServiceSpec(type="ExternalName", externalName="web.shop.svc.cluster.local"),
    )
    return [web, outside, inside]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    transport, upper = await loop.create_datagram_endpoint(Upper, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    owner, api = TaskOwner("test"), Api()
    informers = InformerSet(api, SystemClock(), owner)  # type: ignore[arg-type]
    faults: list[BaseException] = []
    config = DnsConfig(node_name="node", addresses=("127.0.0.1",), port=0, upstreams=(Upstream("127.0.0.1", port),))
    component = Dns(config, api, informers, SystemClock(), lambda _, error: faults.append(error))  # type: ignore[arg-type]
    await component.start()
    informers.informer(core_v1.Service).replace(services(), "1")
    informers.informer(discovery_v1.EndpointSlice).replace([], "1")
    informers.informer(core_v1.Namespace).replace(
        [core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="shop", resourceVersion="1"))], "1"
    )
    informers.informer(core_v1.Node).replace(
        [core_v1.Node(metadata=meta_v1.ObjectMeta(name="node", uid="u-1", resourceVersion="1"))], "1"
    )
    try:
        yield World(component, informers, upper, api)
    finally:
        await component.stop()
        await owner.close()
        transport.close()
        assert faults == []


async def test_names_of_the_cluster_by_udp_and_tcp(world: World) -> None:
    for tcp in (False, True):
        answer = await world.ask("web.shop.svc.cluster.local", "A", tcp)
        assert [each.to_text() for each in answer.answer] == ["web.shop.svc.cluster.local. 5 IN A 10.96.0.9"]
        assert (await world.ask("no.shop.svc.cluster.local", "A", tcp)).rcode() == dns.rcode.NXDOMAIN
    assert world.upper.asked == []


async def test_other_names_are_asked_for_once_and_kept(world: World) -> None:
    answers = [await world.ask("example.org", "A") for _ in range(3)]
    assert {each.answer[0][0].to_text() for each in answers} == {"192.0.2.7"}
    assert (await world.ask("nowhere.example", "A")).rcode() == dns.rcode.NXDOMAIN
    assert world.upper.asked == ["example.org.", "nowhere.example."]


async def test_an_external_name_is_followed(world: World) -> None:
    outside = await world.ask("outside.shop.svc.cluster.local", "A")
    assert [each.to_text() for each in outside.answer] == [
        "outside.shop.svc.cluster.local. 5 IN CNAME example.org.",
        "example.org. 60 IN A 192.0.2.7",
    ]
    inside = await world.ask("inside.shop.svc.cluster.local", "A")
    assert [each.to_text() for each in inside.answer] == [
        "inside.shop.svc.cluster.local. 5 IN CNAME web.shop.svc.cluster.local.",
        "web.shop.svc.cluster.local. 5 IN A 10.96.0.9",
    ]
    only = await world.ask("outside.shop.svc.cluster.local", "CNAME")
    assert [each.to_text() for each in only.answer] == ["outside.shop.svc.cluster.local. 5 IN CNAME example.org."]


async def test_odd_queries(world: World) -> None:
    assert (await world.ask("web.shop.svc.cluster.local", "A", use_edns=1)).rcode() == dns.rcode.BADVERS
    assert (await world.ask("version.bind", "TXT", rdclass="CH")).rcode() == dns.rcode.REFUSED
    query = dns.message.make_query("web.shop.svc.cluster.local", "A")
    query.set_opcode(dns.opcode.NOTIFY)
    address, port = world.component.server.endpoints[0]
    assert (await dns.asyncquery.udp(query, address, port=port, timeout=5)).rcode() == dns.rcode.NOTIMP


async def test_the_slice_is_made_mended_and_taken_away(world: World) -> None:
    informer = world.informers.informer(discovery_v1.EndpointSlice)
    async with asyncio.timeout(5):
        assert await world.api.called.get() == "create"
    made = world.api.slices["kube-dns-node"]
    _, port = world.component.server.endpoints[0]
    assert made.metadata.labels == {
        "kubernetes.io/service-name": "kube-dns",
        "endpointslice.kubernetes.io/managed-by": "dns.tiphys.dev",
    }
    assert [each.uid for each in made.metadata.ownerReferences or ()] == ["u-1"]
    assert made.endpoints is not None and made.endpoints[0].addresses == ["127.0.0.1"]
    assert [(each.name, each.port, each.protocol) for each in made.ports or ()] == [
        ("dns", port, "UDP"),
        ("dns-tcp", port, "TCP"),
    ]
    informer.observe_delete(ObjectKey("kube-system", "kube-dns-node"), "11")
    async with asyncio.timeout(5):
        assert await world.api.called.get() == "create"
    await world.component.stop()
    assert world.api.slices == {}
    assert world.api.calls[-1] == "delete"


async def test_a_question_that_is_on_its_way_is_not_asked_again(world: World) -> None:
    world.upper.silent = True
    query = dns.message.make_query("slow.example", "A").to_wire()
    asking = [
        asyncio.ensure_future(world.component.forwarder.ask(bytes([0, each]) + query[2:], over_tcp=False))
        for each in range(5)
    ]
    async with asyncio.timeout(5):
        await world.upper.heard.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.upper.asked == ["slow.example."]
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)

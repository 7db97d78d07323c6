"""The proxy's rules in a real kernel, met by real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest
from network_lab import NODE_ADDRESS, POD_CIDR, PODS, Lab, lab, needs_nft, needs_root

from tiphys.aio.clock import SystemClock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.io.reflector import InformerSet
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1
from tiphys.linux.io.nft import open_nft
from tiphys.proxy.component import Proxy, ProxyConfig
from tiphys.proxy.rules import RulesConfig

pytestmark = [pytest.mark.root, needs_root, needs_nft]

RULES = RulesConfig(node_name="node", node_addresses=(NODE_ADDRESS,), pod_cidr=POD_CIDR)
CLUSTER_IP = "10.135.0.20"


@pytest.fixture(scope="module")
def network() -> Iterator[Lab]:
    with lab("tiphysproxy") as made:
        for index in range(len(PODS)):
            made.serve_tcp(f"pod{index}", 8080)
            made.serve_udp(f"pod{index}", 8081)
        yield made


def service(**spec: object) -> core_v1.Service:
    ports = [
        core_v1.ServicePort(name="http", port=80, protocol="TCP", targetPort=8080, nodePort=30080),
        core_v1.ServicePort(name="udp", port=80, protocol="UDP", targetPort=8081, nodePort=30080),
    ]
    values = {"clusterIP": CLUSTER_IP, "clusterIPs": [CLUSTER_IP], "type": "NodePort", "ports": ports} | spec
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", resourceVersion="1"),
        spec=core_v1.ServiceSpec(**values),
    )


def slice_of(addresses: tuple[str, ...], node: str = "node") -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            name="web-1",
            namespace="default",
            resourceVersion="1",
            labels={"kubernetes.io/service-name": "web"},
        ),
        addressType="IPv4",
        endpoints=[
            discovery_v1.Endpoint(
                addresses=[address], nodeName=node, conditions=discovery_v1.EndpointConditions(ready=True)
            )
            for address in addresses
        ],
        ports=[
            discovery_v1.EndpointPort(name="http", port=8080, protocol="TCP"),
            discovery_v1.EndpointPort(name="udp", port=8081, protocol="UDP"),
        ],
    )


class World:
    """A proxy in the node's namespace, fed by hand."""

    def __init__(self, informers: InformerSet, proxy: Proxy) -> None:
        self.informers = informers
        self.proxy = proxy
        self._version = 1

    async def set(self, *objects: object) -> None:
        """Replace all services and slices, and wait until the kernel has it."""
        self._version += 1
        before = self.proxy.health.transactions
        for kind in (core_v1.Service, discovery_v1.EndpointSlice):
            chosen = [each for each in objects if isinstance(each, kind)]
            for each in chosen:
                each.metadata.resourceVersion = str(self._version)
            self.informers.informer(kind).replace(chosen, str(self._version))
        async with asyncio.timeout(10):
            while self.proxy.health.transactions == before:  # noqa: ASYNC110 (a real kernel in real time)
                await asyncio.sleep(0.002)


def in_node(network: Lab, test: Callable[[World], Awaitable[None]]) -> None:
    """Run a test beside a proxy whose packet filter is the node's. Its other steps name their own namespace."""

    async def main() -> None:
        clock, owner = SystemClock(), TaskOwner("test")
        informers = InformerSet(Client(None), clock, owner)  # type: ignore[arg-type]
        faults: list[BaseException] = []
        proxy = Proxy(ProxyConfig(rules=RULES), informers, clock, lambda _, error: faults.append(error))
        await proxy.start()
        try:
            await test(World(informers, proxy))
            assert faults == []
            assert proxy.health.failures == 0
        finally:
            await proxy.stop()
            await proxy.remove()
            await owner.close()
            assert "table ip tiphys" not in open_nft().run("list tables")

    def enter() -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    network.run("node", enter)


def ask(network: Lab, role: str, address: str, port: int, times: int = 1) -> set[tuple[str, str]]:
    return {network.connect(role, address, port) for _ in range(times)}


def test_cluster_address_reaches_every_endpoint_from_pods_node_and_outside(network: Lab) -> None:
    async def scenario(world: World) -> None:
        await world.set(service(), slice_of(PODS))
        from_pod = ask(network, "pod0", CLUSTER_IP, 80, 40)
        # To itself a pod is seen under the bridge's address, to its neighbour under its own.
        assert from_pod == {("pod0", "10.205.0.1"), ("pod1", PODS[0])}
        assert ask(network, "node", CLUSTER_IP, 80, 40) == {("pod0", "10.205.0.1"), ("pod1", "10.205.0.1")}
        # From outside the pod network the answer must come back this way.
        assert ask(network, "outside", CLUSTER_IP, 80, 40) == {("pod0", "10.205.0.1"), ("pod1", "10.205.0.1")}

    in_node(network, scenario)


def test_node_port_answers_on_the_node_address_alone(network: Lab) -> None:
    async def scenario(world: World) -> None:
        await world.set(service(), slice_of(PODS))
        assert ask(network, "outside", NODE_ADDRESS, 30080, 40) == {("pod0", "10.205.0.1"), ("pod1", "10.205.0.1")}
        assert ask(network, "node", NODE_ADDRESS, 30080, 40) == {("pod0", "10.205.0.1"), ("pod1", "10.205.0.1")}
        with pytest.raises(ConnectionRefusedError):
            network.connect("outside", "10.205.0.1", 30080)

    in_node(network, scenario)


def test_external_policy_local_keeps_the_source_and_uses_this_node(network: Lab) -> None:
    async def scenario(world: World) -> None:
        local = slice_of((PODS[0],))
        other = slice_of((PODS[1],), node="elsewhere")
        other.metadata.name = "web-2"
        await world.set(service(externalTrafficPolicy="Local"), local, other)
        assert ask(network, "outside", NODE_ADDRESS, 30080, 20) == {("pod0", "10.201.39.1")}
        assert {who for who, _ in ask(network, "pod0", NODE_ADDRESS, 30080, 40)} == {"pod0", "pod1"}
        await world.set(service(externalTrafficPolicy="Local"), other)
        with pytest.raises(TimeoutError):
            network.connect("outside", NODE_ADDRESS, 30080)

    in_node(network, scenario)


def test_session_affinity_holds_and_moves_on_when_the_endpoint_goes(network: Lab) -> None:
    async def scenario(world: World) -> None:
        await world.set(service(sessionAffinity="ClientIP"), slice_of(PODS))
        (first,) = ask(network, "outside", CLUSTER_IP, 80, 30)
        other = 1 - int(first[0][-1])
        await world.set(service(sessionAffinity="ClientIP"), slice_of((PODS[other],)))
        assert {who for who, _ in ask(network, "outside", CLUSTER_IP, 80, 10)} == {f"pod{other}"}
        # With both back, the client stays where it is now.
        await world.set(service(sessionAffinity="ClientIP"), slice_of(PODS))
        assert {who for who, _ in ask(network, "outside", CLUSTER_IP, 80, 30)} == {f"pod{other}"}

    in_node(network, scenario)


def test_udp_and_stale_flows(network: Lab) -> None:
    async def scenario(world: World) -> None:
        client = network.udp_socket("outside")
        with client:
            client.connect((CLUSTER_IP, 80))
            await world.set(service(), slice_of((PODS[0],)))
            client.send(b"?")
            assert client.recv(512).decode().split()[0] == "pod0"
            await world.set(service(), slice_of((PODS[1],)))
            client.send(b"?")  # the same flow: remembered as going to the pod that is gone
            assert client.recv(512).decode().split()[0] == "pod1"

    in_node(network, scenario)


def test_no_endpoints_and_unknown_ports_are_refused_at_once(network: Lab) -> None:
    async def scenario(world: World) -> None:
        await world.set(service(), slice_of(()))
        for role in ("pod0", "node", "outside"):
            with pytest.raises(ConnectionRefusedError):
                network.connect(role, CLUSTER_IP, 80)
        with pytest.raises(ConnectionRefusedError):
            network.connect("outside", NODE_ADDRESS, 30080)
        await world.set(service(), slice_of(PODS))
        for role in ("pod0", "node"):
            with pytest.raises(ConnectionRefusedError):
                network.connect(role, CLUSTER_IP, 81)
        assert ask(network, "pod0", CLUSTER_IP, 80)

    in_node(network, scenario)


def test_load_balancer_address_and_source_ranges(network: Lab) -> None:
    async def scenario(world: World) -> None:
        balanced = service(type="LoadBalancer", loadBalancerSourceRanges=["10.201.39.1/32"], externalIPs=["192.0.2.9"])
        balanced.status = core_v1.ServiceStatus(
            loadBalancer=core_v1.LoadBalancerStatus(ingress=[core_v1.LoadBalancerIngress(ip="192.0.2.8")])
        )
        await world.set(balanced, slice_of(PODS))
        assert {who for who, _ in ask(network, "outside", "192.0.2.8", 80, 40)} == {"pod0", "pod1"}
        assert {who for who, _ in ask(network, "outside", "192.0.2.9", 80, 40)} == {"pod0", "pod1"}
        with pytest.raises(TimeoutError):
            network.connect("pod0", "192.0.2.8", 80)

    in_node(network, scenario)


def test_other_tables_stay_and_a_restart_takes_over(network: Lab) -> None:
    others = "table ip mine { chain keep { tcp dport 9 accept; }; }\ntable inet tiphys { chain keep { accept; }; }"

    async def scenario(world: World) -> None:
        packet_filter = open_nft()
        packet_filter.run(others)
        before = packet_filter.run("list table ip mine") + packet_filter.run("list table inet tiphys")
        await world.set(service(sessionAffinity="ClientIP"), slice_of(PODS))
        (stuck,) = ask(network, "outside", CLUSTER_IP, 80, 20)
        # Drift: somebody empties the map and adds a chain; another proxy comes up, as after a restart.
        packet_filter.run("flush map ip tiphys service_ips\nadd chain ip tiphys stray\n")
        await world.proxy.stop()
        again = Proxy(ProxyConfig(rules=RULES), world.informers, SystemClock(), lambda *_: None)
        await again.start()
        await again.synced()
        assert ask(network, "outside", CLUSTER_IP, 80, 20) == {stuck}
        assert "stray" not in packet_filter.run("list table ip tiphys")
        await again.stop()
        await again.remove()
        assert packet_filter.run("list table ip mine") + packet_filter.run("list table inet tiphys") == before
        packet_filter.run("delete table ip mine\ndelete table inet tiphys")
        packet_filter.close()

    in_node(network, scenario)


def test_changing_endpoints_never_breaks_a_new_connection(network: Lab) -> None:
    async def scenario(world: World) -> None:
        await world.set(service(), slice_of(PODS))
        failures: list[OSError] = []
        answered = 0
        enough = threading.Event()

        def call() -> None:
            nonlocal answered
            while not enough.is_set():
                try:
                    network.connect("outside", CLUSTER_IP, 80)
                    answered += 1
                except OSError as error:
                    failures.append(error)

        calling = asyncio.get_running_loop().run_in_executor(None, call)
        for turn in range(1, 31):
            await world.set(service(), slice_of((PODS[turn % 2],) if turn % 3 else PODS))
        enough.set()
        await calling
        assert failures == []
        assert answered > 0

    in_node(network, scenario)


def test_sockets_of_the_lab_are_real(network: Lab) -> None:
    with pytest.raises((ConnectionRefusedError, socket.timeout, TimeoutError)):
        network.connect("node", PODS[0], 9)

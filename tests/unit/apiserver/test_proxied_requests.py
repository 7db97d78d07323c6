"""Logs and streams through to a kubelet: answers pass, upgraded connections become pipes, refusals do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from api_world import World

from tiphys.apiserver import proxy_targets
from tiphys.kinds.types import core_v1, meta_v1

POD = "/api/v1/namespaces/default/pods/p"


@dataclass
class Kubelet:
    """Answers as told and echoes what comes over an upgraded connection."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    answer: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            while data := await reader.read(1024):
                if b"101 Switching" in self.answer:
                    writer.write(data.upper())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def kubelet(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubelet]:
    found = Kubelet()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(world.server._proxies, "_tls", lambda target: None)
    original = proxy_targets.Target

    def plain(**values: object) -> proxy_targets.Target:
        return original(**{**values, "https": False})  # type: ignore[arg-type]

    monkeypatch.setattr(proxy_targets, "Target", plain)
    addresses = [core_v1.NodeAddress(type="InternalIP", address="127.0.0.1")]
    endpoints = core_v1.NodeDaemonEndpoints(kubeletEndpoint=core_v1.DaemonEndpoint(Port=found.port))
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n"))
    node.status = core_v1.NodeStatus(addresses=addresses, daemonEndpoints=endpoints)
    await world.client.create(node)
    stored = await world.client.get(core_v1.Node, "", "n")
    node.metadata.resourceVersion = stored.metadata.resourceVersion
    await world.client.update_status(node)
    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="default"))
    pod.spec = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")], nodeName="n")
    await world.client.create(pod)
    yield found
    server.close()


async def test_logs_pass_through(world: World, kubelet: Kubelet) -> None:
    kubelet.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"
    answer = await world.http("GET", f"{POD}/log?tailLines=3")
    assert (answer.code, answer.text, answer.headers["Content-Type"]) == (200, "hello\n", "text/plain")
    assert kubelet.heads[0].startswith("GET /containerLogs/default/p/c?tailLines=3 HTTP/1.1\r\n")


async def test_a_kubelet_that_is_away_is_a_clear_failure(world: World, kubelet: Kubelet) -> None:
    node = await world.client.get(core_v1.Node, "", "n")
    assert node.status.daemonEndpoints is not None
    patch = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
    await world.http("PATCH", "/api/v1/nodes/n/status", patch, media="application/merge-patch+json")
    answer = await world.http("GET", f"{POD}/log")
    assert (answer.code, answer.body["reason"]) == (500, "InternalError")
    assert answer.body["message"].startswith('Get "https://127.0.0.1:1/containerLogs/default/p/c": ')


async def test_an_upgraded_connection_is_a_pipe(world: World, kubelet: Kubelet) -> None:
    kubelet.answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.ports[0])
    writer.write(
        f"POST {POD}/exec?command=sh&stdin=true&stdout=true HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
        "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    for text in (b"hello", b"x" * 300_000):
        writer.write(text)
        assert await reader.readexactly(len(text)) == text.upper()
    assert kubelet.heads[0].startswith("POST /exec/default/p/c?input=1&output=1&command=sh HTTP/1.1\r\n")
    assert "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in kubelet.heads[0]
    writer.transport.abort()


async def test_a_refused_upgrade_leaves_no_pipe(world: World, kubelet: Kubelet) -> None:
    kubelet.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.ports[0])
    upgrade = (
        f"GET {POD}/exec?command=sh&stdout=1 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    writer.write(upgrade.encode() + b"GET /pods HTTP/1.1\r\nHost: h\r\n\r\n")
    text = await asyncio.wait_for(reader.read(), 5)
    assert text.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert text.endswith(b"Connection: close\r\nContent-Length: 2\r\n\r\nno")
    assert len(kubelet.heads) == 1
    writer.transport.abort()


async def test_streams_need_an_upgrade(world: World, kubelet: Kubelet) -> None:
    answer = await world.http("POST", f"{POD}/exec?command=sh&stdout=1")
    assert (answer.code, answer.body["message"]) == (400, "Upgrade request required")


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "DELETE"])
async def test_every_method_passes_through_a_proxy(world: World, kubelet: Kubelet, method: str) -> None:
    kubelet.answer = b"HTTP/1.1 204 No Content\r\nAllow: GET, OPTIONS\r\n\r\n"
    answer = await world.http(method, "/api/v1/nodes/n/proxy/pods")
    assert (answer.code, answer.headers["Allow"]) == (204, "GET, OPTIONS")
    assert kubelet.heads[0].startswith(f"{method} /pods HTTP/1.1")
    assert (await world.http("OPTIONS", "/api/v1/nodes/n")).code == 405
    assert (await world.http("TRACE", "/api/v1/nodes/n/proxy/pods")).code == 405


@pytest.fixture
async def answering_pod(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A pod `web` behind a Service `web`; it answers with the method and path that it was asked with."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"method": request.method, "path": request.path_qs})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    original = proxy_targets.Target
    monkeypatch.setattr(proxy_targets, "Target", lambda **values: original(**{**values, "host": "127.0.0.1"}))
    container = {"name": "c", "image": "i", "ports": [{"containerPort": port}]}
    address = {"phase": "Running", "podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}]}
    part = {
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port}],
        "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}],
    }
    labels = {"kubernetes.io/service-name": "web"}
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    for path, body in (
        ("/api/v1/namespaces/default/pods", {"spec": {"containers": [container]}}),
        ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 80, "targetPort": port}]}}),
        (slices, part),
    ):
        made = await world.http("POST", path, {"metadata": {"name": "web", "labels": labels}, **body})
        assert made.code == 201, made.body
    await world.client.patch(core_v1.Pod, "default", "web", {"status": address}, subresource="status")
    yield
    await runner.cleanup()


@pytest.mark.parametrize("plural", ["pods", "services"])
async def test_pods_and_services_answer_every_method(world: World, answering_pod: None, plural: str) -> None:
    proxy = f"/api/v1/namespaces/default/{plural}/web/proxy"
    for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"):
        answer = await world.http(method, f"{proxy}/some/path/with/{method}")
        assert answer.code == 200
        if method != "HEAD":
            assert answer.body == {"method": method, "path": f"/some/path/with/{method}"}
        answer = await world.http(method, f"{proxy}/?method={method}")
        assert answer.code == 200
    for method in ("DELETE", "OPTIONS", "PATCH", "POST", "PUT"):
        answer = await world.http(method, f"{proxy}?method={method}")
        assert (answer.code, answer.body) == (200, {"method": method, "path": f"/?method={method}"})
    for method in ("GET", "HEAD"):
        url = f"{world.http.base}{proxy}?method={method}"
        async with world.http.session.request(method, url, allow_redirects=False) as redirected:
            assert (redirected.status, redirected.headers["Location"]) == (301, f"{proxy}/?method={method}")

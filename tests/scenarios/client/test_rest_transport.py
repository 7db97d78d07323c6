"""The REST transport against a small server on the loopback: paths, bodies, errors, watches cut anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from tiphys.aio.clock import VirtualClock
from tiphys.client.api import Client
from tiphys.client.interface import ApiRequest, PatchType
from tiphys.client.io import rest
from tiphys.client.io.kubeconfig import KubeconfigError, from_kubeconfig
from tiphys.client.io.rest import FileToken, RestTransport
from tiphys.kinds.types import apps_v1, autoscaling_v1, core_v1, meta_v1
from tiphys.machinery import errors


class Server:
    """Answers what the test says; remembers what came in."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], str, bytes]] = []
        self.status = 200
        self.body = b"{}"
        self.chunks: list[bytes] = []
        self.url = ""
        self.silent = False
        self.release = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        kind = request.headers.get("Content-Type", "")
        self.seen.append((request.method, request.path, dict(request.query), kind, await request.read()))
        self.authorization = request.headers.get("Authorization", "")
        if not self.chunks:
            return web.Response(status=self.status, body=self.body)
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in self.chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        if self.silent:
            await self.release.wait()
        return response


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "resourceVersion": "7"}}


async def test_calls_become_requests_and_answers_structs(server: Server) -> None:
    transport = RestTransport(server.url, token="secret")
    client = Client(transport)
    server.body = json.dumps(POD).encode()
    found = await client.get(core_v1.Pod, "n", "p")
    assert (found.metadata.name, found.metadata.resourceVersion) == ("p", "7")
    assert server.authorization == "Bearer secret"
    await client.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="n")))
    await client.patch(core_v1.Pod, "n", "p", {"metadata": {"labels": {"a": "b"}}}, PatchType.MERGE, "status")
    server.body = b'{"apiVersion":"v1","kind":"Status","status":"Success","details":{"uid":"u"}}'
    gone = await client.delete(core_v1.Node, "", "x/y", meta_v1.DeleteOptions(gracePeriodSeconds=0))
    assert isinstance(gone, meta_v1.Status)
    assert [(m, p, k) for m, p, _, k, _ in server.seen] == [
        ("GET", "/api/v1/namespaces/n/pods/p", ""),
        ("POST", "/api/v1/namespaces/n/pods", "application/json"),
        ("PATCH", "/api/v1/namespaces/n/pods/p/status", "application/merge-patch+json"),
        ("DELETE", "/api/v1/nodes/x/y", "application/json"),
    ]
    assert server.seen[2][4] == b'{"metadata":{"labels":{"a":"b"}}}'
    await transport.close()


async def test_lists_and_subresources_are_decoded_by_what_they_are(server: Server) -> None:
    transport = RestTransport(server.url)
    client = Client(transport)
    items = [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]
    meta = {"resourceVersion": "9", "continue": "more"}
    server.body = json.dumps(
        {"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": meta, "items": items}
    ).encode()
    found = await client.list(apps_v1.Deployment, label_selector="a=b")
    assert [o.metadata.name for o in found.items] == ["a", "b"]
    assert isinstance(found.items[0], apps_v1.Deployment)
    assert (found.resource_version, found.continue_token) == ("9", "more")
    assert server.seen[0][1:3] == ("/apis/apps/v1/deployments", {"labelSelector": "a=b"})
    server.body = b'{"apiVersion":"autoscaling/v1","kind":"Scale","spec":{"replicas":3}}'
    request = ApiRequest(
        verb="get", group="apps", version="v1", resource="deployments", namespace="n", name="d", subresource="scale"
    )
    scale = await transport.call(request)
    assert isinstance(scale, autoscaling_v1.Scale)
    assert scale.spec is not None
    assert scale.spec.replicas == 3
    await transport.close()


async def test_failures_are_api_errors(server: Server) -> None:
    transport = RestTransport(server.url)
    client = Client(transport)
    server.status = 409
    server.body = json.dumps(errors.conflict("pods", "", "p", "moved on").status()).encode()
    with pytest.raises(errors.ApiError, match="moved on") as caught:
        await client.get(core_v1.Pod, "n", "p")
    assert (caught.value.code, caught.value.reason, caught.value.name) == (409, "Conflict", "p")
    server.status, server.body = 502, b"bad gateway"
    with pytest.raises(errors.ApiError, match="bad gateway") as caught:
        await client.get(core_v1.Pod, "n", "p")
    assert caught.value.code == 502
    await transport.close()
    away = RestTransport("http://127.0.0.1:9")
    with pytest.raises(errors.ApiError) as caught:
        await Client(away).get(core_v1.Pod, "n", "p")
    assert (caught.value.code, caught.value.reason) == (0, "Unreachable")
    await away.close()


def event(kind: str, name: str, version: int) -> bytes:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "resourceVersion": str(version)}}
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def test_watch_lines_survive_any_cut_and_an_error_ends_the_watch(server: Server) -> None:
    transport = RestTransport(server.url)
    stream = event("ADDED", "a", 1) + event("MODIFIED", "ä" * 50, 2) + event("BOOKMARK", "", 3)
    expired = json.dumps({"type": "ERROR", "object": errors.expired("too old").status()}).encode() + b"\n"
    stream += expired
    server.chunks = [stream[i : i + 17] for i in range(0, len(stream), 17)]
    seen: list[tuple[str, str | None]] = []
    with pytest.raises(errors.ApiError) as caught:
        async with aclosing(Client(transport).watch(core_v1.Pod, resource_version="5")) as batches:  # type: ignore[type-var]
            async for batch in batches:
                seen += [(e.type, e.object.metadata.resourceVersion) for e in batch]
    assert caught.value.code == 410
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("BOOKMARK", "3")]
    assert server.seen[0][2] == {"watch": "true", "resourceVersion": "5"}
    await transport.close()


async def test_a_watch_that_falls_silent_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bookmarks something comes every minute; a connection that says nothing for longer is dead."""
    monkeypatch.setattr(rest, "SILENCE_SECONDS", 0.05)
    server.silent = True
    server.chunks = [event("ADDED", "a", 1)]
    transport = RestTransport(server.url)
    options = {"allowWatchBookmarks": "true"}
    seen = 0
    with pytest.raises(errors.ApiError) as caught:
        async for batch in Client(transport).watch(core_v1.Pod, options=options):
            seen += len(batch)
    assert (caught.value.code, caught.value.reason, seen) == (0, "Unreachable", 1)
    server.release.set()
    await transport.close()


async def test_events_of_one_chunk_come_as_one_batch(server: Server) -> None:
    transport = RestTransport(server.url)
    server.chunks = [b"".join(event("ADDED", str(n), n) for n in range(1, 20))]
    batches = [len(batch) async for batch in Client(transport).watch(core_v1.Pod)]
    assert batches == [19]
    await transport.close()


async def test_kinds_without_a_struct_are_plain_values(server: Server) -> None:
    transport = RestTransport(server.url)
    server.body = b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"x":1}}'
    request = ApiRequest(verb="get", group="example.com", version="v1", resource="widgets", namespace="n", name="w")
    assert (await transport.call(request))["spec"] == {"x": 1}
    await transport.close()


def test_a_token_file_is_read_again_after_a_while(tmp_path: Any) -> None:
    clock = VirtualClock()
    path = tmp_path / "token"
    path.write_text("one\n")
    token = FileToken(str(path), clock)
    assert token() == "one"
    path.write_text("two")
    assert token() == "one"
    clock._now += 61
    assert token() == "two"


def test_a_kubeconfig_says_what_it_lacks(tmp_path: Any) -> None:
    path = tmp_path / "config"
    document: dict[str, Any] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(document))
    assert from_kubeconfig(path).base_url == "https://127.0.0.1:6443"
    document["users"][0]["user"] = {"exec": {"command": "aws"}}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(KubeconfigError, match="'exec' are not supported"):
        from_kubeconfig(path)
    document["users"][0]["user"] = {"client-certificate-data": base64.b64encode(b"rubbish").decode()}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(KubeconfigError, match="cannot be used"):
        from_kubeconfig(path)
    with pytest.raises(KubeconfigError, match="no context is named 'x'"):
        from_kubeconfig(path, "x")

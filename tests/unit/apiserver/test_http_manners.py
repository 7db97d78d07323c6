"""What every answer has around its body: date, id, how long it may be kept, line breaks for people."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec
import pytest
from api_world import World


async def ask(world: World, method: str, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    async with world.http.session.request(method, world.http.base + path, headers=named) as response:
        return response.status, response.headers.copy(), await response.read()


async def test_nothing_is_said_of_keeping_what_is_small(world: World) -> None:
    for path in ("/api", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/metrics"):
        code, headers, _ = await ask(world, "GET", path)
        assert (code, headers["Cache-Control"]) == (200, "no-cache, private")
        assert not {"Etag", "Vary", "Last-Modified"} & set(headers)


async def test_every_answer_has_a_date_and_an_id(world: World) -> None:
    for path, asked in (("/api/v1/nodes", 200), ("/healthz", 200), ("/nope", 404)):
        code, headers, _ = await ask(world, "GET", path)
        assert (code, headers["Date"]) == (asked, "Tue, 14 Nov 2023 22:13:20 GMT")
        assert uuid.UUID(headers["Audit-Id"]).version == 4
        assert (await ask(world, "GET", path))[1]["Audit-Id"] != headers["Audit-Id"]
        assert (await ask(world, "GET", path, Audit_ID="mine"))[1]["Audit-Id"] == "mine"


@pytest.mark.parametrize("path", ["/api/v1/namespaces", "/apis/apps/v1", "/api/v1/namespaces/nope"])
@pytest.mark.parametrize(
    ("query", "agent", "accept", "indented"),
    [
        ("", "kubectl/v1.37", "", False),
        ("", "curl/8", "", True),
        ("", "Mozilla/5.0 (X11)", "application/json", True),
        ("", "Wget/1.2", "", True),
        ("?pretty=", "curl/8", "", True),
        ("?pretty=false", "curl/8", "", False),
        ("?pretty=nonsense", "curl/8", "", False),
        ("?pretty=T", "x", "", True),
        ("?pretty=1", "x", "", True),
        ("", "x", "application/json;pretty=true", False),
    ],
)
async def test_json_has_line_breaks_for_people(
    world: World, path: str, query: str, agent: str, accept: str, indented: bool
) -> None:
    _, _, plain = await ask(world, "GET", path, User_Agent="x")
    _, _, body = await ask(world, "GET", path + query, User_Agent=agent, Accept=accept)
    assert body == (msgspec.json.format(plain, indent=2) if indented else plain)
    assert body.endswith(b"}" if indented else b"}\n")


async def test_an_accept_header_can_ask_for_line_breaks(world: World) -> None:
    _, _, body = await ask(world, "GET", "/api/v1/namespaces", Accept="application/json;pretty=1")
    assert body.startswith(b'{\n  "kind": "NamespaceList",\n')


async def test_text_is_not_to_be_taken_for_something_else(world: World) -> None:
    _, headers, body = await ask(world, "GET", "/livez?verbose")
    assert (headers["X-Content-Type-Options"], headers["Content-Type"]) == ("nosniff", "text/plain; charset=utf-8")
    assert body.startswith(b"[+]ping ok\n")


async def test_what_is_checked(world: World) -> None:
    _, _, body = await ask(world, "GET", "/readyz?verbose")
    assert body == b"[+]ping ok\n[+]etcd ok\n[+]informer-sync ok\n[+]shutdown ok\nreadyz check passed\n"
    for path in ("/healthz", "/livez"):
        _, _, body = await ask(world, "GET", f"{path}?verbose")
        assert body == b"[+]ping ok\n[+]etcd ok\n%s check passed\n" % path[1:].encode()
    code, headers, body = await ask(world, "GET", "/metrics/slis")
    assert (code, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'kubernetes_healthcheck{name="shutdown",type="readyz"} 1\n' in body


async def test_a_store_that_has_ended_is_seen(world: World) -> None:
    await world.store.close()
    for path in ("/healthz", "/livez", "/readyz"):
        code, _, body = await ask(world, "GET", path)
        assert (code, b"[-]etcd failed: reason withheld\n" in body) == (500, True)
    assert (await ask(world, "GET", "/livez/ping"))[0] == 200

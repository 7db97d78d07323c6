"""HTTP/1.1 as clients really speak it: pipelining, chunks, limits, half requests, and connections that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tiphys.aio.clock import VirtualClock
from tiphys.aio.tasks import TaskOwner
from tiphys.apiserver.io.http import BODY_BYTES_LIMIT, IDLE_SECONDS, SWEEP_SECONDS, HttpConnection, HttpRequest, chunk
from tiphys.apiserver.io.server import HttpServer


@dataclass
class Site:
    """A server whose handler records what it gets."""

    server: HttpServer
    clock: VirtualClock
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: HttpRequest, connection: HttpConnection) -> None:
        self.seen.append((request.method, f"{request.path}?{request.query}", request.body))
        if request.refusal is not None:
            connection.respond(request, request.refusal.code, b"refused")
        elif request.path == "/slow":
            await self.release.wait()
            connection.respond(request, 200, b"slow")
        elif request.path == "/fault":
            raise RuntimeError("a fault")
        elif request.path == "/stream":
            connection.begin_stream(request, b"text/plain")
            for part in (b"one", b"two"):
                connection.write_raw(chunk(part))
            connection.end_stream()
        else:
            connection.respond(request, 200, request.path.encode())


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    clock = VirtualClock()
    owner = TaskOwner("test")
    found: list[Site] = []

    async def handle(request: HttpRequest, connection: HttpConnection) -> None:
        await found[0].handle(request, connection)

    server = HttpServer(handle, [("127.0.0.1", 0)], None, clock, owner)
    found.append(Site(server, clock))
    await server.start()
    yield found[0]
    await server.stop(0.0)
    await owner.close()


class Wire:
    """A client that writes bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, site: Site) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", site.server.ports[0]))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode()
        lines = head.strip().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(lines[0].split(" ")[1]), headers, body

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 5) == b""

    def close(self) -> None:
        self.writer.transport.abort()


async def test_requests_come_in_any_pieces(site: Site) -> None:
    wire = await Wire.to(site)
    for byte in b"GET /a%20b?x=1&y=2#frag HTTP/1.1\r\nHost: h\r\n\r\n":
        wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.answer())[2] == b"/a%20b"
    assert site.seen == [("GET", "/a%20b?x=1&y=2", b"")]
    wire.close()


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    wire = await Wire.to(site)
    host = b"HTTP/1.1\r\nHost: h\r\n"
    wire.send(b"GET /slow %b\r\nGET /b %b\r\nPOST /c %bContent-Length: 2\r\n\r\nhi" % (host, host, host))
    await asyncio.sleep(0)
    site.release.set()
    assert [(await wire.answer())[2] for _ in range(3)] == [b"slow", b"/b", b"/c"]
    assert site.seen[-1] == ("POST", "/c?", b"hi")
    wire.close()


async def test_more_pipelined_requests_than_are_read_at_once(site: Site) -> None:
    wire = await Wire.to(site)
    wire.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" + b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" * 200)
    await asyncio.sleep(0)
    site.release.set()
    answers = [(await wire.answer())[2] for _ in range(201)]
    assert answers == [b"slow"] + [b"/x"] * 200
    wire.close()


async def test_chunked_bodies(site: Site) -> None:
    wire = await Wire.to(site)
    wire.send(b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    await wire.answer()
    assert site.seen == [("POST", "/c?", b"abcde")]
    wire.close()


async def test_a_client_that_asks_first_is_told_to_go_on(site: Site) -> None:
    wire = await Wire.to(site)
    for method in (b"PUT", b"DELETE"):
        wire.send(b"%b /c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n" % method)
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"ok")
        assert (await wire.answer())[0] == 200
    wire.close()


async def test_bodies_have_a_limit(site: Site) -> None:
    wire = await Wire.to(site)
    wire.send(b"POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_LIMIT + 1))
    code, headers, _ = await wire.answer()
    assert (code, headers["connection"]) == (413, "close")
    await site.clock.advance(SWEEP_SECONDS)
    assert await wire.ended()
    wire = await Wire.to(site)
    wire.send(b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(4):
        wire.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
    assert (await wire.answer())[0] == 413
    wire.close()


async def test_headers_have_a_limit(site: Site) -> None:
    wire = await Wire.to(site)
    wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
    assert (await wire.answer())[0] == 431
    wire.close()


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nExpect: a miracle\r\nContent-Length: 2\r\n\r\nhi", 417),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_what_is_no_request_ends_the_connection(site: Site, data: bytes, wanted: int) -> None:
    wire = await Wire.to(site)
    wire.send(data)
    code, headers, _ = await wire.answer()
    assert (code, headers["connection"], site.seen[0][0]) == (wanted, "close", "GET")
    await site.clock.advance(SWEEP_SECONDS)
    assert await wire.ended()


async def test_old_and_closing_clients_get_a_closed_connection(site: Site) -> None:
    old = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    for head in (b"GET /a HTTP/1.0\r\n\r\n", old, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"):
        wire = await Wire.to(site)
        wire.send(head)
        assert (await wire.answer())[2] == b"/a"
        assert await wire.ended()


async def test_head_has_no_body(site: Site) -> None:
    wire = await Wire.to(site)
    wire.send(b"HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n")
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert b"Content-Length: 4\r\n" in head
    assert (await wire.answer())[2] == b"/d"
    wire.close()


async def test_streams_end_and_the_connection_goes_on(site: Site) -> None:
    wire = await Wire.to(site)
    wire.send(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b"chunked" in await wire.reader.readuntil(b"\r\n\r\n")
    assert await wire.reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert (await wire.answer())[2] == b"/d"
    wire.close()


async def test_a_fault_ends_only_its_connection(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    wire = await Wire.to(site)
    wire.send(b"GET /fault HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await wire.answer()
    other = await Wire.to(site)
    other.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await other.answer())[0] == 200
    assert "a fault" in caplog.text
    other.close()


async def test_idle_and_half_sent_connections_are_closed(site: Site) -> None:
    idle, half, busy = [await Wire.to(site) for _ in range(3)]
    half.send(b"GET /a HTTP")
    busy.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    while not site.seen:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await site.clock.advance(IDLE_SECONDS + 10)
    assert await idle.ended()
    assert await half.ended()
    site.release.set()
    assert (await busy.answer())[2] == b"slow"
    busy.close()


async def test_a_stop_lets_requests_finish(site: Site) -> None:
    wire = await Wire.to(site)
    idle = await Wire.to(site)
    wire.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    while not site.seen:  # noqa: ASYNC110
        await asyncio.sleep(0)
    stopping = asyncio.create_task(site.server.stop(5.0))
    assert await idle.ended()
    site.release.set()
    code, headers, body = await wire.answer()
    assert (code, headers["connection"], body) == (200, "close", b"slow")
    await stopping
    assert await wire.ended()

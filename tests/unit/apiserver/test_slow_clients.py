"""Clients that do not read, or read a little: what they cost is bounded, they harm nobody, and only those are cut off
that take nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tiphys.aio.clock import VirtualClock
from tiphys.aio.tasks import TaskOwner
from tiphys.apiserver.io.http import (
    BODY_BYTES_LIMIT,
    PIECE_BYTES,
    RECEIVE_SECONDS,
    STUCK_SECONDS,
    SWEEP_SECONDS,
    HttpConnection,
    HttpRequest,
)
from tiphys.apiserver.io.server import HttpServer

LONG = bytes(range(256)) * (32 * 1024 * 1024 // 256)
GET = b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n"


@dataclass
class Site:
    server: HttpServer
    clock: VirtualClock
    seen: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: HttpRequest, connection: HttpConnection) -> None:
        self.seen.append(request.path)
        if request.path == "/slow":
            await self.release.wait()
        connection.respond(request, 200, LONG if request.path == "/long" else b"short")

    @property
    def connection(self) -> HttpConnection:
        (found,) = self.server.state.connections
        return found


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    clock, owner, found = VirtualClock(), TaskOwner("test"), list[Site]()

    async def handle(request: HttpRequest, connection: HttpConnection) -> None:
        await found[0].handle(request, connection)

    server = HttpServer(handle, [("127.0.0.1", 0)], None, clock, owner)
    found.append(Site(server, clock))
    await server.start()
    yield found[0]
    await server.stop(0.0)
    await owner.close()


async def connected(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that takes little before it reads."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", site.server.ports[0]))
    return await asyncio.open_connection(sock=made, limit=4096)


async def seen(site: Site, count: int) -> None:
    while len(site.seen) < count:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await asyncio.wait_for(reader.readexactly(int(length.split(b":")[1])), 30)


async def test_a_long_answer_waits_for_its_client(site: Site) -> None:
    reader, writer = await connected(site)
    writer.write(GET)
    await seen(site, 1)
    assert site.connection.busy
    assert site.connection.outstanding_bytes <= 2 * PIECE_BYTES
    other, other_writer = await connected(site)
    other_writer.write(b"GET /short HTTP/1.1\r\nHost: h\r\n\r\n")
    assert await answer(other) == b"short"
    assert await answer(reader) == LONG
    writer.transport.abort()
    other_writer.transport.abort()


async def test_answers_that_nobody_reads_hold_up_what_is_asked_after_them(site: Site) -> None:
    reader, writer = await connected(site)
    writer.write(GET * 20)
    await seen(site, 1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(site.seen) == 1
    assert site.connection.outstanding_bytes <= 2 * PIECE_BYTES
    for _ in range(3):
        assert await answer(reader) == LONG
    writer.transport.abort()


async def test_bodies_wait_outside_while_a_request_is_busy(site: Site) -> None:
    _, writer = await connected(site)
    body = b"x" * (BODY_BYTES_LIMIT // 2)
    put = b"PUT /short HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" + put * 10)
    await seen(site, 1)
    while not site.connection.reading_is_paused:  # noqa: ASYNC110
        await asyncio.sleep(0)
    site.release.set()
    await seen(site, 11)
    writer.transport.abort()


async def test_a_client_that_takes_nothing_is_cut_off(site: Site) -> None:
    reader, writer = await connected(site)
    writer.write(GET)
    await seen(site, 1)
    await site.clock.advance(STUCK_SECONDS - SWEEP_SECONDS)
    assert site.connection.busy
    await site.clock.advance(3 * SWEEP_SECONDS)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await answer(reader)
    assert not site.server.state.connections
    writer.transport.abort()


async def test_a_client_that_takes_its_time_gets_everything(site: Site) -> None:
    """Far longer than any deadline, but never for long without having taken something."""
    reader, writer = await connected(site)
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"200" in head
    taken = bytearray()
    while len(taken) < len(LONG):
        taken += await reader.readexactly(min(1024 * 1024, len(LONG) - len(taken)))
        if site.connection.busy:
            await site.clock.advance(STUCK_SECONDS / 2)
    assert taken == LONG
    assert site.clock.monotonic() > 5 * STUCK_SECONDS
    writer.write(b"GET /short HTTP/1.1\r\nHost: h\r\n\r\n")
    assert await answer(reader) == b"short"
    writer.transport.abort()


@pytest.mark.parametrize(
    "begin",
    [b"GET /a HTTP/1.1\r\nHost: h\r\nX: ", b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"],
    ids=["head", "body"],
)
async def test_a_client_that_sends_a_byte_a_second_is_closed_in_the_end(site: Site, begin: bytes) -> None:
    _, writer = await connected(site)
    writer.write(begin)
    while not site.server.state.connections:  # noqa: ASYNC110
        await asyncio.sleep(0)
    start = site.clock.monotonic()
    while site.server.state.connections:
        writer.write(b"a")
        await asyncio.sleep(0)
        await site.clock.advance(1.0)
    assert RECEIVE_SECONDS < site.clock.monotonic() - start <= RECEIVE_SECONDS + 2 * SWEEP_SECONDS
    assert site.seen == []
    writer.transport.abort()


async def test_a_long_answer_is_sent_to_its_end_before_the_server_stops(site: Site) -> None:
    reader, writer = await connected(site)
    writer.write(GET)
    await seen(site, 1)
    stopping = asyncio.create_task(site.server.stop(30.0))
    assert await answer(reader) == LONG
    await stopping
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.transport.abort()


async def test_connections_are_asked_now_and_then_whether_they_still_exist(site: Site) -> None:
    _, writer = await connected(site)
    while not site.server.state.connections:  # noqa: ASYNC110
        await asyncio.sleep(0)
    accepted: socket.socket = site.connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, interval, probes = (
        accepted.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + interval * probes <= 120
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 120_000
    writer.transport.abort()

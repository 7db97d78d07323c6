"""Joins two connections byte for byte: how exec, attach and port-forward pass through a server that does not look
inside.

The client's connection is an HTTP one that asked for an upgrade. The request's head is written to the next server;
from then on both sides are raw. Whoever answers the upgrade (101) is at the far end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import cast

CONNECT_TIMEOUT_SECONDS = 10.0


class Pipe(asyncio.Protocol):
    """One side of a tunnel: what it receives goes to the other side's transport, with back-pressure both ways."""

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self.transport: asyncio.Transport | None = None
        self.peer: Pipe | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self.early.append(data)
        elif not self.peer.transport.is_closing():
            self.peer.transport.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def eof_received(self) -> bool:
        """A half close goes on where the other side can carry one; TLS cannot, and keeps its connection open."""
        other = self.peer.transport if self.peer is not None else None
        if other is None or other.is_closing() or not other.can_write_eof():
            return False
        other.write_eof()
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def join(self, other: Pipe) -> None:
        self.peer, other.peer = other, self
        for one, two in ((self, other), (other, self)):
            for data in one.early:
                assert two.transport is not None
                two.transport.write(data)
            one.early.clear()


def request_head(method: str, target: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of an HTTP/1.1 request as bytes."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def tunnel(
    client: asyncio.Transport,
    head: bytes,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    already_read: bytes = b"",
) -> None:
    """Connect to `host:port`, write `head` (and what was read of the client after its own head), join both
    connections and return when they have ended. OSError when the connection cannot be made: nothing has been written
    to the client then."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    far, near = Pipe(ended), Pipe(ended)
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        await loop.create_connection(lambda: far, host, port, ssl=tls)
    assert far.transport is not None
    near.transport = client
    client.set_protocol(near)
    far.join(near)
    far.transport.write(head + already_read)
    try:
        await ended
    finally:
        for transport in (far.transport, client):
            if not transport.is_closing():
                transport.close()

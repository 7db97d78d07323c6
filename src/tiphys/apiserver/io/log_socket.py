"""Logs over a WebSocket: the kubelet's answer, framed for a client that asked for an upgrade (browsers do)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tiphys.apiserver import websocket
from tiphys.apiserver.io.http import HttpConnection, HttpRequest
from tiphys.machinery import errors

HIGH_WATER_BYTES = 256 * 1024


class _Client(asyncio.Protocol):
    """The client's side once the connection is a WebSocket: it is only written to; what it says is not waited for."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if not self.lost.done():
            self.lost.set_result(None)

    async def writable(self) -> None:
        await self._writable.wait()


def check(request: HttpRequest) -> str:
    """The protocol to speak. ApiError 400 for an upgrade that cannot be served."""
    key, offered = request.headers.get("sec-websocket-key", ""), request.headers.get("sec-websocket-protocol", "")
    protocol = websocket.chosen_protocol(offered)
    if request.headers.get("upgrade", "").lower() != "websocket" or not key:
        raise errors.bad_request("a WebSocket upgrade is wanted")
    if protocol is None:
        raise errors.bad_request(f"none of the protocols is served: {offered}")
    return protocol


async def stream(request: HttpRequest, connection: HttpConnection, protocol: str, chunks: AsyncIterator[bytes]) -> None:
    """Send everything that `chunks` gives, then close. Returns early when the client goes."""
    client = _Client()
    transport = connection.transport
    connection.hijack(client)
    transport.set_write_buffer_limits(HIGH_WATER_BYTES)
    transport.write(websocket.handshake(request.headers["sec-websocket-key"], protocol))
    if connection.reading_is_paused:
        transport.resume_reading()
    sending = asyncio.ensure_future(_send(transport, client, protocol, chunks))
    waiting: list[asyncio.Future[None]] = [sending, client.lost]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()
        transport.close()


async def _send(transport: asyncio.Transport, client: _Client, protocol: str, chunks: AsyncIterator[bytes]) -> None:
    async for data in chunks:
        transport.write(websocket.data_frame(protocol, data))
        await client.writable()
    transport.write(websocket.close_frame())

"""Listens for queries over UDP and TCP. What the zone knows is answered at once, in the receiving call; the rest is
asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tiphys.aio.tasks import TaskOwner
from tiphys.dns.io.forward import Forwarder
from tiphys.dns.io.unusual import followed, question_for, read_unusual
from tiphys.dns.wire import AAAA, ANY, CNAME, SERVFAIL, A, Answerer, Query, failure, parse_query

log = logging.getLogger(__name__)

_IDLE_SECONDS = 10.0
_MAXIMUM_CNAMES = 8
_MAXIMUM_TASKS = 4000


class DnsServer:
    """`addresses` are listened on at `port` (0: a free one, the same for UDP and TCP of an address; see
    `endpoints`)."""

    def __init__(
        self, answerer: Answerer, forwarder: Forwarder, owner: TaskOwner, addresses: Sequence[str], port: int
    ) -> None:
        self.endpoints: list[tuple[str, int]] = []
        self.queries = 0
        self._answerer = answerer
        self._forwarder = forwarder
        self._owner = owner
        self._addresses = tuple(addresses)
        self._port = port
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Raises OSError when an address cannot be listened on."""
        loop = asyncio.get_running_loop()
        try:
            for address in self._addresses:
                server = await asyncio.start_server(self._connection, address, self._port)
                self._servers.append(server)
                port = server.sockets[0].getsockname()[1]
                transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(address, port))
                self._datagrams.append(transport)
                self.endpoints.append((address, port))
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        for transport in self._datagrams:
            transport.close()
        for server in self._servers:
            server.close()
        for writer in list(self._writers):
            writer.close()
        self._datagrams, self._servers = [], []

    def at_once(self, message: bytes, *, over_tcp: bool = False) -> bytes | None:
        """The answer that needs nobody else; None when others must be asked (or dnspython)."""
        self.queries += 1
        query = parse_query(message)
        if query is None or not self._answerer.zone.contains(query.name):
            return None
        if query.type != CNAME and query.type != ANY and self._answerer.external_name(query):
            return None
        return self._answerer.answer(query, over_tcp=over_tcp)

    async def in_time(self, message: bytes, *, over_tcp: bool) -> bytes:
        """The answer to what `at_once` leaves; b"" for none."""
        query = parse_query(message)
        if query is None:
            unusual = read_unusual(message)
            if isinstance(unusual, bytes):
                return unusual
            query = unusual
        zone = self._answerer.zone
        if not zone.contains(query.name):
            return await self._forwarder.ask(message, over_tcp=over_tcp)
        target = self._answerer.external_name(query)
        if query.type in (A, AAAA) and target:
            return await self._follow(query, target, over_tcp, _MAXIMUM_CNAMES)
        return self._answerer.answer(query, over_tcp=over_tcp)

    async def _follow(self, query: Query, target: str, over_tcp: bool, left: int) -> bytes:
        question = question_for(target, query.type)
        inner = parse_query(question)
        if inner is None or not left:
            answer = failure(question, SERVFAIL)
        elif not self._answerer.zone.contains(target):
            answer = await self._forwarder.ask(question, over_tcp=over_tcp)
        elif further := self._answerer.external_name(inner):
            answer = await self._follow(inner, further, True, left - 1)
        else:
            answer = self._answerer.answer(inner, over_tcp=True)
        return followed(query, target, self._answerer.ttl_seconds, answer, over_tcp=over_tcp)

    def later(self, message: bytes, transport: asyncio.DatagramTransport, client: tuple[str, int]) -> None:
        """Answer a datagram when its answer is there."""
        if len(self._owner) >= _MAXIMUM_TASKS:
            transport.sendto(failure(message, SERVFAIL), client)
            return
        self._owner.start(self._send_later(message, transport, client), "query")

    async def _send_later(self, message: bytes, transport: asyncio.DatagramTransport, client: tuple[str, int]) -> None:
        answer = await self.in_time(message, over_tcp=False)
        if answer and not transport.is_closing():
            transport.sendto(answer, client)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client: queries one after the other, until it goes or is idle."""
        self._writers.add(writer)
        try:
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    message = await reader.readexactly(length)
                answer = self.at_once(message, over_tcp=True)
                if answer is None:
                    answer = await self.in_time(message, over_tcp=True)
                if not answer:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            answer = self._server.at_once(data)
        except Exception:
            # One query must never end the service; the client is told at once.
            log.exception("a query of %d bytes failed", len(data))
            answer = failure(data, SERVFAIL)
        if answer is None:
            self._server.later(data, self._transport, addr)
        elif answer:
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        """A client went away before its answer came."""

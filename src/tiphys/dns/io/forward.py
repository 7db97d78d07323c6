"""Asks other name servers: over UDP from a fresh port each time, over TCP when the client came by TCP.

The same question asked again while it is on its way waits for the same answer. That also ends loops: a question that
comes back to us by way of another server waits for itself until the time is over, instead of going round.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.dns.forwarded import AnswerCache, belongs
from tiphys.dns.upstreams import Upstream
from tiphys.dns.wire import SERVFAIL, failure

log = logging.getLogger(__name__)

_TRY_SECONDS = 2.0
_ROUNDS = 2
_MAXIMUM_UNDER_WAY = 2000


class _OneAnswer(asyncio.DatagramProtocol):
    """Sends one query and takes the answer that belongs to it; strangers' datagrams are passed over."""

    def __init__(self, query: bytes, answer: asyncio.Future[bytes]) -> None:
        self._query = query
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.sendto(self._query)  # type: ignore[attr-defined]

    def datagram_received(self, data: bytes, addr: object) -> None:
        if belongs(self._query, data) and not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


class Forwarder:
    """`ask` always gives an answer: the server's, a kept one, or SERVFAIL."""

    def __init__(self, upstreams: Sequence[Upstream], clock: Clock, owner: TaskOwner) -> None:
        self.upstreams = tuple(upstreams)
        self.failures = 0
        self._clock = clock
        self._owner = owner
        self._cache = AnswerCache()
        self._under_way: dict[tuple[bytes, bool], asyncio.Task[bytes]] = {}

    async def ask(self, query: bytes, *, over_tcp: bool) -> bytes:
        """The answer to a whole query message, with the query's identifier."""
        kept = self._cache.get(query, self._clock.monotonic())
        if kept is not None:
            return kept
        key = (query[2:], over_tcp)
        task = self._under_way.get(key)
        if task is None:
            if not self.upstreams or len(self._under_way) >= _MAXIMUM_UNDER_WAY:
                return failure(query, SERVFAIL)
            task = self._owner.start(self._exchange(query, over_tcp), "forward")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        answer = await asyncio.shield(task)
        return query[:2] + answer[2:]

    async def _exchange(self, query: bytes, over_tcp: bool) -> bytes:
        for _ in range(_ROUNDS):
            for upstream in self.upstreams:
                sent = secrets.token_bytes(2) + query[2:]
                try:
                    async with asyncio.timeout(_TRY_SECONDS):
                        answer = await (self._by_tcp if over_tcp else self._by_udp)(upstream, sent)
                except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    log.debug("name server %s: %r", upstream.address, error)
                    continue
                if answer[3] & 0x0F == SERVFAIL and len(self.upstreams) > 1:
                    continue
                self._cache.put(query, answer, self._clock.monotonic())
                return answer
        self.failures += 1
        return failure(query, SERVFAIL)

    async def _by_udp(self, upstream: Upstream, query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _OneAnswer(query, answer), remote_addr=(upstream.address, upstream.port)
        )
        try:
            return await answer
        finally:
            transport.close()

    async def _by_tcp(self, upstream: Upstream, query: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(upstream.address, upstream.port)
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            await writer.drain()
            while True:
                answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                if belongs(query, answer):
                    return answer
        finally:
            writer.close()

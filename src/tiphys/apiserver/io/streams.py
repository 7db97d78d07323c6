"""One watch over HTTP, from its first bytes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.caches import Caches
from tiphys.apiserver.forms import Form, encode_event, shown_entry
from tiphys.apiserver.io.http import PIECE_BYTES, HttpConnection, HttpRequest, chunk, in_task
from tiphys.apiserver.io.watching import WatchHub
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import CacheEvent, Collection
from tiphys.apiserver.watch_options import WatchOptions
from tiphys.kinds.crd import needs_webhook
from tiphys.kinds.resource import Resource
from tiphys.machinery.errors import ApiError

# A watch that has this much of what it was sent not taken yet gets nothing more until it has.
OUTSTANDING_BYTES_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class EncodedPayloads:
    """Events as one chunk of the answer, shared by all watches with the same form."""

    form: Form
    with_bookmarks: bool
    # A watch whose events a webhook converts has a group of its own: it must not be handed what others wait for.
    only_for: Any = None

    @property
    def resource(self) -> Resource:
        return self.form.resource

    def events(self, pending: Sequence[tuple[str, CacheEvent]], now: float) -> bytes:
        form = self.form
        return chunk(b"".join([encode_event(form, event_type, event, now) for event_type, event in pending]))

    def bookmark(self, revision: int) -> bytes | None:
        return chunk(self.form.bookmark(revision, False)) if self.with_bookmarks else None


class WatchStream:
    """Serves one watch. `run` returns when it has ended, whichever way; the answer is then complete."""

    def __init__(
        self,
        hub: WatchHub,
        caches: Caches,
        collection: Collection,
        selection: Selection,
        form: Form,
        options: WatchOptions,
        request: HttpRequest,
        connection: HttpConnection,
        now: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._caches = caches
        self._collection = collection
        self._selection = selection
        self._form = form
        self._payloads = EncodedPayloads(form, options.bookmarks, self if needs_webhook(form.resource) else None)
        self._options = options
        self._request = request
        self._connection = connection
        self._now = now
        self._group: Any = None
        self._position = 0
        self._wake: asyncio.Future[str] | None = None

    # -- a member of its group

    def deliver(self, payload: bytes) -> bool:
        connection = self._connection
        if connection.closed:
            return True
        transport = connection.transport
        if transport.get_write_buffer_size() > OUTSTANDING_BYTES_LIMIT:
            return False
        transport.write(payload)
        return True

    def fell_behind(self, revision: int) -> None:
        self._group = None
        self._position = revision
        self.wake("behind")

    def wake(self, why: str) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(why)

    # -- its course

    async def run(self, stopping: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        connection = self._connection
        connection.begin_stream(self._request, self._form.stream_type.encode())
        self._wake = loop.create_future()
        timer = loop.call_later(self._options.timeout_seconds, self.wake, "timeout")
        lost, stop = (lambda _: self.wake("lost")), (lambda _: self.wake("stop"))
        connection.lost.add_done_callback(lost)
        stopping.add_done_callback(stop)
        try:
            await self._serve(loop)
        except ApiError as error:
            connection.write_raw(chunk(self._form.failure(error.status())))
        finally:
            timer.cancel()
            connection.lost.remove_done_callback(lost)
            stopping.remove_done_callback(stop)
            if self._group is not None:
                self._hub.leave(self._collection, self._group, self)
                self._group = None
        connection.end_stream()

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        await self._begin()
        while True:
            if self._group is None:
                await self._catch_up()
            assert self._wake is not None
            why = await self._wake
            if why == "behind":
                self._wake = loop.create_future()
                continue
            if why in ("timeout", "stop") and self._options.bookmarks and self._group is not None:
                self._connection.write_raw(chunk(self._form.bookmark(self._caches.revision, False)))
            return

    async def _begin(self) -> None:
        """Send what comes before the events to come."""
        options = self._options
        self._position = self._caches.revision
        if not options.initial_events:
            if options.revision is not None:
                self._position = options.revision
            return
        form, now = self._form, self._now()
        entries = await self._hub.initial(self._collection, self._selection, form.resource)
        await self._send(form.event("ADDED", entry, now) for entry in entries)
        if options.bookmark_initial_end:
            await self._send((form.bookmark(self._position, True),))

    async def _catch_up(self) -> None:
        """Send past events until there is nothing between what was sent and what the group gets from now on."""
        while True:
            await self._drained()
            events = await self._hub.past(self._collection, self._selection, self._position)
            if not events:
                break
            self._position = self._caches.revision
            for start in range(0, len(events), 500):
                some = events[start : start + 500]
                await self._hub.ready(self._form.resource, [shown_entry(kind, event) for kind, event in some])
                await self._send(encode_event(self._form, kind, event, self._now()) for kind, event in some)
            if len(events) < 500 and self._position == self._caches.revision:
                break
        if not self._connection.closed:
            self._group = self._hub.join(self._collection, self._selection, self._payloads, self)

    async def _send(self, lines: Iterable[bytes]) -> None:
        """In pieces, as the client takes them."""
        piece: list[bytes] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size >= PIECE_BYTES:
                self._connection.write_raw(chunk(b"".join(piece)))
                await self._drained()
                piece, size = [], 0
                if self._connection.closed:
                    return
        if piece:
            self._connection.write_raw(chunk(b"".join(piece)))
            await self._drained()

    async def _drained(self) -> None:
        """Wait until the client has taken most of what was sent."""
        connection = self._connection
        while not connection.closed and connection.outstanding_bytes > PIECE_BYTES and connection.is_write_paused:
            await in_task()
            await connection.drain()

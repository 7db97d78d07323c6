"""What the drivers that keep the state in this process share: decisions, visibility, watches, compaction by itself.

A write is decided at once, against the state that will be there when all writes under way are durable. It becomes
visible, and its caller hears of it, when the driver says that it is durable. A refusal that rests on a write under way
waits for that write, since it may yet fail. When the driver reports a failure, every write under way fails with it
(later ones rest on earlier ones) and leaves no trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.store.interface import (
    Compacted,
    EventBatch,
    KeyValue,
    RangeResult,
    StoreError,
    StoreEvent,
    StoreUnavailable,
)
from tiphys.store.mvcc import MvccState, Released, check_change, check_create, delete_event, put_event
from tiphys.store.watchers import Watcher, Watchers

log = logging.getLogger(__name__)

COMPACTION_INTERVAL_SECONDS = 300.0
PROGRESS_INTERVAL_SECONDS = 1.0
"""Watches on which nothing happens hear this often how far the store has come, if it has."""

SUPERSEDED_LIMIT_BYTES = 64 * 1024 * 1024
"""More history than this is compacted before its time, down to half."""

_CHECKS_PER_INTERVAL = 2

Decision: TypeAlias = Callable[[KeyValue | None, int], StoreEvent]
"""Turns what is at the key and the next revision into the change, or raises the refusal."""


class WatchStream:
    """One watch as its reader sees it: an async iterator of batches, ended by `aclose`, by the store's end, or by its
    reader forgetting it (the store holds on to it only while somebody waits for a batch)."""

    def __init__(self, store: EmbeddedStore, watcher: Watcher) -> None:
        self.watcher = watcher
        self._store = store
        self._waiting: asyncio.Future[None] | None = None
        self._ended = False
        self._progress_due = False

    def __aiter__(self) -> WatchStream:
        return self

    async def __anext__(self) -> EventBatch:
        while not self._ended:
            if self.watcher.behind or self._progress_due:
                batch = self._take()
                if batch is not None:
                    return batch
                continue
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            self._store.awaited.add(self)
            try:
                await self._waiting
            finally:
                self._waiting = None
                self._store.awaited.discard(self)
        raise StopAsyncIteration

    def _take(self) -> EventBatch | None:
        """The next batch; None after a stretch of history without events, when more history is left to look through."""
        first = not self.watcher.started
        self._progress_due = False
        try:
            batch = self.watcher.take()
        except Compacted:
            self.end()
            raise
        return batch if batch.events or first or not self.watcher.behind else None

    def wake(self) -> None:
        """There is something to take."""
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def progress(self, revision: int) -> None:
        """Tell the reader how far the store has come, when it did not hear of that."""
        if self.watcher.revision < revision:
            self._progress_due = True
            self.wake()

    def end(self) -> None:
        self._ended = True
        self._store.forget(self.watcher)
        self.wake()

    async def aclose(self) -> None:
        """End the watch."""
        self.end()


class EmbeddedStore:
    """The `Store` protocol over an `MvccState`. A driver opens it (`_opened`), makes writes durable (`_persist`,
    answered by `_committed` or `_failed` on the event loop, in order) and lets go of what compaction released
    (`_release`)."""

    def __init__(self, *, clock: Clock, compaction_interval_seconds: float, name: str) -> None:
        self._clock = clock
        self._compaction_interval_seconds = compaction_interval_seconds
        self._state = MvccState()
        self._watchers = Watchers()
        self._streams: dict[Watcher, weakref.ref[WatchStream]] = {}
        self.awaited: set[WatchStream] = set()
        self._name = name
        self._tasks = TaskOwner(name)
        self._serving = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_revision = self._state.revision + 1
        self._pending: dict[str, StoreEvent] = {}
        self._under_way: deque[tuple[StoreEvent, asyncio.Future[int]]] = deque()
        self._advanced = asyncio.Event()

    # What a driver gives.

    def _persist(self, event: StoreEvent) -> None:
        raise NotImplementedError

    def _release(self, released: Released) -> None:
        raise NotImplementedError

    # What a driver calls.

    def _opened(self, state: MvccState) -> None:
        """Begin to serve this state."""
        self._state = state
        self._next_revision = state.revision + 1
        self._serving = True
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskOwner(self._name)
        self._tasks.start(self._compact_by_itself(), "compaction")
        self._tasks.start(self._report_progress(), "progress")

    def _committed(self, count: int) -> None:
        """The `count` oldest writes under way are durable: make them visible, then tell their callers."""
        state, pending, under_way = self._state, self._pending, self._under_way
        settled = [under_way.popleft() for _ in range(count)]
        events = []
        for event, _ in settled:
            state.apply(event)
            events.append(event)
            if pending.get(event.kv.key) is event:
                del pending[event.kv.key]
        for watcher in self._watchers.publish(events):
            stream = self._streams[watcher]()
            if stream is not None:
                stream.wake()
        for event, future in settled:
            if not future.done():
                future.set_result(event.kv.mod_revision)
        self._advanced.set()
        if state.superseded_bytes > SUPERSEDED_LIMIT_BYTES:
            self._compact_to((state.compact_revision + state.revision) // 2)

    def _failed(self, reason: str) -> None:
        """Nothing of what is under way became durable: undo it."""
        failed = list(self._under_way)
        self._under_way.clear()
        self._pending.clear()
        self._next_revision = self._state.revision + 1
        for _, future in failed:
            if not future.done():
                future.set_exception(StoreUnavailable(reason))
                future.exception()  # a caller that gave up leaves nobody to hear of it

    async def _ended(self) -> None:
        """End the watches and the tasks; the driver has let the writes under way finish."""
        self._end_streams()
        await self._tasks.close()

    def _end_streams(self) -> None:
        for stream in self._open_streams():
            stream.end()

    def _open_streams(self) -> list[WatchStream]:
        return [stream for reference in self._streams.values() if (stream := reference()) is not None]

    def forget(self, watcher: Watcher) -> None:
        """A watch has ended."""
        self._watchers.remove(watcher)
        self._streams.pop(watcher, None)

    # The protocol.

    @property
    def revision(self) -> int:
        return self._state.revision

    async def create(self, key: str, value: bytes) -> int:
        def decide(existing: KeyValue | None, revision: int) -> StoreEvent:
            check_create(key, existing)
            return put_event(key, value, revision, None)

        return await self._write(key, decide)

    async def update(self, key: str, value: bytes, expected_revision: int) -> int:
        def decide(existing: KeyValue | None, revision: int) -> StoreEvent:
            return put_event(key, value, revision, check_change(key, existing, expected_revision))

        return await self._write(key, decide)

    async def delete(self, key: str, expected_revision: int | None = None) -> int:
        def decide(existing: KeyValue | None, revision: int) -> StoreEvent:
            return delete_event(revision, check_change(key, existing, expected_revision))

        return await self._write(key, decide)

    async def _write(self, key: str, decide: Decision) -> int:
        while True:
            self._check_serving()
            under_way = self._pending.get(key)
            if under_way is None:
                existing = self._state.current.get(key)
            else:
                existing = under_way.kv if under_way.type.value == "PUT" else None
            try:
                event = decide(existing, self._next_revision)
            except StoreError:
                if under_way is None:
                    raise
                await self._settled(under_way)
                continue
            break
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._next_revision += 1
        self._pending[key] = event
        self._under_way.append((event, future))
        self._persist(event)
        return await future

    async def _settled(self, event: StoreEvent) -> None:
        """Wait until a write under way is durable or has failed."""
        offset = event.kv.mod_revision - self._under_way[0][0].kv.mod_revision
        await asyncio.wait([self._under_way[offset][1]])

    def _check_serving(self) -> None:
        if not self._serving:
            raise StoreUnavailable("the store is not open")

    async def get(self, key: str) -> KeyValue | None:
        self._check_serving()
        return self._state.current.get(key)

    async def range(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> RangeResult:
        self._check_serving()
        return self._state.range(prefix, start_after, limit, revision)

    def watch(self, prefix: str, start_revision: int) -> AsyncIterator[EventBatch]:
        self._check_serving()
        watcher = Watcher(self._state, prefix, start_revision)
        stream = WatchStream(self, watcher)
        self._watchers.add(watcher)
        loop = self._loop
        assert loop is not None

        def forgotten(_: object) -> None:
            # The garbage collector may run in any thread.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.forget, watcher)

        self._streams[watcher] = weakref.ref(stream, forgotten)
        return stream

    async def compact(self, revision: int) -> None:
        self._check_serving()
        self._compact_to(revision)

    def _compact_to(self, revision: int) -> None:
        if revision > self._state.compact_revision:
            self._release(self._state.compact(revision))

    # What runs by itself.

    async def _compact_by_itself(self) -> None:
        """Keep what was current `compaction_interval_seconds` ago and everything since."""
        interval_seconds = self._compaction_interval_seconds / _CHECKS_PER_INTERVAL
        earlier = deque([self._state.revision], maxlen=_CHECKS_PER_INTERVAL)
        while True:
            await self._clock.sleep(interval_seconds)
            if len(earlier) == _CHECKS_PER_INTERVAL:
                self._compact_to(earlier[0])
            earlier.append(self._state.revision)

    async def _report_progress(self) -> None:
        while True:
            await self._advanced.wait()
            await self._clock.sleep(PROGRESS_INTERVAL_SECONDS)
            self._advanced.clear()
            for stream in self._open_streams():
                stream.progress(self._state.revision)

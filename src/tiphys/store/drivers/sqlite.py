"""The store of a single control plane: the state in memory, and a SQLite file that every write reaches before it
counts.

One thread owns the file. Writes decided in the same turn of the event loop go to it together, and it commits all that
has come in while it was busy at once (group commit): the event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from tiphys.aio.clock import Clock
from tiphys.store.drivers.embedded import COMPACTION_INTERVAL_SECONDS, EmbeddedStore
from tiphys.store.drivers.sqlite_file import SqliteFile
from tiphys.store.interface import StoreEvent, StoreUnavailable
from tiphys.store.mvcc import MvccState, Released

log = logging.getLogger(__name__)

BATCH_LIMIT = 2048

Report: TypeAlias = Callable[..., None]


class _Writer:
    """The thread and what it is told. Writes carry the epoch they were decided in: a failure begins a new one, and
    what was decided before, on top of the failed writes, is dropped."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, committed: Report, failed: Report) -> None:
        self._file = SqliteFile(path)
        self._loop = loop
        self._committed = committed
        self._failed = failed
        self._queue: queue.SimpleQueue[tuple[int, list[StoreEvent]] | Released | None] = queue.SimpleQueue()
        self._epoch = 0
        self.running = False
        self._opened: asyncio.Future[MvccState] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name="tiphys-store", daemon=True)

    async def open(self) -> MvccState:
        """StoreUnavailable."""
        self._thread.start()
        state = await self._opened
        self.running = True
        return state

    def put(self, item: tuple[int, list[StoreEvent]] | Released | None) -> None:
        """Writes, what a compaction released, or None: finish and end."""
        self._queue.put(item)

    async def ended(self) -> None:
        await asyncio.shield(self._closed)
        self._thread.join()

    def _report(self, function: Report, *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed with the store still open: nobody is left to hear of it
            log.debug("the event loop has ended before the store")

    def _run(self) -> None:
        try:
            state = self._file.open()
        except StoreUnavailable as error:
            self._report(_settle, self._opened, error)
            return
        except Exception as error:
            log.exception("opening the store failed")
            self._report(_settle, self._opened, StoreUnavailable(f"cannot open the store: {error}"))
            return
        self._report(_settle, self._opened, state)
        try:
            while self._turn():
                pass
        except Exception:
            log.exception("the store's writer failed")
            self._report(self._failed, "the store's writer failed", True)
        finally:
            self._file.close()
            self._report(_settle, self._closed, None)

    def _turn(self) -> bool:
        """Take what has come in, make it durable, tidy up a little; whether to go on."""
        events: list[StoreEvent] = []
        go_on = True
        try:
            item = self._queue.get(block=not self._file.tidying)
            while True:
                if item is None:
                    go_on = False
                    break
                if isinstance(item, Released):
                    self._file.release(item)
                elif item[0] == self._epoch:
                    events += item[1]
                    if len(events) >= BATCH_LIMIT:
                        break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass
        if events:
            self._append(events)
        if self._file.tidying and go_on:
            try:
                self._file.tidy()
            except StoreUnavailable as error:
                log.warning("%s; the next compaction tries again", error)
        return go_on

    def _append(self, events: list[StoreEvent]) -> None:
        try:
            self._file.append(events)
        except StoreUnavailable as error:
            log.error("%s", error)
            self._epoch += 1
            self._report(self._failed, str(error), False)
        else:
            self._report(self._committed, len(events))


def _settle(future: asyncio.Future[object], outcome: object) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class SqliteStore(EmbeddedStore):
    """`Store` in one SQLite file (and the -wal, -shm and .lock files beside it)."""

    def __init__(
        self, path: str | Path, *, clock: Clock, compaction_interval_seconds: float = COMPACTION_INTERVAL_SECONDS
    ) -> None:
        super().__init__(clock=clock, compaction_interval_seconds=compaction_interval_seconds, name="sqlite-store")
        self.path = Path(path)
        self._writer: _Writer | None = None
        self._outbox: list[StoreEvent] = []
        self._epoch = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._writer = _Writer(self.path, loop, self._committed, self._write_failed)
        self._epoch = 0
        self._opened(await self._writer.open())

    async def close(self) -> None:
        self._serving = False
        writer, self._writer = self._writer, None
        if writer is not None and writer.running:
            self._flush_to(writer)
            writer.put(None)
            await writer.ended()
        await self._ended()

    def _persist(self, event: StoreEvent) -> None:
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(event)

    def _flush(self) -> None:
        if self._writer is not None:
            self._flush_to(self._writer)

    def _flush_to(self, writer: _Writer) -> None:
        if self._outbox:
            events, self._outbox = self._outbox, []
            writer.put((self._epoch, events))

    def _write_failed(self, reason: str, for_good: bool) -> None:
        self._epoch += 1
        self._outbox = []
        self._failed(reason)
        if for_good:
            self._serving = False
            self._end_streams()

    def _release(self, released: Released) -> None:
        if self._writer is not None:
            self._writer.put(released)

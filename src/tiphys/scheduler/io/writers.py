"""Carries out the scheduler's writes with many under way at once: a pool of workers over a queue, and the Event
writer on it.

Workers exist only while there is work. The order in which work is begun is the order of submission.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.interface import PatchType
from tiphys.kinds.types import core_v1
from tiphys.machinery.errors import ApiError
from tiphys.scheduler.events import EventMemory, EventWrite, Report

W = TypeVar("W")
log = logging.getLogger(__name__)


class WorkerPool(Generic[W]):
    """At most `limit` calls of `work` at once. `work` must handle its own failures."""

    def __init__(self, owner: TaskOwner, name: str, limit: int, work: Callable[[W], Awaitable[None]]) -> None:
        self._owner = owner
        self._name = name
        self._limit = limit
        self._work = work
        self._queue: deque[W] = deque()
        self._workers = 0
        self._room = asyncio.Event()
        self._room.set()
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def backlog(self) -> int:
        """How many wait for a worker."""
        return len(self._queue)

    def submit(self, item: W) -> None:
        self._queue.append(item)
        self.idle.clear()
        if len(self._queue) >= self._limit:
            self._room.clear()
        if self._workers < self._limit:
            self._workers += 1
            self._owner.start(self._run(), self._name)

    async def room(self) -> None:
        """Return when fewer than `limit` wait for a worker."""
        await self._room.wait()

    async def _run(self) -> None:
        try:
            while self._queue:
                item = self._queue.popleft()
                if len(self._queue) < self._limit:
                    self._room.set()
                await self._work(item)
        finally:
            self._workers -= 1
            if not self._workers and not self._queue:
                self.idle.set()


class EventWriter:
    """Writes Events in the background. They give way: while `busy` says that more important writes wait, they wait
    too. What does not fit into the backlog is dropped and counted."""

    def __init__(
        self, client: Client, clock: Clock, owner: TaskOwner, *, instance: str, limit: int, backlog_limit: int
    ) -> None:
        self._client = client
        self._clock = clock
        self._memory = EventMemory(instance)
        self._pool: WorkerPool[EventWrite] = WorkerPool(owner, "event", limit, self._write)
        self._backlog_limit = backlog_limit
        self._gate: Callable[[], Awaitable[object]] | None = None
        self.dropped = 0

    def give_way_to(self, gate: Callable[[], Awaitable[object]]) -> None:
        """Await `gate` before each write."""
        self._gate = gate

    def report(self, report: Report) -> None:
        if self._pool.backlog >= self._backlog_limit:
            self.dropped += 1
            return
        self._pool.submit(self._memory.write_for(report, self._clock.now()))

    async def _write(self, write: EventWrite) -> None:
        if self._gate is not None:
            await self._gate()
        meta = write.event.metadata
        namespace, name = meta.namespace or "", meta.name or ""
        try:
            if write.series_patch is not None:
                try:
                    await self._client.patch(core_v1.Event, namespace, name, write.series_patch, PatchType.MERGE)
                    return
                except ApiError as error:
                    if error.code != 404:
                        raise
            await self._client.create(write.event)
        except ApiError as error:
            self.dropped += 1
            log.info("event %s about %s/%s was not written: %s", write.event.reason, namespace, name, error)

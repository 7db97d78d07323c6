"""Writes Events in the background: reporting never waits, and a server that is away only costs events, never work."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.events import CountEvent, CreateEvent, EventCorrelator, Happening, reference_of
from tiphys.client.interface import PatchType
from tiphys.kinds.types import core_v1
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)
QUEUE_LIMIT = 1000
ATTEMPTS = 12
RETRY_SECONDS = 10.0


class EventRecorder:
    """`record` from anywhere on the event loop; a task of `owner` writes one after the other. What does not fit in the
    queue is dropped and counted in `dropped`."""

    def __init__(self, client: Client, clock: Clock, owner: TaskOwner, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._correlator = EventCorrelator(component, host)
        self._queue: deque[Happening] = deque()
        self._arrived = asyncio.Event()
        self.dropped = 0
        self._task = owner.start(self._run(), f"events of {component}")

    def record(self, obj: Any, event_type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Report something about an object (a Struct, or an ObjectReference). `event_type` is Normal or Warning."""
        regarding = obj if isinstance(obj, core_v1.ObjectReference) else reference_of(obj, field_path)
        if len(self._queue) >= QUEUE_LIMIT:
            self.dropped += 1
            return
        self._queue.append(Happening(regarding=regarding, type=event_type, reason=reason, message=message))
        self._arrived.set()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                happening = self._queue.popleft()
                decision = self._correlator.correlate(happening, self._clock.now())
                if decision is not None:
                    await self._write(happening, decision)

    async def _write(self, happening: Happening, decision: CreateEvent | CountEvent) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._write_once(happening, decision)
                return
            except ApiError as error:
                if error.code not in (0, 429, 500, 503, 504):
                    log.info("event %s %r was refused: %s", happening.reason, happening.message, error)
                    return
                await self._clock.sleep(RETRY_SECONDS)
        self.dropped += 1

    async def _write_once(self, happening: Happening, decision: CreateEvent | CountEvent) -> None:
        if isinstance(decision, CountEvent):
            try:
                await self._client.patch(
                    core_v1.Event, decision.namespace, decision.name, decision.patch, PatchType.MERGE
                )
                return
            except ApiError as error:
                if error.code != 404:
                    raise
        created = await self._client.create(decision.event)
        self._correlator.created(happening, created, self._clock.now())

    async def stop(self) -> None:
        """End the task; what is queued is dropped."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

"""Keeps the watch caches current from the store's own watch, and lets writers wait until their write is in them."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

from tiphys.aio.tasks import TaskOwner
from tiphys.apiserver.caches import ROOT, Caches
from tiphys.apiserver.watch_cache import CacheEvent, Collection
from tiphys.store.interface import KeyValue, Store

ChangesHandler = Callable[[Sequence[tuple[Collection, CacheEvent]], int], None]
LOAD_PAGE = 2000


class Feed:
    """Loads the caches, then applies every event of the store. `on_changes` hears of each batch as it is applied."""

    def __init__(self, store: Store, caches: Caches, on_changes: ChangesHandler, owner: TaskOwner) -> None:
        self._store = store
        self._caches = caches
        self._on_changes = on_changes
        self._owner = owner
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = 0
        self._task: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Return when the caches hold the state of the store."""
        after, revision = "", 0
        items: list[KeyValue] = []
        while True:
            page = await self._store.range(ROOT, start_after=after, limit=LOAD_PAGE, revision=revision)
            items += page.items
            revision = page.revision
            if not page.remaining:
                break
            after = page.items[-1].key
        self._caches.load(items, revision)
        self._task = self._owner.start(self._follow(revision), "feed of the watch cache")

    @property
    def following(self) -> bool:
        """Whether the store's events still come: they end when it can be written no more."""
        return self._task is not None and not self._task.done()

    async def _follow(self, revision: int) -> None:
        async with aclosing(cast(Any, self._store.watch(ROOT, revision))) as batches:
            async for batch in batches:
                changes = self._caches.apply(batch.events, batch.revision)
                self._on_changes(changes, batch.revision)
                self._wake()

    def _wake(self) -> None:
        waiting, revision = self._waiting, self._caches.revision
        while waiting and waiting[0][0] <= revision:
            future = heapq.heappop(waiting)[2]
            if not future.done():
                future.set_result(None)

    async def reached(self, revision: int) -> None:
        """Return once everything up to `revision` is in the caches."""
        if self._caches.revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._waiting, (revision, self._sequence, future))
        await future

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for _, _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

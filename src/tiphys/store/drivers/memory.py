"""A store that lives and dies with its process: for tests and simulations. Every write is durable at once."""

from __future__ import annotations

from tiphys.aio.clock import Clock
from tiphys.store.drivers.embedded import COMPACTION_INTERVAL_SECONDS, EmbeddedStore
from tiphys.store.interface import StoreEvent
from tiphys.store.mvcc import MvccState, Released


class MemoryStore(EmbeddedStore):
    """`Store` without a disk. A store that is closed and started again begins empty."""

    def __init__(self, *, clock: Clock, compaction_interval_seconds: float = COMPACTION_INTERVAL_SECONDS) -> None:
        super().__init__(clock=clock, compaction_interval_seconds=compaction_interval_seconds, name="memory-store")

    async def start(self) -> None:
        self._opened(MvccState())

    async def close(self) -> None:
        self._serving = False
        await self._ended()

    def _persist(self, event: StoreEvent) -> None:
        self._committed(1)

    def _release(self, released: Released) -> None:
        pass

"""The store on its own: durable writes by 1, 32 and 256 writers, ranges, watch delivery, opening a file.

What every API write waits for at the least. Also runs alone: `python bench/store.py`.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import TypeAlias

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench.figures import show
from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.memory import MemoryStore
from tiphys.store.drivers.sqlite import SqliteStore
from tiphys.store.interface import EventBatch

RUNS = int(os.environ.get("RUNS", "3"))
WRITERS = (1, 32, 256)
WRITES = {1: 2_000, 32: 10_000, 256: 20_000}
WATCHES = (1, 100)
WATCHED_EVENTS = 5_000
VALUE = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{' + b"x" * 972 + b"}}"  # about 1 KiB

AnyStore: TypeAlias = MemoryStore | SqliteStore
Figures: TypeAlias = dict[tuple[str, str], list[float]]


async def creates(store: AnyStore, driver: str, writers: int, figures: Figures) -> None:
    latencies_ms: list[float] = []

    async def write(writer: int) -> None:
        for number in range(WRITES[writers] // writers):
            begun = time.perf_counter()
            await store.create(f"/registry/configmaps/w{writers}-{writer}/{number:06}", VALUE)
            latencies_ms.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    seconds = time.perf_counter() - begun
    latencies_ms.sort()
    name = f"{driver} store: create 1 KiB, {writers} writers"
    figures.setdefault((name, "/s"), []).append(len(latencies_ms) / seconds)
    figures.setdefault((f"{name}, p99", "ms"), []).append(latencies_ms[len(latencies_ms) * 99 // 100])


async def ranges(store: AnyStore, driver: str, figures: Figures) -> None:
    rounds = 500
    begun = time.perf_counter()
    for _ in range(rounds):
        await store.range("/registry/configmaps/", limit=500)
    rate = rounds / (time.perf_counter() - begun)
    figures.setdefault((f"{driver} store: range of 500", "/s"), []).append(rate)


async def watching(store: AnyStore, driver: str, watches: int, figures: Figures) -> None:
    """Every watch gets every event: deliveries a second."""

    async def follow(stream: AsyncIterator[EventBatch]) -> None:
        seen = 0
        async for batch in stream:
            seen += len(batch.events)
            if seen >= WATCHED_EVENTS:
                return

    followers = [asyncio.create_task(follow(store.watch("/registry/watched/", store.revision))) for _ in range(watches)]
    await asyncio.sleep(0)

    async def write(writer: int) -> None:
        for number in range(WATCHED_EVENTS // 100):
            await store.create(f"/registry/watched/{watches}-{writer}-{number}", VALUE)

    begun = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(100)))
    await asyncio.gather(*followers)
    rate = WATCHED_EVENTS * watches / (time.perf_counter() - begun)
    figures.setdefault((f"{driver} store: events to {watches} watches, written on the way", "/s"), []).append(rate)


async def measure(store: AnyStore, driver: str, figures: Figures) -> None:
    await store.start()
    for writers in WRITERS:
        await creates(store, driver, writers, figures)
    await ranges(store, driver, figures)
    for watches in WATCHES:
        await watching(store, driver, watches, figures)
    await store.close()


async def opening(path: pathlib.Path, figures: Figures) -> None:
    store = SqliteStore(path, clock=SystemClock())
    begun = time.perf_counter()
    await store.start()
    seconds = time.perf_counter() - begun
    count = len((await store.range("")).items)
    figures.setdefault((f"sqlite store: open a file of {count:,} keys", "s"), []).append(seconds)
    await store.close()


def main() -> None:
    figures: Figures = {}
    for _ in range(RUNS):
        asyncio.run(measure(MemoryStore(clock=SystemClock()), "memory", figures))
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "state.db"
            asyncio.run(measure(SqliteStore(path, clock=SystemClock()), "sqlite", figures))
            asyncio.run(opening(path, figures))
    for (name, unit), values in figures.items():
        show(name, values, unit)


if __name__ == "__main__":
    main()

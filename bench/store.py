"""Rows about the store on its own: writes at 1, 32 and 256 writers, ranges, watch delivery. Run: python
bench/store.py"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.memory import MemoryStore
from tiphys.store.drivers.sqlite import SqliteStore

VALUE = b'{"apiVersion":"v1","kind":"Pod","metadata":{' + b"x" * 980 + b"}}"
AnyStore = MemoryStore | SqliteStore


def row(driver: str, what: str, per_second: float, latencies_ms: list[float] | None = None) -> None:
    tail = ""
    if latencies_ms:
        latencies_ms.sort()
        p99 = latencies_ms[int(len(latencies_ms) * 0.99)]
        tail = f"  p50 {statistics.median(latencies_ms):7.2f} ms  p99 {p99:7.2f} ms"
    print(f"{driver:8} {what:34} {per_second:12,.0f} /s{tail}")


async def creates(store: AnyStore, driver: str, writers: int, seconds: float) -> None:
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def write(writer: int) -> None:
        number = 0
        while (begun := time.perf_counter()) < deadline:
            await store.create(f"/registry/pods/w{writers}-{writer}/{number:08}", VALUE)
            latencies.append((time.perf_counter() - begun) * 1000)
            number += 1
            if driver == "memory":
                await asyncio.sleep(0)

    begun = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    row(driver, f"create, {writers} writers", len(latencies) / (time.perf_counter() - begun), latencies)


async def ranges(store: AnyStore, driver: str) -> None:
    begun = time.perf_counter()
    rounds = 200
    for _ in range(rounds):
        await store.range("/registry/pods/w32-0/", limit=500)
    row(driver, "range of 500", rounds / (time.perf_counter() - begun))
    begun = time.perf_counter()
    for _ in range(20_000):
        await store.get("/registry/pods/w32-0/00000001")
    row(driver, "get", 20_000 / (time.perf_counter() - begun))


async def watching(store: AnyStore, driver: str, watches: int, events: int) -> None:
    """Every watch gets every event: deliveries per second."""

    async def follow(stream: object) -> None:
        seen = 0
        async for batch in stream:  # type: ignore[attr-defined]
            seen += len(batch.events)
            if seen >= events:
                return

    streams = [store.watch("/registry/watched/", store.revision) for _ in range(watches)]
    followers = [asyncio.create_task(follow(stream)) for stream in streams]
    await asyncio.sleep(0)
    begun = time.perf_counter()

    async def write(writer: int) -> None:
        for number in range(events // 100):
            await store.create(f"/registry/watched/{watches}-{writer}-{number}", VALUE)
            await asyncio.sleep(0)

    await asyncio.gather(*(write(writer) for writer in range(100)))
    await asyncio.gather(*followers)
    row(driver, f"events to each of {watches} watches", events * watches / (time.perf_counter() - begun))
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]


async def restart(path: Path) -> None:
    store = SqliteStore(path, clock=SystemClock())
    begun = time.perf_counter()
    await store.start()
    count = (await store.range("")).items
    seconds = time.perf_counter() - begun
    row("sqlite", f"open with {len(count):,} keys, keys", len(count) / seconds)
    await store.close()


async def measure(store: AnyStore, driver: str, seconds: float) -> None:
    await store.start()
    for writers in (1, 32, 256):
        await creates(store, driver, writers, seconds)
    await ranges(store, driver)
    for watches in (1, 100):
        await watching(store, driver, watches, 5_000)
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each writing row runs")
    parser.add_argument("--directory", help="where the file is made (default: the temporary directory)")
    arguments = parser.parse_args()
    asyncio.run(measure(MemoryStore(clock=SystemClock()), "memory", arguments.seconds))
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        path = Path(directory) / "state.db"
        asyncio.run(measure(SqliteStore(path, clock=SystemClock()), "sqlite", arguments.seconds))
        asyncio.run(restart(path))


if __name__ == "__main__":
    main()

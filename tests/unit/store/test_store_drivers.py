"""One suite for every driver: what interface.py promises."""

import asyncio
import gc

import pytest

from tiphys.aio.clock import settle
from tiphys.store.drivers import embedded
from tiphys.store.interface import (
    Compacted,
    EventBatch,
    EventType,
    FutureRevision,
    KeyExists,
    KeyNotFound,
    KeyValue,
    RangeResult,
    RevisionConflict,
    StoreEvent,
    StoreUnavailable,
)


async def next_batch(stream):
    return await asyncio.wait_for(anext(stream), 10)


async def collect(stream, count):
    events = []
    while len(events) < count:
        events += (await next_batch(stream)).events
    return events


def kv(key, value, created, revision):
    return KeyValue(key, value, created, revision)


async def test_an_empty_store_is_at_revision_one(store):
    assert store.revision == 1
    assert await store.get("/a") is None
    assert await store.range("/") == RangeResult([], 1, 0)


async def test_writes_take_revisions_in_turn(store):
    assert await store.create("/a", b"1") == 2
    assert await store.create("/b", b"1") == 3
    assert await store.update("/a", b"2", 2) == 4
    assert await store.get("/a") == kv("/a", b"2", 2, 4)
    assert await store.delete("/b") == 5
    assert await store.get("/b") is None
    assert await store.create("/b", b"3") == 6
    assert await store.get("/b") == kv("/b", b"3", 6, 6)
    assert store.revision == 6


async def test_refusals(store):
    await store.create("/a", b"1")
    with pytest.raises(KeyExists):
        await store.create("/a", b"2")
    with pytest.raises(KeyNotFound):
        await store.update("/b", b"2", 2)
    with pytest.raises(KeyNotFound):
        await store.delete("/b")
    with pytest.raises(RevisionConflict) as conflict:
        await store.update("/a", b"2", 1)
    assert conflict.value.current == kv("/a", b"1", 2, 2)
    with pytest.raises(RevisionConflict):
        await store.delete("/a", 3)
    assert store.revision == 2
    assert await store.get("/a") == kv("/a", b"1", 2, 2)


async def test_of_concurrent_writes_to_one_revision_one_wins(store):
    await store.create("/a", b"0")
    results = await asyncio.gather(*(store.update("/a", b"%d" % n, 2) for n in range(20)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["RevisionConflict"] * 19 + ["int"]
    assert results[0] == 3
    assert {result.current.mod_revision for result in results[1:]} == {3}
    results = await asyncio.gather(*(store.create("/b", b"%d" % n) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [int] + [KeyExists] * 4


async def test_a_write_may_build_on_one_under_way(store):
    created, deleted, recreated = await asyncio.gather(
        store.create("/a", b"1"), store.delete("/a", 2), store.create("/a", b"2")
    )
    assert (created, deleted, recreated) == (2, 3, 4)
    assert await store.get("/a") == kv("/a", b"2", 4, 4)


async def test_range_order_limit_and_continuation(store):
    for name in ("b/2", "a/1", "b/1", "b0", "b/é", "b/\U00010000", "b/\uffff", "c/1"):
        await store.create(f"/{name}", name.encode())
    result = await store.range("/b/", limit=2)
    assert [item.key for item in result.items] == ["/b/1", "/b/2"]
    assert (result.revision, result.remaining) == (9, 3)
    result = await store.range("/b/", start_after="/b/2")
    assert [item.key for item in result.items] == ["/b/é", "/b/\uffff", "/b/\U00010000"]
    assert result.remaining == 0
    assert [item.key for item in (await store.range("", start_after="/b0")).items] == ["/c/1"]
    assert (await store.range("/b/", start_after="/a", limit=1)).items[0].key == "/b/1"


async def test_range_at_an_older_revision(store):
    await store.create("/p/a", b"1")
    await store.create("/p/b", b"1")
    await store.update("/p/a", b"2", 2)
    await store.delete("/p/b")
    await store.create("/p/c", b"1")
    assert await store.range("/p/", revision=3) == RangeResult([kv("/p/a", b"1", 2, 2), kv("/p/b", b"1", 3, 3)], 3, 0)
    assert await store.range("/p/", revision=4, limit=1) == RangeResult([kv("/p/a", b"2", 2, 4)], 4, 1)
    assert await store.range("/p/", revision=5) == RangeResult([kv("/p/a", b"2", 2, 4)], 5, 0)
    with pytest.raises(FutureRevision):
        await store.range("/p/", revision=7)


async def test_watch_delivers_the_past_then_the_present(store):
    await store.create("/p/a", b"1")
    await store.create("/q/a", b"1")
    await store.update("/p/a", b"2", 2)
    stream = store.watch("/p/", 1)
    first = await next_batch(stream)
    a1, a2 = kv("/p/a", b"1", 2, 2), kv("/p/a", b"2", 2, 4)
    assert first == EventBatch([StoreEvent(EventType.PUT, a1, None), StoreEvent(EventType.PUT, a2, a1)], 4)
    await store.delete("/p/a", 4)
    second = await next_batch(stream)
    assert second == EventBatch([StoreEvent(EventType.DELETE, kv("/p/a", b"2", 2, 5), a2)], 5)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_the_first_batch_comes_at_once(store):
    await store.create("/q/a", b"1")
    stream = store.watch("/p/", 2)
    assert await next_batch(stream) == EventBatch([], 2)
    stream = store.watch("/p/", 1)
    assert await next_batch(stream) == EventBatch([], 2)


@pytest.mark.parametrize("prefix", ["/p/", "/p", "/p/a", ""])
async def test_watch_prefixes(store, prefix):
    stream = store.watch(prefix, 1)
    await store.create("/o/a", b"1")
    await store.create("/p/a", b"1")
    assert [e.kv.key for e in await collect(stream, 1)][-1] == "/p/a"


async def test_watching_from_the_future_waits_for_it(store):
    stream = store.watch("/", 3)
    await next_batch(stream)
    await store.create("/a", b"")
    await store.create("/b", b"")
    await store.create("/c", b"")
    assert [event.kv.key for event in await collect(stream, 1)] == ["/c"]


async def test_compaction(store):
    await store.create("/a", b"1")
    await store.update("/a", b"2", 2)
    await store.create("/b", b"1")
    await store.delete("/b")
    stream = store.watch("/", 2)
    await store.compact(4)
    for refused in (store.range("/", revision=3), anext(stream), anext(store.watch("/", 3))):
        with pytest.raises(Compacted) as compacted:
            await refused
        assert compacted.value.compact_revision == 4
    assert [item.key for item in (await store.range("/", revision=4)).items] == ["/a", "/b"]
    assert [event.type for event in await collect(store.watch("/", 4), 1)] == [EventType.DELETE]
    await store.compact(3)
    with pytest.raises(FutureRevision):
        await store.compact(6)
    assert await store.get("/a") == kv("/a", b"2", 2, 3)


async def test_compaction_comes_by_itself(store, clock):
    await store.create("/a", b"1")
    await clock.advance(150)
    await store.update("/a", b"2", 2)
    await clock.advance(150)
    assert (await store.range("/", revision=2)).items
    await clock.advance(150)
    with pytest.raises(Compacted):
        await store.range("/", revision=1)
    assert [item.value for item in (await store.range("/", revision=2)).items] == [b"1"]
    await clock.advance(150)
    with pytest.raises(Compacted):
        await store.range("/", revision=2)
    assert [item.value for item in (await store.range("/", revision=3)).items] == [b"2"]


async def test_history_is_bounded_in_bytes(store, monkeypatch):
    monkeypatch.setattr(embedded, "SUPERSEDED_LIMIT_BYTES", 10_000)
    revision = await store.create("/a", b"x" * 1000)
    for _ in range(30):
        revision = await store.update("/a", b"x" * 1000, revision)
    with pytest.raises(Compacted):
        await store.range("/", revision=10)
    assert (await store.range("/", revision=revision - 3)).items
    assert store._state.superseded_bytes <= 10_000


async def test_a_reader_that_fell_behind_reads_history(store, monkeypatch):
    monkeypatch.setattr("tiphys.store.watchers.BACKLOG_LIMIT", 3)
    stream = store.watch("/p/", 1)
    await next_batch(stream)
    for number in range(10):
        await store.create(f"/p/{number}", b"")
    assert [event.kv.mod_revision for event in await collect(stream, 10)] == list(range(2, 12))
    await store.create("/p/x", b"")
    assert [event.kv.key for event in await collect(stream, 1)] == ["/p/x"]


async def test_a_reader_too_far_behind_is_cut_off(store, monkeypatch):
    monkeypatch.setattr("tiphys.store.watchers.BACKLOG_LIMIT", 3)
    stream = store.watch("/p/", 1)
    await next_batch(stream)
    for number in range(10):
        await store.create(f"/p/{number}", b"")
    await store.compact(8)
    with pytest.raises(Compacted):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_long_stretches_of_history_are_read_in_parts(store, monkeypatch):
    monkeypatch.setattr("tiphys.store.watchers.HISTORY_READ_LIMIT", 3)
    for number in range(10):
        await store.create(f"/q/{number}", b"")
    await store.create("/p/a", b"")
    stream = store.watch("/p/", 1)
    first = await next_batch(stream)
    assert first == EventBatch([], 4)
    second = await next_batch(stream)
    assert ([event.kv.key for event in second.events], second.revision) == (["/p/a"], 12)


async def test_progress_is_reported_to_idle_watches(store, clock):
    stream = store.watch("/p/", 1)
    await next_batch(stream)
    await store.create("/q/a", b"")
    waiting = asyncio.ensure_future(anext(stream))
    await settle()
    await clock.advance(1)
    assert await asyncio.wait_for(waiting, 10) == EventBatch([], 2)
    waiting = asyncio.ensure_future(anext(stream))
    await clock.advance(10)
    assert not waiting.done()
    waiting.cancel()


async def test_closing_ends_watches_and_finishes_writes(store):
    stream = store.watch("/", 1)
    await next_batch(stream)
    writes = [asyncio.ensure_future(store.create(f"/{n}", b"")) for n in range(3)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writes) == [2, 3, 4]
    with pytest.raises(StopAsyncIteration):
        while True:
            await anext(stream)
    with pytest.raises(StoreUnavailable):
        await store.create("/x", b"")
    with pytest.raises(StoreUnavailable):
        await store.get("/x")


async def test_a_caller_that_gives_up_disturbs_nobody(store):
    task = asyncio.ensure_future(store.create("/a", b"1"))
    await asyncio.sleep(0)
    task.cancel()
    assert await store.create("/b", b"1") == 3
    assert await store.get("/a") == kv("/a", b"1", 2, 2)


async def test_values_are_shared_not_copied(store):
    value = b"x" * 100
    stream = store.watch("/", 1)
    await store.create("/a", value)
    found = await store.get("/a")
    assert found is not None
    assert found.value is value
    assert (await store.range("/")).items[0] is found
    assert (await collect(stream, 1))[0].kv is found


async def test_a_watch_that_its_reader_forgets_is_gone(store):
    async def read_one():
        async for _ in store.watch("/", 1):
            break

    for _ in range(3):
        await read_one()
    gc.collect()
    await settle(2)
    assert len(store._watchers) == 0
    reader = asyncio.ensure_future(collect(store.watch("/", 1), 1))
    await settle(2)
    gc.collect()
    await store.create("/a", b"")
    assert [event.kv.key for event in await reader] == ["/a"]

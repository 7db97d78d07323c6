"""What only the SQLite driver has: a file, and all that can go wrong with one."""

import asyncio
import os
import sqlite3
import stat

import pytest

from tiphys.aio.clock import VirtualClock, settle
from tiphys.store.drivers.sqlite import SqliteStore
from tiphys.store.drivers.sqlite_file import FORMAT, SqliteFile
from tiphys.store.interface import Compacted, KeyValue, StoreUnavailable


def make(path, **arguments):
    return SqliteStore(path, clock=VirtualClock(), **arguments)


async def started(path):
    store = make(path)
    await store.start()
    return store


async def everything(store):
    return {item.key: (item.value, item.create_revision, item.mod_revision) for item in (await store.range("")).items}


async def test_what_was_written_is_there_after_a_restart(tmp_path):
    store = await started(tmp_path / "state.db")
    await store.create("/a", b"1")
    await store.create("/b", b"")
    await store.update("/a", b"2", 2)
    await store.delete("/b")
    await store.create("/c", b"3")
    before = await everything(store)
    await store.close()
    store = await started(tmp_path / "state.db")
    assert await everything(store) == before == {"/a": (b"2", 2, 4), "/c": (b"3", 6, 6)}
    assert store.revision == 6
    stream = store.watch("/", 1)
    assert [event.kv.mod_revision for event in (await anext(stream)).events] == [2, 3, 4, 5, 6]
    assert (await store.range("/", revision=4)).items[1] == KeyValue("/b", b"", 3, 3)
    assert await store.create("/d", b"") == 7
    await store.close()


async def test_compaction_outlives_a_restart(tmp_path):
    store = await started(tmp_path / "state.db")
    await store.create("/a", b"1")
    await store.update("/a", b"2", 2)
    await store.create("/b", b"1")
    await store.delete("/a")
    await store.delete("/b")
    await store.compact(6)
    await store.close()
    store = await started(tmp_path / "state.db")
    assert store.revision == 6
    with pytest.raises(Compacted):
        await store.range("/", revision=5)
    assert await store.create("/c", b"") == 7
    await store.close()


async def test_an_interrupted_compaction_is_finished_later(tmp_path):
    path = tmp_path / "state.db"
    store = await started(path)
    for number in range(5):
        await store.create(f"/{number}", b"1")
        await store.delete(f"/{number}")
    await store.create("/a", b"1")
    await store.update("/a", b"2", 12)
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE compaction SET revision = 13")  # said, but no row removed
    connection.close()
    store = await started(path)
    assert await everything(store) == {"/a": (b"2", 12, 13)}
    await store.create("/b", b"")
    await store.compact(14)
    await wait_until_tidy(store)
    await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT revision FROM revisions LIMIT 2").fetchall() == [(13,), (14,)]
    connection.close()


async def wait_until_tidy(store):
    """The writer's thread tidies between writes, a part at a time."""
    number = 0
    while store._writer._file.tidying or not store._writer._queue.empty():
        key = f"/tidy-{number}"
        number += 1
        revision = await store.create(key, b"")
        await store.delete(key, revision)


async def test_compaction_bounds_the_file(tmp_path):
    path = tmp_path / "state.db"
    store = await started(path)
    value = b"x" * 3000
    revisions = await asyncio.gather(*(store.create(f"/{number}", value) for number in range(100)))
    sizes = []
    for _ in range(6):
        for _ in range(10):
            revisions = await asyncio.gather(
                *(store.update(f"/{number}", value, revision) for number, revision in enumerate(revisions))
            )
        await store.compact(store.revision)
        await wait_until_tidy(store)
        sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert sizes[-1] <= sizes[1] * 1.1
    await store.close()
    assert path.stat().st_size < 6_000_000  # 0.4 MB live and the free pages that are kept; 18 MB were written
    store = await started(path)
    assert len(await everything(store)) == 100
    await store.close()


async def test_the_file_is_private(tmp_path):
    store = await started(tmp_path / "state.db")
    await store.create("/a", b"")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["state.db", "state.db-shm", "state.db-wal", "state.db.lock"], 0o600)
    await store.close()


async def test_two_stores_never_open_one_file(tmp_path):
    path = tmp_path / "state.db"
    store = await started(path)
    with pytest.raises(StoreUnavailable) as raised:
        await make(path).start()
    assert str(raised.value) == f"{path} is in use by another process (pid {os.getpid()})"
    await store.create("/a", b"1")
    await store.close()
    store = await started(path)
    assert await everything(store) == {"/a": (b"1", 2, 2)}
    await store.close()


async def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "state.db"
    await (await started(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(StoreUnavailable, match=f"has format {FORMAT + 1}, written by a newer version"):
        await make(path).start()


async def test_another_databases_file_is_refused(tmp_path):
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE something (else_ TEXT)")
    connection.close()
    with pytest.raises(StoreUnavailable, match="is a SQLite database of something else"):
        await make(path).start()


@pytest.mark.parametrize("damage", ["header", "page", "value", "row"])
async def test_damage_is_found_when_opening(tmp_path, damage):
    path = tmp_path / "state.db"
    store = await started(path)
    for number in range(50):
        await store.create(f"/{number}", b"v" * 500)
    await store.close()
    if damage == "row":
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM revisions WHERE revision = 7")
        connection.close()
    else:
        data = bytearray(path.read_bytes())
        offset = {"header": 0, "page": 4096 * 6, "value": data.rindex(b"v" * 100)}[damage]
        data[offset : offset + 20] = b"#" * 20
        path.write_bytes(data)
    with pytest.raises(StoreUnavailable) as raised:
        await make(path).start()
    assert str(raised.value).startswith(f"{path} is damaged (")
    assert str(raised.value).endswith("to start with an empty cluster")


async def test_places_where_no_file_can_be(tmp_path):
    for path in (tmp_path / "missing" / "state.db", tmp_path):
        with pytest.raises(StoreUnavailable) as raised:
            await make(path).start()
        assert str(raised.value).startswith(f"cannot open {path}: ")


class Faults:
    """Makes the next appends fail, after their rows have reached the disk or before."""

    def __init__(self, monkeypatch):
        self.before = 0
        self.after = 0
        insert = SqliteFile._insert

        def faulty(file, rows):
            if self.before:
                self.before -= 1
                raise sqlite3.OperationalError("disk I/O error")
            insert(file, rows)
            if self.after:
                self.after -= 1
                raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(SqliteFile, "_insert", faulty)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_failed_commit_leaves_no_trace(tmp_path, monkeypatch, moment):
    faults = Faults(monkeypatch)
    path = tmp_path / "state.db"
    store = await started(path)
    await store.create("/a", b"1")
    stream = store.watch("/", 2)
    assert (await anext(stream)).revision == 2
    setattr(faults, moment, 1)
    outcomes = await asyncio.gather(
        store.create("/b", b"1"), store.update("/a", b"2", 2), store.delete("/b", 3), return_exceptions=True
    )
    assert [str(outcome) for outcome in outcomes] == [f"cannot write {path}: disk I/O error"] * 3
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert (store.revision, await everything(store)) == (2, {"/a": (b"1", 2, 2)})
    assert await store.create("/c", b"1") == 3
    assert [event.kv.key for event in (await anext(stream)).events] == ["/c"]
    await store.close()
    store = await started(path)
    assert await everything(store) == {"/a": (b"1", 2, 2), "/c": (b"1", 3, 3)}
    await store.close()


async def test_a_refusal_waits_for_the_write_it_rests_on(tmp_path, monkeypatch):
    faults = Faults(monkeypatch)
    store = await started(tmp_path / "state.db")
    faults.before = 1
    first = asyncio.ensure_future(store.create("/a", b"1"))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(store.create("/a", b"2"))
    await asyncio.sleep(0)
    assert not second.done()
    with pytest.raises(StoreUnavailable):
        await first
    assert await second == 2  # the key was free after all
    await store.close()


async def test_writes_decided_on_top_of_a_failed_one_fail_with_it(tmp_path, monkeypatch):
    faults = Faults(monkeypatch)
    store = await started(tmp_path / "state.db")
    faults.before = 1
    writes = []
    for number in range(5):  # each in a turn of the loop of its own, so that some come while the failure is on its way
        writes.append(asyncio.ensure_future(store.create(f"/{number}", b"")))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
    succeeded = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert failed
    assert succeeded == list(range(2, 2 + len(succeeded)))
    await settle()
    before = await everything(store)
    await store.close()
    store = await started(tmp_path / "state.db")
    assert await everything(store) == before
    assert len(before) == len(succeeded)
    await store.close()


async def test_the_event_loop_may_end_before_the_store(tmp_path):
    def run():
        async def leave():
            store = make(tmp_path / "state.db")
            await store.start()
            await store.create("/a", b"1")
            return store

        return asyncio.new_event_loop().run_until_complete(leave())

    store = await asyncio.to_thread(run)
    store._writer.put(None)
    await asyncio.to_thread(store._writer._thread.join)
    store = await started(tmp_path / "state.db")
    assert await everything(store) == {"/a": (b"1", 2, 2)}
    await store.close()


async def test_a_writer_that_breaks_stops_the_store(tmp_path, monkeypatch):
    store = await started(tmp_path / "state.db")
    stream = store.watch("/", 1)
    await anext(stream)
    reading = asyncio.ensure_future(anext(stream))

    def broken(file, events):
        raise RuntimeError("a bug")

    monkeypatch.setattr(SqliteFile, "append", broken)
    with pytest.raises(StoreUnavailable, match="the store's writer failed"):
        await store.create("/a", b"")
    with pytest.raises(StopAsyncIteration):
        await reading
    with pytest.raises(StoreUnavailable, match="the store is not open"):
        await store.create("/a", b"")
    await store.close()
    monkeypatch.undo()
    store = await started(tmp_path / "state.db")
    assert store.revision == 1
    await store.close()

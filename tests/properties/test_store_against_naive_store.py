"""Both embedded drivers against a store that copies its whole state at every revision."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tiphys.aio.clock import VirtualClock
from tiphys.store.drivers.memory import MemoryStore
from tiphys.store.drivers.sqlite import SqliteStore
from tiphys.store.interface import (
    Compacted,
    EventType,
    FutureRevision,
    KeyExists,
    KeyNotFound,
    KeyValue,
    RangeResult,
    RevisionConflict,
    StoreEvent,
)

KEYS = st.sampled_from(["/a/1", "/a/2", "/a/é", "/a/\U00010000", "/ab/1", "/b/1", "/b/2", "/b"])
PREFIXES = st.sampled_from(["", "/", "/a", "/a/", "/b", "/b/", "/c/"])
VALUES = st.binary(max_size=3)


class NaiveStore:
    """Every state there ever was, and every event."""

    def __init__(self):
        self.states = {1: {}}
        self.events = []
        self.revision = 1
        self.compacted = 1

    @property
    def now(self):
        return self.states[self.revision]

    def write(self, key, value, expected=None, create=False):
        existing = self.now.get(key)
        if create and existing is not None:
            raise KeyExists(key)
        if not create and existing is None:
            raise KeyNotFound(key)
        if expected is not None and existing.mod_revision != expected:
            raise RevisionConflict(existing)
        self.revision += 1
        state = dict(self.states[self.revision - 1])
        created = existing.create_revision if existing else self.revision
        if value is None:
            del state[key]
            kv = KeyValue(key, existing.value, created, self.revision)
            self.events.append(StoreEvent(EventType.DELETE, kv, existing))
        else:
            state[key] = kv = KeyValue(key, value, created, self.revision)
            self.events.append(StoreEvent(EventType.PUT, kv, existing))
        self.states[self.revision] = state
        return self.revision

    def range(self, prefix, start_after, limit, revision):
        if revision:
            if revision < self.compacted:
                raise Compacted(self.compacted)
            if revision > self.revision:
                raise FutureRevision
        state = self.states[revision or self.revision]
        keys = sorted((k for k in state if k.startswith(prefix) and k > start_after), key=str.encode)
        chosen = keys[:limit] if limit else keys
        return RangeResult([state[k] for k in chosen], revision or self.revision, len(keys) - len(chosen))

    def after(self, prefix, revision):
        return [e for e in self.events if e.kv.mod_revision > revision and e.kv.key.startswith(prefix)]


class StoreMachine(RuleBasedStateMachine):
    def open(self):
        raise NotImplementedError

    def run(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "state.db"
        self.naive = NaiveStore()
        self.streams = []
        self.store = self.open()
        self.run(self.store.start())

    def teardown(self):
        self.run(self.store.close())
        self.loop.close()
        self.directory.cleanup()

    def same(self, coroutine, expected):
        """Both give the same result or the same refusal."""
        try:
            wanted = expected()
        except (KeyExists, KeyNotFound, RevisionConflict, Compacted, FutureRevision) as error:
            with pytest.raises(type(error)) as raised:
                self.run(coroutine)
            if isinstance(error, RevisionConflict):
                assert raised.value.current == error.current
            if isinstance(error, Compacted):
                assert raised.value.compact_revision == error.compact_revision
            return
        assert self.run(coroutine) == wanted

    @rule(key=KEYS, value=VALUES)
    def create(self, key, value):
        self.same(self.store.create(key, value), lambda: self.naive.write(key, value, create=True))

    def expected_revision(self, key, offset):
        existing = self.naive.now.get(key)
        return (existing.mod_revision if existing else 2) + offset

    @rule(key=KEYS, value=VALUES, offset=st.sampled_from([0, 0, 0, 0, -1, 1]))
    def update(self, key, value, offset):
        expected = self.expected_revision(key, offset)
        self.same(self.store.update(key, value, expected), lambda: self.naive.write(key, value, expected))

    @rule(key=KEYS, offset=st.sampled_from([None, 0, 0, 1]))
    def delete(self, key, offset):
        expected = None if offset is None else self.expected_revision(key, offset)
        self.same(self.store.delete(key, expected), lambda: self.naive.write(key, None, expected))

    @rule(keys=st.sets(KEYS, min_size=2), value=VALUES)
    def write_together(self, keys, value):
        keys = sorted(keys)
        operations, wanted = [], []
        for key in keys:
            existing = self.naive.now.get(key)
            if existing is None:
                operations.append(self.store.create(key, value))
                wanted.append(self.naive.write(key, value, create=True))
            else:
                operations.append(self.store.update(key, value, existing.mod_revision))
                wanted.append(self.naive.write(key, value, existing.mod_revision))

        async def together():
            return await asyncio.gather(*operations)

        assert self.run(together()) == wanted

    @rule(prefix=PREFIXES, start_after=st.just("") | KEYS, limit=st.integers(0, 4), back=st.integers(-1, 6))
    def range(self, prefix, start_after, limit, back):
        revision = max(self.naive.revision - back, 1) if back else 0
        self.same(
            self.store.range(prefix, start_after=start_after, limit=limit, revision=revision),
            lambda: self.naive.range(prefix, start_after, limit, revision),
        )

    @rule(prefix=PREFIXES, back=st.integers(0, 6))
    def watch(self, prefix, back):
        start = max(self.naive.revision - back, 1)
        stream = self.store.watch(prefix, start)
        if start < self.naive.compacted:
            with pytest.raises(Compacted):
                self.run(anext(stream))
            return
        batch = self.run(anext(stream))
        assert list(batch.events) == self.naive.after(prefix, start)
        assert batch.revision == self.naive.revision
        self.streams.append([stream, prefix, batch.revision])

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def read_watch(self, data):
        entry = data.draw(st.sampled_from(self.streams))
        stream, prefix, revision = entry
        wanted = self.naive.after(prefix, revision)
        got = []
        while len(got) < len(wanted):
            batch = self.run(anext(stream))
            assert entry[2] <= batch.revision <= self.naive.revision
            entry[2] = batch.revision
            got += batch.events
        assert got == wanted

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def close_watch(self, data):
        entry = data.draw(st.sampled_from(self.streams))
        self.streams.remove(entry)
        self.run(entry[0].aclose())
        with pytest.raises(StopAsyncIteration):
            self.run(anext(entry[0]))

    @rule(back=st.integers(0, 4))
    def compact(self, back):
        revision = max(self.naive.revision - back, 1)
        self.run(self.store.compact(revision))
        self.naive.compacted = max(self.naive.compacted, revision)

    @invariant()
    def reads_agree(self):
        if not hasattr(self, "store"):
            return
        assert self.store.revision == self.naive.revision
        assert list(self.run(self.store.range("")).items) == self.naive.range("", "", 0, 0).items


class MemoryMachine(StoreMachine):
    def open(self):
        return MemoryStore(clock=VirtualClock())


class SqliteMachine(StoreMachine):
    def open(self):
        return SqliteStore(self.path, clock=VirtualClock())

    @rule()
    def restart(self):
        self.run(self.store.close())
        for stream, _, _ in self.streams:

            async def drain(stream=stream):
                return [batch async for batch in stream]

            self.run(drain())
        self.streams = []
        self.store = self.open()
        self.run(self.store.start())


SETTINGS = settings(max_examples=25, stateful_step_count=40)


def test_the_memory_store_is_the_naive_store():
    run_state_machine_as_test(MemoryMachine, settings=SETTINGS)


def test_the_sqlite_store_is_the_naive_store():
    run_state_machine_as_test(SqliteMachine, settings=SETTINGS)

"""No acknowledged write is lost or made from anything but what it says, no watch misses an event or sees one twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from api_process import ApiProcess, running_process
from shared_objects import (
    MAPS,
    NAMES,
    Api,
    Event,
    Log,
    Object,
    Told,
    Watcher,
    Writer,
    connected,
    count_up,
    replayed,
    revision_of,
)

from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.sqlite import SqliteStore

WRITERS, STEPS, COUNTERS, INCREMENTS, WATCHERS = 12, 100, 4, 25, 3
PREFIX = "/registry/configmaps/shared/"


@pytest.fixture
def process(tmp_path: Any) -> Iterator[ApiProcess]:
    with running_process(tmp_path) as found:
        yield found


@pytest_asyncio.fixture
async def session(process: ApiProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with connected(process) as found:
        yield found


class Crowd:
    """All clients of one run, and what came of it."""

    def __init__(self, process: ApiProcess, session: aiohttp.ClientSession, seed: int) -> None:
        self.api = Api(process, session)
        self.log = Log()
        self.seed = seed
        self.watchers: list[Watcher] = []
        self.last: int | None = None
        self.start = 0

    async def prepare(self) -> None:
        await self.api("POST", "/api/v1/namespaces", {"metadata": {"name": "shared"}})
        account = {"metadata": {"name": "default", "namespace": "shared"}}
        await self.api("POST", "/api/v1/namespaces/shared/serviceaccounts", account)
        _, listed = await self.api("GET", MAPS)
        self.start = revision_of(listed)
        counter = {"metadata": {"name": "counter"}, "data": {"count": "0"}}
        assert (await self.api("POST", MAPS, counter))[0] == 201
        self.watchers = [Watcher(self.api, self.start) for _ in range(WATCHERS)]

    async def run(self, meanwhile: Any = None) -> None:
        watching = [asyncio.create_task(watcher.run(lambda: self.last)) for watcher in self.watchers]
        work = [Writer(self.api, self.log, number, self.seed).run(STEPS) for number in range(WRITERS)]
        work += [count_up(self.api, f"c{number}", INCREMENTS) for number in range(COUNTERS)]
        await asyncio.gather(*work, *([meanwhile] if meanwhile is not None else []))
        # The last event tells the watches that they have seen everything.
        _, marker = await self.api("POST", MAPS, {"metadata": {"name": "the-end"}})
        self.last = revision_of(marker)
        await asyncio.gather(*watching)

    async def listed(self) -> dict[str, Object]:
        _, found = await self.api("GET", MAPS)
        return {item["metadata"]["name"]: item for item in found["items"]}


def data_of(thing: Object | None) -> dict[str, str]:
    return {} if thing is None else thing.get("data", {})


def check_told(told: Told, before: Object | None, after: Object) -> None:
    """What a client was told is what happened, to the object that it meant."""
    assert after == told.answer
    if told.verb == "create":
        assert before is None
    elif told.verb == "replace":
        assert before is not None and revision_of(before) == told.base
    else:
        assert told.verb == "apply" or before is not None
        assert data_of(after) == {**data_of(before), **told.added}


def check_history(crowd: Crowd, events: list[Event]) -> None:
    """One history, without a gap: every answer stands in it once, at its place."""
    log, told = crowd.log, {revision_of(one.answer): one for one in crowd.log.told}
    assert len(told) == len(log.told), "two writes were told the same revision"
    state: dict[str, Object] = {}
    gone: dict[str, int] = {}
    states: list[tuple[int, dict[str, Object]]] = [(crowd.start, {})]
    for kind, thing in events:
        name, revision = thing["metadata"]["name"], revision_of(thing)
        one = told.pop(revision, None)
        if one is not None:
            check_told(one, state.get(name), thing)
        if kind == "DELETED":
            del state[name]
            gone[thing["metadata"]["uid"]] = revision
        else:
            state[name] = thing
        states.append((revision, dict(state)))
    assert told == {}, "acknowledged, but never seen"
    assert set(log.deleted) <= set(gone)
    for before, label, after in log.cleared:
        then = max((at for at in states if at[0] <= before), key=lambda at: at[0], default=(0, {}))[1]
        for thing in then.values():
            if thing["metadata"].get("labels", {}).get("group") == label:
                assert gone[thing["metadata"]["uid"]] <= after


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_write_is_seen_once(process: ApiProcess, session: aiohttp.ClientSession, seed: int) -> None:
    crowd = Crowd(process, session, seed)
    await crowd.prepare()
    await crowd.run()
    first, *others = crowd.watchers
    assert first.listed == {}
    assert [watcher.events for watcher in others] == [first.events] * len(others)
    check_history(crowd, first.events)
    assert replayed(first.events, first.listed) == await crowd.listed()
    counter = (await crowd.listed())["counter"]["data"]
    assert counter["count"] == str(COUNTERS * INCREMENTS)
    assert len(counter) == 1 + COUNTERS * INCREMENTS
    # Everything that happened was told to somebody: nobody else writes here.
    assert crowd.log.unanswered == 0
    verbs = {one.verb for one in crowd.log.told}
    assert verbs == {"create", "replace", "patch", "apply"} and crowd.log.deleted and crowd.log.cleared


async def stored_history(process: ApiProcess, start: int) -> list[Event]:
    """What the store of a stopped server says has happened since a revision."""
    store = SqliteStore(process.directory / "control-plane" / "state.db", clock=SystemClock())
    await store.start()
    found: list[Event] = []
    alive: set[str] = set()
    async for batch in store.watch(PREFIX, start):
        for event in batch.events:
            thing = json.loads(event.kv.value)
            thing["metadata"]["resourceVersion"] = str(event.kv.mod_revision)
            kind = "DELETED" if event.type.value == "DELETE" else "MODIFIED" if event.kv.key in alive else "ADDED"
            (alive.discard if kind == "DELETED" else alive.add)(event.kv.key)
            found.append((kind, thing))
        if batch.revision >= store.revision:
            break
    await store.close()
    return found


def check_watcher(watcher: Watcher, history: list[Event]) -> None:
    """It saw the history in order, each event once, and missed nothing but what it listed."""
    unseen = [
        (revision_of(watcher.events[position - 1][1]) if position else 0, revision)
        for position, (revision, _) in watcher.listed.items()
    ]
    expected = [
        event for event in history if not any(after < revision_of(event[1]) <= until for after, until in unseen)
    ]
    assert watcher.events == expected
    for position, (revision, items) in watcher.listed.items():
        past = [event for event in history if revision_of(event[1]) <= revision]
        assert replayed(past, {}) == {item["metadata"]["name"]: item for item in items}, position


@pytest.mark.parametrize("seed", [4, 5, 6])
async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    process: ApiProcess, session: aiohttp.ClientSession, seed: int
) -> None:
    crowd = Crowd(process, session, seed)
    await crowd.prepare()
    chance = random.Random(seed)

    async def kill_and_restart() -> None:
        for _ in range(3):
            await crowd.api.after(chance.randrange(100, 300))
            crowd.api.serving.clear()
            process.kill()
            await asyncio.to_thread(process.start)
            crowd.api.serving.set()

    await crowd.run(kill_and_restart())
    listed = await crowd.listed()
    counter = listed["counter"]["data"]
    assert (counter["count"], len(counter)) == (str(COUNTERS * INCREMENTS), 1 + COUNTERS * INCREMENTS)
    process.stop()
    history = await stored_history(process, crowd.start)
    process.start()
    check_history(crowd, history)
    assert replayed(history, {}) == listed
    for watcher in crowd.watchers:
        check_watcher(watcher, history)
    told = {revision_of(one.answer) for one in crowd.log.told}
    ours = [thing for kind, thing in history if kind != "DELETED" and thing["metadata"]["name"] in NAMES]
    untold = [thing for thing in ours if revision_of(thing) not in told]
    assert len(untold) <= crowd.log.unanswered > 0

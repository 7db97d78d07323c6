"""The tables of "API concepts" on resourceVersion and resourceVersionMatch, cell by cell, for get, list and watch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from api_world import World

from tiphys.aio.clock import settle
from tiphys.apiserver.io import reads
from tiphys.kinds import registry
from tiphys.kinds.types import core_v1, meta_v1

MAPS = "/api/v1/namespaces/default/configmaps"


@dataclass
class History:
    """At `old` there are a and b, now there are b and c."""

    world: World
    old: int
    now: int
    token: str

    def revision(self, word: str) -> str:
        return {"unset": "", "0": "0", "old": str(self.old), "now": str(self.now), "future": str(self.now + 100)}[word]


async def put(world: World, name: str) -> None:
    await world.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default")))


@pytest.fixture
async def history(world: World, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setattr(reads, "WAIT_SECONDS", 0.0)
    await put(world, "a")
    await put(world, "b")
    old = world.store.revision
    first = await world.http("GET", f"{MAPS}?limit=1")
    await world.client.delete(core_v1.ConfigMap, "default", "a")
    await put(world, "c")
    return History(world, old, world.store.revision, first.body["metadata"]["continue"])


def query(history: History, match: str, paging: str, version: str, **more: str) -> str:
    parts = {"limit": "limit=1", "continue": f"limit=1&continue={history.token}", "": ""}[paging]
    found = [parts] if parts else []
    if version != "unset":
        found.append(f"resourceVersion={history.revision(version)}")
    if match:
        found.append(f"resourceVersionMatch={match}")
    return "&".join([*found, *(f"{name}={value}" for name, value in more.items())])


UNLESS = "resourceVersionMatch is forbidden unless resourceVersion is provided"
WITH_TOKEN = "resourceVersionMatch is forbidden when continue is provided"
EXACT_0 = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'

# (resourceVersionMatch, paging) -> what each resourceVersion leads to: unset, "0", an old one, the present one, one
# that is not there yet. "latest" and "old" are states, "rest" is the second page of the old one.
LISTS: dict[tuple[str, str], tuple[Any, Any, Any, Any, Any]] = {
    ("", ""): ("latest", "latest", "latest", "latest", 504),
    ("", "limit"): ("latest", "latest", "old", "latest", 504),
    ("", "continue"): ("rest", "rest", 400, 400, 400),
    ("Exact", ""): (UNLESS, EXACT_0, "old", "latest", 504),
    ("Exact", "limit"): (UNLESS, EXACT_0, "old", "latest", 504),
    ("Exact", "continue"): (f"[{UNLESS}, {WITH_TOKEN}]", EXACT_0, WITH_TOKEN, WITH_TOKEN, WITH_TOKEN),
    ("NotOlderThan", ""): (UNLESS, "latest", "latest", "latest", 504),
    ("NotOlderThan", "limit"): (UNLESS, "latest", "latest", "latest", 504),
    ("NotOlderThan", "continue"): (f"[{UNLESS}, {WITH_TOKEN}]", WITH_TOKEN, WITH_TOKEN, WITH_TOKEN, WITH_TOKEN),
}
VERSIONS = ("unset", "0", "old", "now", "future")
CELLS = [
    pytest.param(match, paging, version, outcome, id=f"{match or 'none'}-{paging or 'whole'}-{version}")
    for (match, paging), outcomes in LISTS.items()
    for version, outcome in zip(VERSIONS, outcomes, strict=True)
]


@pytest.mark.parametrize(("match", "paging", "version", "outcome"), CELLS)
async def test_lists(history: History, match: str, paging: str, version: str, outcome: Any) -> None:
    answer = await history.world.http("GET", f"{MAPS}?{query(history, match, paging, version)}")
    if outcome in ("latest", "old", "rest"):
        names = {"latest": ["b", "c"], "old": ["a", "b"], "rest": ["b"]}[outcome]
        metadata = answer.body["metadata"]
        wanted = names[:1] if paging == "limit" else names
        assert [item["metadata"]["name"] for item in answer.body["items"]] == wanted
        assert metadata["resourceVersion"] == str(history.now if outcome == "latest" else history.old)
        assert metadata.get("remainingItemCount") == (1 if paging == "limit" else None)
        assert ("continue" in metadata) == (paging == "limit")
    elif outcome == 504:
        future = history.now + 100
        assert (answer.code, answer.body["reason"]) == (504, "Timeout")
        assert answer.body["message"] == f"Timeout: Too large resource version: {future}, current: {history.now}"
        causes = answer.body["details"]["causes"]
        assert causes == [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    elif outcome == 400:
        message = "specifying resource version is not allowed when using continue"
        assert (answer.code, answer.body["message"]) == (400, message)
    else:
        assert (answer.code, answer.body["reason"]) == (422, "Invalid")
        for message in outcome.strip("[]").split(", "):
            assert message in answer.body["message"]


@pytest.mark.parametrize(("version", "code"), [("unset", 200), ("0", 200), ("old", 200), ("now", 200), ("future", 504)])
async def test_gets(history: History, version: str, code: int) -> None:
    answer = await history.world.http("GET", f"{MAPS}/b?resourceVersion={history.revision(version)}")
    assert answer.code == code
    if code == 504:
        assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    else:
        assert answer.body["metadata"]["name"] == "b"


async def test_a_revision_that_cannot_be_read(history: History) -> None:
    for path in (f"{MAPS}/b?resourceVersion=x", f"{MAPS}?resourceVersion=-1", f"{MAPS}?watch=1&resourceVersion=1e3"):
        answer = await history.world.http("GET", path)
        assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("path", [f"{MAPS}/d", MAPS])
async def test_reads_wait_for_the_revision_that_they_name(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(reads, "WAIT_SECONDS", 60.0)
    answer = asyncio.create_task(world.http("GET", f"{path}?resourceVersion={world.store.revision + 1}"))
    await settle(200)
    assert not answer.done()
    await put(world, "d")
    found = (await answer).body
    assert [item["metadata"]["name"] for item in found.get("items", [found])] == ["d"]


async def test_old_states_that_are_gone(history: History) -> None:
    world = history.world
    resource = registry.find("", "v1", "configmaps")
    assert resource is not None
    world.server.caches.collection(resource).window_start = history.now
    await world.store.compact(history.now)
    answer = await world.http("GET", f"{MAPS}?{query(history, 'Exact', '', 'old')}")
    assert (answer.code, answer.body["reason"]) == (410, "Expired")
    assert answer.body["message"] == "The resourceVersion for the provided list is too old."
    answer = await world.http("GET", f"{MAPS}?{query(history, '', 'continue', 'unset')}")
    assert (answer.code, answer.body["reason"]) == (410, "Expired")
    going_on = answer.body["metadata"]["continue"]
    rest = (await world.http("GET", f"{MAPS}?limit=1&continue={going_on}")).body
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b"]
    last = (await world.http("GET", f"{MAPS}?limit=1&continue={rest['metadata']['continue']}")).body
    assert [item["metadata"]["name"] for item in last["items"]] == ["c"]
    assert "continue" not in last["metadata"]


async def test_what_remains_is_not_counted_under_a_selector(history: History) -> None:
    answer = await history.world.http("GET", f"{MAPS}?limit=1&labelSelector=!x")
    assert set(answer.body["metadata"]) == {"resourceVersion", "continue"}


FOR_WATCH = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
REQUIRES = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
UNSUPPORTED = 'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"'
STATE, EVENTS, NOTHING = ["ADDED b", "ADDED c"], ["DELETED a", "ADDED c"], []

# (resourceVersionMatch, sendInitialEvents) -> what the watch begins with, by resourceVersion as above.
WATCHES: dict[tuple[str, str], tuple[Any, Any, Any, Any, Any]] = {
    ("", ""): (STATE, STATE, EVENTS, NOTHING, 504),
    ("", "true"): (REQUIRES, REQUIRES, REQUIRES, REQUIRES, REQUIRES),
    ("Exact", ""): (FOR_WATCH, FOR_WATCH, FOR_WATCH, FOR_WATCH, FOR_WATCH),
    ("Exact", "true"): (UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED),
    ("NotOlderThan", ""): (FOR_WATCH, FOR_WATCH, FOR_WATCH, FOR_WATCH, FOR_WATCH),
    ("NotOlderThan", "true"): (STATE, STATE, STATE, STATE, 504),
    ("NotOlderThan", "false"): (NOTHING, NOTHING, EVENTS, NOTHING, 504),
}
WATCH_CELLS = [
    pytest.param(match, send, version, outcome, id=f"{match or 'none'}-{send or 'unset'}-{version}")
    for (match, send), outcomes in WATCHES.items()
    for version, outcome in zip(VERSIONS, outcomes, strict=True)
]


@pytest.mark.parametrize(("match", "send", "version", "outcome"), WATCH_CELLS)
async def test_watches(history: History, match: str, send: str, version: str, outcome: Any) -> None:
    more = {"watch": "1", **({"sendInitialEvents": send} if send else {})}
    path = f"{MAPS}?{query(history, match, '', version, **more)}"
    if not isinstance(outcome, list):
        answer = await history.world.http("GET", path)
        assert answer.code == (504 if outcome == 504 else 422)
        assert (outcome if outcome != 504 else "Too large resource version") in answer.body["message"]
        return
    http = history.world.http
    async with http.session.get(f"{http.base}{path}") as response:
        await settle(200)
        await put(history.world, "z")
        for wanted in [*outcome, "ADDED z"]:
            event = msgspec.json.decode(await asyncio.wait_for(response.content.readline(), 5))
            assert f"{event['type']} {event['object']['metadata']['name']}" == wanted


FIELDS = {
    "configmaps": '"spec.color" is not a known field selector: only "metadata.name", "metadata.namespace"',
    "pods": "field label not supported: spec.color",
    "secrets": "field label not supported: spec.color",
    "events": "field label not supported: spec.color",
    "jobs": 'field label "spec.color" not supported for Job',
}


@pytest.mark.parametrize("plural", FIELDS)
async def test_fields_that_cannot_be_selected_by(world: World, plural: str) -> None:
    path = "/apis/batch/v1/jobs" if plural == "jobs" else f"/api/v1/{plural}"
    for way in ("", "&watch=1"):
        answer = await world.http("GET", f"{path}?fieldSelector=spec.color%3Dred{way}")
        assert (answer.code, answer.body["message"]) == (400, FIELDS[plural])

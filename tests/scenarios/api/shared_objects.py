"""Many clients that change the same few objects at once, watches that see it, and a naive model of what may happen.

The model is the history that the watches saw, replayed one event after the other into a dict. What a client was told
must stand in there at the revision that it was told, made from the state that it must have been made from.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from api_process import TOKEN, ApiProcess

MAPS = "/api/v1/namespaces/shared/configmaps"
NAMES = [f"m{number}" for number in range(8)]
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
UNREACHABLE = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)
Object = dict[str, Any]
Event = tuple[str, Object]  # ADDED, MODIFIED or DELETED, and the object


def revision_of(thing: Object) -> int:
    return int(thing["metadata"]["resourceVersion"])


def group(name: str) -> str:
    """Deletions of collections go by this label, which a name always has."""
    return f"g{NAMES.index(name) % 2}"


@dataclass
class Told:
    """What a client was told: the object as answered, and what it must have been made from. `base`: the revision of
    the object that was replaced; `added`: data that a patch adds to whatever there is."""

    verb: str
    answer: Object
    base: int = 0
    added: dict[str, str] = field(default_factory=dict)


@dataclass
class Log:
    """Everything that all clients were told, and what never got an answer."""

    told: list[Told] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)  # uids
    cleared: list[tuple[int, str, int]] = field(default_factory=list)  # known revision before, group, revision after
    unanswered: int = 0


class Api:
    """The API over connections that may break; `serving` is clear while the server is down."""

    def __init__(self, process: ApiProcess, session: aiohttp.ClientSession) -> None:
        self._process = process
        self._session = session
        self.serving = asyncio.Event()
        self.serving.set()
        self._answers = 0
        self._awaited: list[tuple[int, asyncio.Event]] = []

    async def __call__(self, method: str, path: str, body: Any = None, media: str = "application/json") -> Any:
        """(code, answer). UNREACHABLE."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": media} if data is not None else {}
        async with self._session.request(method, self._process.base + path, data=data, headers=headers) as response:
            answer = await response.json()
        self._answers += 1
        for number, event in self._awaited:
            if self._answers >= number:
                event.set()
        return response.status, answer

    async def after(self, answers: int) -> None:
        """Return when so many more requests have been answered."""
        event = asyncio.Event()
        self._awaited.append((self._answers + answers, event))
        await event.wait()

    def stream(self, path: str) -> Any:
        return self._session.get(self._process.base + path)


def connected(process: ApiProcess) -> aiohttp.ClientSession:
    tls = ssl.create_default_context(cafile=process.authority)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=0),
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=aiohttp.ClientTimeout(total=None),
    )


class Writer:
    """One client, with a way of its own through all kinds of writes."""

    def __init__(self, api: Api, log: Log, number: int, seed: int) -> None:
        self._api = api
        self._log = log
        self._name = f"w{number}"
        self._chance = random.Random(f"{seed} {number}")
        self._count = 0
        self._known = 0  # the highest revision that was told so far

    async def run(self, steps: int) -> None:
        doings = [self.create, self.replace, self.replace, self.patch, self.patch, self.apply, self.delete, self.clear]
        weights = [5, 6, 6, 6, 6, 6, 2, 1]
        for _ in range(steps):
            await self._api.serving.wait()
            self._count += 1
            (doing,) = self._chance.choices(doings, weights)
            try:
                await doing(self._chance.choice(NAMES))
            except UNREACHABLE:
                self._log.unanswered += 1

    @property
    def _mark(self) -> dict[str, str]:
        """Data that nobody else writes."""
        return {f"{self._name}-{self._count}": "x"}

    def _heard(self, code: int, told: Told) -> None:
        assert code in (200, 201), (code, told)
        self._known = max(self._known, revision_of(told.answer))
        self._log.told.append(told)

    async def create(self, name: str) -> None:
        body = {"metadata": {"name": name, "labels": {"group": group(name)}}, "data": self._mark}
        code, answer = await self._api("POST", MAPS, body)
        if code != 409:
            self._heard(code, Told("create", answer))

    async def replace(self, name: str) -> None:
        code, current = await self._api("GET", f"{MAPS}/{name}")
        if code == 404:
            return
        base = revision_of(current)
        current["data"] = self._mark
        code, answer = await self._api("PUT", f"{MAPS}/{name}", current)
        if code not in (404, 409):
            self._heard(code, Told("replace", answer, base=base))

    async def patch(self, name: str) -> None:
        added = self._mark
        code, answer = await self._api("PATCH", f"{MAPS}/{name}", {"data": added}, MERGE)
        if code != 404:
            self._heard(code, Told("patch", answer, added=added))

    async def apply(self, name: str) -> None:
        """With a manager of its own every time, or what was applied before would have to go."""
        added, labels = self._mark, {"group": group(name)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": added}
        manager = f"{self._name}-{self._count}"
        code, answer = await self._api("PATCH", f"{MAPS}/{name}?fieldManager={manager}", body, APPLY)
        self._heard(code, Told("apply", answer, added=added))

    async def delete(self, name: str) -> None:
        code, answer = await self._api("DELETE", f"{MAPS}/{name}")
        if code != 404:
            assert code == 200, answer
            self._log.deleted.append(answer["details"]["uid"])

    async def clear(self, name: str) -> None:
        before = self._known
        code, answer = await self._api("DELETE", f"{MAPS}?labelSelector=group%3D{group(name)}")
        assert code == 200, answer
        _, listed = await self._api("GET", f"{MAPS}?limit=1")
        self._log.cleared.append((before, group(name), revision_of(listed)))


async def count_up(api: Api, name: str, times: int) -> None:
    """Increments one number, each time until it is done exactly once, as clients with a conflict retry do; a mark
    tells whether an increment that got no answer has happened."""
    for step in range(times):
        mark = f"{name}-{step}"
        while True:
            await api.serving.wait()
            try:
                _, current = await api("GET", f"{MAPS}/counter")
                if mark in current["data"]:
                    break
                current["data"] |= {"count": str(int(current["data"]["count"]) + 1), mark: "x"}
                code, answer = await api("PUT", f"{MAPS}/counter", current)
            except UNREACHABLE:
                continue
            if code == 200:
                break
            assert code == 409, answer


class Watcher:
    """Sees everything from a revision on. `events` follow each other without a gap, but for those that came before a
    list: `listed` says after how many events what was listed, because the server did not remember further back."""

    def __init__(self, api: Api, revision: int) -> None:
        self._api = api
        self.revision = revision
        self.events: list[Event] = []
        self.listed: dict[int, tuple[int, list[Object]]] = {}

    async def run(self, until: Callable[[], int | None]) -> None:
        """Watch until the revision that `until` tells (None: not known yet) has been seen."""
        while (last := until()) is None or self.revision < last:
            await self._api.serving.wait()
            try:
                await self._follow(until)
            except UNREACHABLE:
                continue

    async def _follow(self, until: Callable[[], int | None]) -> None:
        query = f"watch=1&allowWatchBookmarks=true&resourceVersion={self.revision}"
        async with self._api.stream(f"{MAPS}?{query}") as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    assert event["object"]["reason"] == "Expired", event
                    await self._list()
                    return
                revision = revision_of(event["object"])
                if event["type"] != "BOOKMARK":
                    assert revision > self.revision, "an event came twice, or out of order"
                    self.events.append((event["type"], event["object"]))
                self.revision = max(self.revision, revision)
                last = until()
                if last is not None and self.revision >= last:
                    return

    async def _list(self) -> None:
        _, found = await self._api("GET", MAPS)
        self.revision = revision_of(found)
        self.listed[len(self.events)] = (self.revision, found["items"])


def replayed(events: list[Event], listed: Mapping[int, tuple[int, list[Object]]]) -> dict[str, Object]:
    """The state after all events, which must follow from each other."""
    state: dict[str, Object] = {}
    for position in range(len(events) + 1):
        if position in listed:
            state = {item["metadata"]["name"]: item for item in listed[position][1]}
        if position < len(events):
            kind, thing = events[position]
            name = thing["metadata"]["name"]
            assert (name in state) == (kind != "ADDED"), (kind, name)
            if kind == "DELETED":
                assert state.pop(name)["metadata"]["uid"] == thing["metadata"]["uid"]
            else:
                state[name] = thing
    return state

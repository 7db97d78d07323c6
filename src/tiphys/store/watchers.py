"""Which events each watcher of a store still has to get.

A watcher follows one prefix. What happens is put into its backlog; one that falls behind by more than BACKLOG_LIMIT
events loses the backlog and reads the store's history instead, until it has caught up. History that was compacted
meanwhile ends the watch with `Compacted`, so a reader that never comes costs a bounded amount of memory.

Invariants: a watcher gets every event under its prefix after its start revision once, in revision order. Waking whoever
waits for a watcher is the drivers'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tiphys.store.interface import EventBatch, StoreEvent
from tiphys.store.mvcc import MvccState

BACKLOG_LIMIT = 10_000
HISTORY_READ_LIMIT = 10_000
"""How many events of history are looked through at a time, so that catching up does not hold up others."""


class Watcher:
    """One watch. `revision` is what its reader has got everything up to."""

    __slots__ = ("_backlog", "_state", "prefix", "revision", "started")

    def __init__(self, state: MvccState, prefix: str, start_revision: int) -> None:
        self.prefix = prefix
        self.revision = start_revision
        self._state = state
        self.started = False
        self._backlog: list[StoreEvent] | None = [] if start_revision >= state.revision else None

    def add(self, event: StoreEvent) -> None:
        """Something happened under the prefix. Events before the start revision (one in the future) are not for this
        reader."""
        backlog = self._backlog
        if backlog is None or event.kv.mod_revision <= self.revision:
            return
        if len(backlog) >= BACKLOG_LIMIT:
            self._backlog = None
            return
        backlog.append(event)

    @property
    def behind(self) -> bool:
        """Whether `take` has events, or may have."""
        return bool(self._backlog) or self._backlog is None or not self.started

    def take(self) -> EventBatch:
        """What to deliver next; empty when there is nothing (progress). Compacted."""
        self.started = True
        if self._backlog is None:
            return self._from_history()
        events, self._backlog = self._backlog, []
        self.revision = max(self.revision, self._state.revision)
        return EventBatch(events, self.revision)

    def _from_history(self) -> EventBatch:
        state = self._state
        looked_at = state.events_after(self.revision, HISTORY_READ_LIMIT)
        prefix = self.prefix
        events = [event for event in looked_at if event.kv.key.startswith(prefix)]
        self.revision += len(looked_at)
        if self.revision >= state.revision:
            self._backlog = []
        return EventBatch(events, self.revision)


class Watchers:
    """All watchers of a store, found by the keys they follow. Prefixes that end in a slash, as nearly all do, are
    looked up; only the others are compared one by one."""

    __slots__ = ("_by_folder", "_others")

    def __init__(self) -> None:
        self._by_folder: dict[str, list[Watcher]] = {}
        self._others: list[Watcher] = []

    def __iter__(self) -> Iterator[Watcher]:
        for watchers in self._by_folder.values():
            yield from watchers
        yield from self._others

    def __len__(self) -> int:
        return sum(map(len, self._by_folder.values())) + len(self._others)

    def add(self, watcher: Watcher) -> None:
        if watcher.prefix.endswith("/"):
            self._by_folder.setdefault(watcher.prefix, []).append(watcher)
        else:
            self._others.append(watcher)

    def remove(self, watcher: Watcher) -> None:
        """Forget a watcher; nothing happens when it is not there."""
        if watcher in self._others:
            self._others.remove(watcher)
            return
        watchers = self._by_folder.get(watcher.prefix, [])
        if watcher in watchers:
            watchers.remove(watcher)
            if not watchers:
                del self._by_folder[watcher.prefix]

    def publish(self, events: Sequence[StoreEvent]) -> list[Watcher]:
        """Hand the events of new revisions to the watchers they concern; those watchers, each once."""
        concerned: dict[Watcher, None] = {}
        for event in events:
            for watcher in self._following(event.kv.key):
                watcher.add(event)
                concerned[watcher] = None
        return list(concerned)

    def _following(self, key: str) -> list[Watcher]:
        found = [watcher for watcher in self._others if key.startswith(watcher.prefix)]
        by_folder = self._by_folder
        position = key.find("/")
        while position >= 0:
            position += 1
            watchers = by_folder.get(key[:position])
            if watchers is not None:
                found += watchers
            position = key.find("/", position)
        return found

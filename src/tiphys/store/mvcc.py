"""The state of a store at every revision since its compaction, in memory.

Decides what is at a key, what a range holds now or at an older revision, which writes are refused, and what a
compaction lets go of. Each write is one event and takes the next revision.

Invariants: `log` holds exactly the events of the revisions after `compact_revision` up to `revision`, in order; a key's
history is the same events, its own alone; values are shared with events and results, never copied.

Durability, pending writes and the moment a write becomes visible are the drivers'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sortedcontainers import SortedList

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

FIRST_REVISION = 1
"""The revision of a store that nothing was ever written to: 0 means "any" to clients."""

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def prefix_end(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`; None when there is none."""
    for position in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[position]) + 1
        if following > _LAST_CHARACTER:
            continue
        if following in _SURROGATES:
            following = _SURROGATES.stop
        return prefix[:position] + chr(following)
    return None


def put_event(key: str, value: bytes, revision: int, previous: KeyValue | None) -> StoreEvent:
    """The change that a create or an update makes."""
    created = previous.create_revision if previous is not None else revision
    return StoreEvent(EventType.PUT, KeyValue(key, value, created, revision), previous)


def delete_event(revision: int, previous: KeyValue) -> StoreEvent:
    """The change that a deletion makes."""
    last = KeyValue(previous.key, previous.value, previous.create_revision, revision)
    return StoreEvent(EventType.DELETE, last, previous)


def check_create(key: str, existing: KeyValue | None) -> None:
    """KeyExists when the key is taken."""
    if existing is not None:
        raise KeyExists(key)


def check_change(key: str, existing: KeyValue | None, expected_revision: int | None) -> KeyValue:
    """What an update or delete would replace. KeyNotFound, RevisionConflict."""
    if existing is None:
        raise KeyNotFound(key)
    if expected_revision is not None and existing.mod_revision != expected_revision:
        raise RevisionConflict(existing)
    return existing


@dataclass(frozen=True, slots=True)
class Released:
    """What a compaction let go of: `revisions` are no longer part of any state that can be asked for."""

    compact_revision: int
    revisions: Sequence[int]


class MvccState:
    """See the module docstring."""

    __slots__ = ("_gone", "_histories", "_live", "_superseded_bytes", "compact_revision", "current", "log", "revision")

    def __init__(
        self, items: Iterable[KeyValue] = (), revision: int = FIRST_REVISION, compact_revision: int | None = None
    ) -> None:
        """The state at `revision`, holding `items`; without history unless events are applied to it."""
        self.current: dict[str, KeyValue] = {item.key: item for item in items}
        self.revision = revision
        self.compact_revision = revision if compact_revision is None else compact_revision
        self.log: list[StoreEvent] = []
        self._live: SortedList[str] = SortedList(self.current)
        self._gone: SortedList[str] = SortedList()
        self._histories: dict[str, list[StoreEvent]] = {}
        self._superseded_bytes = 0

    @property
    def superseded_bytes(self) -> int:
        """The size of the values that only history still needs."""
        return self._superseded_bytes

    def get(self, key: str) -> KeyValue | None:
        return self.current.get(key)

    def apply(self, event: StoreEvent) -> None:
        """Make the change of the next revision."""
        kv = event.kv
        key = kv.key
        assert kv.mod_revision == self.revision + 1, f"revision {kv.mod_revision} after {self.revision}"
        if event.previous is not None:
            self._superseded_bytes += len(event.previous.value)
        if event.type is EventType.PUT:
            if event.previous is None:
                self._live.add(key)
                if key in self._histories:
                    self._gone.remove(key)
            self.current[key] = kv
        else:
            del self.current[key]
            self._live.remove(key)
            self._gone.add(key)
        history = self._histories.get(key)
        if history is None:
            self._histories[key] = [event]
        else:
            history.append(event)
        self.log.append(event)
        self.revision = kv.mod_revision

    def check_revision(self, revision: int) -> None:
        """Compacted, FutureRevision."""
        if revision < self.compact_revision:
            raise Compacted(self.compact_revision)
        if revision > self.revision:
            raise FutureRevision(f"revision {revision} is ahead of {self.revision}")

    def range(self, prefix: str, start_after: str = "", limit: int = 0, revision: int = 0) -> RangeResult:
        """As `Store.range`."""
        if revision:
            self.check_revision(revision)
        if revision and revision != self.revision:
            return self._range_at(prefix, start_after, limit, revision)
        low, high = self._bounds(self._live, prefix, start_after)
        stop = min(high, low + limit) if limit else high
        current = self.current
        items = [current[key] for key in self._live.islice(low, stop)]
        return RangeResult(items, self.revision, max(high - stop, 0))

    @staticmethod
    def _bounds(keys: SortedList[str], prefix: str, start_after: str) -> tuple[int, int]:
        low = keys.bisect_right(start_after) if start_after and start_after >= prefix else keys.bisect_left(prefix)
        end = prefix_end(prefix)
        return low, len(keys) if end is None else keys.bisect_left(end)

    def _range_at(self, prefix: str, start_after: str, limit: int, revision: int) -> RangeResult:
        keys: list[str] = []
        for index in (self._live, self._gone):
            keys += index.islice(*self._bounds(index, prefix, start_after))
        keys.sort()
        found = [kv for key in keys if (kv := self.at(key, revision)) is not None]
        items = found[:limit] if limit else found
        return RangeResult(items, revision, len(found) - len(items))

    def at(self, key: str, revision: int) -> KeyValue | None:
        """What was at the key at a revision that is still kept."""
        now = self.current.get(key)
        if now is not None and now.mod_revision <= revision:
            return now
        history = self._histories.get(key, ())
        for event in reversed(history):
            if event.kv.mod_revision <= revision:
                return event.kv if event.type is EventType.PUT else None
        return history[0].previous if history else now

    def events_after(self, revision: int, limit: int = 0) -> Sequence[StoreEvent]:
        """The events of the revisions after `revision`, oldest first, at most `limit` (0: all). Compacted."""
        if revision < self.compact_revision:
            raise Compacted(self.compact_revision)
        start = revision - self.compact_revision
        return self.log[start : start + limit] if limit else self.log[start:]

    def compact(self, revision: int) -> Released:
        """Forget the history before `revision`; nothing happens when that was done before. FutureRevision."""
        if revision <= self.compact_revision:
            return Released(self.compact_revision, ())
        self.check_revision(revision)
        count = revision - self.compact_revision
        released: list[int] = []
        for event in self.log[:count]:
            if event.previous is not None:
                released.append(event.previous.mod_revision)
                self._superseded_bytes -= len(event.previous.value)
            if event.type is EventType.DELETE:
                released.append(event.kv.mod_revision)
            self._shorten_history(event)
        del self.log[:count]
        self.compact_revision = revision
        return Released(revision, released)

    def _shorten_history(self, event: StoreEvent) -> None:
        key = event.kv.key
        history = self._histories[key]
        assert history[0] is event
        if len(history) > 1:
            del history[0]
            return
        del self._histories[key]
        if event.type is EventType.DELETE:
            self._gone.remove(key)

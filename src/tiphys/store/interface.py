"""The contract of the cluster's key-value state, for every driver (memory, SQLite, etcd).

A store is one history of revisions: every write gets the next whole number, shared by all keys. A key is text such as
`/registry/pods/default/web-0`; a value is opaque bytes. Keys order as their UTF-8 bytes do.

Invariants, checked for each driver by one suite:

- a write returns only after it is durable, and is visible to reads and watches no earlier than that;
- revisions only grow, also over a restart or a crash; a write that failed leaves no trace;
- a watch delivers every event after its start revision exactly once, in revision order, or ends with `Compacted`;
- events of one revision are never split over two batches.

Faults of the disk or the network are `StoreUnavailable`: the outcome of a write is then not acknowledged.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec


class StoreError(Exception):
    """Any fault that a store reports."""


class KeyExists(StoreError):
    """A create found the key taken."""


class KeyNotFound(StoreError):
    """An update or delete found no such key."""


class RevisionConflict(StoreError):
    """The key is not at the expected revision. `current` is what is there now."""

    def __init__(self, current: KeyValue) -> None:
        super().__init__(f"{current.key} is at revision {current.mod_revision}")
        self.current = current


class Compacted(StoreError):
    """The revision asked for is older than what is kept. `compact_revision` is the oldest that can be asked for."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"compacted at revision {compact_revision}")
        self.compact_revision = compact_revision


class FutureRevision(StoreError):
    """The revision asked for has not happened yet."""


class StoreUnavailable(StoreError):
    """The disk or the network failed (full, unwritable, gone). The message says what and where."""


class KeyValue(msgspec.Struct, frozen=True, gc=False):
    """One key at one revision. `create_revision` is when it came to be, `mod_revision` its last change."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


class EventType(enum.Enum):
    PUT = "PUT"
    DELETE = "DELETE"


class StoreEvent(msgspec.Struct, frozen=True, gc=False):
    """One change. `kv` is the new state, for DELETE the last state with `mod_revision` of the deletion;
    `previous` is the state before (None when the key was created)."""

    type: EventType
    kv: KeyValue
    previous: KeyValue | None


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in order, and the revision up to which nothing is missing (also when `events` is empty: progress)."""

    events: Sequence[StoreEvent]
    revision: int


@dataclass(frozen=True, slots=True)
class RangeResult:
    """`items` in key order; `revision` is the state they were read at; `remaining` counts what the limit left out."""

    items: Sequence[KeyValue]
    revision: int
    remaining: int


class Store(Protocol):
    """See the module docstring. All methods may be called concurrently from one event loop."""

    @property
    def revision(self) -> int:
        """The last revision that is durable and visible."""
        ...

    async def start(self) -> None:
        """Open, recover, and begin to serve. StoreUnavailable when that is not possible."""
        ...

    async def close(self) -> None:
        """Finish the writes under way and release everything. Watches end."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Write a new key; its revision. KeyExists."""
        ...

    async def update(self, key: str, value: bytes, expected_revision: int) -> int:
        """Replace the value if the key is still at `expected_revision`; the new revision. KeyNotFound,
        RevisionConflict."""
        ...

    async def delete(self, key: str, expected_revision: int | None = None) -> int:
        """Delete the key (if still at `expected_revision`); the revision of the deletion. KeyNotFound,
        RevisionConflict."""
        ...

    async def get(self, key: str) -> KeyValue | None:
        """The current state of one key, read consistently (every acknowledged write is seen)."""
        ...

    async def range(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> RangeResult:
        """Keys that begin with `prefix` and come after `start_after`, at most `limit` (0: all), as of `revision`
        (0: now). Compacted, FutureRevision."""
        ...

    def watch(self, prefix: str, start_revision: int) -> AsyncIterator[EventBatch]:
        """Every event on keys under `prefix` with a revision greater than `start_revision`, then whatever comes, in
        batches. Raises Compacted when `start_revision` is older than what is kept, also later when the reader fell that
        far behind. The first batch comes at once, empty if nothing is there to deliver; closing the iterator ends the
        watch."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`: reads and watches of older revisions are Compacted from now on."""
        ...

"""The current objects of one stored resource and the latest changes to them: what every read and watch is answered
from.

A `Collection` is fed with the store's events in revision order (by `io/feed.py`). It keeps, for each object, the
bytes that clients get (resourceVersion spliced in once), and decodes, labels and field values lazily, shared by all
readers. Past events are kept in a bounded window, from which watches start in the past and lists are answered at
older revisions.

Invariants: entries are sorted by namespace and name as the store's keys are; an `Entry` never changes what it says;
the window is contiguous: every event after `window_start` is in it. What a client may see is `selection.py`'s, forms
are `forms.py`'s business.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.kinds import codec
from tiphys.kinds.resource import Resource

WINDOW_EVENTS = 10_000
WINDOW_BYTES = 16 * 1024 * 1024
STATES_KEPT = 2

_NO_LABELS: Mapping[str, str] = {}


class WindowExceeded(Exception):
    """The revision asked for is older than the window. `oldest` is the oldest that can be asked for."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the window begins at revision {oldest}")
        self.oldest = oldest


class _HeadMeta(msgspec.Struct, gc=False):
    labels: dict[str, str] | None = None


class _Head(msgspec.Struct, gc=False):
    metadata: _HeadMeta


_head_decoder = msgspec.json.Decoder(_Head)


class Layout:
    """Where in the bytes of a resource's objects the resourceVersion stands."""

    __slots__ = ("position", "prefix", "read", "resource")

    def __init__(self, resource: Resource, read: Callable[[bytes], bytes] | None = None) -> None:
        self.resource = resource
        self.read = read
        self.prefix = f'{{"apiVersion":"{resource.api_version}","kind":"{resource.kind}","metadata":{{'.encode()
        self.position = len(self.prefix)

    def splice(self, stored: bytes, revision: int) -> bytes:
        """Stored bytes with the resourceVersion of their revision. ValueError when they do not begin as they should."""
        if not stored.startswith(self.prefix):
            raise ValueError(f"the stored bytes of a {self.resource.kind} do not begin with {self.prefix!r}")
        return b'%s"resourceVersion":"%d",%s' % (self.prefix, revision, stored[self.position :])

    def respliced(self, data: bytes, revision: int) -> bytes:
        """Spliced bytes with another resourceVersion."""
        return b'%s"resourceVersion":"%d"%s' % (self.prefix, revision, data[data.index(b",", self.position) :])

    def unspliced(self, data: bytes) -> bytes:
        """The bytes as they are stored."""
        return self.prefix + data[data.index(b",", self.position) + 1 :]


class Entry:
    """One object at one revision. `data` is its JSON with the resourceVersion."""

    __slots__ = ("_fields", "_labels", "_object", "data", "key", "layout", "name", "namespace", "revision")

    def __init__(self, layout: Layout, namespace: str, name: str, revision: int, data: bytes, obj: Any = None) -> None:
        self.layout = layout
        self.namespace = namespace
        self.name = name
        self.key = f"{namespace}/{name}" if namespace else name
        self.revision = revision
        self.data = data
        self._object = obj
        self._labels: Mapping[str, str] | None = None
        self._fields: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, {self.revision})"

    @property
    def object(self) -> Any:
        """The Struct, decoded at the first use; read-only and shared."""
        found = self._object
        if found is None:
            found = self._object = codec.decode(self.data, self.layout.resource.type)
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        found = self._labels
        if found is None:
            obj = self._object
            labels = obj.metadata.labels if obj is not None else _head_decoder.decode(self.data).metadata.labels
            found = self._labels = labels or _NO_LABELS
        return found

    @property
    def fields(self) -> Mapping[str, str]:
        """The values that field selectors can name."""
        found = self._fields
        if found is None:
            found = {"metadata.name": self.name, "metadata.namespace": self.namespace}
            found.update(self.layout.resource.strategy.fields(self.object))
            self._fields = found
        return found


class CacheEvent:
    """One change: `entry` is the new state (of a deletion: the last one, with the deletion's revision), `previous` what
    was there before. `encoded` keeps the bytes of each form, so that all watchers share them; `kept` gives it."""

    __slots__ = ("deleted", "encoded", "entry", "previous", "revision")

    def __init__(self, entry: Entry, previous: Entry | None, deleted: bool) -> None:
        self.entry = entry
        self.previous = previous
        self.deleted = deleted
        self.revision = entry.revision
        self.encoded: dict[Any, Any] | None = None

    @property
    def states(self) -> tuple[Entry, ...]:
        """The new one and the one before."""
        return (self.entry,) if self.previous is None else (self.entry, self.previous)

    @property
    def kept(self) -> dict[Any, Any]:
        """What was made of this event already."""
        if self.encoded is None:
            self.encoded = {}
        return self.encoded

    def __repr__(self) -> str:
        return f"CacheEvent({self.entry!r}{', deleted' if self.deleted else ''})"


class EntryList(list[Entry]):
    """Entries in the order of their keys, as they are now. Never changed once made, so its bytes are joined once."""

    __slots__ = ("_joined",)

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__(entries)
        self._joined: bytes | None = None

    @property
    def joined(self) -> bytes:
        """The objects' bytes with commas between them."""
        if self._joined is None:
            self._joined = b",".join([entry.data for entry in self])
        return self._joined


class _Space:
    """The objects of one namespace (or of the cluster), in the order of their names."""

    __slots__ = ("entries", "names", "sequence")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.names: list[str] = []
        self.sequence: EntryList | None = None

    def put(self, entry: Entry) -> None:
        if entry.name not in self.entries:
            insort(self.names, entry.name)
        self.entries[entry.name] = entry
        self.sequence = None

    def remove(self, name: str) -> None:
        del self.entries[name]
        del self.names[bisect_left(self.names, name)]
        self.sequence = None

    def sorted(self) -> EntryList:
        if self.sequence is None:
            entries = self.entries
            self.sequence = EntryList([entries[name] for name in self.names])
        return self.sequence


class Collection:
    """See the module docstring. `revision` is the last one applied to this collection; the feed's may be further on."""

    def __init__(
        self,
        resource: Resource,
        revision: int = 0,
        *,
        window_events: int = WINDOW_EVENTS,
        window_bytes: int = WINDOW_BYTES,
        layouts: Sequence[Layout] = (),
    ) -> None:
        self.resource = resource
        self.layout = layouts[0] if layouts else Layout(resource)
        self._layouts = layouts or (self.layout,)
        self._as_stored: dict[str, tuple[int, bytes]] = {}
        self.revision = revision
        self.window_start = revision
        self.count = 0
        self._spaces: dict[str, _Space] = {}
        self._window: list[CacheEvent] = []
        self._window_events = window_events
        self._window_bytes_limit = window_bytes
        self._window_bytes = 0
        self._all: EntryList | None = None
        self._states: dict[int, list[Entry]] = {}

    # -- what changes it

    def load(self, namespace: str, name: str, revision: int, stored: bytes) -> None:
        """An object of the state that the cache begins with."""
        self._put(self._entry(namespace, name, revision, stored, None))

    def begin(self, revision: int) -> None:
        """The state loaded is that of `revision`."""
        self.revision = self.window_start = revision

    def apply(
        self, namespace: str, name: str, revision: int, stored: bytes, deleted: bool, obj: Any = None
    ) -> CacheEvent:
        """One event of the store. `obj` is the decoded state if somebody has it; it becomes the shared snapshot."""
        if obj is not None:
            obj.metadata.resourceVersion = str(revision)
        entry = self._entry(namespace, name, revision, stored, obj)
        previous = self.get(namespace, name)
        if deleted:
            if previous is not None:
                self._remove(entry)
        else:
            self._put(entry)
        event = CacheEvent(entry, previous, deleted)
        self.revision = revision
        self._window.append(event)
        self._window_bytes += len(entry.data)
        if len(self._window) > self._window_events or self._window_bytes > self._window_bytes_limit:
            self._trim()
        return event

    def _entry(self, namespace: str, name: str, revision: int, stored: bytes, obj: Any) -> Entry:
        """The entry of stored bytes; bytes that are served otherwise than they are stored are kept beside it."""
        layout = self._layout_of(stored)
        served = stored if layout.read is None or obj is not None else layout.read(stored)
        entry = Entry(layout, namespace, name, revision, layout.splice(served, revision), obj)
        if served != stored:
            self._as_stored[entry.key] = (revision, stored)
        elif self._as_stored:
            self._as_stored.pop(entry.key, None)
        return entry

    def _layout_of(self, stored: bytes) -> Layout:
        if len(self._layouts) == 1:
            return self.layout
        # Stored in the version that was the one to store then.
        return next((layout for layout in self._layouts if stored.startswith(layout.prefix)), self.layout)

    def past_entry(self, namespace: str, name: str, revision: int, stored: bytes) -> Entry:
        """An entry of a state that is long gone, as the store remembers it."""
        layout = self._layout_of(stored)
        served = stored if layout.read is None else layout.read(stored)
        return Entry(layout, namespace, name, revision, layout.splice(served, revision))

    def stored(self, entry: Entry) -> bytes:
        """The bytes of an entry as the store has them."""
        kept = self._as_stored.get(entry.key)
        if kept is not None and kept[0] == entry.revision:
            return kept[1]
        return entry.layout.unspliced(entry.data)

    def end(self) -> None:
        """Nothing is served from here any more: watches that resume are told to list again."""
        self.window_start = sys.maxsize

    def _put(self, entry: Entry) -> None:
        space = self._spaces.get(entry.namespace)
        if space is None:
            space = self._spaces[entry.namespace] = _Space()
        before = len(space.entries)
        space.put(entry)
        self.count += len(space.entries) - before
        self._all = None

    def _remove(self, entry: Entry) -> None:
        space = self._spaces[entry.namespace]
        space.remove(entry.name)
        if not space.entries:
            del self._spaces[entry.namespace]
        self.count -= 1
        self._all = None
        self._as_stored.pop(entry.key, None)

    def _trim(self) -> None:
        """Drop the older half of the window (seldom, so that it costs little per event)."""
        cut = max(len(self._window) // 2, 1)
        self.window_start = self._window[cut - 1].revision
        del self._window[:cut]
        self._window_bytes = sum(len(event.entry.data) for event in self._window)
        self._states = {revision: state for revision, state in self._states.items() if revision >= self.window_start}

    # -- what reads it

    def get(self, namespace: str, name: str) -> Entry | None:
        space = self._spaces.get(namespace)
        return None if space is None else space.entries.get(name)

    def entries(self, namespace: str = "") -> Sequence[Entry]:
        """All objects, or those of one namespace, in the order of their keys. Not to be changed."""
        if namespace:
            space = self._spaces.get(namespace)
            return () if space is None else space.sorted()
        if self._all is None:
            spaces = sorted(self._spaces.items(), key=lambda item: item[0] + "/")
            if len(spaces) == 1:
                return spaces[0][1].sorted()
            self._all = EntryList([entry for _, space in spaces for entry in space.sorted()])
        return self._all

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())

    def events_since(self, revision: int) -> Sequence[CacheEvent]:
        """The events after `revision`. WindowExceeded."""
        if revision < self.window_start:
            raise WindowExceeded(self.window_start)
        return self._window[bisect_right(self._window, revision, key=lambda event: event.revision) :]

    def entries_at(self, revision: int, namespace: str = "") -> Sequence[Entry]:
        """The objects as they were at `revision`, in the order of their keys. WindowExceeded."""
        if revision >= self.revision:
            return self.entries(namespace)
        state = self._states.get(revision)
        if state is None:
            state = self._rolled_back(revision)
            while len(self._states) >= STATES_KEPT:
                del self._states[next(iter(self._states))]
            self._states[revision] = state
        if not namespace:
            return state
        start = bisect_left(state, f"{namespace}/", key=lambda entry: entry.key)
        return state[start : bisect_left(state, f"{namespace}0", key=lambda entry: entry.key)]  # "0" follows "/"

    def _rolled_back(self, revision: int) -> list[Entry]:
        before: dict[str, Entry | None] = {}
        for event in self.events_since(revision):
            before.setdefault(event.entry.key, event.previous)
        kept = [entry for entry in self.entries() if entry.key not in before]
        kept += [entry for entry in before.values() if entry is not None]
        kept.sort(key=lambda entry: entry.key)
        return kept

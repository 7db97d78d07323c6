"""The objects of one kind as a component last saw them: by key, by index, with the revision they were seen at.

Decides which of two sightings of an object is the newer one. Sightings come from three sides: a list (`replace`), a
watch (`apply`, `remove`, `advance`) and the component's own writes (`apply`, `remove` with the answer of the server).

Invariants: an object never goes back to an older numeric resourceVersion; what was removed at revision R comes back
only with a revision above R (a tombstone remembers R until the watch has passed it); each change is reported once.
Objects are shared snapshots: `verify` (with `detect_mutation`) finds the ones that somebody changed.
Connections, retries and who hears of changes are `io/reflector.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from tiphys.client.interface import ObjectKey
from tiphys.kinds import codec
from tiphys.kinds.types import meta_v1
from tiphys.machinery.labels import Selector

T = TypeVar("T")
IndexFunction = Callable[[Any], Iterable[Hashable]]


class Change(NamedTuple):
    """What became of one object: `old` is None when it is new, `new` is None when it is gone."""

    old: Any
    new: Any


def key_of(obj: Any) -> ObjectKey:
    """The key of an object by its metadata."""
    meta = obj.metadata
    return ObjectKey(meta.namespace or "", meta.name or "")


def version_of(obj: Any) -> int:
    """The resourceVersion as a number; 0 when there is none."""
    return int(obj.metadata.resourceVersion or 0)


def metadata_of(obj: Any) -> meta_v1.ObjectMeta:
    """The metadata of a Struct, or of plain JSON values (objects of kinds without a Struct)."""
    if isinstance(obj, dict):
        return codec.convert(obj.get("metadata") or {}, meta_v1.ObjectMeta)
    meta = obj.metadata
    return codec.convert(meta, meta_v1.ObjectMeta) if isinstance(meta, dict) else meta


class _Index:
    __slots__ = ("entries", "function")

    def __init__(self, function: IndexFunction) -> None:
        self.function = function
        self.entries: dict[Hashable, dict[ObjectKey, Any]] = {}

    def remove(self, key: ObjectKey, obj: Any) -> None:
        for value in self.function(obj):
            bucket = self.entries.get(value)
            if bucket is not None:
                bucket.pop(key, None)
                if not bucket:
                    del self.entries[value]

    def insert(self, key: ObjectKey, obj: Any) -> None:
        for value in self.function(obj):
            self.entries.setdefault(value, {})[key] = obj


class Cache(Generic[T]):
    """See the module docstring. `get`, `list` and `by_index` give shared snapshots that must not be changed."""

    def __init__(self, *, detect_mutation: bool = False) -> None:
        self.resource_version = ""
        """The revision that the list or watch has reached; "" before the first list."""
        self._namespaces: dict[str, dict[str, T]] = {}
        self._indexes: dict[str, _Index] = {}
        self._tombstones: dict[ObjectKey, int] = {}
        # Objects whose removal we know of from our own delete while the watch has not told it yet.
        self._removed_uids: set[str] = set()
        self._pristine: dict[ObjectKey, tuple[T, bytes]] | None = {} if detect_mutation else None

    def __len__(self) -> int:
        return sum(map(len, self._namespaces.values()))

    def __iter__(self) -> Iterator[T]:
        for objects in self._namespaces.values():
            yield from objects.values()

    def get(self, namespace: str, name: str) -> T | None:
        objects = self._namespaces.get(namespace)
        return None if objects is None else objects.get(name)

    def list(self, namespace: str = "", selector: Selector | None = None) -> list[T]:
        """One namespace, or all with ""; those whose labels match."""
        found: Iterable[T] = self._namespaces.get(namespace, {}).values() if namespace else self
        if selector is None or selector.empty:
            return [*found]
        matches = selector.matches
        return [obj for obj in found if matches(obj.metadata.labels)]  # type: ignore[attr-defined]

    def keys(self) -> Iterator[ObjectKey]:
        for namespace, objects in self._namespaces.items():
            for name in objects:
                yield ObjectKey(namespace, name)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """`function(object)` gives the values under which `by_index` finds the object. The same name twice must mean
        the same."""
        known = self._indexes.get(name)
        if known is not None:
            if known.function is not function:
                raise ValueError(f"index {name!r} is there already with another function")
            return
        index = self._indexes[name] = _Index(function)
        for key in [*self.keys()]:
            index.insert(key, self._namespaces[key.namespace][key.name])

    def by_index(self, name: str, value: Hashable) -> list[T]:  # type: ignore[valid-type]
        """The objects that the index function gave this value for."""
        return [*self._indexes[name].entries.get(value, {}).values()]

    def index_values(self, name: str) -> list[Hashable]:  # type: ignore[valid-type]
        """Every value that some object has now."""
        return [*self._indexes[name].entries]

    def apply(self, obj: T) -> tuple[Change, ...]:
        """A sighting of an object as it is (added, modified, or our own write). Nothing changes when something as new
        is known. An object that was replaced under its name (another uid) is reported as a removal and an addition."""
        key, version = key_of(obj), version_of(obj)
        old = self.get(*key)
        if old is not None:
            if version <= version_of(old):
                return ()
        elif version <= self._tombstones.get(key, -1) or obj.metadata.uid in self._removed_uids:  # type: ignore[attr-defined]
            return ()
        self._tombstones.pop(key, None)
        self._store(key, old, obj)
        if old is None:
            return (Change(None, obj),)
        if old.metadata.uid != obj.metadata.uid:  # type: ignore[attr-defined]
            return (Change(old, None), Change(None, obj))
        return (Change(old, obj),)

    def remove_own(self, key: ObjectKey, resource_version: int, uid: str) -> tuple[Change, ...]:
        """The server has answered that it removed the object of this uid, last written at this version: no sighting of
        it, or of an older one of its name, counts any more."""
        old = self.get(*key)
        if old is None or (old.metadata.uid != uid and version_of(old) > resource_version):  # type: ignore[attr-defined]
            return ()
        self._removed_uids.add(uid)
        return self.remove(key, max(resource_version, version_of(old)))

    def remove(self, key: ObjectKey, resource_version: int, uid: str = "") -> tuple[Change, ...]:
        """The object was deleted at this revision (or: at the latest there). A newer one of that name stays."""
        self._removed_uids.discard(uid)
        old = self.get(*key)
        if old is not None and version_of(old) > resource_version:
            return ()
        if resource_version > self._reached():
            self._tombstones[key] = max(resource_version, self._tombstones.get(key, 0))
        if old is None:
            return ()
        self._store(key, old, None)
        return (Change(old, None),)

    def replace(self, items: Iterable[T], resource_version: str) -> list[Change]:  # type: ignore[valid-type]
        """All there is as of a revision: what is not among the items is gone, unless it was seen later than that."""
        changes: list[Change] = []
        present = {key_of(obj): obj for obj in items}
        reached = int(resource_version or 0)
        for key in [*self.keys()]:
            if key not in present:
                changes += self.remove(key, reached)
        self._removed_uids &= {obj.metadata.uid or "" for obj in present.values()}  # type: ignore[attr-defined]
        for obj in present.values():
            changes += self.apply(obj)
        self.advance(resource_version)
        return changes

    def advance(self, resource_version: str) -> None:
        """The watch has delivered everything up to this revision, so nothing older can come any more."""
        self.resource_version = resource_version
        if self._tombstones:
            reached = self._reached()
            for key in [key for key, version in self._tombstones.items() if version <= reached]:
                del self._tombstones[key]

    def verify(self) -> None:
        """AssertionError that names the snapshots that were changed since they came in (needs `detect_mutation`)."""
        if self._pristine is not None:
            changed = [str(key) for key, (obj, data) in self._pristine.items() if codec.encode(obj) != data]
            if changed:
                raise AssertionError(f"shared snapshots were changed: {', '.join(sorted(changed))}")

    def _reached(self) -> int:
        return int(self.resource_version or 0)

    def _store(self, key: ObjectKey, old: T | None, new: T | None) -> None:
        for index in self._indexes.values():
            if old is not None:
                index.remove(key, old)
            if new is not None:
                index.insert(key, new)
        if new is not None:
            self._namespaces.setdefault(key.namespace, {})[key.name] = new
            if self._pristine is not None:
                self._pristine[key] = (new, codec.encode(new))
            return
        objects = self._namespaces[key.namespace]
        del objects[key.name]
        if not objects:
            del self._namespaces[key.namespace]
        if self._pristine is not None:
            self._pristine.pop(key, None)

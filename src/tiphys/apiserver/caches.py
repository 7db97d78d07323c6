"""All watch caches together: which collection a stored key belongs to, up to which revision they are complete, who
wants to hear of changes.

The store's events go in here in revision order and come out as changes of collections. Writers that have the Struct
of what they write leave it here first (`expect`), so that it need not be decoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tiphys.apiserver.watch_cache import CacheEvent, Collection, Entry, Layout
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors
from tiphys.store.interface import EventType, KeyValue, StoreEvent

T = TypeVar("T")
ROOT = "/registry/"
ChangeHandler = Callable[[Any, Any], None]


class Expected:
    """A write under way: the bytes and the Struct they were made from; `entry` once the cache has it."""

    __slots__ = ("entry", "obj", "value")

    def __init__(self, value: bytes, obj: Any) -> None:
        self.value = value
        self.obj = obj
        self.entry: Entry | None = None


class Caches:
    """`revision`: every event up to it has been applied."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.revision = 0
        self._by_storage: dict[str, Collection] = {}
        self._expected: dict[str, list[Expected]] = {}
        self._handlers: dict[str, list[ChangeHandler]] = {}
        # Stored objects of resources that are not served (yet): of custom ones before their definition is known.
        self._unplaced: dict[str, KeyValue] = {}
        for resource in resources:
            if resource.storage and resource.storage not in self._by_storage:
                self._by_storage[resource.storage] = Collection(registry.storage_resource(resource))

    def collection(self, resource: Resource) -> Collection:
        """The collection of a stored resource (shared by its versions). ApiError 404 when it is served no more."""
        found = self._by_storage.get(resource.storage)
        if found is None:
            raise errors.path_not_found()
        return found

    def serve(self, resource: Resource, layouts: Sequence[Layout]) -> Collection | None:
        """Begin to keep the objects of a custom resource, or keep them by a newer definition from now on: `resource` is
        the one in whose version they are stored, `layouts` (its own first) how each version that may be stored is read.
        The collection that is replaced, if there is one."""
        collection = Collection(resource, self.revision, layouts=layouts)
        previous = self._by_storage.get(resource.storage)
        self._by_storage[resource.storage] = collection
        if previous is not None:
            for entry in previous:
                collection.load(entry.namespace, entry.name, entry.revision, previous.stored(entry))
            previous.end()
        for key in [key for key in self._unplaced if key.startswith(resource.storage_prefix)]:
            found = self.locate(key)
            if found is not None:
                item = self._unplaced.pop(key)
                collection.load(found[1], found[2], item.mod_revision, item.value)
        collection.begin(self.revision)
        return previous

    def withdraw(self, resource: Resource) -> Collection | None:
        """Serve a custom resource no more; what is stored of it is not forgotten."""
        collection = self._by_storage.pop(resource.storage, None)
        if collection is not None:
            for entry in collection:
                key = resource.storage_key(entry.namespace, entry.name)
                self._unplaced[key] = KeyValue(
                    key=key, value=collection.stored(entry), create_revision=0, mod_revision=entry.revision
                )
            collection.end()
        return collection

    @property
    def collections(self) -> Iterable[Collection]:
        return self._by_storage.values()

    def locate(self, key: str) -> tuple[Collection, str, str] | None:
        """(collection, namespace, name) of a stored key; None for a key of no resource known."""
        parts = key[len(ROOT) :].split("/")
        collection = self._by_storage.get(parts[0])
        rest = parts[1:]
        if collection is None:
            collection = self._by_storage.get("/".join(parts[:2]))
            rest = parts[2:]
        if collection is None:
            return None
        if collection.resource.namespaced:
            return (collection, rest[0], rest[1]) if len(rest) == 2 else None
        return (collection, "", rest[0]) if len(rest) == 1 else None

    def load(self, items: Sequence[KeyValue], revision: int) -> None:
        """The state to begin with."""
        for item in items:
            found = self.locate(item.key)
            if found is not None:
                collection, namespace, name = found
                collection.load(namespace, name, item.mod_revision, item.value)
            else:
                self._unplaced[item.key] = item
        for collection in self._by_storage.values():
            collection.begin(revision)
        self.revision = revision

    def apply(self, events: Sequence[StoreEvent], revision: int) -> list[tuple[Collection, CacheEvent]]:
        """Events in order; afterwards everything up to `revision` is complete."""
        changes: list[tuple[Collection, CacheEvent]] = []
        for event in events:
            kv = event.kv
            found = self.locate(kv.key)
            if found is None:
                if event.type is EventType.DELETE:
                    self._unplaced.pop(kv.key, None)
                else:
                    self._unplaced[kv.key] = kv
                continue
            collection, namespace, name = found
            deleted = event.type is EventType.DELETE
            expected = None if deleted else self._matching(kv.key, kv.value)
            obj = expected.obj if expected is not None else None
            change = collection.apply(namespace, name, kv.mod_revision, kv.value, deleted, obj)
            if expected is not None:
                expected.entry = change.entry
            changes.append((collection, change))
            for handler in self._handlers.get(collection.resource.storage, ()):
                previous = change.previous
                handler(previous.object if previous is not None else None, None if deleted else change.entry.object)
        self.revision = max(self.revision, revision)
        return changes

    def expect(self, key: str, value: bytes, obj: Any) -> Expected:
        """The Struct of a write that is about to happen; it belongs to the cache once the write is seen."""
        expected = Expected(value, obj)
        self._expected.setdefault(key, []).append(expected)
        return expected

    def forget(self, key: str, expected: Expected) -> None:
        """The write is over, whichever way."""
        waiting = self._expected.get(key)
        if waiting is not None:
            waiting.remove(expected)
            if not waiting:
                del self._expected[key]

    def _matching(self, key: str, value: bytes) -> Expected | None:
        for expected in self._expected.get(key, ()):
            if expected.entry is None and (expected.value is value or expected.value == value):
                return expected
        return None

    # -- how the server's own parts read

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        """One object by its Struct type; read-only."""
        entry = self.collection(registry.resource_of(kind)).get(namespace, name)
        return None if entry is None else entry.object

    def list(self, kind: type[T], namespace: str = "") -> Iterable[T]:
        """All objects of a Struct type, or those of one namespace; read-only."""
        return [entry.object for entry in self.collection(registry.resource_of(kind)).entries(namespace)]

    def subscribe(self, kind: type[T], handler: ChangeHandler) -> None:
        """`handler(None, object)` for what is there, then `handler(old, new)` for each change as it is applied."""
        resource = registry.resource_of(kind)
        for entry in self.collection(resource).entries():
            handler(None, entry.object)
        self._handlers.setdefault(resource.storage, []).append(handler)

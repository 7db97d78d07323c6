"""An API server in memory for tests of controllers and other clients: the same rules of writing, watching and deleting,
no network.

    api = FakeApi(VirtualClock())
    client = api.client()
    await client.create(core_v1.Pod(...))

Calls are recorded in `api.calls`; `api.fail(...)` makes chosen calls fail. What writing means is `fake_objects.py`'s
business.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tiphys.aio.clock import Clock
from tiphys.client.api import Client
from tiphys.client.interface import ApiRequest, ListResult, ObjectKey, WatchEvent
from tiphys.kinds import codec, registry
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import core_v1, meta_v1, policy_v1
from tiphys.machinery import errors, timestamps
from tiphys.testing.fake_objects import FakeObjects, Selection, selected

T = TypeVar("T")
KEPT_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call that came in, in words: `Call("system:x", "create", "pods", "default", "", "")`."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str


@dataclass(slots=True)
class _Failure:
    matches: Callable[[Call], bool]
    error: errors.ApiError
    times: int


class _Watcher:
    def __init__(self, resource: Resource, selection: Selection) -> None:
        self.resource = resource
        self.selection = selection
        self.events: deque[WatchEvent] = deque()
        self.arrived = asyncio.Event()
        self.broken: errors.ApiError | None = None


class FakeApi:
    """See the module docstring."""

    def __init__(self, clock: Clock, *, seed: int = 0, namespaces: Sequence[str] = ("default", "kube-system")) -> None:
        self.clock = clock
        self.calls: list[Call] = []
        self.streams_lists = True
        self._objects = FakeObjects(self._changed, seed)
        self._history: deque[tuple[int, Resource, str, Any, Any]] = deque(maxlen=KEPT_EVENTS)
        self._compacted = 0
        self._watchers: list[_Watcher] = []
        self._failures: list[_Failure] = []
        for name in namespaces:
            self.add(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))

    def transport(self, user: str = "admin", groups: tuple[str, ...] = ()) -> FakeTransport:
        return FakeTransport(self, user)

    def client(self, user: str = "admin") -> Client:
        return Client(self.transport(user))

    # What a test does from outside, at once.

    def add(self, obj: T) -> T:
        """Create an object, with its status as given."""
        resource = registry.resource_of(type(obj))
        created: T = self._objects.create(resource, obj.metadata.namespace or "", obj, self.clock.now())  # type: ignore[attr-defined]
        status = getattr(obj, "status", None)
        if "status" in resource.subresources and status is not None and status != type(obj)().status:  # type: ignore[attr-defined]
            new: Any = codec.copy(created)
            new.status = status
            created = self._objects.update(resource, _key(new), new, "status")
        return created

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        found: T | None = self._objects.all(registry.resource_of(kind)).get(ObjectKey(namespace, name))
        return found

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """Sorted by namespace and name."""
        objects = self._objects.all(registry.resource_of(kind))
        return [objects[key] for key in sorted(objects) if not namespace or key.namespace == namespace]

    def change(self, kind: type[T], namespace: str, name: str, edit: Callable[[T], None]) -> T:
        """Edit spec, metadata and status of an object in one go."""
        resource = registry.resource_of(kind)
        key = ObjectKey(namespace, name)
        new: Any = codec.copy(self._objects.get(resource, key))
        edit(new)
        status = codec.copy(new.status) if getattr(new, "status", None) is not None else None
        updated: Any = self._objects.update(resource, key, new)
        if "status" in resource.subresources and status is not None and key in self._objects.all(resource):
            updated = codec.copy(updated)
            updated.status = status
            updated = self._objects.update(resource, key, updated, "status")
        return updated  # type: ignore[no-any-return]

    def remove(self, kind: type[Any], namespace: str, name: str, options: meta_v1.DeleteOptions | None = None) -> Any:
        """Delete an object; without options at once (grace 0)."""
        options = options or meta_v1.DeleteOptions(gracePeriodSeconds=0)
        key = ObjectKey(namespace, name)
        return self._objects.delete(registry.resource_of(kind), key, options, self.clock.now())

    def fail(
        self,
        error: errors.ApiError,
        *,
        verb: str = "",
        resource: str = "",
        name: str = "",
        subresource: str | None = None,
        user: str = "",
        times: int = 1,
    ) -> None:
        """Make the next calls that fit fail; "" fits everything."""

        def matches(call: Call) -> bool:
            pairs = ((verb, call.verb), (resource, call.resource), (name, call.name), (user, call.user))
            return all(not want or want == have for want, have in pairs) and subresource in (None, call.subresource)

        self._failures.append(_Failure(matches, error, times))

    def break_watches(self, resource: str = "") -> None:
        """Cut the connections of watches; clients resume."""
        for watcher in [*self._watchers]:
            if not resource or watcher.resource.plural == resource:
                watcher.broken = errors.ApiError(0, "Unreachable", "the connection was cut")
                watcher.arrived.set()

    def compact(self) -> None:
        """Forget history: watches from older revisions get 410."""
        self._compacted = self._objects.revision

    def writes(self, user: str = "") -> Sequence[Call]:
        """The recorded calls that change something."""
        return [c for c in self.calls if c.verb not in ("get", "list", "watch") and (not user or c.user == user)]

    # What comes in through transports.

    def _changed(self, resource: Resource, event_type: str, old: Any, new: Any) -> None:
        self._history.append((self._objects.revision, resource, event_type, old, new))
        for watcher in self._watchers:
            if watcher.resource.storage == resource.storage:
                event = selected(watcher.selection, event_type, old, new)
                if event is not None:
                    watcher.events.append(event)
                    watcher.arrived.set()

    def _received(self, user: str, request: ApiRequest) -> Resource:
        call = Call(user, request.verb, request.resource, request.namespace, request.name, request.subresource)
        self.calls.append(call)
        for failure in self._failures:
            if failure.times > 0 and failure.matches(call):
                failure.times -= 1
                raise failure.error
        resource = registry.find(request.group, request.version, request.resource)
        if resource is None:
            raise errors.path_not_found()
        return resource

    def call(self, user: str, request: ApiRequest) -> Any:
        resource = self._received(user, request)
        key = ObjectKey(request.namespace if resource.namespaced else "", request.name)
        if request.verb == "get":
            return self._objects.get(resource, key)
        if request.verb == "list":
            items = self._objects.list(resource, Selection(request))
            return ListResult(items=items, resource_version=str(self._objects.revision))
        if request.verb == "create":
            return self._create(resource, key, request)
        if request.verb == "update":
            return self._objects.update(resource, key, request.body, request.subresource)
        if request.verb == "patch":
            return self._objects.patch(resource, key, request)
        options = request.body or meta_v1.DeleteOptions()
        if request.verb == "delete":
            return self._objects.delete(resource, key, options, self.clock.now())
        for obj in self._objects.list(resource, Selection(request)):
            self._objects.delete(resource, _key(obj), options, self.clock.now())
        return meta_v1.Status(status="Success")

    def _create(self, resource: Resource, key: ObjectKey, request: ApiRequest) -> Any:
        if not request.subresource:
            return self._objects.create(resource, request.namespace, request.body, self.clock.now())
        if request.subresource == "eviction" and isinstance(request.body, policy_v1.Eviction):
            options = request.body.deleteOptions or meta_v1.DeleteOptions()
            self._objects.delete(resource, key, options, self.clock.now())
            return meta_v1.Status(status="Success")
        if request.subresource == "binding":
            pod = codec.copy(self._objects.get(resource, key))
            if pod.spec.nodeName:
                raise errors.conflict("pods", "", key.name, f"pod {key.name} is already assigned to a node")
            pod.spec.nodeName = request.body.target.name
            bound = codec.copy(self._objects.update(resource, key, pod))
            now = timestamps.time_of(self.clock.now())
            condition = core_v1.PodCondition(type="PodScheduled", status="True", lastTransitionTime=now)
            others = [c for c in bound.status.conditions or () if c.type != "PodScheduled"]
            bound.status.conditions = [*others, condition]
            self._objects.update(resource, key, bound, "status")
            return meta_v1.Status(status="Success")
        raise errors.path_not_found()

    async def watch(self, user: str, request: ApiRequest) -> AsyncIterator[Sequence[WatchEvent]]:
        resource = self._received(user, request)
        watcher = _Watcher(resource, Selection(request))
        start = int(request.options.get("resourceVersion") or 0)
        if request.options.get("sendInitialEvents") == "true":
            if not self.streams_lists:
                raise errors.ApiError(422, "Invalid", "sendInitialEvents is forbidden for watch")
            found = self._objects.list(resource, watcher.selection)
            watcher.events.extend(WatchEvent(type="ADDED", object=obj) for obj in found)
            marks = {"k8s.io/initial-events-end": "true"}
            meta = meta_v1.ObjectMeta(resourceVersion=str(self._objects.revision), annotations=marks)
            watcher.events.append(WatchEvent(type="BOOKMARK", object=resource.type(metadata=meta)))
        elif start:
            if start < self._compacted:
                raise errors.expired(f"too old resource version: {start} ({self._compacted})")
            self._replay(watcher, start)
        if watcher.events:
            watcher.arrived.set()
        self._watchers.append(watcher)
        try:
            while True:
                await watcher.arrived.wait()
                watcher.arrived.clear()
                batch, watcher.events = watcher.events, deque()
                if batch:
                    yield list(batch)
                if watcher.broken is not None:
                    raise watcher.broken
        finally:
            self._watchers.remove(watcher)

    def _replay(self, watcher: _Watcher, start: int) -> None:
        for revision, resource, event_type, old, new in self._history:
            if revision > start and resource.storage == watcher.resource.storage:
                event = selected(watcher.selection, event_type, old, new)
                if event is not None:
                    watcher.events.append(event)


class FakeTransport:
    """The `Transport` of one user. A call takes a turn of the event loop, so that calls interleave as real ones do."""

    def __init__(self, api: FakeApi, user: str) -> None:
        self._api = api
        self._user = user

    async def call(self, request: ApiRequest) -> Any:
        await asyncio.sleep(0)
        answer = self._api.call(self._user, request)
        await asyncio.sleep(0)
        return answer

    def watch(self, request: ApiRequest) -> AsyncIterator[Sequence[WatchEvent]]:
        return self._api.watch(self._user, request)

    async def close(self) -> None:
        return None


def _key(obj: Any) -> ObjectKey:
    return ObjectKey(obj.metadata.namespace or "", obj.metadata.name or "")

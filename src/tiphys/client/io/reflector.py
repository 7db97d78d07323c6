"""Informers: caches that a list and a watch keep current, shared by everybody in a component.

A `Reflector` follows one collection into a `Sink`; an `Informer` is the sink that keeps a `Cache` and tells handlers.
After a broken watch it resumes from the last revision; after 410 it lists again and the cache reports the difference.
What counts as newer is `client/cache.py`'s decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar, cast

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.cache import Cache, Change, metadata_of
from tiphys.client.interface import ListResult, ObjectKey, WatchEvent
from tiphys.machinery.errors import ApiError

T = TypeVar("T")
Handler = Callable[[T | None, T | None], None]
log = logging.getLogger(__name__)

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
PAGE_SIZE = 500
FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 30.0
# A watch that lived this long was healthy: its end is not one more failure in a row.
HEALTHY_SECONDS = 5.0


class Sink(Protocol):
    """Where a reflector delivers: the whole collection first (and after each gap), then events in order."""

    def replace(self, items: Sequence[Any], resource_version: str) -> None: ...

    def events(self, batch: Sequence[WatchEvent]) -> None: ...


class Source(Protocol):
    """The two calls of `client.api.Client` that a reflector makes."""

    async def list(
        self, kind: Any, namespace: str = "", *, label_selector: str = "", field_selector: str = "",
        options: Mapping[str, str] | None = None,
    ) -> ListResult: ...  # fmt: skip

    def watch(
        self, kind: Any, namespace: str = "", *, resource_version: str = "", label_selector: str = "",
        field_selector: str = "", options: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Sequence[WatchEvent]]: ...  # fmt: skip


class Reflector(Generic[T]):
    """Follows one collection for ever. Fails only when the sink does; API failures are retried with growing waits.

    `jitter()` gives a number in [0, 1): a wait is stretched by up to that part, so that many clients do not return at
    once."""

    def __init__(
        self,
        client: Source,
        kind: type[T],
        sink: Sink,
        clock: Clock,
        *,
        namespace: str = "",
        field_selector: str = "",
        label_selector: str = "",
        jitter: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._client = client
        self._kind = kind
        self._sink = sink
        self._clock = clock
        self._namespace = namespace
        self._selectors = {"field_selector": field_selector, "label_selector": label_selector}
        self._jitter = jitter
        self._backoff: Backoff[str] = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._streams_lists = True
        self.resource_version = ""

    def __str__(self) -> str:
        return f"{getattr(self._kind, '__name__', self._kind)}{' in ' + self._namespace if self._namespace else ''}"

    async def run(self) -> None:
        """List, watch, resume; until cancelled."""
        while True:
            began = self._clock.monotonic()
            try:
                if self.resource_version:
                    await self._watch()
                elif self._streams_lists:
                    await self._watch_with_initial_events()
                else:
                    await self._list()
                    continue
            except ApiError as error:
                if self._is_over(error):
                    continue
                log.log(logging.DEBUG if error.code == 0 else logging.WARNING, "following %s: %s", self, error)
            if self._clock.monotonic() - began >= HEALTHY_SECONDS:
                self._backoff.reset("watch")
                continue
            wait_seconds = self._backoff.next("watch")
            await self._clock.sleep(wait_seconds * (1 + self._jitter()))

    def _is_over(self, error: ApiError) -> bool:
        """True when the answer is to go on at once in another way."""
        if error.code == 410:
            log.info("following %s: %s; listing again", self, error.message)
            had_version = bool(self.resource_version)
            self.resource_version = ""
            return had_version
        if error.code == 504 and any(cause.reason == "ResourceVersionTooLarge" for cause in error.causes):
            self.resource_version = ""
        if not self.resource_version and self._streams_lists and error.code in (400, 422):
            self._streams_lists = False
            return True
        return False

    async def _list(self) -> None:
        options = {"limit": str(PAGE_SIZE)}
        items: list[Any] = []
        while True:
            result = await self._client.list(self._kind, self._namespace, options=options, **self._selectors)
            items += result.items
            if not result.continue_token:
                break
            options = {"limit": str(PAGE_SIZE), "continue": result.continue_token}
        self._sink.replace(items, result.resource_version)
        self.resource_version = result.resource_version

    async def _watch_with_initial_events(self) -> None:
        options = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        }
        initial: list[Any] | None = []
        watch = self._client.watch(self._kind, self._namespace, options=options, **self._selectors)
        async with aclosing(cast(Any, watch)) as batches:
            async for batch in batches:
                if initial is None:
                    self._deliver(batch)
                    continue
                for position, event in enumerate(batch):
                    if event.type != "BOOKMARK":
                        initial.append(event.object)
                    elif INITIAL_EVENTS_END in (metadata_of(event.object).annotations or {}):
                        self.resource_version = metadata_of(event.object).resourceVersion or ""
                        self._sink.replace(initial, self.resource_version)
                        initial = None
                        self._deliver(batch[position + 1 :])
                        break

    async def _watch(self) -> None:
        watch = self._client.watch(
            self._kind,
            self._namespace,
            resource_version=self.resource_version,
            options={"allowWatchBookmarks": "true"},
            **self._selectors,
        )
        async with aclosing(cast(Any, watch)) as batches:
            async for batch in batches:
                self._deliver(batch)

    def _deliver(self, batch: Sequence[WatchEvent]) -> None:
        if batch:
            self._sink.events(batch)
            self.resource_version = metadata_of(batch[-1].object).resourceVersion or self.resource_version


class Informer(Generic[T]):
    """A cache that is kept current, and handlers that hear of each change in order, on the event loop."""

    def __init__(self, *, detect_mutation: bool = False) -> None:
        self.cache: Cache[T] = Cache(detect_mutation=detect_mutation)
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()

    @property
    def has_synced(self) -> bool:
        """The first list is in the cache."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Return once the first list is in the cache and the handlers have heard of it."""
        await self._synced.wait()

    def add_handler(self, handler: Handler[T]) -> None:
        """`handler(old, new)`: old is None for a new object, new is None for one that is gone. What is there already is
        told now. A handler must not wait and must not raise; it may write to the cache through `observe_*`."""
        self._handlers.append(handler)
        for obj in [*self.cache]:
            handler(None, obj)

    def remove_handler(self, handler: Handler[T]) -> None:
        self._handlers.remove(handler)

    def observe_write(self, obj: T) -> None:
        """What the server answered to our own create, update or patch: the next read sees it before its event comes."""
        self._tell(self.cache.apply(obj))

    def observe_delete(self, key: ObjectKey, resource_version: str | int, uid: str = "") -> None:
        """The server has removed the object, at this revision (or the last one we know of). With the uid no late event
        can bring it back; without it one from between the two revisions can, until the removal's own event comes."""
        version = int(resource_version or 0)
        self._tell(self.cache.remove_own(key, version, uid) if uid else self.cache.remove(key, version))

    def replace(self, items: Sequence[T], resource_version: str) -> None:
        """Sink: a list arrived."""
        self._tell(self.cache.replace(items, resource_version))
        self._synced.set()

    def events(self, batch: Sequence[WatchEvent]) -> None:
        """Sink: events arrived."""
        cache = self.cache
        for event in batch:
            obj = event.object
            if event.type == "DELETED":
                key = ObjectKey(obj.metadata.namespace or "", obj.metadata.name or "")
                self._tell(cache.remove(key, int(obj.metadata.resourceVersion or 0), obj.metadata.uid or ""))
            elif event.type != "BOOKMARK":
                self._tell(cache.apply(obj))
        cache.advance(batch[-1].object.metadata.resourceVersion or cache.resource_version)

    def _tell(self, changes: Sequence[Change]) -> None:
        for old, new in changes:
            for handler in self._handlers:
                handler(old, new)


class InformerSet:
    """The informers of one component: one for each kind and selection, however many ask for it. Tasks belong to
    `owner`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        owner: TaskOwner,
        *,
        jitter: Callable[[], float] = lambda: 0.0,
        detect_mutation: bool = False,
    ) -> None:
        self._client = client
        self._clock = clock
        self._owner = owner
        self._jitter = jitter
        self._detect_mutation = detect_mutation
        self._informers: dict[tuple[Any, str, str, str], Informer[Any]] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._started = False

    def informer(
        self, kind: type[T], *, namespace: str = "", field_selector: str = "", label_selector: str = ""
    ) -> Informer[T]:
        """The informer for this selection; it runs from `start` on, or at once when that has been."""
        arguments = (kind, namespace, field_selector, label_selector)
        found = self._informers.get(arguments)
        if found is None:
            found = self._informers[arguments] = Informer(detect_mutation=self._detect_mutation)
            if self._started:
                self._run(arguments, found)
        return found

    def existing(self, kind: type[T]) -> Informer[T] | None:
        """The informer of everything of a kind, if somebody has asked for it."""
        return self._informers.get((kind, "", "", ""))

    def start(self) -> None:
        """Begin to follow; does not wait (see `synced`)."""
        if not self._started:
            self._started = True
            for arguments, informer in self._informers.items():
                self._run(arguments, informer)

    async def synced(self) -> None:
        """Return once every informer that is there now has its first list."""
        for informer in [*self._informers.values()]:
            await informer.synced()

    async def discard(self, informer: Informer[Any]) -> None:
        """Stop following one selection; the next `informer` call makes it anew."""
        for arguments in [key for key, value in self._informers.items() if value is informer]:
            del self._informers[arguments]
        await _end(self._tasks.pop(id(informer), None))

    async def stop(self) -> None:
        """End all watches. Caches stay readable."""
        self._started = False
        tasks, self._tasks = [*self._tasks.values()], {}
        for task in tasks:
            task.cancel()
        for task in tasks:
            await _end(task)

    def verify(self) -> None:
        """AssertionError if a shared snapshot was changed (needs `detect_mutation`)."""
        for informer in self._informers.values():
            informer.cache.verify()

    def _run(self, arguments: tuple[Any, str, str, str], informer: Informer[Any]) -> None:
        kind, namespace, field_selector, label_selector = arguments
        reflector: Reflector[Any] = Reflector(
            self._client,
            kind,
            informer,
            self._clock,
            namespace=namespace,
            field_selector=field_selector,
            label_selector=label_selector,
            jitter=self._jitter,
        )
        self._tasks[id(informer)] = self._owner.start(reflector.run(), f"informer {reflector}")


async def _end(task: Awaitable[Any] | None) -> None:
    if isinstance(task, asyncio.Task):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

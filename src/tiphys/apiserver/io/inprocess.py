"""The API without a wire: a `Transport` for components in the same process.

The same authorization, admission and validation as over HTTP, with the component's own identity; no TLS, HTTP or JSON.
What it hands out are the watch cache's own snapshots, shared by everybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tiphys.apiserver import routes, watch_options
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Authorizer
from tiphys.apiserver.authz.refusal import forbidden
from tiphys.apiserver.forms import INITIAL_EVENTS_END, converted, shown_entry
from tiphys.apiserver.io.dispatch import Dispatch
from tiphys.apiserver.io.reads import Reads
from tiphys.apiserver.io.watching import WatchHub
from tiphys.apiserver.permissions import attributes_of
from tiphys.apiserver.request import RequestInfo
from tiphys.apiserver.rest import ownership
from tiphys.apiserver.rest.call import Call, ObjectBody
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import CacheEvent, Collection, Entry
from tiphys.client.interface import ApiRequest, ListResult, WatchEvent
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import meta_v1
from tiphys.machinery import errors, fields

# A reader that has this many events waiting is told to start again.
WAITING_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class StructPayloads:
    """Events as WatchEvents, shared by all watches in this process."""

    resource: Resource
    with_bookmarks: bool

    def events(self, pending: Sequence[tuple[str, CacheEvent]], now: float) -> list[WatchEvent]:
        return [self.event(event_type, event) for event_type, event in pending]

    def event(self, event_type: str, event: CacheEvent) -> WatchEvent:
        key = (event_type, self.resource)
        found: WatchEvent | None = event.kept.get(key)
        if found is None:
            found = WatchEvent(type=event_type, object=self.object(shown_entry(event_type, event)))
            event.kept[key] = found
        return found

    def object(self, entry: Entry) -> Any:
        return entry.object if entry.layout.resource == self.resource else converted(entry.object, self.resource)

    def bookmark(self, revision: int, initial_events_end: bool = False) -> list[WatchEvent] | None:
        if not self.with_bookmarks:
            return None
        annotations = {INITIAL_EVENTS_END: "true"} if initial_events_end else None
        metadata = meta_v1.ObjectMeta(resourceVersion=str(revision), annotations=annotations)
        return [WatchEvent(type="BOOKMARK", object=self.resource.type(metadata=metadata))]


class _Inbox:
    """What a watch was handed and has not read yet."""

    def __init__(self) -> None:
        self.events: deque[WatchEvent] = deque()
        self.overrun = False
        self._waiting: asyncio.Future[None] | None = None

    def deliver(self, payload: list[WatchEvent]) -> bool:
        if len(self.events) + len(payload) > WAITING_LIMIT:
            return False
        self.events.extend(payload)
        self._wake()
        return True

    def fell_behind(self, revision: int) -> None:
        self.overrun = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def batch(self) -> list[WatchEvent]:
        """Everything that waits; waits for the first if there is nothing. Empty at the end."""
        while not self.events and not self.overrun:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        found = list(self.events)
        self.events.clear()
        return found


class InProcessTransport:
    """See `client.interface.Transport`."""

    def __init__(
        self, user: UserInfo, authorizer: Authorizer, dispatch: Dispatch, reads: Reads, hub: WatchHub, jitter: Any
    ) -> None:
        self._user = user
        self._field_manager = ownership.component_name(user.name)
        self._authorizer = authorizer
        self._dispatch = dispatch
        self._reads = reads
        self._hub = hub
        self._jitter = jitter

    def _call(self, request: ApiRequest) -> Call:
        """The call, once the user may make it. ApiError 403, 404, 405."""
        query: Mapping[str, str] = request.options
        if request.label_selector or request.field_selector:
            query = {**query, "labelSelector": request.label_selector, "fieldSelector": request.field_selector}
        is_namespace = not request.group and request.resource == "namespaces"
        info = RequestInfo(
            verb=request.verb,
            path="",
            is_resource=True,
            group=request.group,
            version=request.version,
            namespace=request.name if is_namespace else request.namespace,
            resource=request.resource,
            name=request.name or _named(request.field_selector),
            subresource=request.subresource,
        )
        question = attributes_of(self._user, info, request.field_selector)
        decision = self._authorizer.authorize(question)
        if not decision.allowed:
            raise forbidden(question, decision.reason)
        resource = self._dispatch.resource(info)
        if resource is None:
            raise errors.path_not_found()
        patch_type = request.patch_type.value if request.patch_type is not None else ""
        call = Call(
            user=self._user,
            resource=resource,
            verb=request.verb,
            namespace=request.namespace if resource.namespaced else "",
            name=request.name,
            subresource=request.subresource,
            field_manager=query.get("fieldManager") or self._field_manager,
            query=query,
            body=ObjectBody(request.body, patch_type),
        )
        routes.check(call)
        return call

    async def call(self, request: ApiRequest) -> Any:
        call = self._call(request)
        try:
            if call.verb == "list":
                entries, head = await self._reads.list(call)
                await self._hub.ready(call.resource, entries)
                payloads = StructPayloads(call.resource, False)
                return ListResult(
                    items=[payloads.object(entry) for entry in entries],
                    resource_version=str(head.revision),
                    continue_token=head.continue_token,
                    remaining=head.remaining or 0,
                )
            if call.verb == "get" and "resourceVersion" in call.query:
                await self._reads.named_revision(call)
            outcome = await (self._dispatch.get(call) if call.verb == "get" else self._dispatch.write(call))
        except msgspec.ValidationError as error:
            raise errors.bad_request(str(error)) from error
        if outcome.entry is not None:
            shown_as = outcome.shown_as or call.resource
            await self._hub.ready(shown_as, (outcome.entry,))
            return StructPayloads(shown_as, False).object(outcome.entry)
        if outcome.listed is not None:
            return meta_v1.Status(status="Success")
        if isinstance(outcome.obj, dict):
            return msgspec.convert(outcome.obj, meta_v1.Status)
        return outcome.obj

    async def _missed(
        self, collection: Collection, chosen: Selection, payloads: StructPayloads, position: int
    ) -> list[WatchEvent]:
        """What has happened after `position`, up to a moment at which nothing was waited for any more."""
        found: list[WatchEvent] = []
        while past := await self._hub.past(collection, chosen, position):
            position = self._reads.caches.revision
            await self._hub.ready(payloads.resource, [shown_entry(kind, event) for kind, event in past])
            found += [payloads.event(event_type, event) for event_type, event in past]
        return found

    async def watch(self, request: ApiRequest) -> AsyncIterator[Sequence[WatchEvent]]:
        call = self._call(request)
        options = watch_options.parse(call.query, self._jitter())
        chosen = self._reads.selection(call)
        collection = self._reads.collection(call.resource)
        await self._reads.wait_for(options.revision)
        payloads = StructPayloads(call.resource, options.bookmarks)
        first: list[WatchEvent] = []
        position = self._reads.caches.revision if options.initial_events else options.revision
        if options.initial_events:
            entries = await self._hub.initial(collection, chosen, call.resource)
            first = [WatchEvent(type="ADDED", object=payloads.object(entry)) for entry in entries]
            if options.bookmark_initial_end:
                first += payloads.bookmark(self._reads.caches.revision, True) or ()
        if position is not None:
            first += await self._missed(collection, chosen, payloads, position)
        inbox = _Inbox()
        group = self._hub.join(collection, chosen, payloads, inbox)
        try:
            if first:
                yield first
            while True:
                batch = await inbox.batch()
                if batch:
                    yield batch
                elif inbox.overrun:
                    raise errors.expired("the watch fell behind; list again")
        finally:
            self._hub.leave(collection, group, inbox)

    async def close(self) -> None:
        """Nothing is held between calls."""


def _named(field_selector: str) -> str:
    if not field_selector:
        return ""
    try:
        return fields.parse(field_selector).exact_match("metadata.name") or ""
    except ValueError as error:
        raise errors.bad_request(str(error)) from error

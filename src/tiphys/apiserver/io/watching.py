"""Delivers events to watches: pending events of a group are encoded once and handed to all its members in one write
each.

A watch first catches up (current state, or past events), then joins its group and gets what the group gets. One that
does not take its bytes leaves the group, waits until it has taken them, and catches up from the window again; one
that falls behind the window ends with 410, one that takes nothing for too long is cut off. So memory per watch is
bounded and nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from tiphys.aio.tasks import TaskOwner
from tiphys.apiserver import watch_options
from tiphys.apiserver.caches import Caches
from tiphys.apiserver.forms import shown_entry
from tiphys.apiserver.io.conversions import Conversions
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import CacheEvent, Collection, Entry
from tiphys.apiserver.watchers import Group, Watchers
from tiphys.kinds.crd import needs_webhook
from tiphys.kinds.resource import Resource
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)

BOOKMARK_SECONDS = 60.0


class Payloads(Protocol):
    """How a group's members want events; compares by value."""

    @property
    def resource(self) -> Resource: ...

    def events(self, pending: Sequence[tuple[str, CacheEvent]], now: float) -> Any: ...

    def bookmark(self, revision: int) -> Any:
        """None when these members want none."""
        ...


class Member(Protocol):
    """A watch that has caught up."""

    def deliver(self, payload: Any) -> bool:
        """False: it cannot take more now (the payload was not taken)."""
        ...

    def fell_behind(self, revision: int) -> None:
        """It was taken out of the group; it has everything up to `revision`."""
        ...


class WatchHub:
    """All watches of the server."""

    def __init__(self, caches: Caches, now: Any, conversions: Conversions, owner: TaskOwner) -> None:
        self._caches = caches
        self._conversions = conversions
        self._owner = owner
        self._converting: set[Group[Any]] = set()
        self._now = now
        self._watchers: dict[Collection, Watchers[Any]] = {}
        self._touched: dict[Group[Any], Watchers[Any]] = {}
        self._scheduled = False
        self.delivered_events = 0

    def __len__(self) -> int:
        return sum(len(watchers) for watchers in self._watchers.values())

    def counts(self) -> list[tuple[Collection, int]]:
        return [(collection, len(watchers)) for collection, watchers in self._watchers.items()]

    def on_changes(self, changes: Sequence[tuple[Collection, CacheEvent]], revision: int) -> None:
        """Events were applied to the caches: put them to the groups they concern; they go out in this turn of the
        loop."""
        for collection, event in changes:
            watchers = self._watchers.get(collection)
            if watchers is not None:
                for group in watchers.add(event):
                    self._touched[group] = watchers
        if self._touched and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_all)

    def _flush_all(self) -> None:
        self._scheduled = False
        touched, self._touched = self._touched, {}
        for group, watchers in touched.items():
            self._flush(group, watchers)

    def _flush(self, group: Group[Any], watchers: Watchers[Any]) -> None:
        if group in self._converting:
            return
        resource = group.form.resource
        if needs_webhook(resource) and group.pending:
            waiting = self._unconverted(group, resource)
            if waiting:
                self._converting.add(group)
                self._owner.start(self._convert(group, watchers, waiting), f"conversion of {resource}")
                return
        pending, group.pending = group.pending, []
        if not pending:
            return
        before, group.delivered = group.delivered, self._caches.revision
        payload = group.form.events(pending, self._now())
        self.delivered_events += len(pending) * len(group.members)
        slow = [member for member in group.members if not member.deliver(payload)]
        for member in slow:
            watchers.leave(group, member)
            member.fell_behind(before)

    def _unconverted(self, group: Group[Any], resource: Resource) -> list[Entry]:
        """What has to be converted before the pending events can be matched, and then what before they can be shown."""
        states = [entry for event in group.undecided for entry in event.states]
        if self._conversions.needed(resource, states):
            return states
        group.decide()
        shown = [shown_entry(event_type, event) for event_type, event in group.pending]
        return shown if self._conversions.needed(resource, shown) else []

    async def _convert(self, group: Group[Any], watchers: Watchers[Any], waiting: list[Entry]) -> None:
        """Have events converted by a webhook, then deliver them. When that fails the watches catch up by themselves,
        and tell their clients why they cannot."""
        try:
            await self._conversions.ready(group.form.resource, waiting)
        except ApiError as error:
            log.warning("a watch cannot go on: %s", error)
            group.pending.clear()
            for member in [*group.members]:
                watchers.leave(group, member)
                member.fell_behind(group.delivered)
        finally:
            self._converting.discard(group)
        self._flush(group, watchers)

    async def ready(self, resource: Resource, entries: Sequence[Entry]) -> None:
        """Return when entries can be shown as `resource`. ApiError 500."""
        await self._conversions.ready(resource, entries)

    async def initial(self, collection: Collection, selection: Selection, resource: Resource) -> Sequence[Entry]:
        """The present state of what is selected, ready to be shown as `resource`. ApiError 500."""
        entries = watch_options.present(collection, selection)
        await self._conversions.selectable(selection, entries)
        found = selection.of(entries)
        await self.ready(resource, found)
        return found

    async def past(self, collection: Collection, selection: Selection, revision: int) -> list[tuple[str, CacheEvent]]:
        """What happened in the selection after `revision`, up to the caches' present one. ApiError 410, 500."""
        events = watch_options.changes(collection, revision)
        while await self._conversions.selectable(selection, (state for event in events for state in event.states)):
            events = watch_options.changes(collection, revision)
        return watch_options.concerning(events, selection)

    def join(self, collection: Collection, selection: Selection, form: Payloads, member: Any) -> Group[Any]:
        """From now on `member` gets every event after the caches' present revision."""
        watchers = self._watchers.get(collection)
        if watchers is None:
            watchers = self._watchers[collection] = Watchers()
        group = watchers.group(selection, form)
        self._touched.pop(group, None)
        self._flush(group, watchers)
        group = watchers.group(selection, form)
        group.delivered = self._caches.revision
        group.members[member] = None
        return group

    def leave(self, collection: Collection, group: Group[Any], member: Any) -> None:
        watchers = self._watchers.get(collection)
        if watchers is not None:
            watchers.leave(group, member)

    def end(self, collection: Collection) -> None:
        """End the watches on a collection that is served no more (they are told to list again)."""
        self._flush_all()
        watchers = self._watchers.pop(collection, None)
        if watchers is None:
            return
        for group in watchers.groups:
            for member in [*group.members]:
                watchers.leave(group, member)
                member.fell_behind(group.delivered)

    def bookmarks(self) -> None:
        """Tell every watch that wants it how far it is."""
        self._flush_all()
        revision = self._caches.revision
        for watchers in self._watchers.values():
            for group in watchers.groups:
                payload = group.form.bookmark(revision) if not group.pending else None
                if payload is None:
                    continue
                group.delivered = revision
                for member in [*group.members]:
                    member.deliver(payload)

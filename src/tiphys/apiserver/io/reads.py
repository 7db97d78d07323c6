"""Reading: get, list and what watches begin with, from the watch caches; the store's history where those do not
reach."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tiphys.apiserver import lists, selection
from tiphys.apiserver.caches import Caches
from tiphys.apiserver.forms import ListHead
from tiphys.apiserver.io.conversions import Conversions
from tiphys.apiserver.io.feed import Feed
from tiphys.apiserver.io.http import in_task
from tiphys.apiserver.rest.call import Call
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import Collection, Entry, WindowExceeded
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors
from tiphys.store.interface import Store, StoreError

# How long a read waits for a revision that it names and that has not arrived yet.
WAIT_SECONDS = 3.0


class Reads:
    def __init__(self, caches: Caches, feed: Feed, store: Store, conversions: Conversions) -> None:
        self.caches = caches
        self._conversions = conversions
        self._feed = feed
        self._store = store

    def collection(self, resource: Resource) -> Collection:
        return self.caches.collection(resource)

    def selection(self, call: Call) -> Selection:
        """What a list or watch selects. ApiError 400."""
        query = call.query
        label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
        if call.verb == "watch" and call.name and "metadata.name" not in field_text:  # /watch/.../NAME
            field_text = ",".join(text for text in (field_text, f"metadata.name={call.name}") if text)
        if not label_text and not field_text:
            return Selection(call.namespace)
        return selection.parse(call.resource, call.namespace, label_text, field_text)

    async def wait_for(self, revision: int | None) -> None:
        """Wait a little for a revision that a client knows already. ApiError 504."""
        if revision is None or revision <= self.caches.revision:
            return
        await in_task()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._feed.reached(revision)
        except TimeoutError:
            raise errors.too_large_resource_version(revision, self.caches.revision) from None

    async def named_revision(self, call: Call) -> None:
        """Wait until the revision that a get names is here. ApiError 400, 504."""
        version = call.query.get("resourceVersion", "")
        if version:
            await self.wait_for(lists.parse_revision(version))

    async def list(self, call: Call) -> tuple[Sequence[Entry], ListHead]:
        """The entries and metadata of a list. ApiError."""
        query = lists.parse(call.query)
        if not call.resource.storage:  # nothing is ever stored of these
            return [], ListHead(self.caches.revision)
        chosen = self.selection(call)
        collection = self.collection(call.resource)
        if query.revision is not None and query.revision > self.caches.revision:
            await self.wait_for(query.revision)
        try:
            entries, revision = lists.state(collection, self.caches.revision, chosen, query)
        except WindowExceeded:
            past = await self._past(collection, chosen.namespace, query.revision or 0)
            entries, revision = lists.state(collection, self.caches.revision, chosen, query, lambda _: past)
        await self._conversions.selectable(chosen, entries)
        return lists.chosen(entries, chosen, query, revision)

    async def _past(self, collection: Collection, namespace: str, revision: int) -> Sequence[Entry] | None:
        """An older state from the store's history; None when it is gone."""
        prefix = collection.resource.storage_prefix
        if namespace:
            prefix = f"{prefix}{namespace}/"
        try:
            found = await self._store.range(prefix, revision=revision)
        except StoreError:
            return None
        entries = []
        for item in found.items:
            place = self.caches.locate(item.key)
            if place is not None:
                entries.append(collection.past_entry(place[1], place[2], item.mod_revision, item.value))
        return entries

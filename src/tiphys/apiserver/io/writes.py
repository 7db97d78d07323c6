"""Writes to the store: encode once, compare and swap, return when the watch cache has what was written."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tiphys.apiserver.caches import Caches
from tiphys.apiserver.io.feed import Feed
from tiphys.apiserver.io.http import BODY_BYTES_LIMIT
from tiphys.apiserver.watch_cache import Collection, Entry
from tiphys.kinds import codec
from tiphys.machinery import errors
from tiphys.store.interface import KeyExists, KeyNotFound, RevisionConflict, Store, StoreUnavailable

# What a client can send at once is all that one object may become by many small patches.
STORED_BYTES_LIMIT = BODY_BYTES_LIMIT
NOT_ACKNOWLEDGED = "the state of the cluster cannot be written: {}"


class Writer:
    """Objects handed over here belong to the cache afterwards: whoever writes must not change them again."""

    def __init__(self, store: Store, caches: Caches, feed: Feed) -> None:
        self._store = store
        self._caches = caches
        self._feed = feed

    def encode(self, obj: Any) -> bytes:
        """The bytes as they are stored, without resourceVersion."""
        obj.metadata.resourceVersion = None
        return codec.encode(obj)

    def encode_bounded(self, obj: Any, before: int = 0) -> bytes:
        """The bytes as they are stored, of what a client has made of an object of `before` bytes. ApiError 413 when it
        has outgrown STORED_BYTES_LIMIT: what is over the limit may still shrink, so that it can lose its finalizers.
        The record of who owns which fields is given up before the write is."""
        value = self.encode(obj)
        bound = max(STORED_BYTES_LIMIT, before)
        if len(value) > bound and obj.metadata.managedFields:
            obj.metadata.managedFields = None
            value = codec.encode(obj)
        if len(value) > bound:
            raise errors.too_large(STORED_BYTES_LIMIT)
        return value

    async def create(self, collection: Collection, obj: Any, value: bytes) -> Entry:
        """KeyExists; ApiError 503."""
        return await self._put(collection, obj, value, None)

    async def update(self, collection: Collection, obj: Any, value: bytes, expected_revision: int) -> Entry:
        """KeyNotFound, RevisionConflict; ApiError 503."""
        return await self._put(collection, obj, value, expected_revision)

    async def _put(self, collection: Collection, obj: Any, value: bytes, expected_revision: int | None) -> Entry:
        meta = obj.metadata
        namespace, name = meta.namespace or "", meta.name
        key = collection.resource.storage_key(namespace, name)
        expected = self._caches.expect(key, value, obj)
        try:
            if expected_revision is None:
                revision = await self._seen(self._store.create(key, value))
            else:
                revision = await self._seen(self._store.update(key, value, expected_revision))
        finally:
            self._caches.forget(key, expected)
        if expected.entry is not None:
            return expected.entry
        return Entry(collection.layout, namespace, name, revision, collection.layout.splice(value, revision))

    async def delete(self, collection: Collection, entry: Entry) -> int:
        """Remove an object that is still as `entry` says; the revision of the deletion. KeyNotFound, RevisionConflict;
        ApiError 503."""
        key = collection.resource.storage_key(entry.namespace, entry.name)
        return await self._seen(self._store.delete(key, entry.revision))

    async def _seen(self, write: Awaitable[int]) -> int:
        """The revision of a write, once the caches have it. After a lost race they have what won it, so that whoever
        decides anew decides on that. KeyExists, KeyNotFound, RevisionConflict; ApiError 503."""
        try:
            revision = await write
        except StoreUnavailable as error:
            raise errors.unavailable(NOT_ACKNOWLEDGED.format(error)) from error
        except (KeyExists, KeyNotFound, RevisionConflict):
            await self._feed.reached(self._store.revision)
            raise
        await self._feed.reached(revision)
        return revision

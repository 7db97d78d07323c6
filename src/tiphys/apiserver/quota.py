"""Nothing is written that would use more than a ResourceQuota allows, however many write at the same moment.

What is used is read from the caches at every write, plus what other writes that passed here and are not in the caches
yet will use (`_pending`). So a quota holds from the moment it exists, and its status (the controller's business) never
decides. Specified in "Resource Quotas"; asked after admission and validation, on the object as it will be stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from tiphys.apiserver.caches import Caches
from tiphys.apiserver.hooks import Ended
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.watch_cache import Collection
from tiphys.kinds.core import quota_usage
from tiphys.kinds.core.pod_amounts import Amounts, gather
from tiphys.kinds.core.quota_usage import CLAIMS, PODS, SERVICES, Source
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors

UNCOUNTED = frozenset({("", "events"), ("events.k8s.io", "events")})
NOTHING = Decimal(0)


class _Pending(msgspec.Struct, eq=False):
    """A write that passed: what it adds, and how to see that the caches have it. `replaced` is the resourceVersion of
    the object that it changes, "" for a create."""

    source: Source
    obj: Any
    uid: str
    name: str
    replaced: str
    more: Amounts


class QuotaCharges:
    """See `hooks.WriteHook`; one for all namespaced resources."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._pending: dict[str, list[_Pending]] = {}
        self._pod_usage: dict[str, dict[str, tuple[core_v1.Pod, Amounts]]] = {}

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        source = (context.resource.group, context.resource.plural)
        if not context.resource.namespaced or source in UNCOUNTED or not _charged(context, source, old):
            return None
        namespace = new.metadata.namespace or context.namespace
        quotas = list(self._caches.list(core_v1.ResourceQuota, namespace))
        if not quotas:
            self._pod_usage.pop(namespace, None)
            return None
        more = _increase(source, new, old, context.now)
        for quota in quotas:
            self._check(context, quota, source, new, more)
        if context.dry_run or not more:
            return None
        replaced = old.metadata.resourceVersion or "" if old is not None else ""
        pending = _Pending(source, new, new.metadata.uid or "", new.metadata.name or "", replaced, more)
        waiting = self._pending.setdefault(namespace, [])
        waiting.append(pending)

        def ended() -> None:
            waiting.remove(pending)
            if not waiting and self._pending.get(namespace) is waiting:
                del self._pending[namespace]

        return ended

    def _check(
        self, context: WriteContext, quota: core_v1.ResourceQuota, source: Source, new: Any, more: Amounts
    ) -> None:
        """ApiError 403 when the quota does not allow this much more."""
        hard = {n: limit for n, limit in (quota.spec.hard or {}).items() if quota_usage.source_of(n) == source}
        if not hard or not quota_usage.matches(quota.spec, source, new):
            return
        name = quota.metadata.name or ""
        open_words = quota_usage.unstated(new, hard) if source == PODS else ""
        if open_words:
            raise _refusal(context, new, f"failed quota: {name}: {open_words}")
        asked = {n: amount for n, amount in more.items() if n in hard}
        if not asked:
            return
        used = self._used(quota, source, new.metadata.namespace or context.namespace, context.now)
        over = sorted(n for n, amount in asked.items() if used.get(n, NOTHING) + amount > hard[n].amount)
        if over:
            requested = ",".join(f"{n}={quota_usage.text_of(n, asked[n])}" for n in over)
            so_far = ",".join(f"{n}={quota_usage.text_of(n, used.get(n, NOTHING))}" for n in over)
            limited = ",".join(f"{n}={hard[n]}" for n in over)
            detail = f"exceeded quota: {name}, requested: {requested}, used: {so_far}, limited: {limited}"
            raise _refusal(context, new, detail)

    # -- what is used

    def _used(self, quota: core_v1.ResourceQuota, source: Source, namespace: str, now: float) -> Amounts:
        collection = self._collection(source)
        scoped = bool(quota.spec.scopes or quota.spec.scopeSelector)
        total: Amounts = {}
        if collection is not None:
            if scoped or source in (PODS, SERVICES, CLAIMS):
                for obj, used in self._objects(collection, source, namespace, now):
                    if not scoped or quota_usage.matches(quota.spec, source, obj):
                        gather(total, used)
            else:
                count = Decimal(len(collection.entries(namespace)))
                total = {quota_usage.count_name(source): count, source[1]: count}
        for pending in self._pending.get(namespace, ()):
            is_ours = pending.source == source and quota_usage.matches(quota.spec, source, pending.obj)
            if is_ours and not _landed(collection, namespace, pending):
                gather(total, pending.more)
        return total

    def _collection(self, source: Source) -> Collection | None:
        for collection in self._caches.collections:
            if (collection.resource.group, collection.resource.plural) == source:
                return collection
        return None

    def _objects(
        self, collection: Collection, source: Source, namespace: str, now: float
    ) -> Iterator[tuple[Any, Amounts]]:
        if source != PODS:
            for entry in collection.entries(namespace):
                yield entry.object, quota_usage.usage(source, entry.object, now)
            return
        known, kept = self._pod_usage.get(namespace, {}), {}
        count = quota_usage.count_name(PODS)
        for entry in collection.entries(namespace):
            pod = entry.object
            found = known.get(entry.name)
            if found is None or found[0] is not pod:
                found = (pod, {count: quota_usage.ONE, **quota_usage.pod_usage(pod)})
            kept[entry.name] = found
            yield pod, found[1] if quota_usage.counts(pod, now) else {count: quota_usage.ONE}
        self._pod_usage[namespace] = kept


def _charged(context: WriteContext, source: Source, old: Any) -> bool:
    """Everything is charged when it is created; services and claims also when they change, pods when resized."""
    if old is None:
        return not context.subresource
    if source == PODS:
        return context.subresource == "resize"
    return source in (SERVICES, CLAIMS) and not context.subresource


def _increase(source: Source, new: Any, old: Any, now: float) -> Amounts:
    """What the write adds; what it gives back counts for nothing until it has happened."""
    before = quota_usage.usage(source, old, now) if old is not None else {}
    more = {n: amount - before.get(n, NOTHING) for n, amount in quota_usage.usage(source, new, now).items()}
    return {n: amount for n, amount in more.items() if amount > 0}


def _landed(collection: Collection | None, namespace: str, pending: _Pending) -> bool:
    """Whether the caches have the write already."""
    entry = collection.get(namespace, pending.name) if collection is not None else None
    if pending.replaced:
        return entry is None or str(entry.revision) != pending.replaced
    return entry is not None and entry.object.metadata.uid == pending.uid


def _refusal(context: WriteContext, new: Any, detail: str) -> errors.ApiError:
    resource = context.resource
    return errors.forbidden(resource.plural, resource.group, new.metadata.name or "", detail)

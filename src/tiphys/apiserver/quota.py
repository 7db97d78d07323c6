"""Nothing is written that would use more than a ResourceQuota allows, however many write at the same moment.

What is used is what the caches have at the moment of the write, plus what other writes that passed here and are not in
the caches yet will use (`quota_ledger.py`). So a quota holds from the moment it exists, and its status (the
controller's business) never decides. Specified in "Resource Quotas"; asked after admission and validation, on the
object as it will be stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tiphys.apiserver.caches import Caches
from tiphys.apiserver.hooks import Ended
from tiphys.apiserver.quota_ledger import Ledger, PendingWrite
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds.core import quota_usage
from tiphys.kinds.core.pod_amounts import Amounts
from tiphys.kinds.core.quota_usage import CLAIMS, PODS, SERVICES, UNCOUNTED, Scopes, Source
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors
from tiphys.machinery.quantity import Quantity

NOTHING = Decimal(0)


class _Limit(msgspec.Struct, frozen=True, gc=False):
    """What one quota says of one resource."""

    quota: str
    scopes: Scopes
    hard: Mapping[str, Quantity]


class QuotaCharges:
    """See `hooks.WriteHook`; one for all namespaced resources. `observe` follows the quotas (`Caches.subscribe`)."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._quotas: dict[str, dict[str, core_v1.ResourceQuota]] = {}
        self._limits: dict[str, dict[Source, list[_Limit]]] = {}
        self._ledgers: dict[Source, Ledger] = {}

    def observe(self, old: core_v1.ResourceQuota | None, new: core_v1.ResourceQuota | None) -> None:
        if old is not None and new is not None and old.spec == new.spec:
            return
        quota = new if new is not None else old
        assert quota is not None
        namespace, name = quota.metadata.namespace or "", quota.metadata.name or ""
        quotas = self._quotas.setdefault(namespace, {})
        if new is not None:
            quotas[name] = new
        else:
            quotas.pop(name, None)
        if quotas:
            self._limits[namespace] = limits = _limits([quotas[name] for name in sorted(quotas)])
            for source, ledger in self._ledgers.items():
                ledger.keep(namespace, frozenset(limit.scopes for limit in limits.get(source, ())))
            return
        del self._quotas[namespace], self._limits[namespace]
        for ledger in self._ledgers.values():
            ledger.forget(namespace)

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        limits = self._limits.get(context.namespace)
        if limits is None:
            return None
        source = (context.resource.group, context.resource.plural)
        if source in UNCOUNTED or not _charged(context, source, old):
            return None
        more = _increase(source, new, old, context.now)
        ledger = self._ledgers.get(source)
        if ledger is None:
            ledger = self._ledgers[source] = Ledger(source)
        for limit in limits.get(source, ()):
            self._check(context, limit, ledger, new, more)
        if context.dry_run or not more:
            return None
        meta = new.metadata
        replaced = old.metadata.resourceVersion or "" if old is not None else ""
        write = PendingWrite(
            obj=new, namespace=context.namespace, name=meta.name or "", uid=meta.uid or "", replaced=replaced, more=more
        )
        ledger.begin(write)
        return lambda: ledger.end(write)

    def _check(self, context: WriteContext, limit: _Limit, ledger: Ledger, new: Any, more: Amounts) -> None:
        """ApiError 403 when the quota does not allow this much more."""
        source = (context.resource.group, context.resource.plural)
        if not quota_usage.in_scopes(limit.scopes, source, new):
            return
        open_words = quota_usage.unstated(new, limit.hard) if source == PODS else ""
        if open_words:
            raise _refusal(context, new, f"failed quota: {limit.quota}: {open_words}")
        asked = {n: amount for n, amount in more.items() if n in limit.hard}
        if not asked:
            return
        collection = self._caches.collection(context.resource)
        used = ledger.used(collection, context.namespace, limit.scopes, context.now)
        over = sorted(n for n, amount in asked.items() if used.get(n, NOTHING) + amount > limit.hard[n].amount)
        if over:
            requested = ",".join(f"{n}={quota_usage.text_of(n, asked[n])}" for n in over)
            so_far = ",".join(f"{n}={quota_usage.text_of(n, used.get(n, NOTHING))}" for n in over)
            limited = ",".join(f"{n}={limit.hard[n]}" for n in over)
            detail = f"exceeded quota: {limit.quota}, requested: {requested}, used: {so_far}, limited: {limited}"
            raise _refusal(context, new, detail)


def _limits(quotas: Sequence[core_v1.ResourceQuota]) -> dict[Source, list[_Limit]]:
    """What the quotas of a namespace limit, by the resource that uses it."""
    found: dict[Source, list[_Limit]] = {}
    for quota in quotas:
        by_source: dict[Source, dict[str, Quantity]] = {}
        for name, amount in (quota.spec.hard or {}).items():
            by_source.setdefault(quota_usage.source_of(name), {})[name] = amount
        for source, hard in by_source.items():
            limit = _Limit(quota.metadata.name or "", quota_usage.scopes_of(quota.spec), hard)
            found.setdefault(source, []).append(limit)
    return found


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


def _refusal(context: WriteContext, new: Any, detail: str) -> errors.ApiError:
    resource = context.resource
    return errors.forbidden(resource.plural, resource.group, new.metadata.name or "", detail)

"""Running totals of what the objects of a namespace use, so that a write under a quota costs the same however many
objects there are.

A `Ledger` reads the events of one resource's collection, each once, for the namespaces that were asked about; when the
collection no longer has them (or is another one) it counts anew. Writes under way are charged too, until the caches
have them. Its dumb twin, which counts everything every time, is in the tests.

Invariants: a key is charged at most once; a total is the sum of the charges in its scope. Time does not go back.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from typing import Any

import msgspec

from tiphys.apiserver.watch_cache import CacheEvent, Collection, Entry, WindowExceeded
from tiphys.kinds.core import quota_usage
from tiphys.kinds.core.pod_amounts import Amounts, gather
from tiphys.kinds.core.quota_usage import PODS, Scopes, Source


class PendingWrite(msgspec.Struct, eq=False, kw_only=True):
    """A write that passed and is not in the caches yet: what it adds, and how to see that they have it. `replaced` is
    the resourceVersion of the object that it changes, "" for a create."""

    obj: Any
    namespace: str
    name: str
    uid: str
    replaced: str
    more: Amounts

    def landed(self, entry: Entry | None) -> bool:
        """Whether the caches have it, by what they have under its name."""
        if self.replaced:
            return entry is None or entry.revision > int(self.replaced)
        return entry is not None and entry.object.metadata.uid == self.uid

    def landed_by(self, event: CacheEvent) -> bool:
        """Whether the caches have it from this event on; the event may be older than the write."""
        if self.replaced:
            return event.entry.revision > int(self.replaced)
        return not event.deleted and self.landed(event.entry)


class _Charge(msgspec.Struct, eq=False):
    obj: Any
    amounts: Amounts
    scopes: Sequence[Scopes]


class _Totals:
    """What is charged in one namespace, together and by scope. Keys are names of objects and pending writes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._charges: dict[Hashable, _Charge] = {}
        self._totals: dict[Scopes, Amounts] = {}
        # When pods that are being deleted stop counting: (seconds since the epoch, order of arrival, name, pod).
        self._ends: list[tuple[float, int, str, Any]] = []
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._charges)

    def total(self, scopes: Scopes, now: float) -> Amounts:
        """The sum of the charges that are in these scopes; not to be changed."""
        while self._ends and self._ends[0][0] < now:
            _, _, name, pod = heapq.heappop(self._ends)
            charge = self._charges.get(name)
            if charge is not None and charge.obj is pod:
                self.charge(name, pod, quota_usage.usage(PODS, pod, now))
        found = self._totals.get(scopes)
        if found is None:
            found = self._totals[scopes] = {}
            for charge in self._charges.values():
                if quota_usage.in_scopes(scopes, self._source, charge.obj):
                    charge.scopes = (*charge.scopes, scopes)
                    gather(found, charge.amounts)
        return found

    def put(self, name: str, obj: Any, now: float) -> None:
        """Charge an object as it is now."""
        self.charge(name, obj, quota_usage.usage(self._source, obj, now))
        end = quota_usage.end_of_counting(obj) if self._source == PODS else None
        if end is not None and end >= now:
            self._arrivals += 1
            heapq.heappush(self._ends, (end, self._arrivals, name, obj))

    def charge(self, key: Hashable, obj: Any, amounts: Amounts) -> None:
        self.discharge(key)
        scopes = [s for s in self._totals if quota_usage.in_scopes(s, self._source, obj)]
        self._charges[key] = _Charge(obj, amounts, scopes)
        for one in scopes:
            gather(self._totals[one], amounts)

    def discharge(self, key: Hashable) -> None:
        charge = self._charges.pop(key, None)
        if charge is not None:
            for one in charge.scopes:
                _take(self._totals[one], charge.amounts)

    def keep(self, wanted: frozenset[Scopes]) -> None:
        """Forget the totals of other scopes."""
        for scopes in self._totals.keys() - wanted:
            del self._totals[scopes]
            for charge in self._charges.values():
                charge.scopes = [one for one in charge.scopes if one != scopes]


def _take(total: Amounts, less: Amounts) -> None:
    for name, amount in less.items():
        total[name] -= amount


class Ledger:
    """Of one resource, in the namespaces that are under quotas."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._collection: Collection | None = None
        self._revision = 0
        self._namespaces: dict[str, _Totals] = {}
        self._pending: dict[tuple[str, str], list[PendingWrite]] = {}

    def used(self, collection: Collection, namespace: str, scopes: Scopes, now: float) -> Amounts:
        """What the objects of a namespace that are in these scopes use, with the writes under way; not to be
        changed."""
        self._catch_up(collection, now)
        totals = self._namespaces.get(namespace)
        if totals is None:
            totals = self._namespaces[namespace] = self._counted(collection, namespace, now)
        return totals.total(scopes, now)

    def keep(self, namespace: str, wanted: frozenset[Scopes]) -> None:
        """The quotas of a namespace have only these scopes."""
        totals = self._namespaces.get(namespace)
        if totals is not None:
            totals.keep(wanted)

    def forget(self, namespace: str) -> None:
        """No quota counts in a namespace any more."""
        self._namespaces.pop(namespace, None)

    def begin(self, write: PendingWrite) -> None:
        self._pending.setdefault((write.namespace, write.name), []).append(write)
        totals = self._namespaces.get(write.namespace)
        if totals is not None:
            totals.charge(write, write.obj, write.more)

    def end(self, write: PendingWrite) -> None:
        """The write has come to an end; when it has happened, the caches have it."""
        key = (write.namespace, write.name)
        waiting = self._pending[key]
        waiting.remove(write)
        if not waiting:
            del self._pending[key]
        totals = self._namespaces.get(write.namespace)
        if totals is not None:
            totals.discharge(write)

    def _counted(self, collection: Collection, namespace: str, now: float) -> _Totals:
        totals = _Totals(self._source)
        for entry in collection.entries(namespace):
            totals.put(entry.name, self._object(entry), now)
        for (where, name), waiting in self._pending.items():
            for write in waiting if where == namespace else ():
                if not write.landed(collection.get(namespace, name)):
                    totals.charge(write, write.obj, write.more)
        return totals

    def _catch_up(self, collection: Collection, now: float) -> None:
        if collection is not self._collection:
            self._collection = collection
            self._namespaces.clear()
        if self._namespaces and self._revision < collection.revision:
            try:
                events = collection.events_since(self._revision)
            except WindowExceeded:
                events = ()
                self._namespaces.clear()
            for event in events:
                totals = self._namespaces.get(event.entry.namespace)
                if totals is not None:
                    self._follow(totals, event, now)
        self._revision = collection.revision

    def _follow(self, totals: _Totals, event: CacheEvent, now: float) -> None:
        entry = event.entry
        if event.deleted:
            totals.discharge(entry.name)
        else:
            totals.put(entry.name, self._object(entry), now)
        for write in self._pending.get((entry.namespace, entry.name), ()):
            if write.landed_by(event):
                totals.discharge(write)
        if not totals:
            del self._namespaces[entry.namespace]

    def _object(self, entry: Entry) -> Any:
        """The object where it matters what it says; others are only counted and need not be decoded."""
        return entry.object if self._source in quota_usage.MEASURED else None

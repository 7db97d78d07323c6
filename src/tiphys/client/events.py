"""Which Event objects to write for what a component reports: aggregation, counting, spam protection. Pure.

The same happening again is counted on the Event that is there; many happenings that differ only in their message become
one "combined" Event; a source that reports too much about one object is silenced for a while. Writing them is
`io/recorder.py`'s business.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import timestamps

# An object's source may report this many at once, and one more each 5 minutes.
SPAM_BURST = 25
SPAM_REFILL_SECONDS = 300.0
# This many different messages of one reason within the interval are combined.
COMBINE_FROM = 10
COMBINE_WITHIN_SECONDS = 600.0
COMBINED_PREFIX = "(combined from similar events): "
MEMORY = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What a component reports: `type` is Normal or Warning; `regarding` names the object."""

    regarding: core_v1.ObjectReference
    type: str
    reason: str
    message: str

    def similar(self) -> tuple[Any, ...]:
        """What happenings that can be combined have in common."""
        r = self.regarding
        return (r.kind, r.namespace, r.name, r.uid, r.apiVersion, r.fieldPath, self.type, self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEvent:
    event: core_v1.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CountEvent:
    """Raise the count of the Event that is there; when it is gone (404), `event` is what to create instead."""

    namespace: str
    name: str
    patch: dict[str, Any]
    event: core_v1.Event


@dataclass(slots=True)
class _Bucket:
    tokens: float
    refilled_at: float


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    last: float


@dataclass(slots=True)
class _Known:
    event: core_v1.Event
    count: int


class _Recent(OrderedDict[Any, Any]):
    """The last `MEMORY` keys used."""

    def touch(self, key: Any, fresh: Any) -> Any:
        found = self.pop(key, fresh)
        self[key] = found
        if len(self) > MEMORY:
            self.popitem(last=False)
        return found


def reference_of(obj: Any, field_path: str = "") -> core_v1.ObjectReference:
    """The reference by which events name an object."""
    meta = obj.metadata
    return core_v1.ObjectReference(
        apiVersion=obj.apiVersion,
        kind=obj.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
        fieldPath=field_path or None,
    )


class EventCorrelator:
    """One source's memory. `component` and `host` are what the Events name as their source."""

    def __init__(self, component: str, host: str = "") -> None:
        self._component = component
        self._host = host
        self._buckets = _Recent()
        self._similar = _Recent()
        self._known = _Recent()
        self._last_stamp = 0

    def correlate(self, happening: Happening, now: float) -> CreateEvent | CountEvent | None:
        """What to write; None when the source says too much about this object."""
        if not self._allowed(happening, now):
            return None
        message, key = self._combined(happening, now)
        known: _Known | None = self._known.get(key)
        if known is None:
            event = self._event(happening, message, now, 1, timestamps.time_of(now))
            self._known.touch(key, _Known(event, 1))
            return CreateEvent(event=event)
        known.count += 1
        self._known.touch(key, known)
        first = known.event.firstTimestamp or timestamps.time_of(now)
        fresh = self._event(happening, message, now, known.count, first)
        patch = {"count": known.count, "lastTimestamp": str(timestamps.time_of(now)), "message": message}
        namespace, name = known.event.metadata.namespace or "", known.event.metadata.name or ""
        return CountEvent(namespace=namespace, name=name, patch=patch, event=fresh)

    def created(self, happening: Happening, event: core_v1.Event, now: float) -> None:
        """The Event of a happening was created anew under this name (the one that was counted had gone)."""
        _, key = self._peek(happening, now)
        known: _Known | None = self._known.get(key)
        if known is not None:
            known.event = event

    def _allowed(self, happening: Happening, now: float) -> bool:
        r = happening.regarding
        key = (r.kind, r.namespace, r.name, r.uid, r.apiVersion)
        bucket: _Bucket = self._buckets.touch(key, _Bucket(float(SPAM_BURST), now))
        gained = (now - bucket.refilled_at) / SPAM_REFILL_SECONDS
        bucket.tokens = min(float(SPAM_BURST), bucket.tokens + max(gained, 0.0))
        bucket.refilled_at = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _combined(self, happening: Happening, now: float) -> tuple[str, tuple[Any, ...]]:
        similar: _Similar = self._similar.touch(happening.similar(), _Similar(set(), now))
        if now - similar.last > COMBINE_WITHIN_SECONDS:
            similar.messages = set()
        similar.messages.add(happening.message)
        similar.last = now
        if len(similar.messages) > COMBINE_FROM:  # it needs no more than to know that there are many
            similar.messages.discard(next(m for m in sorted(similar.messages) if m != happening.message))
        return self._peek(happening, now)

    def _peek(self, happening: Happening, now: float) -> tuple[str, tuple[Any, ...]]:
        similar: _Similar | None = self._similar.get(happening.similar())
        if similar is not None and len(similar.messages) >= COMBINE_FROM:
            return COMBINED_PREFIX + happening.message, happening.similar()
        return happening.message, (*happening.similar(), happening.message)

    def _event(
        self, happening: Happening, message: str, now: float, count: int, first: timestamps.Time
    ) -> core_v1.Event:
        regarding = happening.regarding
        # Unique for one object and moment, and sorted by time: what clients know event names to look like.
        self._last_stamp = max(int(now * 1e9), self._last_stamp + 1)
        name = f"{regarding.name}.{self._last_stamp:016x}"
        return core_v1.Event(
            metadata=meta_v1.ObjectMeta(name=name, namespace=regarding.namespace or "default"),
            involvedObject=regarding,
            reason=happening.reason,
            message=message,
            type=happening.type,
            count=count,
            firstTimestamp=first,
            lastTimestamp=timestamps.time_of(now),
            source=core_v1.EventSource(component=self._component, host=self._host or None),
            reportingComponent=self._component,
            reportingInstance=self._host,
        )

"""The Events the scheduler reports, in the form of the events API: a moment, an action, and a series when it happens
again.

The same note about the same pod again within six minutes is counted on the Event that is there; that is all this
remembers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tiphys.client.events import reference_of
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import timestamps

SERIES_SECONDS = 360.0
MEMORY = 4096
NOTE_LIMIT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be said about a pod; `related` is another pod that has to do with it."""

    pod: core_v1.Pod
    type: str
    reason: str
    action: str
    note: str
    scheduler_name: str
    related: core_v1.Pod | None = None


def scheduled(pod: core_v1.Pod, node_name: str, scheduler_name: str) -> Report:
    key = f"{pod.metadata.namespace}/{pod.metadata.name}"
    note = f"Successfully assigned {key} to {node_name}"
    return Report(
        pod=pod, type="Normal", reason="Scheduled", action="Binding", note=note, scheduler_name=scheduler_name
    )


def failed(pod: core_v1.Pod, note: str, scheduler_name: str) -> Report:
    return Report(
        pod=pod,
        type="Warning",
        reason="FailedScheduling",
        action="Scheduling",
        note=note,
        scheduler_name=scheduler_name,
    )


def preempted(victim: core_v1.Pod, by: core_v1.Pod, node_name: str, scheduler_name: str) -> Report:
    return Report(
        pod=victim,
        type="Normal",
        reason="Preempted",
        action="Preempting",
        note=f"Preempted by pod {by.metadata.uid} on node {node_name}",
        scheduler_name=scheduler_name,
        related=by,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWrite:
    """Create `event`; or, when `series_patch` is there, merge that into the Event of this name (create it if it
    has gone)."""

    event: core_v1.Event
    series_patch: dict[str, Any] | None = None


@dataclass(slots=True)
class _Known:
    event: core_v1.Event
    count: int
    last: float


class EventMemory:
    """Decides between a new Event and one more in a series. `instance` names the reporting process."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._known: OrderedDict[tuple[Any, ...], _Known] = OrderedDict()
        self._last_nanoseconds = 0

    def write_for(self, report: Report, now: float) -> EventWrite:
        key = (report.pod.metadata.uid, report.type, report.reason, report.action, report.note, report.scheduler_name)
        known = self._known.pop(key, None)
        if known is None or now - known.last > SERIES_SECONDS:
            known = _Known(self._event(report, now), 1, now)
        else:
            known.count += 1
            known.last = now
        self._known[key] = known
        if len(self._known) > MEMORY:
            self._known.popitem(last=False)
        if known.count == 1:
            return EventWrite(event=known.event)
        series = {"count": known.count, "lastObservedTime": str(timestamps.micro_time_of(now))}
        return EventWrite(event=known.event, series_patch={"series": series})

    def _event(self, report: Report, now: float) -> core_v1.Event:
        self._last_nanoseconds = max(self._last_nanoseconds + 1, int(now * 1e9))  # names never repeat
        meta = report.pod.metadata
        name = report.scheduler_name
        return core_v1.Event(
            metadata=meta_v1.ObjectMeta(
                name=f"{meta.name}.{self._last_nanoseconds:x}", namespace=meta.namespace or "default"
            ),
            involvedObject=reference_of(report.pod),
            related=reference_of(report.related) if report.related is not None else None,
            type=report.type,
            reason=report.reason,
            action=report.action,
            message=report.note[:NOTE_LIMIT],
            eventTime=timestamps.micro_time_of(now),
            reportingComponent=name,
            reportingInstance=f"{name}-{self._instance}" if self._instance else name,
            source=core_v1.EventSource(component=name),
        )

"""Events in the group events.k8s.io: the same objects as the core group's, seen through the newer form."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.event import TYPES, namespace_findings, object_text, reporting_findings
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.strategy import NO_DEPENDENTS, Column, Strategy
from tiphys.kinds.types.events_v1 import Event, EventSeries
from tiphys.machinery.duration import age
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

SHORTEST_SERIES = 2
DEPRECATED = {
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
}


def validate(event: Event) -> list[FieldError]:
    # Clients are told the names that the fields have in the core group.
    namespace, at = event.metadata.namespace or "", Path("involvedObject.namespace")
    found = namespace_findings(namespace, event.regarding, at, newer=bool(event.eventTime))
    if not event.eventTime:
        found.append(required(Path("eventTime")))
    found += reporting_findings(
        event.reportingController, event.reportingInstance, event.action, event.reason, event.note, core=False
    )
    if event.type not in TYPES:
        found.append(invalid(Path("type"), "", f"has invalid value: {event.type or ''}"))
    found += _series_findings(event.series)
    if event.metadata.resourceVersion:  # deprecated fields hold what the older form wrote
        return found
    for field, name in DEPRECATED.items():
        if getattr(event, field):
            found.append(invalid(Path(name), "", "needs to be unset"))
    return found


def _series_findings(series: EventSeries | None) -> list[FieldError]:
    """A series is of at least two, the last of them at some time."""
    found: list[FieldError] = []
    if series is not None and series.count < SHORTEST_SERIES:
        found.append(invalid(Path("series.count"), "", f"should be at least {SHORTEST_SERIES}"))
    if series is not None and not series.lastObservedTime:
        found.append(required(Path("series.lastObservedTime")))
    return found


def validate_update(new: Event, old: Event) -> list[FieldError]:
    """Of an event only its note, series, labels and annotations change."""
    found: list[FieldError] = []
    for field in (
        "regarding",
        "related",
        "reason",
        "type",
        "eventTime",
        "reportingController",
        "reportingInstance",
        "action",
    ):
        found += immutable(getattr(new, field), getattr(old, field), Path(field))
    return found


def _first_seen(event: Event, now: float) -> str:
    return age(event.deprecatedFirstTimestamp or event.eventTime, now)


def _last_seen(event: Event, now: float) -> str:
    if event.series is not None:
        return age(event.series.lastObservedTime, now)
    return age(event.deprecatedLastTimestamp, now) if event.deprecatedLastTimestamp else _first_seen(event, now)


def _count(event: Event) -> int:
    return event.series.count if event.series is not None else event.deprecatedCount or 1


def _source(event: Event) -> str:
    parts = [part for part in (event.reportingController, event.reportingInstance) if part]
    return ", ".join(parts)


def fields(event: Event) -> dict[str, str]:
    about = event.regarding
    found = {
        "reason": event.reason or "",
        "type": event.type or "",
        "reportingController": event.reportingController or "",
    }
    for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"):
        found[f"regarding.{name}"] = (getattr(about, name) if about else None) or ""
    return found


STRATEGY: Strategy[Event] = Strategy(
    validate=validate,
    default_propagation=NO_DEPENDENTS,
    validate_update=validate_update,
    columns=(
        Column(name="Last Seen", cell=_last_seen),
        cells.text("Type", lambda event: event.type or ""),
        cells.text("Reason", lambda event: event.reason or ""),
        cells.text("Object", lambda event: object_text(event.regarding)),
        cells.text("Subobject", lambda event: (event.regarding.fieldPath if event.regarding else "") or "", wide=True),
        cells.text("Source", _source, wide=True),
        cells.text("Message", lambda event: (event.note or "").strip()),
        Column(name="First Seen", cell=_first_seen, priority=1),
        cells.count("Count", _count, wide=True),
        Column(name="Name", format="name", cell=lambda event, _: event.metadata.name or "", priority=1),
    ),
    fields=fields,
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
    qualified_finalizers=False,
)

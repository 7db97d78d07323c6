"""Events in the core group: what happened to an object, who says so, how often."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.strategy import NO_DEPENDENTS, Column, Strategy
from tiphys.kinds.types.core_v1 import Event, ObjectReference
from tiphys.machinery.duration import age
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

INSTANCE_LIMIT = ACTION_LIMIT = REASON_LIMIT = 128
NOTE_LIMIT = 1024
TYPES = ("Normal", "Warning")


def at_most_characters(limit: int) -> str:
    return f"can have at most {limit} characters"


def namespace_findings(
    namespace: str, about: ObjectReference | None, path: Path, *, newer: bool = False
) -> list[FieldError]:
    """An event is in the namespace of what it is about; for things without one, in `default`. `newer`: an event with
    an eventTime may be about something in another namespace."""
    about_namespace = (about.namespace if about else None) or ""
    if newer and about_namespace:
        return []
    matches = namespace == about_namespace if about_namespace else namespace in ("", "default", "kube-system")
    return [] if matches else [invalid(path, about_namespace, "does not match event.namespace")]


def default(event: Event) -> None:
    """Who reports it is always shown, also when nobody says so."""
    event.reportingComponent = event.reportingComponent or ""
    event.reportingInstance = event.reportingInstance or ""


def validate(event: Event) -> list[FieldError]:
    path = Path("involvedObject.namespace")
    namespace, newer = event.metadata.namespace or "", bool(event.eventTime)
    found = namespace_findings(namespace, event.involvedObject, path, newer=newer)
    if not event.eventTime:
        return found
    return found + reporting_findings(
        event.reportingComponent, event.reportingInstance, event.action, event.reason, event.message, core=True
    )


def reporting_findings(
    controller: str | None,
    instance: str | None,
    action: str | None,
    reason: str | None,
    note: str | None,
    *,
    core: bool,
) -> list[FieldError]:
    """What events of the newer sort must say. `core` tells the fields' names apart."""
    found: list[FieldError] = []
    at = Path("reportingController")
    if not controller:
        found.append(required(at))
    else:
        found += [invalid(at, controller, text) for text in label_key_findings(controller)]
    limits = (
        ("reportingInstance", instance, INSTANCE_LIMIT),
        ("action", action, ACTION_LIMIT),
        ("reason", reason, REASON_LIMIT),
    )
    for field, value, limit in limits:
        if not value:
            found.append(required(Path(field)))
        elif len(value) > limit:
            found.append(invalid(Path(field), "", at_most_characters(limit)))
    if note and len(note) > NOTE_LIMIT:
        found.append(invalid(Path("message" if core else "note"), "", at_most_characters(NOTE_LIMIT)))
    return found


def object_text(about: ObjectReference | None) -> str:
    """`pod/web-0`."""
    if about is None:
        return ""
    kind = (about.kind or "").lower()
    return f"{kind}/{about.name}" if about.name else kind


def _first_seen(event: Event, now: float) -> str:
    return age(event.firstTimestamp or event.eventTime, now)


def _last_seen(event: Event, now: float) -> str:
    if event.series is not None:
        return age(event.series.lastObservedTime, now)
    return age(event.lastTimestamp, now) if event.lastTimestamp else _first_seen(event, now)


def _count(event: Event) -> int:
    return (event.series.count or 0) if event.series is not None else event.count or 1


def _source(event: Event) -> str:
    component = (event.source.component if event.source else None) or event.reportingComponent or ""
    host = (event.source.host if event.source else None) or event.reportingInstance or ""
    return f"{component}, {host}" if host else component


def fields(event: Event) -> dict[str, str]:
    about = event.involvedObject
    source = (event.source.component if event.source else None) or event.reportingComponent
    return {
        "involvedObject.kind": about.kind or "",
        "involvedObject.namespace": about.namespace or "",
        "involvedObject.name": about.name or "",
        "involvedObject.uid": about.uid or "",
        "involvedObject.apiVersion": about.apiVersion or "",
        "involvedObject.resourceVersion": about.resourceVersion or "",
        "involvedObject.fieldPath": about.fieldPath or "",
        "reason": event.reason or "",
        "reportingComponent": event.reportingComponent or "",
        "reportingController": event.reportingComponent or "",
        "source": source or "",
        "type": event.type or "",
    }


STRATEGY: Strategy[Event] = Strategy(
    default=default,
    validate=validate,
    default_propagation=NO_DEPENDENTS,
    columns=(
        Column(name="Last Seen", cell=_last_seen),
        cells.text("Type", lambda event: event.type or ""),
        cells.text("Reason", lambda event: event.reason or ""),
        cells.text("Object", lambda event: object_text(event.involvedObject)),
        cells.text("Subobject", lambda event: event.involvedObject.fieldPath or "", wide=True),
        cells.text("Source", _source, wide=True),
        cells.text("Message", lambda event: (event.message or "").strip()),
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

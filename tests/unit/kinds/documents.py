"""Objects as plain documents, changed a little, taken through the hooks of their kind."""

from __future__ import annotations

import copy
from typing import Any

from tiphys.kinds import codec, registry
from tiphys.kinds.resource import Resource
from tiphys.machinery.field_errors import FieldError

NOW = 1767225600.0  # 2026-01-01T00:00:00Z
NOTHING = object()


def resource_for(document: dict[str, Any]) -> Resource:
    group, _, version = document["apiVersion"].rpartition("/")
    found = registry.by_kind(group, version, document["kind"])
    assert found is not None
    return found


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values set at paths such as `spec.containers.0.image`; NOTHING takes a value away."""
    result = copy.deepcopy(document)
    for path, value in changes.items():
        *steps, last = path.split("|") if "|" in path else path.split(".")
        place: Any = result
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if value is NOTHING:
            del place[last]
        elif isinstance(place, list):
            if int(last) == len(place):
                place.append(copy.deepcopy(value))
            else:
                place[int(last)] = copy.deepcopy(value)
        else:
            place[last] = copy.deepcopy(value)
    return result


def decoded(document: dict[str, Any]) -> Any:
    return codec.convert(document, resource_for(document).type)


def created(document: dict[str, Any]) -> Any:
    """The object as a create leaves it: prepared and defaulted, with a uid."""
    thing = decoded(document)
    strategy = resource_for(document).strategy
    thing.metadata.uid = thing.metadata.uid or "u-1"
    strategy.prepare_for_create(thing)
    strategy.default(thing)
    strategy.finish_create(thing)
    return thing


def told(found: list[FieldError]) -> list[tuple[str, str, str]]:
    """Findings as (field, reason without its prefix, message)."""
    return [(finding.field, finding.reason.removeprefix("FieldValue"), finding.message) for finding in found]


def create_findings(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return told(resource_for(document).strategy.validate(created(document)))


def stored(document: dict[str, Any], status: dict[str, Any] | None = None) -> Any:
    """The object as it would be read back, with a revision and perhaps a status."""
    thing = created(document)
    thing.metadata.resourceVersion = "5"
    if status is not None:
        thing.status = codec.convert(status, type(thing.status))
    return thing


def update_findings(old: Any, new_document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What an update to the new document is told, its own form included."""
    strategy = resource_for(new_document).strategy
    new = decoded(new_document)
    new.metadata.uid, new.metadata.resourceVersion = old.metadata.uid, old.metadata.resourceVersion
    strategy.default(new)
    strategy.prepare_for_update(new, old)
    return told(strategy.validate(new) + strategy.validate_update(new, old))


def row(thing: Any, wide: bool = True) -> dict[str, Any]:
    """What the columns show, by name."""
    strategy = registry.resource_of(type(thing)).strategy
    return {c.name: c.cell(thing, NOW) for c in strategy.columns or () if wide or not c.priority}

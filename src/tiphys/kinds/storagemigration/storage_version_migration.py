"""StorageVersionMigrations: the wish that all objects of a resource be written anew in its present storage version."""

from __future__ import annotations

import re

from tiphys.kinds import cells
from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.number_findings import not_negative
from tiphys.kinds.object_meta import dns1035_name, immutable, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.storagemigration_v1 import StorageVersionMigration
from tiphys.machinery.field_errors import FieldError, Path, invalid, required, shown

RESOURCE = Path("spec.resource")
VERSION, CONDITIONS = Path("status.resourceVersion"), Path("status.conditions")
_NUMBER = re.compile(r"[+-]?[0-9]+")


def validate(migration: StorageVersionMigration) -> list[FieldError]:
    resource = migration.spec.resource
    found: list[FieldError] = []
    if resource.group:
        found += [invalid(RESOURCE.child("group"), resource.group, text) for text in subdomain_name(resource.group)]
    if not resource.resource:
        return [*found, required(RESOURCE.child("resource"), "resource is required")]
    return found + [invalid(RESOURCE.child("resource"), resource.resource, t) for t in dns1035_name(resource.resource)]


def validate_status_update(new: StorageVersionMigration, old: StorageVersionMigration) -> list[FieldError]:
    """A migration ends once, one way or the other, and keeps the revision that it began at."""
    version, conditions = new.status.resourceVersion or "", new.status.conditions or []
    before = old.status.resourceVersion or ""
    found = _version_findings(version) + validate_conditions(conditions, CONDITIONS)
    if before and before != version:
        found.append(invalid(VERSION, version, "cannot be updated"))
    now, then = _true_conditions(new), _true_conditions(old)
    words = [
        text
        for wrong, text in (
            ({"Succeeded", "Failed"} <= now, "Both success and failed conditions cannot be true at the same time"),
            ({"Succeeded", "Running"} <= now, "Running condition cannot be true when success condition is true"),
            ({"Failed", "Running"} <= now, "Running condition cannot be true when failed condition is true"),
            ("Succeeded" in then - now, "Success condition cannot be set to false once it is true"),
            ("Failed" in then - now, "Failed condition cannot be set to false once it is true"),
        )
        if wrong
    ]
    return found + [invalid(CONDITIONS, conditions, text) for text in words]


def _version_findings(version: str) -> list[FieldError]:
    if not version:
        return []
    fault = "invalid syntax" if not _NUMBER.fullmatch(version) else "value out of range" if len(version) > 20 else ""
    if fault:
        reason = f"strconv.ParseInt: parsing {shown(version)}: {fault}"
        return [invalid(VERSION, version, f"failed to parse resource version {shown(version)}: {reason}")]
    return not_negative(int(version), VERSION)


def _true_conditions(migration: StorageVersionMigration) -> set[str]:
    return {condition.type for condition in migration.status.conditions or () if condition.status == "True"}


def resource_text(migration: StorageVersionMigration) -> str:
    resource = migration.spec.resource
    return f"{resource.resource}.{resource.group}" if resource.group else resource.resource


STRATEGY: Strategy[StorageVersionMigration] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    validate_update=lambda new, old: immutable(new.spec, old.spec, Path("spec")),
    validate_status_update=validate_status_update,
    columns=(cells.name_column(), cells.text("Resource", resource_text), cells.age_column()),
    has_generation=False,
    allow_unconditional_update=False,
)

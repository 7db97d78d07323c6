"""StorageVersionMigrations: the wish that all objects of a resource be written anew in its present storage version."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import dns1035_name, immutable, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.storagemigration_v1 import StorageVersionMigration
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

RESOURCE = Path("spec.resource")


def validate(migration: StorageVersionMigration) -> list[FieldError]:
    resource = migration.spec.resource
    found: list[FieldError] = []
    if resource.group:
        found += [invalid(RESOURCE.child("group"), resource.group, text) for text in subdomain_name(resource.group)]
    if not resource.resource:
        return [*found, required(RESOURCE.child("resource"), "resource is required")]
    return found + [invalid(RESOURCE.child("resource"), resource.resource, t) for t in dns1035_name(resource.resource)]


def resource_text(migration: StorageVersionMigration) -> str:
    resource = migration.spec.resource
    return f"{resource.resource}.{resource.group}" if resource.group else resource.resource


STRATEGY: Strategy[StorageVersionMigration] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    validate_update=lambda new, old: immutable(new.spec, old.spec, Path("spec")),
    columns=(cells.name_column(), cells.text("Resource", resource_text), cells.age_column()),
    has_generation=False,
)

"""ResourceClaimTemplates: claims to be made for each pod that names the template."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import immutable, validate_annotations, validate_labels
from tiphys.kinds.resource_api.device_validation import default_claim, validate_claim
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import ResourceClaimTemplate
from tiphys.machinery.field_errors import FieldError, Path

SPEC = Path("spec")


def default(template: ResourceClaimTemplate) -> None:
    default_claim(template.spec.spec.devices)


def validate(template: ResourceClaimTemplate) -> list[FieldError]:
    metadata, devices = template.spec.metadata, template.spec.spec.devices
    found = validate_labels(metadata.labels or {}, SPEC.child("metadata", "labels"))
    found += validate_annotations(metadata.annotations or {}, SPEC.child("metadata", "annotations"))
    if devices is not None:
        found += validate_claim(devices, SPEC.child("spec", "devices"))
    return found


STRATEGY: Strategy[ResourceClaimTemplate] = Strategy(
    default=default,
    validate=validate,
    validate_update=lambda new, old: immutable(new.spec, old.spec, SPEC),
    columns=(cells.name_column(), cells.age_column()),
    has_generation=False,
    has_status=False,
)

"""ResourceClaimTemplates: claims to be made for each pod that names the template."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.object_meta import immutable, validate_template_metadata
from tiphys.kinds.resource_api.claim_validation import claim_warnings, default_claim, validate_claim
from tiphys.kinds.strategy import Strategy, no_findings
from tiphys.kinds.types.resource_v1 import ResourceClaimTemplate
from tiphys.machinery.field_errors import FieldError, Path

SPEC = Path("spec")
DEVICES = SPEC.child("spec", "devices")


def default(template: ResourceClaimTemplate) -> None:
    default_claim(template.spec.spec.devices)


def validate(template: ResourceClaimTemplate) -> list[FieldError]:
    devices = template.spec.spec.devices
    found = validate_template_metadata(template.spec.metadata, SPEC.child("metadata"))
    return found + (validate_claim(devices, DEVICES) if devices is not None else [])


def validate_update(new: ResourceClaimTemplate, old: ResourceClaimTemplate) -> list[FieldError]:
    return immutable(new.spec, old.spec, SPEC)


def warnings(new: ResourceClaimTemplate, _: ResourceClaimTemplate | None) -> list[str]:
    return [unserved.DEVICES, *claim_warnings(new.spec.spec.devices, DEVICES)]


STRATEGY: Strategy[ResourceClaimTemplate] = Strategy(
    default=default,
    validate=validate,
    validate_changed=no_findings,  # what cannot change was found good before
    validate_update=validate_update,
    warnings=warnings,
    columns=(cells.name_column(), cells.age_column()),
    has_generation=False,
    has_status=False,
)

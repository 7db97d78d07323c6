"""VolumeAttributesClasses: sets of a driver's parameters that volumes can change to."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.volume_source_validation import driver_name_findings
from tiphys.kinds.storage.storage_class import parameter_findings
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.storage_v1 import VolumeAttributesClass
from tiphys.machinery.field_errors import FieldError, Path, forbidden, required


def validate(attributes: VolumeAttributesClass) -> list[FieldError]:
    found = driver_name_findings(attributes.driverName, Path("driverName"))
    if not attributes.parameters:
        found.append(required(Path("parameters"), "must contain at least one key/value pair"))
    return found + parameter_findings(attributes.parameters, Path("parameters"))


def validate_update(new: VolumeAttributesClass, old: VolumeAttributesClass) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("driverName", "parameters"):
        if getattr(new, field) != getattr(old, field):
            found.append(forbidden(Path(field), f"updates to {field} are forbidden."))
    return found


STRATEGY: Strategy[VolumeAttributesClass] = Strategy(
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.text("DriverName", lambda attributes: attributes.driverName),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)

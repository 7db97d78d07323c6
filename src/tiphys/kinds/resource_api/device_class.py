"""DeviceClasses: sets of devices that claims can ask for by name."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.core.resource_validation import is_extended
from tiphys.kinds.equality import same
from tiphys.kinds.resource_api.bounded_lists import validate_list
from tiphys.kinds.resource_api.claim_validation import (
    CONFIGURATIONS_LIMIT,
    configuration_findings,
    configuration_warnings,
    validate_selectors,
)
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import DeviceClass, DeviceClassConfiguration
from tiphys.machinery.field_errors import FieldError, Path, invalid

SPEC = Path("spec")


def validate(device_class: DeviceClass) -> list[FieldError]:
    return _findings(device_class, None)


def validate_changed(new: DeviceClass, old: DeviceClass) -> list[FieldError]:
    """Parameters that stay may be as large as they were."""
    return _findings(new, old)


def _findings(device_class: DeviceClass, old: DeviceClass | None) -> list[FieldError]:
    spec = device_class.spec
    bounded = old is None or not same(spec.config, old.spec.config)

    def check(configuration: DeviceClassConfiguration, path: Path) -> list[FieldError]:
        return configuration_findings(configuration, path, bounded)

    found = validate_selectors(spec.selectors, SPEC.child("selectors"))
    found += validate_list(spec.config, CONFIGURATIONS_LIMIT, check, SPEC.child("config"))
    if spec.extendedResourceName is not None and not is_extended(spec.extendedResourceName):
        detail = "must be a valid extended resource name"
        found.append(invalid(SPEC.child("extendedResourceName"), spec.extendedResourceName, detail))
    return found


def warnings(new: DeviceClass, _: DeviceClass | None) -> list[str]:
    return [unserved.DEVICES, *configuration_warnings(new.spec.config or (), SPEC.child("config"))]


STRATEGY: Strategy[DeviceClass] = Strategy(
    validate=validate,
    validate_changed=validate_changed,
    warnings=warnings,
    columns=(cells.name_column(), cells.age_column()),
    has_status=False,
)

"""DeviceClasses: sets of devices that claims can ask for by name."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.resource_api.device_validation import validate_configurations, validate_selectors
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import DeviceClass
from tiphys.machinery.field_errors import FieldError, Path, invalid

SPEC = Path("spec")


def validate(device_class: DeviceClass) -> list[FieldError]:
    spec = device_class.spec
    found = validate_selectors(spec.selectors or [], SPEC.child("selectors"))
    found += validate_configurations(spec.config or [], SPEC.child("config"))
    if spec.extendedResourceName is not None:
        at = SPEC.child("extendedResourceName")
        domain, slash, _ = spec.extendedResourceName.partition("/")
        if not slash:
            found.append(invalid(at, spec.extendedResourceName, "doesn't follow extended resource name standard"))
        else:
            found += [invalid(at, spec.extendedResourceName, text) for text in subdomain_name(domain)]
    return found


STRATEGY: Strategy[DeviceClass] = Strategy(
    validate=validate,
    columns=(cells.name_column(), cells.age_column()),
    has_status=False,
)

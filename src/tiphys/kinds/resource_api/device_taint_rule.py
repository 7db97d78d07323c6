"""DeviceTaintRules: taints that an administrator puts on devices."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.resource_api.attribute_validation import validate_pool_name
from tiphys.kinds.resource_api.taint_validation import validate_device_taint
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import DeviceTaintRule
from tiphys.machinery.field_errors import FieldError, Path, invalid

SPEC = Path("spec")


def validate(rule: DeviceTaintRule) -> list[FieldError]:
    found = validate_device_taint(rule.spec.taint, SPEC.child("taint"))
    selector, path = rule.spec.deviceSelector, SPEC.child("deviceSelector")
    if selector is None:
        return found
    if selector.driver is not None:
        found += [
            invalid(path.child("driver"), selector.driver, text) for text in subdomain_name(selector.driver.lower())
        ]
    if selector.pool is not None:
        found += validate_pool_name(selector.pool, path.child("pool"))
    if selector.device is not None:
        found += [invalid(path.child("device"), selector.device, text) for text in label_name(selector.device)]
    return found


STRATEGY: Strategy[DeviceTaintRule] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    columns=(cells.name_column(), cells.age_column()),
)

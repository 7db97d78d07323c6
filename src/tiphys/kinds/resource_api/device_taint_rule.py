"""DeviceTaintRules: taints that an administrator puts on devices."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.resource_api.device_names import driver_findings, pool_findings, short_name_findings
from tiphys.kinds.resource_api.taint_validation import validate_device_taint
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import DeviceTaintRule
from tiphys.machinery.field_errors import FieldError, Path, too_many

SPEC, CONDITIONS = Path("spec"), Path("status.conditions")
CONDITIONS_LIMIT = 8


def validate(rule: DeviceTaintRule) -> list[FieldError]:
    return _findings(rule, "")


def validate_changed(new: DeviceTaintRule, old: DeviceTaintRule) -> list[FieldError]:
    return _findings(new, old.spec.taint.effect)


def _findings(rule: DeviceTaintRule, known_effect: str) -> list[FieldError]:
    selector, path = rule.spec.deviceSelector, SPEC.child("deviceSelector")
    found: list[FieldError] = []
    if selector is not None:
        for field, check in (("driver", driver_findings), ("pool", pool_findings), ("device", short_name_findings)):
            value = getattr(selector, field)
            found += check(value, path.child(field)) if value is not None else []
    return found + validate_device_taint(rule.spec.taint, SPEC.child("taint"), known_effect)


def validate_status_update(new: DeviceTaintRule, _: DeviceTaintRule) -> list[FieldError]:
    conditions = new.status.conditions or []
    found = validate_conditions(conditions, CONDITIONS)
    if len(conditions) > CONDITIONS_LIMIT:
        found.append(too_many(CONDITIONS, len(conditions), CONDITIONS_LIMIT))
    return found


STRATEGY: Strategy[DeviceTaintRule] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    validate_changed=validate_changed,
    validate_status_update=validate_status_update,
    warnings=unserved.warned(unserved.DEVICES),
    columns=(cells.name_column(), cells.age_column()),
    allow_unconditional_update=False,
)

"""DeviceTaintRules: taints that an administrator puts on devices."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import label_key_findings, label_value_findings
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import DeviceTaintRule
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

TAINT = Path("spec.taint")
EFFECTS = ("NoExecute", "NoSchedule", "None")


def validate(rule: DeviceTaintRule) -> list[FieldError]:
    taint = rule.spec.taint
    found: list[FieldError] = []
    if not taint.key:
        found.append(required(TAINT.child("key")))
    else:
        found += [invalid(TAINT.child("key"), taint.key, text) for text in label_key_findings(taint.key)]
    if taint.value:
        found += [invalid(TAINT.child("value"), taint.value, text) for text in label_value_findings(taint.value)]
    if not taint.effect:
        found.append(required(TAINT.child("effect")))
    elif taint.effect not in EFFECTS:
        found.append(not_supported(TAINT.child("effect"), taint.effect, EFFECTS))
    return found


STRATEGY: Strategy[DeviceTaintRule] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    columns=(cells.name_column(), cells.age_column()),
)

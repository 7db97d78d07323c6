"""Whether taints of devices, and what tolerates them, are well formed."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.object_meta import label_key_findings, label_value_findings
from tiphys.kinds.resource_api.bounded_lists import validate_list
from tiphys.kinds.types.resource_v1 import DeviceTaint, DeviceToleration
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

EFFECTS = ("NoExecute", "NoSchedule", "None")
OPERATORS = ("Equal", "Exists")
TAINTS_LIMIT, TOLERATIONS_LIMIT = 16, 16


def default_tolerations(tolerations: Sequence[DeviceToleration] | None) -> None:
    for toleration in tolerations or ():
        toleration.operator = toleration.operator or "Equal"


def validate_device_taint(taint: DeviceTaint, path: Path, known_effect: str = "") -> list[FieldError]:
    """`known_effect`: one that was there before; a server of a later release may have let it in."""
    found = [invalid(path.child("key"), taint.key, text) for text in label_key_findings(taint.key)]
    if taint.value:
        found += [invalid(path.child("value"), taint.value, text) for text in label_value_findings(taint.value)]
    if not taint.effect:
        found.append(required(path.child("effect")))
    elif taint.effect not in (*EFFECTS, known_effect):
        found.append(not_supported(path.child("effect"), taint.effect, EFFECTS))
    return found


def validate_device_taints(taints: Sequence[DeviceTaint] | None, path: Path) -> list[FieldError]:
    return validate_list(taints, TAINTS_LIMIT, validate_device_taint, path)


def validate_device_tolerations(tolerations: Sequence[DeviceToleration] | None, path: Path) -> list[FieldError]:
    return validate_list(tolerations, TOLERATIONS_LIMIT, _toleration_findings, path)


def _toleration_findings(toleration: DeviceToleration, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    key, value = toleration.key or "", toleration.value or ""
    if key:
        found += [invalid(path.child("key"), key, text) for text in label_key_findings(key)]
    if toleration.operator == "Exists":
        if value:
            found.append(invalid(path.child("value"), value, "must be empty for operator `Exists`"))
    elif toleration.operator == "Equal":
        found += [invalid(path.child("value"), value, text) for text in label_value_findings(value)]
    elif not toleration.operator:
        found.append(required(path.child("operator")))
    else:
        found.append(not_supported(path.child("operator"), toleration.operator, OPERATORS))
    if toleration.effect and toleration.effect not in EFFECTS:
        found.append(not_supported(path.child("effect"), toleration.effect, EFFECTS))
    return found

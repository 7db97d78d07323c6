"""Whether taints of devices, and what tolerates them, are well formed."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.object_meta import label_key_findings, label_value_findings
from tiphys.kinds.types.resource_v1 import DeviceTaint, DeviceToleration
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required, too_many

EFFECTS = ("NoExecute", "NoSchedule", "None")
OPERATORS = ("Equal", "Exists")
TAINTS_LIMIT, TOLERATIONS_LIMIT = 16, 16


def validate_device_taint(taint: DeviceTaint, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not taint.key:
        found.append(required(path.child("key")))
    else:
        found += [invalid(path.child("key"), taint.key, text) for text in label_key_findings(taint.key)]
    if taint.value:
        found += [invalid(path.child("value"), taint.value, text) for text in label_value_findings(taint.value)]
    if not taint.effect:
        found.append(required(path.child("effect")))
    elif taint.effect not in EFFECTS:
        found.append(not_supported(path.child("effect"), taint.effect, EFFECTS))
    return found


def validate_device_taints(taints: Sequence[DeviceTaint], path: Path) -> list[FieldError]:
    found = [] if len(taints) <= TAINTS_LIMIT else [too_many(path, len(taints), TAINTS_LIMIT)]
    for position, taint in enumerate(taints):
        found += validate_device_taint(taint, path.index(position))
    return found


def validate_device_tolerations(tolerations: Sequence[DeviceToleration], path: Path) -> list[FieldError]:
    found = [] if len(tolerations) <= TOLERATIONS_LIMIT else [too_many(path, len(tolerations), TOLERATIONS_LIMIT)]
    for position, toleration in enumerate(tolerations):
        found += _toleration_findings(toleration, path.index(position))
    return found


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

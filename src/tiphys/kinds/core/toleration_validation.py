"""Whether taints of nodes and tolerations of pods are well formed."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.object_meta import label_key_findings, label_value_findings
from tiphys.kinds.types.core_v1 import Taint, Toleration
from tiphys.machinery.digits import is_number
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
OPERATORS = ("Equal", "Exists")


def validate_tolerations(tolerations: Sequence[Toleration], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, toleration in enumerate(tolerations):
        if not _is_usual(toleration):
            found += _toleration_findings(toleration, path.index(position))
    return found


def _is_usual(toleration: Toleration) -> bool:
    """The shape that every pod has two of: a key that exists, with an effect that may last for seconds."""
    return (
        toleration.operator == "Exists"
        and not toleration.value
        and toleration.effect == "NoExecute"
        and bool(toleration.key)
        and not label_key_findings(toleration.key or "")
    )


def _toleration_findings(toleration: Toleration, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if toleration.key:
        found += [invalid(path.child("key"), toleration.key, text) for text in label_key_findings(toleration.key)]
    elif toleration.operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        found.append(invalid(path.child("operator"), toleration.operator or "", detail))
    if toleration.tolerationSeconds is not None and toleration.effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        found.append(invalid(path.child("effect"), toleration.effect or "", detail))
    if toleration.operator in ("Equal", "", None):
        texts = label_value_findings(toleration.value or "")
        if texts:
            found.append(invalid(path.child("operator"), toleration.value, ";".join(texts)))
    elif toleration.operator == "Exists":
        if toleration.value:
            detail = "value must be empty when `operator` is 'Exists'"
            found.append(invalid(path.child("operator"), toleration.value, detail))
    elif toleration.operator in ("Lt", "Gt"):
        found += _comparison_findings(toleration, path)
    else:
        found.append(not_supported(path.child("operator"), toleration.operator, OPERATORS))
    if toleration.effect and toleration.effect not in EFFECTS:
        found.append(not_supported(path.child("effect"), toleration.effect, EFFECTS))
    return found


def _comparison_findings(toleration: Toleration, path: Path) -> list[FieldError]:
    text = toleration.value or ""
    if is_number(text.removeprefix("-")) and str(int(text)) == text:
        return []
    return [invalid(path.child("value"), text, "must be a valid integer for numeric operators")]


def validate_taints(taints: Sequence[Taint], path: Path) -> list[FieldError]:
    """A node's taints; the same key with the same effect only once."""
    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for position, taint in enumerate(taints):
        at = path.index(position)
        found += [invalid(at.child("key"), taint.key, text) for text in label_key_findings(taint.key)]
        texts = label_value_findings(taint.value or "")
        if texts:
            found.append(invalid(at.child("value"), taint.value, ";".join(texts)))
        if not taint.effect:
            found.append(required(at.child("effect")))
        elif taint.effect not in EFFECTS:
            found.append(not_supported(at.child("effect"), taint.effect, EFFECTS))
        if (taint.key, taint.effect) in seen:
            found.append(duplicate(at, taint))
        seen.add((taint.key, taint.effect))
    return found

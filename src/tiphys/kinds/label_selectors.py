"""Whether LabelSelector objects and plain label maps used as selectors are well formed."""

from __future__ import annotations

from tiphys.kinds.object_meta import label_key_findings, label_value_findings, validate_labels
from tiphys.kinds.types.meta_v1 import LabelSelector, LabelSelectorRequirement
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required


def is_empty(selector: LabelSelector) -> bool:
    """True when it selects everything."""
    return not selector.matchLabels and not selector.matchExpressions


def validate_label_selector(selector: LabelSelector | None, path: Path) -> list[FieldError]:
    if selector is None:
        return []
    found: list[FieldError] = []
    if selector.matchLabels:
        found += validate_labels(selector.matchLabels, path.child("matchLabels"))
    for position, expression in enumerate(selector.matchExpressions or ()):
        found += validate_label_requirement(expression, path.child("matchExpressions").index(position))
    return found


def validate_label_requirement(
    expression: LabelSelectorRequirement, path: Path, *, any_operator: bool = False
) -> list[FieldError]:
    """`any_operator`: also one that nobody knows."""
    found: list[FieldError] = []
    if expression.operator in ("In", "NotIn"):
        if not expression.values:
            found.append(required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
    elif expression.operator in ("Exists", "DoesNotExist"):
        if expression.values:
            found.append(
                forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            )
    elif not any_operator:
        found.append(invalid(path.child("operator"), expression.operator, "not a valid selector operator"))
    found += [invalid(path.child("key"), expression.key, text) for text in label_key_findings(expression.key)]
    for position, value in enumerate(expression.values or ()):
        found += [invalid(path.child("values").index(position), value, text) for text in label_value_findings(value)]
    return found

"""What an empty selector of a PodDisruptionBudget means: nothing in policy/v1beta1, everything in policy/v1.

Each version can say what the other means by `{}`, with a requirement on a label that no pod has. Beside other
requirements that label means nothing, and is dropped. Specified in the "Deprecated API Migration Guide" and in the
release notes of 1.21.
"""

from __future__ import annotations

from tiphys.kinds.label_selectors import is_empty
from tiphys.kinds.types.meta_v1 import LabelSelector, LabelSelectorRequirement

LABEL = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"


def nothing() -> LabelSelector:
    """How policy/v1 writes what policy/v1beta1 means by `{}`."""
    return LabelSelector(matchExpressions=[LabelSelectorRequirement(key=LABEL, operator="Exists")])


def everything() -> LabelSelector:
    """How policy/v1beta1 writes what policy/v1 means by `{}`."""
    return LabelSelector(matchExpressions=[LabelSelectorRequirement(key=LABEL, operator="DoesNotExist")])


def to_v1(selector: LabelSelector | None) -> LabelSelector | None:
    if selector is None:
        return None
    if is_empty(selector):
        return nothing()
    return LabelSelector() if selector == everything() else _without_label(selector)


def to_v1beta1(selector: LabelSelector | None) -> LabelSelector | None:
    if selector is None:
        return None
    if is_empty(selector):
        return everything()
    return LabelSelector() if selector == nothing() else selector


def settled(selector: LabelSelector | None) -> LabelSelector | None:
    """A selector of policy/v1 as it is stored."""
    return selector if selector is None or selector == nothing() else _without_label(selector)


def _without_label(selector: LabelSelector) -> LabelSelector:
    expressions = selector.matchExpressions or []
    kept = [expression for expression in expressions if expression.key != LABEL]
    if len(kept) == len(expressions):
        return selector
    return LabelSelector(matchLabels=selector.matchLabels, matchExpressions=kept or None)

"""The field and label selectors of access reviews: whether they are well formed, and what authorizers can use of them.

What it cannot use is left out, which asks for more than the user wants and never for less; the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.label_selectors import validate_label_requirement
from tiphys.kinds.types.authorization_v1 import FieldSelectorAttributes, LabelSelectorAttributes, ResourceAttributes
from tiphys.kinds.types.meta_v1 import FieldSelectorRequirement, LabelSelectorRequirement
from tiphys.machinery import fields, labels, names
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required

FIELD_SELECTOR = Path("spec.resourceAttributes.fieldSelector")
LABEL_SELECTOR = Path("spec.resourceAttributes.labelSelector")
_OPERATORS = {"In": "=", "NotIn": "!="}


def validate_selectors(asked: ResourceAttributes) -> list[FieldError]:
    """Operators that nobody knows are no mistake: a later release may have them."""
    found: list[FieldError] = []
    if asked.fieldSelector is not None:
        found += _form_findings(asked.fieldSelector, FIELD_SELECTOR)
        for position, requirement in enumerate(asked.fieldSelector.requirements or ()):
            found += _field_findings(requirement, FIELD_SELECTOR.child("requirements").index(position))
    if asked.labelSelector is not None:
        found += _form_findings(asked.labelSelector, LABEL_SELECTOR)
        for position, label in enumerate(asked.labelSelector.requirements or ()):
            at = LABEL_SELECTOR.child("requirements").index(position)
            found += validate_label_requirement(label, at, any_operator=True)
    return found


def _form_findings(selector: FieldSelectorAttributes | LabelSelectorAttributes, path: Path) -> list[FieldError]:
    if selector.rawSelector and selector.requirements:
        detail = "may not specified at the same time as requirements"
        return [invalid(path.child("rawSelector"), selector.rawSelector, detail)]
    if not selector.rawSelector and not selector.requirements:
        detail = f"when {path} is specified, requirements or rawSelector is required"
        return [required(path.child("requirements"), detail)]
    return []


def _field_findings(requirement: FieldSelectorRequirement, path: Path) -> list[FieldError]:
    found = [] if requirement.key else [required(path.child("key"), "must be specified")]
    if requirement.operator in ("In", "NotIn") and not requirement.values:
        found.append(required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
    if requirement.operator in ("Exists", "DoesNotExist") and requirement.values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        found.append(forbidden(path.child("values"), detail))
    return found


def usable_field_selector(asked: ResourceAttributes) -> tuple[str, str]:
    """The part of the field selector that can be read, in the form of a query parameter, and what to say of the rest
    ("" when there is none)."""
    selector = asked.fieldSelector
    if selector is None:
        return "", ""
    if selector.rawSelector:
        try:
            fields.parse(selector.rawSelector)
        except ValueError:
            return "", _ignored(FIELD_SELECTOR, False)
        return selector.rawSelector, ""
    requirements = selector.requirements or ()
    usable = [one for one in requirements if one.operator in _OPERATORS and len(one.values or ()) == 1]
    text = ",".join(f"{r.key}{_OPERATORS[r.operator]}{fields.escape((r.values or [''])[0])}" for r in usable)
    return text, _ignored(FIELD_SELECTOR, bool(usable)) if len(usable) < len(requirements) else ""


def label_selector_problem(asked: ResourceAttributes) -> str:
    """What to say of the label selector ("" when it can be read). None of our authorizers asks for it."""
    selector = asked.labelSelector
    if selector is None:
        return ""
    if selector.rawSelector:
        try:
            labels.parse(selector.rawSelector)
        except ValueError:
            return _ignored(LABEL_SELECTOR, False)
        return ""
    requirements = selector.requirements or ()
    usable = _usable_labels(requirements)
    return _ignored(LABEL_SELECTOR, usable > 0) if usable < len(requirements) else ""


def _usable_labels(requirements: Sequence[LabelSelectorRequirement]) -> int:
    return sum(
        one.operator in ("In", "NotIn", "Exists", "DoesNotExist")
        and not names.qualified_name(one.key)
        and not any(names.label_value(value) for value in one.values or ())
        for one in requirements
    )


def _ignored(path: Path, partially: bool) -> str:
    return f"{path} {'partially ' if partially else ''}ignored due to parse error"

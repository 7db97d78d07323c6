"""What the kinds that keep pods running from a template share: selectors that find the template's pods."""

from __future__ import annotations

from tiphys.kinds.core.template import MISMATCH, always_restarting, selector_of, validate_template
from tiphys.kinds.label_selectors import is_empty, validate_label_selector
from tiphys.kinds.types.core_v1 import PodTemplateSpec
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.machinery import labels
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

SPEC, STATUS = Path("spec"), Path("status")


def validate_selector_and_template(selector: LabelSelector, template: PodTemplateSpec, kind: str) -> list[FieldError]:
    """The selector is given, and finds pods of the template; those restart always."""
    found: list[FieldError] = []
    parsed = labels.NOTHING
    if is_empty(selector):
        found.append(required(SPEC.child("selector")))
    else:
        found += validate_label_selector(selector, SPEC.child("selector"))
        parsed = selector_of(selector)
        if parsed == labels.NOTHING and kind == "ReplicaSet":
            found.append(invalid(SPEC.child("selector"), selector, "invalid label selector"))
    return found + validate_matching_template(template, parsed, kind)


def validate_matching_template(template: PodTemplateSpec, selector: labels.Selector, kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    path = SPEC.child("template")
    template_labels = template.metadata.labels or {}
    if not selector.matches(template_labels):
        found.append(invalid(path.child("metadata", "labels"), template_labels, MISMATCH))
    return found + validate_template(template, path) + always_restarting(template, path, kind)

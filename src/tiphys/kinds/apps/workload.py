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
    """The selector is given, and finds pods of the template; those restart always. With one that cannot be read nothing
    is looked for, and of ReplicaSets and Deployments the template is not looked at."""
    found = validate_selector(selector)
    if not found or is_empty(selector):
        return found + validate_matching_template(template, _selector_of(selector), kind)
    if kind == "ReplicaSet":
        return [*found, invalid(SPEC.child("selector"), selector, "invalid label selector")]
    return found + _template_findings(template, kind)


def validate_selector(selector: LabelSelector) -> list[FieldError]:
    at = SPEC.child("selector")
    return [required(at)] if is_empty(selector) else validate_label_selector(selector, at)


def _selector_of(selector: LabelSelector) -> labels.Selector:
    return labels.NOTHING if is_empty(selector) else selector_of(selector)


def selector_and_labels_findings(selector: LabelSelector, template: PodTemplateSpec) -> list[FieldError]:
    """The selector is given, and finds the pods of the template."""
    found = validate_selector(selector)
    if found and not is_empty(selector):
        return [*found, invalid(SPEC.child("selector"), selector, "")]
    return found + _match_findings(_selector_of(selector), template)


def _match_findings(selector: labels.Selector, template: PodTemplateSpec) -> list[FieldError]:
    template_labels = template.metadata.labels or {}
    at = SPEC.child("template", "metadata", "labels")
    return [] if selector.matches(template_labels) else [invalid(at, template_labels, MISMATCH)]


def validate_matching_template(template: PodTemplateSpec, selector: labels.Selector, kind: str) -> list[FieldError]:
    return _match_findings(selector, template) + _template_findings(template, kind)


def _template_findings(template: PodTemplateSpec, kind: str) -> list[FieldError]:
    path = SPEC.child("template")
    return validate_template(template, path) + always_restarting(template, path, kind)

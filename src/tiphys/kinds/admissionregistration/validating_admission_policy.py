"""ValidatingAdmissionPolicies: rules in CEL that requests must keep."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.policy_validation import (
    default_match,
    validate_match,
    validate_param_kind,
    validate_variables,
)
from tiphys.kinds.admissionregistration.webhook_validation import validate_conditions
from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import ValidatingAdmissionPolicy
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required

SPEC = Path("spec")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
ANNOTATIONS_LIMIT = 20
FAILURE_POLICIES = ("Fail", "Ignore")


def default(policy: ValidatingAdmissionPolicy) -> None:
    if policy.spec.failurePolicy is None:
        policy.spec.failurePolicy = "Fail"
    default_match(policy.spec.matchConstraints)


def validate(policy: ValidatingAdmissionPolicy) -> list[FieldError]:
    spec = policy.spec
    found: list[FieldError] = []
    if spec.failurePolicy not in FAILURE_POLICIES:
        at = SPEC.child("failurePolicy")
        found.append(not_supported(at, spec.failurePolicy, FAILURE_POLICIES) if spec.failurePolicy else required(at))
    if spec.paramKind is not None:
        found += validate_param_kind(spec.paramKind, SPEC.child("paramKind"))
    if spec.matchConstraints is None:
        found.append(required(SPEC.child("matchConstraints")))
    else:
        found += validate_match(spec.matchConstraints, SPEC.child("matchConstraints"))
        if not spec.matchConstraints.resourceRules:
            found.append(required(SPEC.child("matchConstraints", "resourceRules")))
    found += validate_conditions(spec.matchConditions or [], SPEC.child("matchConditions"))
    found += validate_variables(spec.variables or [], SPEC.child("variables"))
    if not spec.validations and not spec.auditAnnotations:
        detail = "validations or auditAnnotations must contain at least one item"
        found.append(required(SPEC.child("validations"), detail))
        found.append(required(SPEC.child("auditAnnotations"), detail))
    return found + _validation_findings(policy) + _annotation_findings(policy)


def _validation_findings(policy: ValidatingAdmissionPolicy) -> list[FieldError]:
    found: list[FieldError] = []
    for position, validation in enumerate(policy.spec.validations or ()):
        at = SPEC.child("validations").index(position)
        if not validation.expression.strip():
            found.append(required(at.child("expression"), "expression is not specified"))
        message = validation.message
        if message and not message.strip():
            found.append(invalid(at.child("message"), message, "message must be non-empty if specified"))
        elif message and "\n" in message.strip():
            found.append(invalid(at.child("message"), message, "message must not contain line breaks"))
        elif "\n" in validation.expression.strip() and not message:
            detail = "message must be specified if expression contains line breaks"
            found.append(required(at.child("message"), detail))
        if validation.reason is not None and validation.reason not in REASONS:
            found.append(not_supported(at.child("reason"), validation.reason, REASONS))
    return found


def _annotation_findings(policy: ValidatingAdmissionPolicy) -> list[FieldError]:
    annotations, path = policy.spec.auditAnnotations or [], SPEC.child("auditAnnotations")
    if len(annotations) > ANNOTATIONS_LIMIT:
        detail = f"must not have more than {ANNOTATIONS_LIMIT} auditAnnotations"
        return [invalid(path, annotations, detail)]
    found: list[FieldError] = []
    keys: set[str] = set()
    for position, annotation in enumerate(annotations):
        at = path.index(position)
        whole = f"{policy.metadata.name}/{annotation.key}"
        found += [invalid(at.child("key"), annotation.key, text) for text in label_key_findings(whole)]
        if not annotation.valueExpression.strip():
            found.append(required(at.child("valueExpression"), "valueExpression is not specified"))
        if annotation.key in keys:
            found.append(duplicate(at.child("key"), annotation.key))
        keys.add(annotation.key)
    return found


def _param_kind(policy: ValidatingAdmissionPolicy) -> str:
    kind = policy.spec.paramKind
    return f"{kind.apiVersion}/{kind.kind}" if kind is not None else cells.UNSET


STRATEGY: Strategy[ValidatingAdmissionPolicy] = Strategy(
    warnings=unserved.warned(unserved.POLICIES),
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.number("Validations", lambda policy: len(policy.spec.validations or ())),
        cells.text("ParamKind", _param_kind),
        cells.age_column(),
    ),
)

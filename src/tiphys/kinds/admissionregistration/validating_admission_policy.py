"""ValidatingAdmissionPolicies: rules in CEL that requests must keep."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.policy_validation import default_match, param_kind_text, validate_scope
from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import (
    AuditAnnotation,
    ExpressionWarning,
    ValidatingAdmissionPolicy,
    Validation,
)
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required
from tiphys.machinery.json_path import compile_path
from tiphys.machinery.repetition import repeated

SPEC, STATUS = Path("spec"), Path("status")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
ANNOTATIONS_LIMIT, VALUE_EXPRESSION_LIMIT_BYTES = 20, 5 * 1024


def default(policy: ValidatingAdmissionPolicy) -> None:
    if policy.spec.failurePolicy is None:
        policy.spec.failurePolicy = "Fail"
    default_match(policy.spec.matchConstraints)


def validate(policy: ValidatingAdmissionPolicy) -> list[FieldError]:
    spec = policy.spec
    found = validate_scope(policy, SPEC)
    if not spec.validations and not spec.auditAnnotations:
        detail = "validations or auditAnnotations must contain at least one item"
        return found + [required(SPEC.child(field), detail) for field in ("validations", "auditAnnotations")]
    for position, validation in enumerate(spec.validations or ()):
        found += _validation_findings(validation, SPEC.child("validations").index(position))
    annotations, at = spec.auditAnnotations or [], SPEC.child("auditAnnotations")
    if len(annotations) > ANNOTATIONS_LIMIT:
        found.append(invalid(at, annotations, f"must not have more than {ANNOTATIONS_LIMIT} auditAnnotations"))
    again = repeated(annotation.key for annotation in annotations)
    for position, annotation in enumerate(annotations):
        found += _annotation_findings(annotation, policy.metadata.name or "", at.index(position))
        if position in again:
            found.append(duplicate(at.index(position).child("key"), annotation.key))
    return found


def _validation_findings(validation: Validation, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not validation.expression.strip():
        found.append(required(path.child("expression"), "expression is not specified"))
    message, empty = validation.message or "", "must be non-empty if specified"
    if validation.messageExpression and not validation.messageExpression.strip():
        found.append(invalid(path.child("messageExpression"), validation.messageExpression, empty))
    if message and not message.strip():
        found.append(invalid(path.child("message"), message, empty))
    elif set(message.strip()) & {"\n", "\r"}:
        found.append(invalid(path.child("message"), message, "must not contain line breaks"))
    if validation.reason is not None and validation.reason not in REASONS:
        found.append(not_supported(path.child("reason"), validation.reason, REASONS))
    return found


def _annotation_findings(annotation: AuditAnnotation, policy_name: str, path: Path) -> list[FieldError]:
    at = path.child("key")
    whole = f"{policy_name}/{annotation.key}"
    found = [invalid(at, whole, text) for text in label_key_findings(whole)]
    if not policy_name:
        found = [invalid(at, annotation.key, "requires metadata.name be non-empty")]
    expression, at = annotation.valueExpression.strip(), path.child("valueExpression")
    if not expression:
        found.append(required(at, "valueExpression is not specified"))
    elif len(expression.encode()) > VALUE_EXPRESSION_LIMIT_BYTES:
        found.append(required(at, f"must not exceed {VALUE_EXPRESSION_LIMIT_BYTES} bytes in length"))
    return found


def validate_status_update(new: ValidatingAdmissionPolicy, _: ValidatingAdmissionPolicy) -> list[FieldError]:
    checking, at = new.status.typeChecking, STATUS.child("typeChecking", "expressionWarnings")
    found: list[FieldError] = []
    for position, warning in enumerate((checking.expressionWarnings if checking is not None else None) or ()):
        found += _warning_findings(warning, at.index(position))
    return found + validate_conditions(new.status.conditions or (), STATUS.child("conditions"))


def _warning_findings(warning: ExpressionWarning, path: Path) -> list[FieldError]:
    found = [] if warning.warning else [required(path.child("warning"))]
    place, at = warning.fieldRef.strip(), path.child("fieldRef")
    if not place:
        return [*found, required(at)]
    try:
        compile_path(place)
    except ValueError as problem:
        found.append(invalid(at, place, f"invalid JSONPath: {problem}"))
    return found


STRATEGY: Strategy[ValidatingAdmissionPolicy] = Strategy(
    warnings=unserved.warned(unserved.POLICIES),
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.number("Validations", lambda policy: len(policy.spec.validations or ())),
        cells.text("ParamKind", param_kind_text),
        cells.age_column(),
    ),
    qualified_finalizers=False,
)

"""MutatingAdmissionPolicies: changes in CEL that are made to what requests bring."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.mutating_operations import validate_operations
from tiphys.kinds.admissionregistration.policy_validation import default_match, param_kind_text, validate_scope
from tiphys.kinds.admissionregistration.webhook_validation import REINVOCATION_POLICIES
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import MutatingAdmissionPolicy, Mutation
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

SPEC = Path("spec")
PATCH_TYPES = ("ApplyConfiguration", "JSONPatch")


def default(policy: MutatingAdmissionPolicy) -> None:
    if policy.spec.failurePolicy is None:
        policy.spec.failurePolicy = "Fail"
    default_match(policy.spec.matchConstraints)


def validate(policy: MutatingAdmissionPolicy) -> list[FieldError]:
    spec = policy.spec
    found = validate_scope(policy, SPEC)
    found += validate_operations(spec.matchConstraints, SPEC.child("matchConstraints"))
    if not spec.mutations:
        found.append(required(SPEC.child("mutations"), "mutations must contain at least one item"))
    for position, mutation in enumerate(spec.mutations or ()):
        found += _mutation_findings(mutation, SPEC.child("mutations").index(position))
    again, at = spec.reinvocationPolicy, SPEC.child("reinvocationPolicy")
    if not again:
        found.append(required(at))
    elif again not in REINVOCATION_POLICIES:
        found.append(not_supported(at, again, REINVOCATION_POLICIES))
    return found


def _mutation_findings(mutation: Mutation, path: Path) -> list[FieldError]:
    """The expression is in the field that is called like the type of the patch."""
    kind = mutation.patchType
    if not kind:
        return [required(path.child("patchType"))]
    if kind not in PATCH_TYPES:
        return [not_supported(path.child("patchType"), kind, PATCH_TYPES)]
    wanted, other = ("jsonPatch", "applyConfiguration") if kind == "JSONPatch" else ("applyConfiguration", "jsonPatch")
    given = getattr(mutation, wanted)
    found: list[FieldError] = []
    if given is None:
        found.append(required(path.child(wanted), f"must be specified when patchType is {kind}"))
    elif not (given.expression or "").strip():
        found.append(required(path.child(wanted, "expression")))
    if getattr(mutation, other) is not None:
        found.append(invalid(path.child(other), f"{{{other}}}", f"must not be specified when patchType is {kind}"))
    return found


STRATEGY: Strategy[MutatingAdmissionPolicy] = Strategy(
    warnings=unserved.warned(unserved.POLICIES),
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.number("Mutations", lambda policy: len(policy.spec.mutations or ())),
        cells.text("ParamKind", param_kind_text),
        cells.age_column(),
    ),
    has_status=False,
    qualified_finalizers=False,
)

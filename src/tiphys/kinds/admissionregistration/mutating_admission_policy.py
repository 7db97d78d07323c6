"""MutatingAdmissionPolicies: changes in CEL that are made to what requests bring."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.policy_validation import (
    default_match,
    validate_match,
    validate_param_kind,
    validate_variables,
)
from tiphys.kinds.admissionregistration.webhook_validation import validate_conditions
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import MutatingAdmissionPolicy, Mutation
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

SPEC = Path("spec")
FAILURE_POLICIES = ("Fail", "Ignore")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
PATCH_TYPES = ("ApplyConfiguration", "JSONPatch")


def default(policy: MutatingAdmissionPolicy) -> None:
    if policy.spec.failurePolicy is None:
        policy.spec.failurePolicy = "Fail"
    if not policy.spec.reinvocationPolicy:
        policy.spec.reinvocationPolicy = "Never"
    default_match(policy.spec.matchConstraints)


def validate(policy: MutatingAdmissionPolicy) -> list[FieldError]:
    spec = policy.spec
    found: list[FieldError] = []
    if spec.failurePolicy not in FAILURE_POLICIES:
        found.append(not_supported(SPEC.child("failurePolicy"), spec.failurePolicy or "", FAILURE_POLICIES))
    if spec.reinvocationPolicy not in REINVOCATION_POLICIES:
        at = SPEC.child("reinvocationPolicy")
        found.append(not_supported(at, spec.reinvocationPolicy or "", REINVOCATION_POLICIES))
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
    if not spec.mutations:
        found.append(required(SPEC.child("mutations"), "mutations must contain at least one item"))
    for position, mutation in enumerate(spec.mutations or ()):
        found += _mutation_findings(mutation, SPEC.child("mutations").index(position))
    return found


def _mutation_findings(mutation: Mutation, path: Path) -> list[FieldError]:
    if mutation.patchType not in PATCH_TYPES:
        return [not_supported(path.child("patchType"), mutation.patchType, PATCH_TYPES)]
    apply = mutation.patchType == "ApplyConfiguration"
    wanted, other = ("applyConfiguration", "jsonPatch") if apply else ("jsonPatch", "applyConfiguration")
    found: list[FieldError] = []
    if getattr(mutation, other) is not None:
        detail = f"{other} may not be specified when patchType is {mutation.patchType}"
        found.append(invalid(path.child(other), getattr(mutation, other), detail))
    given = getattr(mutation, wanted)
    if given is None:
        found.append(required(path.child(wanted), f"must be specified when patchType is {mutation.patchType}"))
    elif not (given.expression or "").strip():
        found.append(required(path.child(wanted, "expression"), "expression is not specified"))
    return found


def _param_kind(policy: MutatingAdmissionPolicy) -> str:
    kind = policy.spec.paramKind
    return f"{kind.apiVersion}/{kind.kind}" if kind is not None else cells.UNSET


STRATEGY: Strategy[MutatingAdmissionPolicy] = Strategy(
    warnings=unserved.warned(unserved.POLICIES),
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.number("Mutations", lambda policy: len(policy.spec.mutations or ())),
        cells.text("ParamKind", _param_kind),
        cells.age_column(),
    ),
    has_status=False,
)

"""MutatingAdmissionPolicyBindings: where a mutating policy counts and with which parameters."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.policy_validation import default_match, validate_match, validate_param_ref
from tiphys.kinds.admissionregistration.validating_admission_policy_binding import param_text
from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import MutatingAdmissionPolicyBinding
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

SPEC = Path("spec")


def default(binding: MutatingAdmissionPolicyBinding) -> None:
    default_match(binding.spec.matchResources)


def validate(binding: MutatingAdmissionPolicyBinding) -> list[FieldError]:
    spec = binding.spec
    name = spec.policyName or ""
    found = [invalid(SPEC.child("policyName"), name, text) for text in subdomain_name(name)] if name else []
    if not name:
        found.append(required(SPEC.child("policyName")))
    if spec.paramRef is not None:
        found += validate_param_ref(spec.paramRef, SPEC.child("paramRef"))
    if spec.matchResources is not None:
        found += validate_match(spec.matchResources, SPEC.child("matchResources"))
    return found


STRATEGY: Strategy[MutatingAdmissionPolicyBinding] = Strategy(
    warnings=unserved.warned(unserved.POLICIES),
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.text("PolicyName", lambda binding: binding.spec.policyName or ""),
        cells.text("ParamRef", lambda binding: param_text(binding.spec.paramRef)),
        cells.age_column(),
    ),
    has_status=False,
)

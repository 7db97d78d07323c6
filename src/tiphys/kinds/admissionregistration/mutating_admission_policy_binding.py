"""MutatingAdmissionPolicyBindings: where a mutating policy counts and with which parameters."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.mutating_operations import validate_operations
from tiphys.kinds.admissionregistration.policy_validation import default_match, validate_binding
from tiphys.kinds.admissionregistration.validating_admission_policy_binding import param_text
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import MutatingAdmissionPolicyBinding
from tiphys.machinery.field_errors import FieldError, Path

SPEC = Path("spec")


def default(binding: MutatingAdmissionPolicyBinding) -> None:
    default_match(binding.spec.matchResources)


def validate(binding: MutatingAdmissionPolicyBinding) -> list[FieldError]:
    found = validate_binding(binding, SPEC)
    return found + validate_operations(binding.spec.matchResources, SPEC.child("matchResources"))


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
    qualified_finalizers=False,
)

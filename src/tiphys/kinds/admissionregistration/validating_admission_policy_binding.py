"""ValidatingAdmissionPolicyBindings: where a policy counts, with which parameters, and what follows from a breach."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.policy_validation import default_match, validate_binding
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import ParamRef, ValidatingAdmissionPolicyBinding
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required
from tiphys.machinery.repetition import repeated

SPEC = Path("spec")
ACTIONS = ("Audit", "Deny", "Warn")


def param_text(reference: ParamRef | None) -> str:
    """The parameters by name, or `*` for those of a selector."""
    if reference is None:
        return cells.UNSET
    name = reference.name or "*"
    return f"{reference.namespace}/{name}" if reference.namespace else name


def default(binding: ValidatingAdmissionPolicyBinding) -> None:
    default_match(binding.spec.matchResources)


def validate(binding: ValidatingAdmissionPolicyBinding) -> list[FieldError]:
    found = validate_binding(binding, SPEC)
    actions, path = binding.spec.validationActions or [], SPEC.child("validationActions")
    again = repeated(actions)
    for position, action in enumerate(actions):
        if action not in ACTIONS:
            found.append(not_supported(path.index(position), action, ACTIONS))
        if position in again:
            found.append(duplicate(path.index(position), action))
    if "Deny" in actions and "Warn" in actions:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response"
            " and headers serves no purpose)"
        )
        found.append(invalid(path, actions, detail))
    if not actions:
        found.append(required(path, "at least one validation action is required"))
    return found


STRATEGY: Strategy[ValidatingAdmissionPolicyBinding] = Strategy(
    warnings=unserved.warned(unserved.POLICIES),
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.text("PolicyName", lambda binding: binding.spec.policyName),
        cells.text("ParamRef", lambda binding: param_text(binding.spec.paramRef)),
        cells.age_column(),
    ),
    has_status=False,
    qualified_finalizers=False,
)

"""ValidatingAdmissionPolicyBindings: where a policy counts, with which parameters, and what follows from a breach."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.policy_validation import default_match, validate_match, validate_param_ref
from tiphys.kinds.object_meta import subdomain_name
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
    spec = binding.spec
    found: list[FieldError] = []
    if not spec.policyName:
        found.append(required(SPEC.child("policyName")))
    else:
        found += [invalid(SPEC.child("policyName"), spec.policyName, text) for text in subdomain_name(spec.policyName)]
    if spec.paramRef is not None:
        found += validate_param_ref(spec.paramRef, SPEC.child("paramRef"))
    if spec.matchResources is not None:
        found += validate_match(spec.matchResources, SPEC.child("matchResources"))
    actions, path = spec.validationActions, SPEC.child("validationActions")
    if not actions:
        found.append(required(path))
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
)

"""Which requests mutating policies can be about: all but those that delete, which bring nothing to be changed."""

from __future__ import annotations

from tiphys.kinds.types.admissionregistration_v1 import MatchResources
from tiphys.machinery.field_errors import FieldError, Path, not_supported

OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")


def validate_operations(match: MatchResources | None, path: Path) -> list[FieldError]:
    """Findings do not say which of the rules they are about."""
    at = path.child("resourceRules", "operations")
    rules = (match.resourceRules if match is not None else None) or ()
    named = [operation for rule in rules for operation in rule.operations or ()]
    return [not_supported(at, operation, OPERATIONS) for operation in named if operation not in OPERATIONS]

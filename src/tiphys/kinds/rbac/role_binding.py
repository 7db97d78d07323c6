"""RoleBindings: who has a role in one namespace. The role of a binding never changes."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import path_segment_name
from tiphys.kinds.rbac.role_validation import (
    default_role_ref,
    default_subjects,
    role_ref_unchanged,
    subjects_of,
    validate_role_ref,
    validate_subjects,
)
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.rbac_v1 import RoleBinding
from tiphys.machinery.field_errors import FieldError


def default(binding: RoleBinding) -> None:
    default_role_ref(binding.roleRef)
    default_subjects(binding.subjects)


def validate(binding: RoleBinding) -> list[FieldError]:
    return validate_role_ref(binding.roleRef, ("Role", "ClusterRole")) + validate_subjects(binding.subjects, True)


STRATEGY: Strategy[RoleBinding] = Strategy(
    default=default,
    validate=validate,
    validate_update=lambda new, old: role_ref_unchanged(new.roleRef, old.roleRef),
    name_findings=path_segment_name,
    columns=(
        cells.name_column(),
        cells.text("Role", lambda binding: f"{binding.roleRef.kind}/{binding.roleRef.name}"),
        cells.age_column(),
        cells.text("Users", lambda binding: subjects_of(binding.subjects, "User"), wide=True),
        cells.text("Groups", lambda binding: subjects_of(binding.subjects, "Group"), wide=True),
        cells.text("ServiceAccounts", lambda binding: subjects_of(binding.subjects, "ServiceAccount"), wide=True),
    ),
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
)

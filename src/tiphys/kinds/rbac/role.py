"""Roles: what may be done to which resources of one namespace."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import path_segment_name
from tiphys.kinds.rbac.role_validation import validate_rules
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.rbac_v1 import Role

STRATEGY: Strategy[Role] = Strategy(
    validate=lambda role: validate_rules(role.rules, True),
    name_findings=path_segment_name,
    columns=(
        cells.name_column(),
        cells.created_at_column(),
    ),
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
)

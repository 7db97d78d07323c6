"""ClusterRoles: what may be done to which resources and paths anywhere, perhaps gathered from other ClusterRoles."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import path_segment_name
from tiphys.kinds.rbac.role_validation import validate_rules
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.rbac_v1 import ClusterRole
from tiphys.machinery.field_errors import FieldError, Path, invalid, required


def validate(role: ClusterRole) -> list[FieldError]:
    found = validate_rules(role.rules, False)
    if role.aggregationRule is not None:
        path = Path("aggregationRule.clusterRoleSelectors")
        selectors = role.aggregationRule.clusterRoleSelectors
        if not selectors:
            found.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
        for position, selector in enumerate(selectors or ()):
            wrong = validate_label_selector(selector, path.index(position))
            if wrong:
                wrong.append(invalid(path.index(position), None, "invalid label selector."))
            found += wrong
    return found


STRATEGY: Strategy[ClusterRole] = Strategy(
    validate=validate,
    name_findings=path_segment_name,
    columns=(
        cells.name_column(),
        cells.created_at_column(),
    ),
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
)

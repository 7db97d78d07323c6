"""PodDisruptionBudgets (policy/v1beta1): the older form, in which an empty selector selects nothing.

Objects are stored in the newer form (`empty_selectors.py`). What may be written is checked in that form, too; of a
status only its conditions, as it was when the version came up.
"""

from __future__ import annotations

from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.conversion import in_version
from tiphys.kinds.policy import pod_disruption_budget as newer
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types import policy_v1
from tiphys.kinds.types.policy_v1beta1 import PodDisruptionBudget
from tiphys.machinery.field_errors import FieldError


def validate_status_update(new: PodDisruptionBudget, old: PodDisruptionBudget) -> list[FieldError]:
    return validate_conditions(new.status.conditions or (), newer.STATUS.child("conditions"))


STRATEGY: Strategy[PodDisruptionBudget] = Strategy(
    default=newer.show_counts,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=in_version(policy_v1.PodDisruptionBudget, newer.validate),
    validate_status_update=validate_status_update,
    columns=newer.COLUMNS,
    qualified_finalizers=False,
)

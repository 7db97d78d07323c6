"""ClusterRoles with an aggregation rule hold the rules of all ClusterRoles that it selects. Specified in "Using RBAC
Authorization"."""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Update
from tiphys.controllers.controller import Controller, View, Watch
from tiphys.kinds import codec
from tiphys.kinds.types import rbac_v1
from tiphys.machinery import labels


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    role = view.get(rbac_v1.ClusterRole, "", key.name)
    if role is None or role.aggregationRule is None:
        return []
    rules: list[rbac_v1.PolicyRule] = []
    for object_selector in role.aggregationRule.clusterRoleSelectors or ():
        selector = labels.from_object(object_selector)
        found = view.list(rbac_v1.ClusterRole, selector=selector)
        for other in sorted(found, key=lambda r: r.metadata.name or ""):
            if other.metadata.name != key.name:
                rules += [rule for rule in other.rules or () if rule not in rules]
    if rules == (role.rules or []):
        return []
    changed = codec.copy(role)
    changed.rules = codec.copy(rbac_v1.ClusterRole(rules=rules)).rules
    return [Update(object=changed)]


def _aggregating(view: View, old: rbac_v1.ClusterRole | None, new: rbac_v1.ClusterRole | None) -> list[ObjectKey]:
    """Any role may be selected by any aggregating one."""
    roles = view.list(rbac_v1.ClusterRole)
    return [ObjectKey("", role.metadata.name or "") for role in roles if role.aggregationRule is not None]


CONTROLLER = Controller(
    name="clusterrole-aggregation",
    reconcile=reconcile,
    watches=(Watch(kind=rbac_v1.ClusterRole, keys=_aggregating),),
)

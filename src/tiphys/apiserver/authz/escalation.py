"""Nobody hands out permissions that they do not have: the check on writes of roles and bindings.

Who may `escalate` (for roles) or `bind` (for bindings) a role of that name, and members of system:masters, are free
of it. The API server calls `check` at the end of admission, before it stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.apiserver.authn.identity import PRIVILEGED_GROUP, UserInfo
from tiphys.apiserver.authz import rules
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.authz.rbac import RbacAuthorizer
from tiphys.kinds.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding
from tiphys.machinery import errors

GROUP = "rbac.authorization.k8s.io"


class EscalationCheck:
    """Answers for one server. `authorizer` is the whole chain; `rbac` knows which rules reach a user."""

    def __init__(self, authorizer: Authorizer, rbac: RbacAuthorizer) -> None:
        self._authorizer = authorizer
        self._rbac = rbac

    def check(self, user: UserInfo, new: Any, old: Any) -> None:
        """For any write (`old` None on create): checks roles and bindings, lets the rest pass. ApiError 403, 404."""
        if isinstance(new, Role | ClusterRole):
            self.check_role(user, old, new)
        elif isinstance(new, RoleBinding | ClusterRoleBinding):
            self.check_binding(user, old, new)

    def check_role(self, user: UserInfo, old: Role | ClusterRole | None, new: Role | ClusterRole) -> None:
        """For create (`old` None) and update. An update that leaves the rules alone needs nothing."""
        resource = "clusterroles" if isinstance(new, ClusterRole) else "roles"
        namespace, name = new.metadata.namespace or "", new.metadata.name or ""
        if old is not None and _same_rules(old, new):
            return
        if self._exempt(user, "escalate", resource, namespace, name):
            return
        wanted = list(new.rules or ())
        if isinstance(new, ClusterRole) and new.aggregationRule is not None:
            # An aggregated role will hold whatever its selectors gather: only who may do everything makes one.
            wanted += [
                PolicyRule(apiGroups=["*"], resources=["*"], verbs=["*"]),
                PolicyRule(nonResourceURLs=["*"], verbs=["*"]),
            ]
        self._check(user, resource, namespace, name, wanted)

    def check_binding(
        self, user: UserInfo, old: RoleBinding | ClusterRoleBinding | None, new: RoleBinding | ClusterRoleBinding
    ) -> None:
        """For create (`old` None) and update. ApiError 404 when the role is not there (then nobody can tell what it
        grants)."""
        cluster = isinstance(new, ClusterRoleBinding)
        namespace, name = new.metadata.namespace or "", new.metadata.name or ""
        if old is not None and old.roleRef == new.roleRef and old.subjects == new.subjects:
            return
        role_resource = "clusterroles" if new.roleRef.kind == "ClusterRole" else "roles"
        role_namespace = "" if cluster else namespace
        if self._exempt(user, "bind", role_resource, role_namespace, new.roleRef.name):
            return
        wanted = self._rbac.role_rules(new.roleRef, role_namespace)
        if wanted is None:
            raise errors.not_found(role_resource, GROUP, new.roleRef.name)
        self._check(user, "clusterrolebindings" if cluster else "rolebindings", namespace, name, wanted)

    def _exempt(self, user: UserInfo, verb: str, resource: str, namespace: str, name: str) -> bool:
        if PRIVILEGED_GROUP in user.groups:
            return True
        question = Attributes(user, verb, GROUP, "v1", resource, namespace=namespace, name=name)
        return self._authorizer.authorize(question).allowed

    def _check(self, user: UserInfo, resource: str, namespace: str, name: str, wanted: Sequence[PolicyRule]) -> None:
        owned, problems = self._rbac.rules_for(user, namespace)
        missing = rules.merged(rules.uncovered(owned, wanted))
        if not missing:
            return
        groups = " ".join(f'"{group}"' for group in user.groups)
        lines = "\n".join(sorted(rules.compact_text(rule) for rule in missing))
        who = f'user "{user.name}" (groups=[{groups}])'
        detail = f"{who} is attempting to grant RBAC permissions not currently held:\n{lines}"
        if problems:
            detail += f"; resolution errors: [{', '.join(problems)}]"
        raise errors.forbidden(resource, GROUP, name, detail)


def _same_rules(old: Role | ClusterRole, new: Role | ClusterRole) -> bool:
    if (old.rules or []) != (new.rules or []):
        return False
    return not (
        isinstance(old, ClusterRole) and isinstance(new, ClusterRole) and old.aggregationRule != new.aggregationRule
    )

"""Several authorizers one after the other: the first that allows or denies decides."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.apiserver.authn.identity import PRIVILEGED_GROUP
from tiphys.apiserver.authn.source import ObjectSource
from tiphys.apiserver.authz.escalation import EscalationCheck
from tiphys.apiserver.authz.interface import NO_OPINION, Attributes, Authorizer, Decision
from tiphys.apiserver.authz.node import NodeAuthorizer
from tiphys.apiserver.authz.rbac import RbacAuthorizer
from tiphys.apiserver.authz.references import NodeReferences
from tiphys.kinds.types.rbac_v1 import PolicyRule

ALLOWED = Decision(True)


class PrivilegedGroupAuthorizer:
    """Members of system:masters may do everything, whatever the roles say: the way back in when the roles are
    broken."""

    def authorize(self, attributes: Attributes) -> Decision:
        return ALLOWED if PRIVILEGED_GROUP in attributes.user.groups else NO_OPINION


class AuthorizerChain:
    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def authorize(self, attributes: Attributes) -> Decision:
        """The first clear answer; else a refusal with every reason given."""
        reasons = []
        for authorizer in self._authorizers:
            decision = authorizer.authorize(attributes)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, ", ".join(reasons)) if reasons else NO_OPINION


class StandardAuthorizer(AuthorizerChain):
    """What an API server uses: system:masters, then nodes, then roles. `rbac` and `escalation` are for the reviews
    and for writes of roles; `references` says which pods a node runs."""

    def __init__(self, source: ObjectSource, node_rules: Sequence[PolicyRule]) -> None:
        self.rbac = RbacAuthorizer(source)
        self.references = NodeReferences(source)
        super().__init__((PrivilegedGroupAuthorizer(), NodeAuthorizer(self.references, node_rules), self.rbac))
        self.escalation = EscalationCheck(self, self.rbac)

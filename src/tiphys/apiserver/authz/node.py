"""What a node's own identity may do: read what its pods need, write what it reports, and nothing of other nodes.

A node is a user `system:node:NAME` in the group system:nodes. Reads of secrets, config maps, claims and volumes
follow the references of the pods bound to it (`references.py`); nodes and pods themselves are its own ones; for the
rest the rules of the role system:node hold. That a node writes only its own objects is checked once more, on the
object, by the NodeRestriction admission. Specified in "Using Node Authorization".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tiphys.apiserver.authz import rules
from tiphys.apiserver.authz.interface import NO_OPINION, Attributes, Decision
from tiphys.apiserver.authz.references import NodeReferences
from tiphys.kinds.types.rbac_v1 import PolicyRule

NODE_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"

ALLOWED = Decision(True)
_READ_VERBS = ("get", "list", "watch")
_LIFE_VERBS = ("get", "create", "update", "patch", "delete")


def node_of(user_name: str, groups: Sequence[str]) -> str:
    """The node that an identity is ("" for any other user)."""
    if NODES_GROUP in groups and user_name.startswith(NODE_PREFIX):
        return user_name[len(NODE_PREFIX) :]
    return ""


def _refused(reason: str) -> Decision:
    return Decision(False, reason)


class NodeAuthorizer:
    """An Authorizer for nodes; it has no opinion on anybody else. `node_rules` are those of the role system:node."""

    def __init__(self, references: NodeReferences, node_rules: Sequence[PolicyRule]) -> None:
        self._references = references
        self._rules = tuple(node_rules)
        self._allowed: dict[tuple[str, str, str, str], bool] = {}
        self._special: dict[tuple[str, str], Callable[[str, Attributes], Decision]] = {
            ("", "secrets"): self._read_namespaced,
            ("", "configmaps"): self._read_namespaced,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get_one,
            ("", "serviceaccounts"): self._token,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("resource.k8s.io", "resourceclaims"): self._get_one,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("storage.k8s.io", "volumeattachments"): self._get_one,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("coordination.k8s.io", "leases"): self._lease,
        }

    def authorize(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user.name, attributes.user.groups)
        if not node:
            return NO_OPINION
        if not attributes.is_resource:
            return NO_OPINION
        special = self._special.get((attributes.group, attributes.resource))
        if special is not None:
            return special(node, attributes)
        return self._by_rules(attributes)

    def _by_rules(self, attributes: Attributes) -> Decision:
        key = (attributes.verb, attributes.group, attributes.resource, attributes.subresource)
        found = self._allowed.get(key)
        if found is None:
            found = any(rules.matches_resource(rule, *key) for rule in self._rules)
            if len(self._allowed) < 4096:
                self._allowed[key] = found
        return ALLOWED if found else NO_OPINION

    def _reaches(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.name:
            return _refused("No Object name found")
        reference = (attributes.resource, attributes.namespace, attributes.name)
        if self._references.reaches(node, reference):
            return ALLOWED
        return _refused(f"no relationship found between node '{node}' and this object")

    def _read_namespaced(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in _READ_VERBS:
            return _refused("can only read resources of this type")
        if attributes.subresource:
            return _refused("cannot read subresource")
        if not attributes.namespace:
            return _refused("can only read namespaced object of this type")
        return self._reaches(node, attributes)

    def _get_one(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb != "get":
            return _refused("can only get individual resources of this type")
        if attributes.subresource:
            return _refused("cannot get subresource")
        return self._reaches(node, attributes)

    def _claim(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource == "status":
            if attributes.verb not in ("update", "patch"):
                return _refused("can only update or patch the status of this resource")
            return self._reaches(node, attributes)
        return self._get_one(node, attributes)

    def _token(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource == "token" and attributes.verb == "create":
            return self._reaches(node, attributes)
        if attributes.subresource == "" and attributes.verb == "get":
            return self._reaches(node, attributes)
        return _refused("can only get service accounts and create tokens for them")

    def _node(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource:
            return self._by_rules(attributes)
        if attributes.verb in _READ_VERBS:
            if node in (attributes.name, selected(attributes, "metadata.name")):
                return ALLOWED
            return _refused(f"node '{node}' cannot read other nodes")
        return self._by_rules(attributes)

    def _pod(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource or attributes.verb not in _READ_VERBS:
            return self._by_rules(attributes)
        if selected(attributes, "spec.nodeName") == node:
            return ALLOWED
        if attributes.verb == "get" and attributes.name:
            if self._references.runs(node, attributes.namespace, attributes.name):
                return ALLOWED
            return _refused(f"no relationship found between node '{node}' and this object")
        return _refused("can only list/watch pods with spec.nodeName field selector")

    def _slice(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource:
            return _refused("cannot access subresources of resourceslices")
        if attributes.verb == "create":
            return ALLOWED
        if attributes.verb in ("get", "update", "patch", "delete"):
            return self._reaches(node, attributes)
        if selected(attributes, "spec.nodeName") == node:
            return ALLOWED
        return _refused("can only list/watch/deletecollection resourceslices with spec.nodeName field selector")

    def _csi_node(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource:
            return _refused("cannot access subresources of CSINode")
        return self._own(node, attributes)

    def _lease(self, node: str, attributes: Attributes) -> Decision:
        if attributes.namespace != LEASE_NAMESPACE:
            return _refused(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        return self._own(node, attributes)

    @staticmethod
    def _own(node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in _LIFE_VERBS:
            return _refused("can only get, create, update, patch, or delete an object of this type")
        # The name of an object to be created may not be known yet; the admission looks at it.
        if attributes.verb == "create" and not attributes.name:
            return ALLOWED
        if attributes.name != node:
            return _refused("can only access an object with the same name as the requesting node")
        return ALLOWED


def selected(attributes: Attributes, field: str) -> str:
    """The one value that the request's field selector demands of a field ("" when it does not)."""
    for part in attributes.field_selector.split(","):
        name, separator, value = part.partition("=")
        if separator and name == field:
            return value.removeprefix("=")
    return ""

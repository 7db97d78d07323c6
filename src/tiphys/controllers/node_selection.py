"""Whether a node is one that a pod template may run on: node name, selector, required affinity, taints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tiphys.controllers.node_lifecycle.taints import tolerates
from tiphys.kinds.types import core_v1


def _requirement(requirement: core_v1.NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    value, operator, wanted = values.get(requirement.key), requirement.operator, requirement.values or []
    if operator == "In":
        return value is not None and value in wanted
    if operator == "NotIn":
        return value is None or value not in wanted
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    try:
        left, right = int(value or ""), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else operator == "Lt" and left < right


def matches_terms(terms: Iterable[core_v1.NodeSelectorTerm], node: core_v1.Node) -> bool:
    """One of the terms holds; a term without any requirement holds for no node."""
    labels, fields = node.metadata.labels or {}, {"metadata.name": node.metadata.name or ""}
    for term in terms:
        expressions, names = term.matchExpressions or (), term.matchFields or ()
        if not expressions and not names:
            continue
        if all(_requirement(r, labels) for r in expressions) and all(_requirement(r, fields) for r in names):
            return True
    return False


def is_selected(spec: core_v1.PodSpec, node: core_v1.Node) -> bool:
    """The node has the labels (and the name) that the pod demands."""
    labels = node.metadata.labels or {}
    if any(labels.get(key) != value for key, value in (spec.nodeSelector or {}).items()):
        return False
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    return required is None or matches_terms(required.nodeSelectorTerms, node)


def is_borne(tolerations: Iterable[core_v1.Toleration], node: core_v1.Node, effects: tuple[str, ...]) -> bool:
    """The pod bears all taints of these effects."""
    tolerations = list(tolerations)
    taints = [taint for taint in node.spec.taints or () if taint.effect in effects]
    return all(any(tolerates(toleration, taint) for toleration in tolerations) for taint in taints)

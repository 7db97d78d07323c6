"""NodeAffinity: nodeSelector and required node affinity filter, preferred node affinity scores.

Terms are alternatives, the expressions of a term must all hold, and a term with neither expressions nor fields
matches nothing. Expressions are answered over label columns: one comparison per distinct value, one lookup per node.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tiphys.kinds.types import core_v1
from tiphys.machinery.labels import Requirement
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, PreFilter, Rejection, Scope, scaled_to_maximum
from tiphys.scheduler.nodes import NodeTable
from tiphys.scheduler.pods import PodShape

REASON = "node(s) didn't match Pod's node affinity/selector"
CONFLICT = "pod affinity terms conflict"
NAME_FIELD = "metadata.name"


def expression_mask(table: NodeTable, expression: core_v1.NodeSelectorRequirement) -> Mask:
    """The rows whose labels satisfy one expression."""
    column = table.label(expression.key)
    requirement = Requirement(expression.key, expression.operator, tuple(expression.values or ()))
    by_value = [requirement.matches({expression.key: value}) for value in column.values]
    by_value.append(requirement.matches({}))  # index -1: the label is absent
    mask: Mask = np.array(by_value, dtype=np.bool_)[column.ids[: table.size]]
    return mask


def _field_mask(table: NodeTable, expression: core_v1.NodeSelectorRequirement) -> Mask:
    """The rows whose metadata.name satisfies the expression; no other field can be asked about."""
    named = np.zeros(table.size, dtype=np.bool_)
    if expression.key != NAME_FIELD:
        return named
    for name in expression.values or ():
        row = table.row_of.get(name)
        if row is not None:
            named[row] = True
    return ~named if expression.operator == "NotIn" else named


def term_mask(table: NodeTable, term: core_v1.NodeSelectorTerm) -> Mask:
    """The rows a term matches."""
    if not term.matchExpressions and not term.matchFields:
        return np.zeros(table.size, dtype=np.bool_)
    mask = np.ones(table.size, dtype=np.bool_)
    for expression in term.matchExpressions or ():
        mask &= expression_mask(table, expression)
    for expression in term.matchFields or ():
        mask &= _field_mask(table, expression)
    return mask


def node_selector_mask(table: NodeTable, selector: core_v1.NodeSelector) -> Mask:
    """The rows that any term matches."""
    mask = np.zeros(table.size, dtype=np.bool_)
    for term in selector.nodeSelectorTerms:
        mask |= term_mask(table, term)
    return mask


def required_mask(shape: PodShape, table: NodeTable) -> Mask:
    """The rows that the nodeSelector and the required node affinity of a pod allow."""
    mask = np.ones(table.size, dtype=np.bool_)
    for key, value in shape.node_selector:
        column = table.label(key)
        mask &= column.ids[: table.size] == column.id_of.get(value, -2)
    if shape.required_node_affinity is not None:
        mask &= node_selector_mask(table, shape.required_node_affinity)
    return mask


def _named(term: core_v1.NodeSelectorTerm) -> frozenset[str] | None:
    """The nodes a term names by metadata.name; None when it names none."""
    named: frozenset[str] | None = None
    for expression in term.matchFields or ():
        if expression.key == NAME_FIELD and expression.operator == "In":
            values = frozenset(expression.values or ())
            named = values if named is None else named & values
    return named


def _all_named(terms: Iterable[core_v1.NodeSelectorTerm]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for term in terms:
        named = _named(term)
        if named is None:
            return None
        found |= named
    return found


class NodeAffinity(Plugin):
    name = "NodeAffinity"
    filter_scope = Scope.NODE
    score_scope = Scope.NODE
    normalizes = True
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.NODE_UPDATE})

    def pre_filter(self, shape: PodShape, cluster: Cluster) -> PreFilter | None:
        if shape.required_node_affinity is None or not shape.required_node_affinity.nodeSelectorTerms:
            return None
        names = _all_named(shape.required_node_affinity.nodeSelectorTerms)
        if names is None:
            return None
        return PreFilter(node_names=names) if names else PreFilter(refusal=CONFLICT)

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(shape.node_selector) or shape.required_node_affinity is not None

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        return [Rejection(REASON, ~required_mask(shape, cluster.nodes)[rows], resolvable=False)]

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(shape.preferred_node_affinity)

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        total = np.zeros(cluster.nodes.size, dtype=np.int64)
        for preferred in shape.preferred_node_affinity:
            if preferred.weight:
                total += preferred.weight * term_mask(cluster.nodes, preferred.preference)
        weights: Column = total[rows]
        return weights

    def normalize(self, shape: PodShape, cluster: Cluster, raw: Column, feasible: Mask) -> Column:
        return scaled_to_maximum(raw, feasible)

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.new is None:
            return False
        if event.old is not None and event.old.metadata.labels == event.new.metadata.labels:
            return False
        row = cluster.nodes.row_of.get(event.new.metadata.name)
        return row is not None and bool(required_mask(shape, cluster.nodes)[row])

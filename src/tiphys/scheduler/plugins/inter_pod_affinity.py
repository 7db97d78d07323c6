"""InterPodAffinity: puts pods near to, or away from, other pods of the same topology domain.

Three filters: what the pod wants near, what it wants away, and what pods that run already want away. The scores add
up the weights of preferred terms in both directions, and a weight of 1 for required affinity of running pods.
"""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.counting import PodQuery, namespaces_of
from tiphys.scheduler.framework import MAXIMUM_SCORE, ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.pods import AffinityTerm, PodShape

REASON_AFFINITY = "node(s) didn't match pod affinity rules"
REASON_ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
REASON_EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
REQUIRED_AFFINITY_WEIGHT = 1


def by_domain(cluster: Cluster, topology_key: str, pods: Column) -> Column:
    """For each row the sum of `pods` over its domain; 0 where the node lacks the label."""
    column = cluster.nodes.label(topology_key)
    ids = column.ids[: cluster.nodes.size]
    labelled = ids >= 0
    sums = np.bincount(ids[labelled], weights=pods[labelled], minlength=len(column.values))
    found: Column = np.append(sums, 0.0).astype(np.int64)[ids]
    return found


def _query(terms: tuple[AffinityTerm, ...], cluster: Cluster) -> PodQuery:
    return PodQuery(tuple((namespaces_of(term, cluster.namespaces), term.selector) for term in terms))


class InterPodAffinity(Plugin):
    name = "InterPodAffinity"
    filter_scope = Scope.PODS_ANYWHERE
    score_scope = Scope.PODS_ANYWHERE
    normalizes = True
    wakes_on = frozenset(
        {
            EventKind.NODE_ADD,
            EventKind.NODE_UPDATE,
            EventKind.POD_ADD,
            EventKind.POD_UPDATE,
            EventKind.POD_DELETE,
            EventKind.NAMESPACE_CHANGE,
        }
    )

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        if shape.affinity or shape.anti_affinity:
            return True
        return any(
            carried.kind == "anti_affinity" and carried.term.selects(shape.group, cluster.namespaces)
            for carried in cluster.counts.carried
        )

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        lonely = self._lacks_affinity(shape, cluster)
        refused = self._refuses_others(shape, cluster) & ~lonely
        unwanted = self._refused_by_others(shape, cluster) & ~lonely & ~refused
        return [
            Rejection(REASON_AFFINITY, lonely[rows], resolvable=False),
            Rejection(REASON_ANTI_AFFINITY, refused[rows]),
            Rejection(REASON_EXISTING, unwanted[rows]),
        ]

    def _lacks_affinity(self, shape: PodShape, cluster: Cluster) -> Mask:
        """Rows without a pod near that matches all terms. The first of its kind may go anywhere that has the labels."""
        size = cluster.nodes.size
        lacking = np.zeros(size, dtype=np.bool_)
        if not shape.affinity:
            return lacking
        pods = cluster.matching(_query(shape.affinity, cluster))
        some = False
        labelled = np.ones(size, dtype=np.bool_)
        for term in shape.affinity:
            has_label = cluster.nodes.label(term.topology_key).ids[:size] >= 0
            near = by_domain(cluster, term.topology_key, pods)
            some = some or bool(near.any())
            labelled &= has_label
            lacking |= ~has_label | (near == 0)
        if not some and all(term.selects(shape.group, cluster.namespaces) for term in shape.affinity):
            return ~labelled
        return lacking

    def _refuses_others(self, shape: PodShape, cluster: Cluster) -> Mask:
        refused = np.zeros(cluster.nodes.size, dtype=np.bool_)
        for term in shape.anti_affinity:
            refused |= by_domain(cluster, term.topology_key, cluster.matching(_query((term,), cluster))) > 0
        return refused

    def _refused_by_others(self, shape: PodShape, cluster: Cluster) -> Mask:
        size = cluster.nodes.size
        refused = np.zeros(size, dtype=np.bool_)
        for carried, pods in cluster.counts.carried.items():
            if carried.kind == "anti_affinity" and carried.term.selects(shape.group, cluster.namespaces):
                refused |= by_domain(cluster, carried.term.topology_key, pods[:size]) > 0
        return refused

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        if shape.preferred_affinity or shape.affinity:
            return True
        return any(
            carried.kind != "anti_affinity" and carried.term.selects(shape.group, cluster.namespaces)
            for carried in cluster.counts.carried
        )

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        size = cluster.nodes.size
        total = np.zeros(size, dtype=np.int64)
        for term, weight in shape.preferred_affinity:
            total += weight * by_domain(cluster, term.topology_key, cluster.matching(_query((term,), cluster)))
        for carried, pods in cluster.counts.carried.items():
            if carried.kind == "anti_affinity" or not carried.term.selects(shape.group, cluster.namespaces):
                continue
            weight = carried.weight or REQUIRED_AFFINITY_WEIGHT
            total += weight * by_domain(cluster, carried.term.topology_key, pods[:size])
        chosen: Column = total[rows]
        return chosen

    def normalize(self, shape: PodShape, cluster: Cluster, raw: Column, feasible: Mask) -> Column:
        counted = raw[feasible]
        lowest, highest = (int(counted.min()), int(counted.max())) if len(counted) else (0, 0)
        if highest == lowest:
            return np.zeros_like(raw)
        return MAXIMUM_SCORE * (raw - lowest) // (highest - lowest)

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.kind in (EventKind.NODE_ADD, EventKind.NAMESPACE_CHANGE):
            return True
        if event.kind is EventKind.NODE_UPDATE:
            return bool(event.old.metadata.labels != event.new.metadata.labels)
        if event.kind in (EventKind.POD_ADD, EventKind.POD_UPDATE):
            return all(term.selects(event.new.shape.group, cluster.namespaces) for term in shape.affinity)
        gone = event.old.shape
        against = any(term.selects(gone.group, cluster.namespaces) for term in shape.anti_affinity)
        return against or any(term.selects(shape.group, cluster.namespaces) for term in gone.anti_affinity)

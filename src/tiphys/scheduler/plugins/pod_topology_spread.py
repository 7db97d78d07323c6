"""PodTopologySpread: keeps the pods of a selector evenly over the domains of a topology key (zones, hosts).

Constraints with DoNotSchedule filter, those with ScheduleAnyway score. A pod that declares none is spread softly by
host and zone with the selectors of its Services and its controller. Counting goes over columns: pods per node, summed
by domain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tiphys.machinery.labels import Requirement, Selector
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Floats, Mask, Rows
from tiphys.scheduler.counting import PodQuery
from tiphys.scheduler.framework import MAXIMUM_SCORE, ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.plugins.node_affinity import required_mask
from tiphys.scheduler.plugins.taint_toleration import tolerated_mask
from tiphys.scheduler.pods import PodShape, SpreadConstraint

REASON = "node(s) didn't match pod topology spread constraints"
REASON_MISSING_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
OWNER_KINDS = ("ReplicationController", "ReplicaSet", "StatefulSet")


def default_selector(shape: PodShape, cluster: Cluster) -> Selector:
    """What selects the pod's fellows: the Services that select it and the controller that owns it. Empty if there
    are none."""
    pairs: dict[str, str] = {}
    others: list[Requirement] = []
    for workload in cluster.workloads.get(shape.namespace, {}).values():
        owns = (workload.kind, workload.name) == shape.owner and workload.kind in OWNER_KINDS
        if not owns and (workload.kind != "Service" or workload.selector.empty):
            continue
        if not owns and not workload.selector.matches(shape.labels):
            continue
        for requirement in workload.selector.requirements:
            if requirement.operator == "In" and len(requirement.values) == 1:
                pairs[requirement.key] = requirement.values[0]
            elif requirement not in others:
                others.append(requirement)
    merged = [Requirement(key, "In", (value,)) for key, value in sorted(pairs.items())]
    return Selector((*merged, *others))


def default_constraints(shape: PodShape, cluster: Cluster) -> tuple[SpreadConstraint, ...]:
    """The constraints of pods that declare none: soft, skew 3 by host and 5 by zone."""
    selector = default_selector(shape, cluster)
    if selector.empty:
        return ()
    return tuple(
        SpreadConstraint(key, skew, False, selector, 1, True, False) for key, skew in ((HOSTNAME, 3), (ZONE, 5))
    )


def _having_all(constraints: tuple[SpreadConstraint, ...], cluster: Cluster) -> Mask:
    table = cluster.nodes
    mask = table.alive[: table.size].copy()
    for constraint in constraints:
        mask &= table.label(constraint.topology_key).ids[: table.size] >= 0
    return mask


def _included(constraint: SpreadConstraint, shape: PodShape, cluster: Cluster, base: Mask) -> Mask:
    """The rows that count for a constraint, by its inclusion policies."""
    mask = base
    if constraint.honor_affinity and (shape.node_selector or shape.required_node_affinity is not None):
        mask = mask & required_mask(shape, cluster.nodes)
    if constraint.honor_taints:
        mask = mask & tolerated_mask(shape, cluster)
    return mask


def _matching(constraint: SpreadConstraint, shape: PodShape, cluster: Cluster) -> Column:
    query = PodQuery(((frozenset((shape.namespace,)), constraint.selector),), terminating_too=False)
    return cluster.matching(query)


@dataclass(frozen=True, slots=True)
class Domains:
    """Per domain of a topology key: how many pods match, and whether the domain counts at all."""

    counts: Floats
    present: Mask


def domains_of(ids: Column, number: int, pods: Column, counted: Mask) -> Domains:
    """Sum `pods` by domain over the counted rows."""
    chosen = ids[counted]
    return Domains(
        np.bincount(chosen, weights=pods[counted], minlength=number).astype(np.float64),
        np.bincount(chosen, minlength=number) > 0,
    )


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    filter_scope = Scope.PODS_ANYWHERE
    score_scope = Scope.PODS_ANYWHERE
    normalizes = True
    wakes_on = frozenset(
        {
            EventKind.NODE_ADD,
            EventKind.NODE_UPDATE,
            EventKind.NODE_DELETE,
            EventKind.POD_ADD,
            EventKind.POD_UPDATE,
            EventKind.POD_DELETE,
        }
    )

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return any(constraint.hard for constraint in shape.spread)

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        hard = tuple(constraint for constraint in shape.spread if constraint.hard)
        base = _having_all(hard, cluster)
        size = cluster.nodes.size
        missing, skewed = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
        for constraint in hard:
            column = cluster.nodes.label(constraint.topology_key)
            ids = column.ids[:size]
            counted = _included(constraint, shape, cluster, base)
            pods = _matching(constraint, shape, cluster)
            domains = domains_of(ids, len(column.values), pods, counted)
            number = int(domains.present.sum())
            lowest = float(domains.counts[domains.present].min()) if number else math.inf
            if number < constraint.minimum_domains:
                lowest = 0.0
            own = 1 if constraint.selector.matches(shape.labels) else 0
            too_many = np.append(domains.counts + own - lowest > constraint.maximum_skew, False)
            lacks = ids < 0
            skewed |= too_many[ids] & ~lacks & ~missing
            missing |= lacks & ~skewed
        return [
            Rejection(REASON_MISSING_LABEL, missing[rows], resolvable=False),
            Rejection(REASON, skewed[rows]),
        ]

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(self._soft(shape, cluster))

    def _soft(self, shape: PodShape, cluster: Cluster) -> tuple[SpreadConstraint, ...]:
        if shape.spread:
            return tuple(constraint for constraint in shape.spread if not constraint.hard)
        return default_constraints(shape, cluster)

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        """How many fellows a node has around it; -1 for a node that lacks a label which it must have to count."""
        soft = self._soft(shape, cluster)
        size = cluster.nodes.size
        must_have_all = bool(shape.spread)
        base = _having_all(soft, cluster) if must_have_all else cluster.nodes.alive[:size]
        candidates = feasible & base
        total = np.zeros(size, dtype=np.float64)
        for constraint in soft:
            column = cluster.nodes.label(constraint.topology_key)
            ids = column.ids[:size]
            labelled = ids >= 0
            pods = _matching(constraint, shape, cluster)
            around: Floats
            if constraint.topology_key == HOSTNAME:
                around, number = pods.astype(np.float64), int(candidates.sum())
            else:
                counted = _included(constraint, shape, cluster, base) & labelled
                domains = domains_of(ids, len(column.values), pods, counted)
                in_question = np.bincount(ids[candidates & labelled], minlength=len(column.values)) > 0
                around = np.append(domains.counts * in_question, 0.0)[ids]
                number = int(in_question.sum())
            weight = math.log(number + 2)
            total += np.where(labelled, around * weight + (constraint.maximum_skew - 1), 0.0)
        raw = np.floor(total + 0.5).astype(np.int64)
        if must_have_all:
            raw[~base] = -1
        chosen: Column = raw[rows]
        return chosen

    def normalize(self, shape: PodShape, cluster: Cluster, raw: Column, feasible: Mask) -> Column:
        counted = raw[feasible & (raw >= 0)]
        lowest, highest = (int(counted.min()), int(counted.max())) if len(counted) else (0, 0)
        if highest == 0:
            return np.where(raw < 0, 0, MAXIMUM_SCORE)
        return np.where(raw < 0, 0, MAXIMUM_SCORE * (highest + lowest - raw) // highest)

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.kind in (EventKind.POD_ADD, EventKind.POD_UPDATE, EventKind.POD_DELETE):
            pods = [pod for pod in (event.old, event.new) if pod is not None]
            return any(
                pod.namespace == shape.namespace and constraint.selector.matches(pod.shape.labels)
                for pod in pods
                for constraint in shape.spread
            )
        if event.kind is EventKind.NODE_UPDATE:
            before, after = event.old.metadata.labels or {}, event.new.metadata.labels or {}
            keys = {constraint.topology_key for constraint in shape.spread}
            return any(before.get(key) != after.get(key) for key in keys) or event.old.spec != event.new.spec
        return True

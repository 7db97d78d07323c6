"""TaintToleration: keeps pods off nodes whose taints they do not tolerate, and prefers nodes with fewer soft taints.

Nodes with the same taints share a taint set, so the question is asked once per set and not per node.
"""

from __future__ import annotations

import numpy as np

from tiphys.kinds.types import core_v1
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope, scaled_to_maximum
from tiphys.scheduler.pods import PodShape

HARD_EFFECTS = ("NoSchedule", "NoExecute")


def first_untolerated(shape: PodShape, taints: tuple[core_v1.Taint, ...]) -> core_v1.Taint | None:
    """The first taint that keeps the pod away."""
    for taint in taints:
        if taint.effect in HARD_EFFECTS and not shape.tolerates(taint):
            return taint
    return None


def tolerated_mask(shape: PodShape, cluster: Cluster) -> Mask:
    """The rows whose taints all are tolerated."""
    table = cluster.nodes
    by_set = np.array([first_untolerated(shape, taints) is None for taints in table.taint_sets], dtype=np.bool_)
    tolerated: Mask = by_set[table.taint_set[: table.size]]
    return tolerated


class TaintToleration(Plugin):
    name = "TaintToleration"
    filter_scope = Scope.NODE
    score_scope = Scope.NODE
    normalizes = True
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.NODE_UPDATE})

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        table = cluster.nodes
        by_reason: dict[str, list[int]] = {}
        for number, taints in enumerate(table.taint_sets):
            taint = first_untolerated(shape, taints)
            if taint is not None:
                reason = f"node(s) had untolerated taint {{{taint.key}: {taint.value or ''}}}"
                by_reason.setdefault(reason, []).append(number)
        sets = table.taint_set[: table.size][rows]
        return [Rejection(reason, np.isin(sets, numbers), resolvable=False) for reason, numbers in by_reason.items()]

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        return True

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        soft = [toleration for toleration in shape.tolerations if toleration.effect in ("", "PreferNoSchedule")]
        by_set = np.array(
            [
                sum(
                    taint.effect == "PreferNoSchedule" and not any(item.tolerates(taint) for item in soft)
                    for taint in taints
                )
                for taints in cluster.nodes.taint_sets
            ],
            dtype=np.int64,
        )
        counts: Column = by_set[cluster.nodes.taint_set[: cluster.nodes.size][rows]]
        return counts

    def normalize(self, shape: PodShape, cluster: Cluster, raw: Column, feasible: Mask) -> Column:
        return scaled_to_maximum(raw, feasible, reverse=True)

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        return event.new is not None and first_untolerated(shape, tuple(event.new.spec.taints or ())) is None

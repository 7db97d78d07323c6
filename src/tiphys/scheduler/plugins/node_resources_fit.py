"""NodeResourcesFit: a node must have room for what the pod asks; nodes with more room left score higher
(LeastAllocated).

The filter counts real requests. The score counts cpu and memory alike, with defaults for containers that ask for
nothing.
"""

from __future__ import annotations

import numpy as np

from tiphys.kinds.types import core_v1
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.framework import MAXIMUM_SCORE, ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.pods import PodShape
from tiphys.scheduler.requests import amounts

TOO_MANY_PODS = "Too many pods"


class NodeResourcesFit(Plugin):
    name = "NodeResourcesFit"
    filter_scope = Scope.PODS_ON_NODE
    score_scope = Scope.PODS_ON_NODE
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.NODE_UPDATE, EventKind.POD_DELETE, EventKind.POD_UPDATE})

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        table = cluster.nodes
        size = table.size
        rejections = [
            Rejection(TOO_MANY_PODS, table.pod_count[:size][rows] + (placed + 1) > table.allowed_pods[:size][rows])
        ]
        table.vector(shape)  # makes the columns of resources nobody has mentioned yet
        for resource, wanted in shape.requests.amounts.items():
            index = table.resources[resource]
            allocatable = table.allocatable[index, :size][rows]
            lacking = table.requested[index, :size][rows] + wanted * (placed + 1) > allocatable
            if not lacking.any():
                continue
            reason = f"Insufficient {resource}"
            hopeless = lacking & (allocatable < wanted)
            if hopeless.any():
                rejections.append(Rejection(reason, hopeless, resolvable=False))
            rejections.append(Rejection(reason, lacking & ~hopeless))
        return rejections

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        table = cluster.nodes
        asked = np.array([[shape.requests.scored_milli_cpu], [shape.requests.scored_memory_bytes]], dtype=np.int64)
        allocatable = table.allocatable[:2, : table.size][:, rows]
        taken = table.scored[:, : table.size][:, rows] + asked * (placed + 1)
        offered = allocatable > 0
        left = (
            np.where(taken > allocatable, 0, allocatable - taken) * MAXIMUM_SCORE // np.where(offered, allocatable, 1)
        )
        kinds = offered.sum(axis=0)
        score: Column = (left * offered).sum(axis=0) // np.maximum(kinds, 1)
        return score

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.kind is EventKind.POD_DELETE:
            return True  # at the least it frees a place among the node's pods
        if event.kind is EventKind.POD_UPDATE:
            before, after = event.old.shape.requests.amounts, event.new.shape.requests.amounts
            return any(after.get(resource, 0) < before.get(resource, 0) for resource in shape.requests.amounts)
        return _offers_more(event.old, event.new, shape)


def _offers_more(old: core_v1.Node | None, new: core_v1.Node, shape: PodShape) -> bool:
    """Whether a node could ever hold the pod and, if it was there before, has grown in something the pod asks for."""
    offered = amounts(new.status.allocatable or new.status.capacity)
    if any(offered.get(resource, 0) < wanted for resource, wanted in shape.requests.amounts.items()):
        return False
    if old is None:
        return True
    before = amounts(old.status.allocatable or old.status.capacity)
    return any(offered.get(resource, 0) > before.get(resource, 0) for resource in (*shape.requests.amounts, "pods"))

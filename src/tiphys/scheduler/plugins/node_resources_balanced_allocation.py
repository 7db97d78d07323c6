"""NodeResourcesBalancedAllocation: prefers nodes whose cpu and memory would be used to the same degree.

Counts real requests, and says nothing about pods that ask for neither.
"""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.framework import MAXIMUM_SCORE, Plugin, Scope
from tiphys.scheduler.pods import PodShape
from tiphys.scheduler.requests import CPU, MEMORY


class NodeResourcesBalancedAllocation(Plugin):
    name = "NodeResourcesBalancedAllocation"
    score_scope = Scope.PODS_ON_NODE

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        return CPU in shape.requests.amounts or MEMORY in shape.requests.amounts

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        table = cluster.nodes
        wanted = table.vector(shape)[:2, np.newaxis]
        allocatable = table.allocatable[:2, : table.size][:, rows]
        taken = table.requested[:2, : table.size][:, rows] + wanted * (placed + 1)
        offered = allocatable > 0
        used = np.minimum(taken / np.where(offered, allocatable, 1), 1.0)
        both = offered[0] & offered[1]
        deviation = np.where(both, np.abs(used[0] - used[1]) / 2, 0.0)
        score: Column = ((1 - deviation) * MAXIMUM_SCORE).astype(np.int64)
        return score

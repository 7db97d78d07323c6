"""NodeName: a pod that asks for one node by name fits no other."""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.pods import PodShape

REASON = "node(s) didn't match the requested node name"


class NodeName(Plugin):
    name = "NodeName"
    filter_scope = Scope.NODE
    wakes_on = frozenset({EventKind.NODE_ADD})

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return shape.required_node != ""

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        others = np.ones(cluster.nodes.size, dtype=np.bool_)
        row = cluster.nodes.row_of.get(shape.required_node)
        if row is not None:
            others[row] = False
        return [Rejection(REASON, others[rows], resolvable=False)]

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        return event.new is not None and event.new.metadata.name == shape.required_node

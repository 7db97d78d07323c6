"""NodeUnschedulable: keeps pods off cordoned nodes, unless they tolerate the taint that stands for it."""

from __future__ import annotations

from tiphys.kinds.types import core_v1
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.pods import PodShape

REASON = "node(s) were unschedulable"
TAINT = core_v1.Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable(Plugin):
    name = "NodeUnschedulable"
    filter_scope = Scope.NODE
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.NODE_UPDATE})

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return not shape.tolerates(TAINT)

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        return [Rejection(REASON, cluster.nodes.unschedulable[: cluster.nodes.size][rows], resolvable=False)]

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        return event.new is not None and not event.new.spec.unschedulable

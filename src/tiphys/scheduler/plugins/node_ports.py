"""NodePorts: a host port can be had once per node, address and protocol; 0.0.0.0 takes every address."""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.nodes import mask_of
from tiphys.scheduler.pods import PodShape

REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts(Plugin):
    name = "NodePorts"
    filter_scope = Scope.PODS_ON_NODE
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.POD_DELETE})

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(shape.host_ports)

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        taken = [row for port in shape.host_ports for row in cluster.nodes.rows_with_port(port)]
        mask = mask_of(cluster.nodes, rows, taken)
        return [Rejection(REASON, np.ones_like(mask) if placed else mask)]

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.kind is EventKind.NODE_ADD:
            return True
        wanted = {(port.protocol, port.port) for port in shape.host_ports}
        return any((port.protocol, port.port) in wanted for port in event.old.shape.host_ports)

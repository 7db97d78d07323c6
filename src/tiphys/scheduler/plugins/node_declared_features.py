"""NodeDeclaredFeatures: keeps pods off nodes whose kubelet does not say that it has what they count on."""

from __future__ import annotations

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.nodes import mask_of
from tiphys.scheduler.pods import PodShape

REASON = "node declared features check failed - unsatisfied requirements: {}"


class NodeDeclaredFeatures(Plugin):
    name = "NodeDeclaredFeatures"
    filter_scope = Scope.NODE
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.NODE_UPDATE})

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(shape.required_features)

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        lacking: dict[str, list[int]] = {}
        for row, node in enumerate(cluster.nodes.nodes):
            declared = (node.status.declaredFeatures if node is not None else None) or ()
            missing = ", ".join(feature for feature in shape.required_features if feature not in declared)
            if missing:
                lacking.setdefault(missing, []).append(row)
        return [
            Rejection(REASON.format(missing), mask_of(cluster.nodes, rows, marked), resolvable=False)
            for missing, marked in lacking.items()
        ]

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        return event.new is not None and set(shape.required_features) <= {*(event.new.status.declaredFeatures or ())}

"""VolumeZone: a pod goes to the zone and region that its bound volumes are labelled with."""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.plugins.volume_binding import is_bound
from tiphys.scheduler.pods import PodShape

REASON = "node(s) had no available volume zone"
ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
SEPARATOR = "__"
SUCCESSORS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}


class VolumeZone(Plugin):
    name = "VolumeZone"
    filter_scope = Scope.NODE
    wakes_on = frozenset({EventKind.NODE_ADD, EventKind.NODE_UPDATE, EventKind.CLAIM_CHANGE, EventKind.VOLUME_CHANGE})

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(_zones(shape, cluster))

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        table = cluster.nodes
        wrong = np.zeros(table.size, dtype=np.bool_)
        for key, values in _zones(shape, cluster):
            column = table.label(key)
            ids = column.ids[: table.size]
            if key in SUCCESSORS:  # nodes may have the label under its newer name alone
                newer = table.label(SUCCESSORS[key])
                right = np.isin(newer.ids[: table.size], [newer.id_of[v] for v in values if v in newer.id_of])
            else:
                right = np.zeros(table.size, dtype=np.bool_)
            right |= np.isin(ids, [column.id_of[value] for value in values if value in column.id_of])
            wrong |= ~right
        return [Rejection(REASON, wrong[rows], resolvable=False)]

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.kind is EventKind.NODE_UPDATE:
            return bool(event.old.metadata.labels != event.new.metadata.labels)
        return True


def _zones(shape: PodShape, cluster: Cluster) -> list[tuple[str, frozenset[str]]]:
    """The labels of the pod's bound volumes, each with the values that will do."""
    found = []
    for name, _ in shape.claims:
        claim = cluster.volumes.claims.get((shape.namespace, name))
        if claim is None or not is_bound(claim):
            continue
        volume = cluster.volumes.volumes.get(claim.spec.volumeName or "")
        for key in ZONE_LABELS:
            value = (volume.metadata.labels or {}).get(key) if volume is not None else None
            if value is not None:
                found.append((key, frozenset(value.split(SEPARATOR))))
    return found

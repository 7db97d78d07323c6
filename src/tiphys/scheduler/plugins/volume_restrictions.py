"""VolumeRestrictions: a claim with ReadWriteOncePod can be used by one pod at a time, wherever that is."""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Rows
from tiphys.scheduler.framework import ClusterEvent, EventKind, Plugin, Rejection, Scope
from tiphys.scheduler.nodes import width
from tiphys.scheduler.pods import PodShape

REASON = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
ACCESS_MODE = "ReadWriteOncePod"


def _exclusive(shape: PodShape, cluster: Cluster) -> set[str]:
    """The claims of the pod that it must have for itself."""
    found = set()
    for name, _ in shape.claims:
        claim = cluster.volumes.claims.get((shape.namespace, name))
        if claim is not None and ACCESS_MODE in (claim.spec.accessModes or ()):
            found.add(name)
    return found


class VolumeRestrictions(Plugin):
    name = "VolumeRestrictions"
    filter_scope = Scope.PODS_ANYWHERE
    wakes_on = frozenset({EventKind.POD_DELETE, EventKind.CLAIM_CHANGE})

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(shape.claims) and bool(_exclusive(shape, cluster))

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        wanted = _exclusive(shape, cluster)
        taken = any(
            pod.shape.claims
            and pod.namespace == shape.namespace
            and any(name in wanted for name, _ in pod.shape.claims)
            for pod in cluster.pods.values()
        )
        return [Rejection(REASON, np.full(width(cluster.nodes, rows), taken or placed > 0))]

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        if event.kind is EventKind.CLAIM_CHANGE:
            return True
        mine = {name for name, _ in shape.claims}
        gone = event.old
        return gone.namespace == shape.namespace and any(name in mine for name, _ in gone.shape.claims)

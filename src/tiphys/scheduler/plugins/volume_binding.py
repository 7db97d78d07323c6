"""VolumeBinding: a pod waits for its claims to be there and bound, and goes where its volumes can be reached.

A claim whose class binds at once must be bound before. One whose class waits for the first consumer needs a node on
which a volume can be found or made; choosing that node is told to the provisioner by the annotation the component
writes (see `component.py`), and the pod is scheduled when the claim has become bound.
"""

from __future__ import annotations

import numpy as np

from tiphys.kinds.types import core_v1, storage_v1
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Mask, Rows
from tiphys.scheduler.framework import EventKind, Plugin, PreFilter, Rejection, Scope
from tiphys.scheduler.nodes import NodeTable
from tiphys.scheduler.plugins.node_affinity import node_selector_mask
from tiphys.scheduler.pods import PodShape

REASON_NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
REASON_NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
REASON_LOST = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"


def is_bound(claim: core_v1.PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volumeName) and BIND_COMPLETED in (claim.metadata.annotations or {})


def waits_for_consumer(claim: core_v1.PersistentVolumeClaim, cluster: Cluster) -> storage_v1.StorageClass | None:
    """The class of an unbound claim if it binds only when a pod uses it."""
    found = cluster.volumes.classes.get(claim.spec.storageClassName or "")
    return found if found is not None and found.volumeBindingMode == "WaitForFirstConsumer" else None


def waiting_claims(shape: PodShape, cluster: Cluster) -> list[core_v1.PersistentVolumeClaim]:
    """The claims of a pod that become bound only when it has a node."""
    found = []
    for name, _ in shape.claims:
        claim = cluster.volumes.claims.get((shape.namespace, name))
        if claim is not None and not is_bound(claim) and waits_for_consumer(claim, cluster) is not None:
            found.append(claim)
    return found


class VolumeBinding(Plugin):
    name = "VolumeBinding"
    filter_scope = Scope.NODE
    wakes_on = frozenset(
        {
            EventKind.NODE_ADD,
            EventKind.NODE_UPDATE,
            EventKind.CLAIM_CHANGE,
            EventKind.VOLUME_CHANGE,
            EventKind.CLASS_CHANGE,
        }
    )

    def pre_filter(self, shape: PodShape, cluster: Cluster) -> PreFilter | None:
        for name, ephemeral in shape.claims:
            claim = cluster.volumes.claims.get((shape.namespace, name))
            if claim is None and ephemeral:
                text = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                return PreFilter(refusal=text)
            if claim is None:
                return PreFilter(refusal=f'persistentvolumeclaim "{name}" not found')
            if claim.status.phase == "Lost":
                text = (
                    f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.spec.volumeName}"'
                )
                return PreFilter(refusal=text)
            if claim.metadata.deletionTimestamp is not None:
                return PreFilter(refusal=f'persistentvolumeclaim "{name}" is being deleted')
            if not is_bound(claim) and waits_for_consumer(claim, cluster) is None:
                return PreFilter(refusal=UNBOUND)
        return None

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        return bool(shape.claims)

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> list[Rejection]:
        table = cluster.nodes
        conflict, lacking = np.zeros(table.size, dtype=np.bool_), np.zeros(table.size, dtype=np.bool_)
        lost = np.zeros(table.size, dtype=np.bool_)
        for name, _ in shape.claims:
            claim = cluster.volumes.claims[shape.namespace, name]
            if is_bound(claim):
                volume = cluster.volumes.volumes.get(claim.spec.volumeName or "")
                if volume is None:
                    lost[:] = True
                else:
                    conflict |= ~reachable_mask(volume, table)
            else:
                lacking |= ~self._findable_mask(claim, cluster)
        return [
            Rejection(REASON_LOST, lost[rows], resolvable=False),
            Rejection(REASON_NODE_CONFLICT, conflict[rows], resolvable=False),
            Rejection(REASON_NO_VOLUME, lacking[rows], resolvable=False),
        ]

    def _findable_mask(self, claim: core_v1.PersistentVolumeClaim, cluster: Cluster) -> Mask:
        """The rows on which a free volume fits the claim, or one can be provisioned."""
        table = cluster.nodes
        storage_class = waits_for_consumer(claim, cluster)
        found = np.zeros(table.size, dtype=np.bool_)
        for volume in cluster.volumes.volumes.values():
            if satisfies(volume, claim):
                found |= reachable_mask(volume, table)
        if storage_class is not None and storage_class.provisioner != NO_PROVISIONER:
            found |= _allowed_mask(storage_class, table)
        return found


def reachable_mask(volume: core_v1.PersistentVolume, table: NodeTable) -> Mask:
    """The rows from which a volume can be used."""
    affinity = volume.spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return np.ones(table.size, dtype=np.bool_)
    return node_selector_mask(table, affinity.required)


def _allowed_mask(storage_class: storage_v1.StorageClass, table: NodeTable) -> Mask:
    if not storage_class.allowedTopologies:
        return np.ones(table.size, dtype=np.bool_)
    terms = [
        core_v1.NodeSelectorTerm(
            matchExpressions=[
                core_v1.NodeSelectorRequirement(key=item.key, operator="In", values=item.values)
                for item in term.matchLabelExpressions or ()
            ]
        )
        for term in storage_class.allowedTopologies
    ]
    return node_selector_mask(table, core_v1.NodeSelector(nodeSelectorTerms=terms))


def satisfies(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether a free volume could be bound to the claim."""
    spec = volume.spec
    if spec.claimRef is not None:
        return (spec.claimRef.namespace, spec.claimRef.name) == (claim.metadata.namespace, claim.metadata.name)
    if (spec.storageClassName or "") != (claim.spec.storageClassName or ""):
        return False
    if (spec.volumeMode or "Filesystem") != (claim.spec.volumeMode or "Filesystem"):
        return False
    if not set(claim.spec.accessModes or ()) <= set(spec.accessModes or ()):
        return False
    wanted = (claim.spec.resources.requests or {}).get("storage") if claim.spec.resources is not None else None
    offered = (spec.capacity or {}).get("storage")
    return wanted is None or (offered is not None and offered.amount >= wanted.amount)

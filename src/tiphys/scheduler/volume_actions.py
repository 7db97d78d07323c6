"""What must be written so that the waiting claims of a pod become bound on the node that was chosen.

A claim for which a free volume is there gets the smallest that fits and can be reached; the volume controller
completes the binding. For any other the provisioner of its class is told the node. Carrying it out is the component's
part.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.plugins.volume_binding import reachable_mask, satisfies, waiting_claims
from tiphys.scheduler.pods import PodShape

SELECTED_NODE = "volume.kubernetes.io/selected-node"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectNode:
    """Tell the provisioner of a claim for which node its volume is meant."""

    namespace: str
    claim: str
    node_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveVolume:
    """Give a free volume to a claim."""

    volume: str
    claim: core_v1.PersistentVolumeClaim


def volume_actions(shape: PodShape, node_name: str, cluster: Cluster) -> list[SelectNode | ReserveVolume]:
    """One action for each claim that waits for the pod to have a node; none when all are bound."""
    row = cluster.nodes.row_of[node_name]
    taken: set[str] = set()
    actions: list[SelectNode | ReserveVolume] = []
    for claim in waiting_claims(shape, cluster):
        fitting = [
            volume
            for name, volume in cluster.volumes.volumes.items()
            if name not in taken and satisfies(volume, claim) and reachable_mask(volume, cluster.nodes)[row]
        ]
        if fitting:
            chosen = min(fitting, key=_size)
            taken.add(chosen.metadata.name or "")
            actions.append(ReserveVolume(volume=chosen.metadata.name or "", claim=claim))
        else:
            name = claim.metadata.name or ""
            actions.append(SelectNode(namespace=shape.namespace, claim=name, node_name=node_name))
    return actions


def _size(volume: core_v1.PersistentVolume) -> tuple[int, str]:
    quantity = (volume.spec.capacity or {}).get("storage")
    return (quantity.value if quantity is not None else 0, volume.metadata.name or "")

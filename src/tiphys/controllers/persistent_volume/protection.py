"""Claims that pods use and volumes that are bound are not gone before they are free, whoever deletes them.

A finalizer keeps each. It is there from the start (admission) or put on here, and taken off a deleted claim when no
pod on a node that has not ended uses it, off a deleted volume when it is not bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Update
from tiphys.controllers.controller import Controller, Index, View, Watch, own_key
from tiphys.kinds import codec
from tiphys.kinds.core.protection import CLAIM_FINALIZER, VOLUME_FINALIZER
from tiphys.kinds.types.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod

ENDED = ("Failed", "Succeeded")


def claims_of(pod: Pod) -> Iterable[tuple[str, str]]:
    """Index function: (namespace, name) of the claims that a pod mounts, those made for it included."""
    for volume in pod.spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            yield pod.metadata.namespace or "", volume.persistentVolumeClaim.claimName
        elif volume.ephemeral is not None:
            yield pod.metadata.namespace or "", f"{pod.metadata.name}-{volume.name}"


def _is_in_use(view: View, claim: PersistentVolumeClaim) -> bool:
    users = view.by_index(Pod, "claims", (claim.metadata.namespace or "", claim.metadata.name or ""))
    return any(pod.spec.nodeName and pod.status.phase not in ENDED for pod in users)


def reconcile_claim(view: View, key: ObjectKey, now: float) -> list[Action]:
    claim = view.get(PersistentVolumeClaim, key.namespace, key.name)
    return _settle(claim, CLAIM_FINALIZER, lambda: _is_in_use(view, claim)) if claim is not None else []


def reconcile_volume(view: View, key: ObjectKey, now: float) -> list[Action]:
    volume = view.get(PersistentVolume, "", key.name)
    return _settle(volume, VOLUME_FINALIZER, lambda: volume.status.phase == "Bound") if volume is not None else []


def _settle(obj: Any, finalizer: str, in_use: Any) -> list[Action]:
    kept = list(obj.metadata.finalizers or ())
    if obj.metadata.deletionTimestamp is None:
        if finalizer in kept:
            return []
        kept.append(finalizer)
    elif finalizer not in kept or in_use():
        return []
    else:
        kept.remove(finalizer)
    changed = codec.copy(obj)
    changed.metadata.finalizers = kept or None
    return [Update(object=changed)]


def _claims_to_free(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
    """A pod may let go of its claims when it ends or goes."""
    if new is None or new.status.phase in ENDED:
        for namespace, name in claims_of(new if new is not None else old):
            yield ObjectKey(namespace, name)


CLAIMS = Controller(
    name="pvc-protection",
    identity="system:serviceaccount:kube-system:pvc-protection-controller",
    reconcile=reconcile_claim,
    watches=(Watch(kind=PersistentVolumeClaim, keys=own_key), Watch(kind=Pod, keys=_claims_to_free)),
    indexes=(Index(kind=Pod, name="claims", function=claims_of),),
)
VOLUMES = Controller(
    name="pv-protection",
    identity="system:serviceaccount:kube-system:pv-protection-controller",
    reconcile=reconcile_volume,
    watches=(Watch(kind=PersistentVolume, keys=own_key),),
)

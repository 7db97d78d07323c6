"""What becomes of a volume: Available until a claim has it, Bound while one has, Released when that claim is gone, and
then what its reclaim policy says.

Volumes of external provisioners are deleted by these. Of a hostPath or local volume with the policy Delete only the
object is deleted: what is in the directory is the node's, and nothing here reaches it.
"""

from __future__ import annotations

from tiphys.controllers.actions import Action, Update, delete_of, record
from tiphys.controllers.controller import View
from tiphys.controllers.persistent_volume.matching import BOUND_BY_CONTROLLER, PROVISIONED_BY
from tiphys.controllers.persistent_volume.phases import volume_phase
from tiphys.kinds import codec
from tiphys.kinds.types.core_v1 import PersistentVolume, PersistentVolumeClaim


def reconcile_volume(view: View, volume: PersistentVolume, now: float) -> list[Action]:
    reference = volume.spec.claimRef
    if reference is None or not reference.uid:
        return volume_phase(volume, "Available", now)
    claim = view.get(PersistentVolumeClaim, reference.namespace or "", reference.name or "")
    if claim is None or claim.metadata.uid != reference.uid:
        if volume.status.phase not in ("Released", "Failed"):
            return volume_phase(volume, "Released", now)
        return _reclaim(volume, now)
    if claim.spec.volumeName == volume.metadata.name:
        return volume_phase(volume, "Bound", now)
    if claim.spec.volumeName:
        return _let_go(volume)
    return []


def _let_go(volume: PersistentVolume) -> list[Action]:
    """The claim has another volume: a reference of ours goes, one that the user wrote waits for the next claim of that
    name."""
    changed = codec.copy(volume)
    annotations = dict(volume.metadata.annotations or {})
    if annotations.pop(BOUND_BY_CONTROLLER, None) is not None:
        changed.metadata.annotations, changed.spec.claimRef = annotations or None, None
    elif changed.spec.claimRef is not None:
        changed.spec.claimRef.uid = changed.spec.claimRef.resourceVersion = None
    return [Update(object=changed)]


def _reclaim(volume: PersistentVolume, now: float) -> list[Action]:
    policy, spec = volume.spec.persistentVolumeReclaimPolicy, volume.spec
    if policy == "Retain" or volume.metadata.deletionTimestamp is not None:
        return []
    if policy == "Recycle":
        return _failed(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!", now)
    if spec.csi is not None or PROVISIONED_BY in (volume.metadata.annotations or {}):
        return []
    if spec.hostPath is not None or spec.local is not None:
        return [delete_of(volume)]
    name = volume.metadata.name
    text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    return _failed(volume, "VolumeFailedDelete", text, now)


def _failed(volume: PersistentVolume, reason: str, text: str, now: float) -> list[Action]:
    changes = volume_phase(volume, "Failed", now, text)
    return [*changes, record(volume, "Warning", reason, text)] if changes else []

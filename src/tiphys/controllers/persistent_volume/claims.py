"""What becomes of a claim: its volume is found and both are bound to each other, step by step: the volume's claimRef,
its phase, the claim's volumeName, its phase. A step that is done is not done again.

Claims of classes that wait for their first consumer are left to the scheduler until it chose a node; volumes that a
provisioner has to make are the provisioner's business.
"""

from __future__ import annotations

from typing import Any

from tiphys.client.events import reference_of
from tiphys.controllers.actions import Action, Update, UpdateStatus, record
from tiphys.controllers.controller import View
from tiphys.controllers.persistent_volume.matching import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONERS,
    SELECTED_NODE,
    best_volume,
    mismatch,
    names_claim,
)
from tiphys.controllers.persistent_volume.phases import volume_phase
from tiphys.kinds import codec
from tiphys.kinds.core.persistent_volume_claim import CLASS_ANNOTATION, storage_class_of
from tiphys.kinds.storage.storage_class import is_default
from tiphys.kinds.types import storage_v1
from tiphys.kinds.types.core_v1 import PersistentVolume, PersistentVolumeClaim

NO_PROVISIONER = "kubernetes.io/no-provisioner"


def reconcile_claim(view: View, claim: PersistentVolumeClaim, now: float) -> list[Action]:
    if BIND_COMPLETED in (claim.metadata.annotations or {}):
        return _bound(view, claim, now)
    if claim.metadata.deletionTimestamp is not None:
        return []
    if not claim.spec.volumeName:
        return _search(view, claim, now)
    volume = view.get(PersistentVolume, "", claim.spec.volumeName)
    if volume is None:
        return _phase(claim, "Pending")
    if volume.spec.claimRef is not None and not names_claim(volume, claim):
        text = f'volume "{claim.spec.volumeName}" already bound to a different claim.'
        return [*_phase(claim, "Pending"), record(claim, "Warning", "FailedBinding", text)]
    reason = mismatch(volume, claim)
    if reason:
        text = f'Cannot bind to requested volume "{claim.spec.volumeName}": {reason}'
        return [*_phase(claim, "Pending"), record(claim, "Warning", "VolumeMismatch", text)]
    return bind(volume, claim, now)


def _bound(view: View, claim: PersistentVolumeClaim, now: float) -> list[Action]:
    """A claim that was bound stays with its volume, or has lost it for good."""
    name = claim.spec.volumeName
    volume = view.get(PersistentVolume, "", name) if name else None
    if volume is None:
        what = "lost its PersistentVolume" if name else "lost reference to PersistentVolume"
        return _lost(claim, "ClaimLost", f"Bound claim has {what}. Data on the volume is lost!")
    if volume.spec.claimRef is not None and not names_claim(volume, claim):
        text = "Two claims are bound to the same volume, this one is bound incorrectly"
        return _lost(claim, "ClaimMisbound", text)
    return bind(volume, claim, now)


def _lost(claim: PersistentVolumeClaim, reason: str, text: str) -> list[Action]:
    if claim.status.phase == "Lost":
        return []
    return [*_phase(claim, "Lost"), record(claim, "Warning", reason, text)]


def _phase(claim: PersistentVolumeClaim, phase: str) -> list[Action]:
    if claim.status.phase == phase:
        return []
    changed = codec.copy(claim)
    changed.status.phase = phase
    if phase != "Bound":
        changed.status.accessModes = changed.status.capacity = None
    return [UpdateStatus(object=changed)]


def _search(view: View, claim: PersistentVolumeClaim, now: float) -> list[Action]:
    storage_class = view.get(storage_v1.StorageClass, "", storage_class_of(claim))
    meta = claim.metadata
    has_class = claim.spec.storageClassName is not None or CLASS_ANNOTATION in (meta.annotations or {})
    if not has_class and (chosen := default_class(view.list(storage_v1.StorageClass))) is not None:
        changed = codec.copy(claim)
        changed.spec.storageClassName = chosen.metadata.name
        return [Update(object=changed)]
    reserved = list(view.by_index(PersistentVolume, "claim", (meta.namespace, meta.name)))
    waits = storage_class is not None and storage_class.volumeBindingMode == "WaitForFirstConsumer"
    if waits and not reserved and SELECTED_NODE not in (meta.annotations or {}):
        text = "waiting for first consumer to be created before binding"
        return [*_phase(claim, "Pending"), record(claim, "Normal", "WaitForFirstConsumer", text)]
    candidates = reserved if waits else [*reserved, *view.by_index(PersistentVolume, "free", storage_class_of(claim))]
    volume = best_volume(claim, candidates)
    if volume is not None:
        return bind(volume, claim, now)
    return [*_phase(claim, "Pending"), *_provision(claim, storage_class)]


def default_class(classes: list[storage_v1.StorageClass]) -> storage_v1.StorageClass | None:
    """The default class: the youngest of several, by name among those of the same age."""
    defaults = sorted((c for c in classes if is_default(c)), key=lambda c: c.metadata.name or "")
    return max(defaults, key=lambda c: c.metadata.creationTimestamp or "", default=None)


def _provision(claim: PersistentVolumeClaim, storage_class: storage_v1.StorageClass | None) -> list[Action]:
    """No volume is there: say so, or name the provisioner that is to make one."""
    name = storage_class_of(claim)
    if not name:
        text = "no persistent volumes available for this claim and no storage class is set"
        return [record(claim, "Normal", "FailedBinding", text)]
    if storage_class is None:
        text = f'storageclass.storage.k8s.io "{name}" not found'
        return [record(claim, "Warning", "ProvisioningFailed", text)]
    provisioner = storage_class.provisioner
    if provisioner == NO_PROVISIONER:
        text = "no persistent volumes available for this claim and its class makes none"
        return [record(claim, "Normal", "FailedBinding", text)]
    wanted = dict.fromkeys(PROVISIONERS, provisioner)
    if not wanted.items() <= (claim.metadata.annotations or {}).items():
        changed = codec.copy(claim)
        changed.metadata.annotations = {**(claim.metadata.annotations or {}), **wanted}
        return [Update(object=changed)]
    text = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the"
        " system administrator. If volume creation is delayed, please verify that the provisioner is running and"
        " correctly registered."
    )
    return [record(claim, "Normal", "ExternalProvisioning", text)]


# -- binding


def bind(volume: PersistentVolume, claim: PersistentVolumeClaim, now: float) -> list[Action]:
    """The next step that is missing until volume and claim are bound to each other; none when they are."""
    reference = volume.spec.claimRef
    if reference is None or reference.uid != claim.metadata.uid:
        given = codec.copy(volume)
        given.spec.claimRef = reference_of(claim)
        if reference is None:
            _annotate(given, BOUND_BY_CONTROLLER)
        return [Update(object=given)]
    if volume.status.phase != "Bound":
        return volume_phase(volume, "Bound", now)
    if claim.spec.volumeName != volume.metadata.name or BIND_COMPLETED not in (claim.metadata.annotations or {}):
        taken = codec.copy(claim)
        if not claim.spec.volumeName:
            _annotate(taken, BOUND_BY_CONTROLLER)
        taken.spec.volumeName = volume.metadata.name
        _annotate(taken, BIND_COMPLETED)
        return [Update(object=taken)]
    status = codec.copy(claim.status)
    status.phase, status.accessModes = "Bound", volume.spec.accessModes
    if status.capacity is None or claim.status.phase != "Bound":
        status.capacity = volume.spec.capacity
    status.currentVolumeAttributesClassName = volume.spec.volumeAttributesClassName or None
    if status == claim.status:
        return []
    changed = codec.copy(claim)
    changed.status = status
    return [UpdateStatus(object=changed)]


def _annotate(obj: Any, annotation: str) -> None:
    obj.metadata.annotations = {**(obj.metadata.annotations or {}), annotation: "yes"}

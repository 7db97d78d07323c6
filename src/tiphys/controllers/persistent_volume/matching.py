"""Which volume fits a claim, and whether a volume and a claim belong to each other."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tiphys.kinds.core import persistent_volume, persistent_volume_claim
from tiphys.kinds.types.core_v1 import PersistentVolume, PersistentVolumeClaim
from tiphys.machinery import labels

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")


def size_of_volume(volume: PersistentVolume) -> Decimal:
    storage = (volume.spec.capacity or {}).get("storage")
    return storage.amount if storage is not None else Decimal(0)


def size_of_claim(claim: PersistentVolumeClaim) -> Decimal:
    requests = (claim.spec.resources.requests if claim.spec.resources else None) or {}
    return requests["storage"].amount if "storage" in requests else Decimal(0)


def names_claim(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is meant for this claim: by name, and by uid where it has one."""
    reference, meta = volume.spec.claimRef, claim.metadata
    if reference is None or (reference.namespace, reference.name) != (meta.namespace, meta.name):
        return False
    return not reference.uid or reference.uid == meta.uid


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Why a volume that was asked for by name cannot be the claim's; "" when it can."""
    if size_of_volume(volume) < size_of_claim(claim):
        return "requested PV is too small"
    if persistent_volume.storage_class_of(volume) != persistent_volume_claim.storage_class_of(claim):
        return "storageClassName does not match"
    if (volume.spec.volumeMode or "Filesystem") != (claim.spec.volumeMode or "Filesystem"):
        return "incompatible volumeMode"
    if not set(claim.spec.accessModes or ()) <= set(volume.spec.accessModes or ()):
        return "incompatible accessMode"
    if (volume.spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
        return "volumeAttributesClassName does not match"
    return ""


def best_volume(claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]) -> PersistentVolume | None:
    """The smallest free volume that fits, or the one that was made for the claim."""
    selector = labels.from_object(claim.spec.selector) if claim.spec.selector is not None else None
    best: PersistentVolume | None = None
    for volume in volumes:
        if volume.metadata.deletionTimestamp is not None:
            continue
        if volume.spec.claimRef is not None:
            if names_claim(volume, claim) and not mismatch(volume, claim):
                return volume
            continue
        if volume.status.phase != "Available" or mismatch(volume, claim):
            continue
        if selector is not None and not selector.matches(volume.metadata.labels):
            continue
        if best is None or _order(volume) < _order(best):
            best = volume
    return best


def _order(volume: PersistentVolume) -> tuple[Decimal, str]:
    return size_of_volume(volume), volume.metadata.name or ""

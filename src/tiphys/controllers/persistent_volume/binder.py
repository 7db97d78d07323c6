"""The controller that binds claims to volumes. Keys without a namespace are volumes, the others claims; one at a time,
so that no two claims are promised the same volume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiphys.client.cache import key_of
from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action
from tiphys.controllers.controller import Controller, Index, View, Watch
from tiphys.controllers.persistent_volume.claims import reconcile_claim
from tiphys.controllers.persistent_volume.volumes import reconcile_volume
from tiphys.kinds.core import persistent_volume, persistent_volume_claim
from tiphys.kinds.types import storage_v1
from tiphys.kinds.types.core_v1 import PersistentVolume, PersistentVolumeClaim


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    if key.namespace:
        claim = view.get(PersistentVolumeClaim, key.namespace, key.name)
        return reconcile_claim(view, claim, now) if claim is not None else []
    volume = view.get(PersistentVolume, "", key.name)
    return reconcile_volume(view, volume, now) if volume is not None else []


def claimed_by(volume: PersistentVolume) -> tuple[tuple[str, str], ...]:
    """Index function: (namespace, name) of the claim that a volume is for."""
    reference = volume.spec.claimRef
    return ((reference.namespace or "", reference.name or ""),) if reference is not None else ()


def free_in_class(volume: PersistentVolume) -> tuple[str, ...]:
    """Index function: the class of a volume that is for no claim."""
    return () if volume.spec.claimRef is not None else (persistent_volume.storage_class_of(volume),)


def searching_in_class(claim: PersistentVolumeClaim) -> tuple[str, ...]:
    """Index function: the class of a claim that has no volume."""
    return () if claim.spec.volumeName else (persistent_volume_claim.storage_class_of(claim),)


def named_volume(claim: PersistentVolumeClaim) -> tuple[str, ...]:
    """Index function: the volume that a claim names."""
    return (claim.spec.volumeName,) if claim.spec.volumeName else ()


def _claim_keys(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
    claim = new if new is not None else old
    key = key_of(claim)
    yield key
    names = {obj.spec.volumeName for obj in (old, new) if obj is not None and obj.spec.volumeName}
    names |= {v.metadata.name for v in view.by_index(PersistentVolume, "claim", (key.namespace, key.name))}
    yield from (ObjectKey("", name) for name in sorted(names))


def _volume_keys(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
    volume = new if new is not None else old
    yield key_of(volume)
    for obj in (old, new):
        if obj is not None and obj.spec.claimRef is not None:
            yield ObjectKey(obj.spec.claimRef.namespace or "", obj.spec.claimRef.name or "")
    yield from map(key_of, view.by_index(PersistentVolumeClaim, "volume", volume.metadata.name))
    if new is not None and new.spec.claimRef is None:
        free = persistent_volume.storage_class_of(new)
        yield from map(key_of, view.by_index(PersistentVolumeClaim, "searching", free))


def _class_keys(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
    name = (new if new is not None else old).metadata.name
    for searched in {name, ""}:
        yield from map(key_of, view.by_index(PersistentVolumeClaim, "searching", searched))


CONTROLLER = Controller(
    name="persistentvolume-binder",
    identity="system:serviceaccount:kube-system:persistent-volume-binder",
    source="persistentvolume-controller",
    reconcile=reconcile,
    concurrency=1,
    watches=(
        Watch(kind=PersistentVolumeClaim, keys=_claim_keys),
        Watch(kind=PersistentVolume, keys=_volume_keys),
        Watch(kind=storage_v1.StorageClass, keys=_class_keys),
    ),
    indexes=(
        Index(kind=PersistentVolume, name="claim", function=claimed_by),
        Index(kind=PersistentVolume, name="free", function=free_in_class),
        Index(kind=PersistentVolumeClaim, name="searching", function=searching_in_class),
        Index(kind=PersistentVolumeClaim, name="volume", function=named_volume),
    ),
)

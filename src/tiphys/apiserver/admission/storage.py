"""New claims get the default storage class, and claims and volumes the finalizers that keep them while in use.

Claims grow only where their class lets them.
"""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.core.persistent_volume_claim import CLASS_ANNOTATION, storage_class_of
from tiphys.kinds.core.protection import CLAIM_FINALIZER, VOLUME_FINALIZER
from tiphys.kinds.storage.storage_class import is_default
from tiphys.kinds.types import core_v1, storage_v1
from tiphys.machinery import errors
from tiphys.machinery.quantity import Quantity

FINALIZERS = {"persistentvolumeclaims": CLAIM_FINALIZER, "persistentvolumes": VOLUME_FINALIZER}


class DefaultStorageClass:
    name = "DefaultStorageClass"
    resources: Resources = (("", "persistentvolumeclaims"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("", "persistentvolumeclaims"):
            return
        if obj.spec.storageClassName is not None or CLASS_ANNOTATION in (obj.metadata.annotations or {}):
            return
        defaults = sorted(
            (found for found in lookups.list(storage_v1.StorageClass) if is_default(found)),
            key=lambda found: found.metadata.name or "",
        )
        if defaults:
            youngest = max(defaults, key=lambda found: found.metadata.creationTimestamp or "")
            obj.spec.storageClassName = youngest.metadata.name


class StorageObjectInUseProtection:
    name = "StorageObjectInUseProtection"
    resources: Resources = tuple(("", plural) for plural in FINALIZERS)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("", *FINALIZERS):
            return
        finalizer = FINALIZERS[request.resource.plural]
        if finalizer not in (obj.metadata.finalizers or ()):
            obj.metadata.finalizers = [*(obj.metadata.finalizers or ()), finalizer]


class PersistentVolumeClaimResize:
    name = "PersistentVolumeClaimResize"
    resources: Resources = (("", "persistentvolumeclaims"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "UPDATE" or not request.on("", "persistentvolumeclaims"):
            return
        if old.status.phase != "Bound":
            return  # validation refuses any other size
        wanted, present = _requested(obj), _requested(old)
        if wanted is None or present is None or wanted.amount <= present.amount:
            return
        named = storage_class_of(obj)
        if named and named == storage_class_of(old):
            found = lookups.get(storage_v1.StorageClass, "", named)
            if found is not None and found.allowVolumeExpansion:
                return
        detail = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must"
            " support resize"
        )
        raise errors.forbidden("persistentvolumeclaims", "", obj.metadata.name or "", detail)


def _requested(claim: core_v1.PersistentVolumeClaim) -> Quantity | None:
    requests = claim.spec.resources.requests if claim.spec.resources else None
    return requests.get("storage") if requests else None

"""New claims get the default storage class, and claims and volumes the finalizers that keep them while in use."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups
from tiphys.kinds.core.persistent_volume_claim import CLASS_ANNOTATION
from tiphys.kinds.core.protection import CLAIM_FINALIZER, VOLUME_FINALIZER
from tiphys.kinds.storage.storage_class import is_default
from tiphys.kinds.types import storage_v1

FINALIZERS = {"persistentvolumeclaims": CLAIM_FINALIZER, "persistentvolumes": VOLUME_FINALIZER}


class DefaultStorageClass:
    name = "DefaultStorageClass"

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

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("", *FINALIZERS):
            return
        finalizer = FINALIZERS[request.resource.plural]
        if finalizer not in (obj.metadata.finalizers or ()):
            obj.metadata.finalizers = [*(obj.metadata.finalizers or ()), finalizer]

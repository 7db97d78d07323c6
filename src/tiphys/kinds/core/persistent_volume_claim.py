"""PersistentVolumeClaims: a pod's wish for a volume that outlives it."""

from __future__ import annotations

import msgspec

from tiphys.kinds import cells
from tiphys.kinds.core.claim_spec_validation import validate_access_modes, validate_claim_spec
from tiphys.kinds.core.pod_update_validation import difference
from tiphys.kinds.core.resource_validation import amount_findings, resource_name
from tiphys.kinds.core.volume_warnings import OLD_STORAGE_CLASS, claim_warnings
from tiphys.kinds.equality import same
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid

SPEC = Path("spec")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
MODES_SHORT = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
UNCHANGEABLE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def modes_text(modes: list[str] | None) -> str:
    """`RWO,ROX`, in the usual order, each once."""
    return ",".join(short for mode, short in MODES_SHORT.items() if mode in (modes or ()))


def storage_class_of(claim: PersistentVolumeClaim) -> str:
    """The class by name; the annotation of old goes before the field."""
    annotation = (claim.metadata.annotations or {}).get(CLASS_ANNOTATION)
    return annotation if annotation is not None else claim.spec.storageClassName or ""


def default(claim: PersistentVolumeClaim) -> None:
    if not claim.status.phase:
        claim.status.phase = "Pending"
    if claim.spec.volumeMode is None:
        claim.spec.volumeMode = "Filesystem"
    _join_data_sources(claim.spec)


def _join_data_sources(spec: PersistentVolumeClaimSpec) -> None:
    """`dataSource` and `dataSourceRef` say the same, unless the source is in another namespace."""
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is not None and reference is None:
        spec.dataSourceRef = TypedObjectReference(apiGroup=source.apiGroup, kind=source.kind, name=source.name)
    elif reference is not None and source is None and not reference.namespace:
        known = (None, "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")
        if (reference.apiGroup or None, reference.kind) in known:
            spec.dataSource = TypedLocalObjectReference(
                apiGroup=reference.apiGroup, kind=reference.kind, name=reference.name
            )


def prepare_for_create(claim: PersistentVolumeClaim) -> None:
    claim.status = PersistentVolumeClaimStatus(phase="Pending")


def validate(claim: PersistentVolumeClaim) -> list[FieldError]:
    return validate_claim_spec(claim.spec, SPEC)


def validate_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    """A claim may be bound, grow once it is, and change its class of attributes; nothing else."""
    found: list[FieldError] = []
    before, after = old.spec, new.spec
    replace = msgspec.structs.replace
    allowed = before
    if not before.volumeName:
        allowed = replace(allowed, volumeName=after.volumeName)
    if before.storageClassName is None and after.storageClassName is not None:
        allowed = replace(allowed, storageClassName=after.storageClassName)
    if old.status.phase == "Bound":
        allowed = replace(allowed, resources=after.resources)
        found += _size_findings(new, old)
    allowed = replace(allowed, volumeAttributesClassName=after.volumeAttributesClassName)
    if not same(allowed, after):
        found.append(forbidden(SPEC, f"{UNCHANGEABLE}\n{difference(allowed, after)}"))
    if before.volumeAttributesClassName and not after.volumeAttributesClassName:
        at = SPEC.child("volumeAttributesClassName")
        found.append(forbidden(at, "update from non-nil value to nil is forbidden"))
    # Clients know this path as it is, without `spec`.
    return found + immutable(after.volumeMode, before.volumeMode, Path("volumeMode"))


def _size_findings(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    wanted = ((new.spec.resources.requests if new.spec.resources else None) or {}).get("storage")
    asked = ((old.spec.resources.requests if old.spec.resources else None) or {}).get("storage")
    held = (old.status.capacity or {}).get("storage")
    if wanted is None or asked is None or wanted.amount >= asked.amount:
        return []
    path = SPEC.child("resources", "requests", "storage")
    if held is None or wanted.amount <= held.amount:
        return [forbidden(path, "field can not be less than status.capacity")]
    return []


def validate_status_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    found: list[FieldError] = []
    if new.status.accessModes:
        found += validate_access_modes(new.status.accessModes, Path("status.accessModes"))
    for field in ("capacity", "allocatedResources"):
        for name, amount in (getattr(new.status, field) or {}).items():
            at = Path("status").child(field).key(name)
            found += [invalid(at, name, text) for text in resource_name(name)]
            found += [invalid(at, str(amount), text) for text in amount_findings(name, amount)]
    return found


def warnings(claim: PersistentVolumeClaim, old: PersistentVolumeClaim | None) -> list[str]:
    found = claim_warnings(claim.spec, SPEC)
    if CLASS_ANNOTATION in (claim.metadata.annotations or {}):
        found.append(f"{Path('metadata.annotations').key(CLASS_ANNOTATION)}: {OLD_STORAGE_CLASS}")
    return found


def status_word(claim: PersistentVolumeClaim) -> str:
    return "Terminating" if claim.metadata.deletionTimestamp else claim.status.phase or ""


def _capacity(claim: PersistentVolumeClaim) -> str:
    return str((claim.status.capacity or {}).get("storage", "")) if claim.spec.volumeName else ""


STRATEGY: Strategy[PersistentVolumeClaim] = Strategy(
    warnings=warnings,
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("Status", status_word),
        cells.text("Volume", lambda claim: claim.spec.volumeName or ""),
        cells.text("Capacity", _capacity),
        cells.text("Access Modes", lambda c: modes_text(c.status.accessModes) if c.spec.volumeName else ""),
        cells.text("StorageClass", storage_class_of),
        cells.text("VolumeAttributesClass", lambda claim: claim.spec.volumeAttributesClassName or cells.UNSET),
        cells.age_column(),
        cells.text("VolumeMode", lambda claim: claim.spec.volumeMode or cells.UNSET, wide=True),
    ),
    has_generation=False,
)

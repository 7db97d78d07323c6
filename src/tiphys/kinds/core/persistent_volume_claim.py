"""PersistentVolumeClaims: a pod's wish for a volume that outlives it."""

from __future__ import annotations

import msgspec

from tiphys.kinds import cells
from tiphys.kinds.core.claim_spec_validation import validate_access_modes, validate_claim_spec
from tiphys.kinds.core.pod_update_validation import difference
from tiphys.kinds.core.resource_defaults import default_amounts, default_requirements
from tiphys.kinds.core.resource_validation import amount_findings, is_native, resource_name
from tiphys.kinds.core.volume_warnings import OLD_STORAGE_CLASS, claim_warnings
from tiphys.kinds.equality import same
from tiphys.kinds.object_meta import immutable, label_key_findings
from tiphys.kinds.spec_and_status import keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    TypedLocalObjectReference,
    TypedObjectReference,
    VolumeResourceRequirements,
)
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported

SPEC, STATUS, ANNOTATIONS = Path("spec"), Path("status"), Path("metadata.annotations")
OLD_SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
RESIZE_STATUSES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
)
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
    default_requirements(claim.spec.resources)
    default_amounts(claim.status.capacity)
    default_amounts(claim.status.allocatedResources)
    _join_data_sources(claim.spec)


def _join_data_sources(spec: PersistentVolumeClaimSpec) -> None:
    """`dataSource` and `dataSourceRef` say the same, unless the source is in another namespace."""
    source, reference = spec.dataSource, spec.dataSourceRef
    if reference is not None and reference.namespace:
        return
    if source is not None and reference is None:
        spec.dataSourceRef = TypedObjectReference(apiGroup=source.apiGroup, kind=source.kind, name=source.name)
    elif reference is not None and source is None:
        spec.dataSource = TypedLocalObjectReference(
            apiGroup=reference.apiGroup, kind=reference.kind, name=reference.name
        )


def drop_unknown_source(spec: PersistentVolumeClaimSpec) -> None:
    """`dataSource` was there before other sources were: what it cannot name it does not keep; `dataSourceRef` does."""
    source = spec.dataSource
    if source is not None and spec.dataSourceRef is None and (source.apiGroup or "", source.kind) not in OLD_SOURCES:
        spec.dataSource = None


def prepare_for_create(claim: PersistentVolumeClaim) -> None:
    claim.status = PersistentVolumeClaimStatus(phase="Pending")
    drop_unknown_source(claim.spec)


def validate(claim: PersistentVolumeClaim) -> list[FieldError]:
    return validate_claim_spec(claim.spec, SPEC)


def validate_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    """A claim may be bound; once it is it may ask for more, and for another class of attributes; nothing else."""
    found: list[FieldError] = []
    before, after = old.spec, new.spec
    replace = msgspec.structs.replace
    allowed = before
    if not before.volumeName:
        allowed = replace(allowed, volumeName=after.volumeName)
    if before.storageClassName is None and _old_class(old) in (None, after.storageClassName):
        allowed = replace(allowed, storageClassName=after.storageClassName)
    if _old_class(new) != _old_class(old) and not _moves_class(new, old):
        at = ANNOTATIONS.child(CLASS_ANNOTATION)
        found += immutable(_old_class(new), _old_class(old), at)
    if old.status.phase == "Bound":
        allowed = replace(
            allowed,
            resources=_with_storage(before.resources, after.resources),
            volumeAttributesClassName=after.volumeAttributesClassName,
        )
    if not same(allowed, after):
        found.append(forbidden(SPEC, f"{UNCHANGEABLE}\n{difference(allowed, after)}"))
    found += _size_findings(new, old)
    # Clients know this path as it is, without `spec`.
    found += immutable(after.volumeMode, before.volumeMode, Path("volumeMode"))
    return found + _attributes_findings(new, old)


def _old_class(claim: PersistentVolumeClaim) -> str | None:
    return (claim.metadata.annotations or {}).get(CLASS_ANNOTATION)


def _moves_class(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> bool:
    """The class goes from the annotation of old to the field."""
    return _old_class(new) is None and new.spec.storageClassName == _old_class(old)


def _with_storage(
    old: VolumeResourceRequirements | None, new: VolumeResourceRequirements | None
) -> VolumeResourceRequirements | None:
    """The old resources with the storage that the new ones request."""
    storage = ((new.requests if new else None) or {}).get("storage")
    if old is None or storage is None:
        return old
    return msgspec.structs.replace(old, requests={**(old.requests or {}), "storage": storage})


def _attributes_findings(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    """A volume that has got attributes of a class can get those of another, and none no more."""
    wanted = new.spec.volumeAttributesClassName
    if wanted or wanted == old.spec.volumeAttributesClassName or old.status.currentVolumeAttributesClassName is None:
        return []
    what = "nil" if wanted is None else "empty string"
    detail = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [forbidden(SPEC.child("volumeAttributesClassName"), detail)]


def _size_findings(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    """Who asked for more than there is may ask for less again, but not for less than is there."""
    wanted = ((new.spec.resources.requests if new.spec.resources else None) or {}).get("storage")
    asked = ((old.spec.resources.requests if old.spec.resources else None) or {}).get("storage")
    if wanted is None or asked is None or wanted.amount >= asked.amount:
        return []
    held = (old.status.capacity or {}).get("storage")
    if wanted.amount > (held.amount if held is not None else 0):
        return []
    return [forbidden(SPEC.child("resources", "requests", "storage"), "field can not be less than status.capacity")]


def validate_status_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    status = new.status
    found: list[FieldError] = []
    if status.accessModes:
        found += validate_access_modes(status.accessModes, STATUS.child("accessModes"))
    for name, amount in (status.capacity or {}).items():
        at = STATUS.child("capacity").key(name)
        found += [invalid(at, name, text) for text in resource_name(name)]
        found += [invalid(at, str(amount), text) for text in amount_findings(name, amount)]
    at = STATUS.child("allocatedResourceStatuses")
    for name, word in (status.allocatedResourceStatuses or {}).items():
        found += _claimed_resource_findings(name, at)
        if word not in RESIZE_STATUSES:
            found.append(not_supported(at, name, RESIZE_STATUSES))
    at = STATUS.child("allocatedResources")
    for name, amount in (status.allocatedResources or {}).items():
        unknown = _claimed_resource_findings(name, at)
        texts = [] if unknown else amount_findings(name, amount)
        found += [*unknown, *(invalid(at.key(name), str(amount), text) for text in texts)]
    return found


def _claimed_resource_findings(name: str, path: Path) -> list[FieldError]:
    """Of Kubernetes' own resources a claim can be given storage alone."""
    found = [invalid(path, name, text) for text in label_key_findings(name)]
    if not found and is_native(name) and name != "storage":
        found.append(not_supported(path, name, ("storage",)))
    return found


def warnings(claim: PersistentVolumeClaim, old: PersistentVolumeClaim | None) -> list[str]:
    found = claim_warnings(claim.spec, SPEC)
    if CLASS_ANNOTATION in (claim.metadata.annotations or {}):
        found.append(f"{ANNOTATIONS.key(CLASS_ANNOTATION)}: {OLD_STORAGE_CLASS}")
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

"""PersistentVolumes: storage of the cluster, to be claimed."""

from __future__ import annotations

from msgspec.structs import replace

from tiphys.kinds import cells
from tiphys.kinds.core.affinity_validation import validate_node_selector
from tiphys.kinds.core.claim_spec_validation import VOLUME_MODES, validate_access_modes
from tiphys.kinds.core.node_labels import REPLACEMENTS, term_warnings
from tiphys.kinds.core.persistent_volume_claim import CLASS_ANNOTATION, modes_text
from tiphys.kinds.core.resource_defaults import default_amounts
from tiphys.kinds.core.volume_defaults import default_azure_disk, default_iscsi, default_rbd, default_scale_io
from tiphys.kinds.core.volume_source_validation import OTHER_SOURCES, one_too_many, source_path, validate_csi_volume
from tiphys.kinds.core.volume_validation import validate_host_path
from tiphys.kinds.core.volume_warnings import OLD_STORAGE_CLASS, source_warnings
from tiphys.kinds.object_meta import immutable, subdomain_name
from tiphys.kinds.spec_and_status import keep_spec, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.core_v1 import (
    LocalVolumeSource,
    PersistentVolume,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    VolumeNodeAffinity,
)
from tiphys.kinds.value_findings import backsteps
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

SPEC = Path("spec")
ANNOTATIONS = Path("metadata.annotations")
DEPRECATED_ANNOTATIONS = {
    CLASS_ANNOTATION: OLD_STORAGE_CLASS,
    "volume.beta.kubernetes.io/mount-options": 'deprecated since v1.31; use "mountOptions" attribute instead',
}
RECYCLE = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
POLICIES = ("Delete", "Recycle", "Retain")
# In the order in which they are looked at: of several sources, the first is the volume's.
_ORDER = (
    "hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephfs iscsi cinder fc"
    " flexVolume azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos"
    " csi"
)
SOURCES = tuple(_ORDER.split())


def storage_class_of(volume: PersistentVolume) -> str:
    annotation = (volume.metadata.annotations or {}).get(CLASS_ANNOTATION)
    return annotation if annotation is not None else volume.spec.storageClassName or ""


def default(volume: PersistentVolume) -> None:
    spec = volume.spec
    default_amounts(spec.capacity)
    if not volume.status.phase:
        volume.status.phase = "Pending"
    if not spec.persistentVolumeReclaimPolicy:
        spec.persistentVolumeReclaimPolicy = "Retain"
    if spec.volumeMode is None:
        spec.volumeMode = "Filesystem"
    if spec.hostPath is not None and spec.hostPath.type is None:
        spec.hostPath.type = ""
    if spec.iscsi is not None:
        default_iscsi(spec.iscsi)
    if spec.rbd is not None:
        default_rbd(spec.rbd)
    if spec.azureDisk is not None:
        default_azure_disk(spec.azureDisk)
    if spec.scaleIO is not None:
        default_scale_io(spec.scaleIO)


def prepare_for_create(volume: PersistentVolume) -> None:
    volume.status = PersistentVolumeStatus(phase="Pending")


def validate(volume: PersistentVolume) -> list[FieldError]:
    return validate_volume_spec(volume.spec, SPEC, volume.metadata.name or "")


def validate_inline_volume_spec(spec: PersistentVolumeSpec, path: Path) -> list[FieldError]:
    """The spec that a VolumeAttachment holds: a CSI volume of no object, so nothing about how one is claimed."""
    modes, detail = path.child("accessModes"), "may not be specified in the context of inline volumes"
    found = [
        forbidden(path.child(field), detail)
        for field in (
            "claimRef",
            "capacity",
            "persistentVolumeReclaimPolicy",
            "storageClassName",
            "volumeMode",
            "nodeAffinity",
            "volumeAttributesClassName",
        )
        if getattr(spec, field)
    ]
    found += validate_access_modes(spec.accessModes, modes) if spec.accessModes else [required(modes)]
    if spec.csi is None:
        found.append(required(path.child("csi"), "has to be specified in the context of inline volumes"))
    return found + _source_findings(spec, path, "")


def validate_volume_spec(spec: PersistentVolumeSpec, path: Path, name: str) -> list[FieldError]:
    modes = path.child("accessModes")
    found = validate_access_modes(spec.accessModes, modes) if spec.accessModes else [required(modes)]
    storage = (spec.capacity or {}).get("storage")
    if not spec.capacity:
        found.append(required(path.child("capacity")))
    if storage is None or len(spec.capacity or ()) > 1:
        found.append(not_supported(path.child("capacity"), spec.capacity, ("storage",)))
    if storage is not None and storage.amount <= 0:
        found.append(invalid(path.child("capacity").key("storage"), str(storage), "must be greater than zero"))
    if spec.persistentVolumeReclaimPolicy not in POLICIES:
        at = path.child("persistentVolumeReclaimPolicy")
        found.append(not_supported(at, spec.persistentVolumeReclaimPolicy or "", POLICIES))
    if spec.nodeAffinity is not None:
        found += _affinity_findings(spec, path.child("nodeAffinity"))
    found += _source_findings(spec, path, name)
    if spec.storageClassName:
        at = path.child("storageClassName")
        found += [invalid(at, spec.storageClassName, text) for text in subdomain_name(spec.storageClassName)]
    attributes, at = spec.volumeAttributesClassName, path.child("volumeAttributesClassName")
    if attributes == "":
        found.append(required(at, "an empty string is disallowed"))
    elif attributes is not None:
        found += [invalid(at, attributes, text) for text in subdomain_name(attributes)]
    if attributes is not None and spec.csi is None:
        found.append(required(path.child("csi"), "has to be specified when using volumeAttributesClassName"))
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES:
        found.append(not_supported(path.child("volumeMode"), spec.volumeMode, VOLUME_MODES))
    return found


def _affinity_findings(spec: PersistentVolumeSpec, path: Path) -> list[FieldError]:
    assert spec.nodeAffinity is not None
    if spec.nodeAffinity.required is None:
        return [required(path.child("required"), "must specify required node constraints")]
    return validate_node_selector(spec.nodeAffinity.required, path.child("required"))


def _source_findings(spec: PersistentVolumeSpec, path: Path, name: str) -> list[FieldError]:
    found: list[FieldError] = []
    given = [source for source in SOURCES if getattr(spec, source) is not None]
    if not given:
        return [required(path, "must specify a volume type")]
    found += [one_too_many(source, path) for source in given[1:]]
    source = given[0]
    at = source_path(source, path)
    if spec.hostPath is not None and source == "hostPath":
        found += validate_host_path(spec.hostPath, at)
        if spec.hostPath.path == "/" and spec.persistentVolumeReclaimPolicy == "Recycle":
            found.append(forbidden(at, f"may not be '/' for a hostPath mount of {name} with recycle policy"))
    elif spec.local is not None and source == "local":
        found += _local_findings(spec.local, spec, path)
    elif source == "csi":
        found += validate_csi_volume(spec.csi, at)
    else:
        found += OTHER_SOURCES[source](getattr(spec, source), at)
    return found


def _local_findings(source: LocalVolumeSource, spec: PersistentVolumeSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    at = path.child("local", "path")
    if not source.path:
        found.append(required(at))
    found += [invalid(at, source.path, text) for text in backsteps(source.path)]
    if spec.nodeAffinity is None:
        found.append(required(path.child("nodeAffinity"), "Local volume requires node affinity"))
    return found


def validate_update(new: PersistentVolume, old: PersistentVolume) -> list[FieldError]:
    """Where the data is stays for good."""
    found: list[FieldError] = []
    before = old.spec
    if before.csi is not None and new.spec.csi is not None and before.csi.controllerExpandSecretRef is None:
        csi = replace(before.csi, controllerExpandSecretRef=new.spec.csi.controllerExpandSecretRef)
        before = replace(before, csi=csi)
    if any(getattr(new.spec, source) != getattr(before, source) for source in SOURCES):
        detail = "spec.persistentvolumesource is immutable after creation"
        found.append(forbidden(SPEC.child("persistentvolumesource"), detail))
    # Clients know these two paths as they are, without `spec`.
    found += immutable(new.spec.volumeMode, old.spec.volumeMode, Path("volumeMode"))
    if old.spec.nodeAffinity is not None:
        allowed = _with_new_labels(old.spec.nodeAffinity, new.spec.nodeAffinity)
        found += immutable(new.spec.nodeAffinity, allowed, Path("nodeAffinity"))
    attributes = new.spec.volumeAttributesClassName
    if old.spec.volumeAttributesClassName is not None and not attributes:
        detail = f"update from non-nil value to {'nil' if attributes is None else 'an empty string'} is forbidden"
        found.append(forbidden(SPEC.child("volumeAttributesClassName"), detail))
    return found


def _with_new_labels(old: VolumeNodeAffinity, new: VolumeNodeAffinity | None) -> VolumeNodeAffinity:
    """The old affinity, by the labels that replaced its own where the new one asks for those."""
    if old.required is None or new is None or new.required is None:
        return old
    terms = []
    for before, after in zip(old.required.nodeSelectorTerms, new.required.nodeSelectorTerms, strict=False):
        asked = [requirement.key for requirement in after.matchExpressions or ()]
        held = before.matchExpressions or []
        if len(asked) == len(held):
            renamed = [
                replace(each, key=key) if REPLACEMENTS.get(each.key) == key else each
                for each, key in zip(held, asked, strict=True)
            ]
            before = replace(before, matchExpressions=renamed or None)
        terms.append(before)
    terms += old.required.nodeSelectorTerms[len(terms) :]
    return replace(old, required=replace(old.required, nodeSelectorTerms=terms))


def warnings(volume: PersistentVolume, old: PersistentVolume | None) -> list[str]:
    spec, annotations = volume.spec, volume.metadata.annotations or {}
    found = [f"{ANNOTATIONS.key(key)}: {text}" for key, text in DEPRECATED_ANNOTATIONS.items() if key in annotations]
    if spec.persistentVolumeReclaimPolicy == "Recycle":
        found.append(f"{SPEC.child('persistentVolumeReclaimPolicy')}: {RECYCLE}")
    required = spec.nodeAffinity.required if spec.nodeAffinity is not None else None
    terms_at = SPEC.child("nodeAffinity", "required", "nodeSelectorTerms")
    for position, term in enumerate(required.nodeSelectorTerms if required is not None else ()):
        found += term_warnings(term, terms_at.index(position))
    return found + source_warnings(spec, SPEC)


def claim_text(volume: PersistentVolume) -> str:
    claim = volume.spec.claimRef
    return f"{claim.namespace or ''}/{claim.name or ''}" if claim is not None else ""


STRATEGY: Strategy[PersistentVolume] = Strategy(
    warnings=warnings,
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.text("Capacity", lambda volume: str((volume.spec.capacity or {}).get("storage", ""))),
        cells.text("Access Modes", lambda volume: modes_text(volume.spec.accessModes)),
        cells.text("Reclaim Policy", lambda volume: volume.spec.persistentVolumeReclaimPolicy or ""),
        Column(
            name="Status",
            cell=lambda v, _: "Terminating" if v.metadata.deletionTimestamp else v.status.phase or "",
        ),
        cells.text("Claim", claim_text),
        cells.text("StorageClass", storage_class_of),
        cells.text("VolumeAttributesClass", lambda volume: volume.spec.volumeAttributesClassName or cells.UNSET),
        cells.text("Reason", lambda volume: volume.status.reason or ""),
        cells.age_column(),
        cells.text("VolumeMode", lambda volume: volume.spec.volumeMode or cells.UNSET, wide=True),
    ),
    has_generation=False,
)

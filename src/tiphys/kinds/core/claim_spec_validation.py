"""Whether the spec of a PersistentVolumeClaim is well formed.

It stands in claims, in the templates of StatefulSets and in ephemeral volumes of pods.
"""

from __future__ import annotations

from tiphys.kinds.core.resource_validation import validate_storage_request
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.types.core_v1 import PersistentVolumeClaimSpec, TypedLocalObjectReference, TypedObjectReference
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def validate_access_modes(modes: list[str] | None, path: Path) -> list[FieldError]:
    if not modes:
        return [required(path, "at least 1 access mode is required")]
    found = [not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        found.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return found


def validate_claim_spec(spec: PersistentVolumeClaimSpec, path: Path) -> list[FieldError]:
    found = validate_access_modes(spec.accessModes, path.child("accessModes"))
    if spec.selector is not None:
        found += validate_label_selector(spec.selector, path.child("selector"))
    found += validate_storage_request(spec.resources, path.child("resources"))
    if spec.storageClassName:
        texts = subdomain_name(spec.storageClassName)
        found += [invalid(path.child("storageClassName"), spec.storageClassName, text) for text in texts]
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES:
        found.append(not_supported(path.child("volumeMode"), spec.volumeMode, VOLUME_MODES))
    if spec.volumeAttributesClassName:
        texts = subdomain_name(spec.volumeAttributesClassName)
        found += [invalid(path.child("volumeAttributesClassName"), spec.volumeAttributesClassName, t) for t in texts]
    for name in ("dataSource", "dataSourceRef"):
        source = getattr(spec, name)
        if source is not None:
            found += _data_source_findings(source, path.child(name))
    return found + _agreement_findings(spec, path)


def _agreement_findings(spec: PersistentVolumeClaimSpec, path: Path) -> list[FieldError]:
    """The two ways to name a source name the same one."""
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is None or reference is None:
        return []
    if reference.namespace:
        detail = "may not be specified when dataSourceRef.namespace is specified"
        return [invalid(path, path.child("dataSource"), detail)]
    agree = all(getattr(source, field) == getattr(reference, field) for field in ("apiGroup", "kind", "name"))
    return [] if agree else [invalid(path, path.child("dataSource"), "must match dataSourceRef")]


def _data_source_findings(source: TypedLocalObjectReference | TypedObjectReference, path: Path) -> list[FieldError]:
    found = [required(path.child(name)) for name in ("name", "kind") if not getattr(source, name)]
    if not source.apiGroup and source.kind != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        found.append(invalid(path, source.kind, detail))
    elif source.apiGroup:
        found += [invalid(path.child("apiGroup"), source.apiGroup, text) for text in subdomain_name(source.apiGroup)]
    if isinstance(source, TypedObjectReference) and source.namespace:
        found += [invalid(path.child("namespace"), source.namespace, text) for text in label_name(source.namespace)]
    return found

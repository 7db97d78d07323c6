"""Whether metadata is well formed, for every kind alike: names, labels, annotations, owners, finalizers.

And what an update may change of it. The kind says what its names look like (`name_findings`). Setting metadata
(uid, creationTimestamp ...) is the API server's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.kinds.equality import same
from tiphys.kinds.types.meta_v1 import ManagedFieldsEntry, ObjectMeta, OwnerReference
from tiphys.machinery import names
from tiphys.machinery.bounded_cache import bounded_cache
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required, too_long

NameFindings = Callable[[str, bool], list[str]]

METADATA = Path("metadata")
ANNOTATIONS_LIMIT_BYTES = 256 * 1024
FIELD_MANAGER_LIMIT_BYTES, SUBRESOURCE_LIMIT_BYTES = 128, 256
IMMUTABLE = "field is immutable"
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def without_trailing_dash(name: str) -> str:
    """A prefix for generated names may end in a dash, as more will follow it."""
    return f"{name[:-1]}a" if len(name) > 1 and name.endswith("-") else name


@bounded_cache(16384)
def _subdomain(name: str) -> list[str]:
    return names.dns1123_subdomain(name)


@bounded_cache(4096)
def _label(name: str) -> list[str]:
    return names.dns1123_label(name)


@bounded_cache(16384)
def label_key_findings(key: str) -> list[str]:
    """What is wrong with a label's key (also a taint's or resource's name); cached, not to be changed."""
    return names.qualified_name(key)


@bounded_cache(16384)
def label_value_findings(value: str) -> list[str]:
    """What is wrong with a label's value; cached, not to be changed."""
    return names.label_value(value)


def subdomain_name(name: str, prefix: bool = False) -> list[str]:
    """Names like `a.b-c`, the rule for most kinds."""
    return _subdomain(without_trailing_dash(name) if prefix else name)


def label_name(name: str, prefix: bool = False) -> list[str]:
    """Names like `a-b` of at most 63 characters."""
    return _label(without_trailing_dash(name) if prefix else name)


def dns1035_name(name: str, prefix: bool = False) -> list[str]:
    """Names like `a-b` that begin with a letter."""
    return names.dns1035_label(without_trailing_dash(name) if prefix else name)


def path_segment_name(name: str, prefix: bool = False) -> list[str]:
    """Names that can stand in a URL path, the rule of the RBAC kinds."""
    if not prefix and name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{mark}'" for mark in ("/", "%") if mark in name]


def validate_object_meta(
    meta: ObjectMeta,
    namespaced: bool,
    name_findings: NameFindings | None = None,
    path: Path = METADATA,
    qualified_finalizers: bool = True,
) -> list[FieldError]:
    """All findings on the metadata of a new or changed object.

    `qualified_finalizers`: built-in kinds allow a finalizer without a domain only when it is a standard one.
    """
    check = name_findings or subdomain_name
    found: list[FieldError] = []
    if meta.generateName:
        found += [
            invalid(path.child("generateName"), meta.generateName, text) for text in check(meta.generateName, True)
        ]
    if not meta.name:
        found.append(required(path.child("name"), "name or generateName is required"))
    else:
        found += [invalid(path.child("name"), meta.name, text) for text in check(meta.name, False)]
    if namespaced:
        if not meta.namespace:
            found.append(required(path.child("namespace")))
        else:
            found += [invalid(path.child("namespace"), meta.namespace, text) for text in _label(meta.namespace)]
    elif meta.namespace:
        found.append(forbidden(path.child("namespace"), "not allowed on this type"))
    if meta.generation is not None and meta.generation < 0:
        found.append(invalid(path.child("generation"), meta.generation, "must be greater than or equal to 0"))
    _validate_maps(meta, path, found)
    _validate_owners_and_finalizers(meta, path, found, qualified_finalizers)
    return found


def _validate_maps(meta: ObjectMeta, path: Path, found: list[FieldError]) -> None:
    if meta.labels:
        found += validate_labels(meta.labels, path.child("labels"))
    if meta.annotations:
        found += validate_annotations(meta.annotations, path.child("annotations"))
    for position, entry in enumerate(meta.managedFields or ()):
        found += _managed_fields_findings(entry, path, position)


def _validate_owners_and_finalizers(meta: ObjectMeta, path: Path, found: list[FieldError], qualified: bool) -> None:
    if meta.ownerReferences:
        found += validate_owner_references(meta.ownerReferences, path.child("ownerReferences"))
    if meta.finalizers:
        found += validate_finalizers(meta.finalizers, path.child("finalizers"), qualified)


def validate_labels(labels: Mapping[str, str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for key, value in labels.items():
        found += [invalid(path, key, text) for text in label_key_findings(key)]
        found += [invalid(path, value, text) for text in label_value_findings(value)]
    return found


def validate_annotations(annotations: Mapping[str, str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    size = 0
    for key, value in annotations.items():
        found += [invalid(path, key, text) for text in label_key_findings(key.lower())]
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT_BYTES:
        found.append(too_long(path, ANNOTATIONS_LIMIT_BYTES))
    return found


def validate_template_metadata(metadata: ObjectMeta, path: Path, refusal: str = "cannot be set") -> list[FieldError]:
    """Of objects that are made for a pod: they get labels and annotations, and nothing else."""
    found = validate_annotations(metadata.annotations or {}, path.child("annotations"))
    found += validate_labels(metadata.labels or {}, path.child("labels"))
    given = [name for name in metadata.__struct_fields__ if getattr(metadata, name)]
    return found + [forbidden(path.child(n), refusal) for n in given if n not in ("annotations", "labels")]


def validate_owner_references(references: list[OwnerReference], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    controller = ""
    for reference in references:
        if not reference.apiVersion.rpartition("/")[2] or reference.apiVersion.count("/") > 1:
            found.append(invalid(path.child("apiVersion"), reference.apiVersion, "version must not be empty"))
        for field, value in (("kind", reference.kind), ("name", reference.name), ("uid", reference.uid)):
            if not value:
                found.append(invalid(path.child(field), value, "must not be empty"))
        if (reference.apiVersion, reference.kind) == ("v1", "Event"):
            found.append(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"))
        if reference.controller:
            if controller:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references for'
                    f" {controller} and {reference.kind}/{reference.name}"
                )
                found.append(invalid(path, references, detail))
            controller = controller or f"{reference.kind}/{reference.name}"
    return found


def validate_finalizers(finalizers: list[str], path: Path, qualified: bool = True) -> list[FieldError]:
    found: list[FieldError] = []
    for finalizer in finalizers:
        found += [invalid(path, finalizer, text) for text in label_key_findings(finalizer)]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        found.append(invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"))
    if qualified:
        for position, finalizer in enumerate(finalizers):
            found += unqualified_finalizer_findings(finalizer, path.index(position))
    return found


def unqualified_finalizer_findings(finalizer: str, path: Path) -> list[FieldError]:
    """A finalizer is one of the standard ones or has a domain before a slash."""
    if "/" in finalizer or finalizer in STANDARD_FINALIZERS:
        return []
    return [invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")]


def _is_manager(name: str) -> bool:
    return name.isascii() and name.isprintable() and len(name) <= FIELD_MANAGER_LIMIT_BYTES


def _managed_fields_findings(entry: ManagedFieldsEntry, path: Path, position: int) -> list[FieldError]:
    def at(field: str) -> Path:  # only what is wrong needs one: the server writes such entries at every change
        return path.child("managedFields").index(position).child(field)

    found: list[FieldError] = []
    if entry.operation not in ("Apply", "Update"):
        found.append(invalid(at("operation"), entry.operation or "", "must be `Apply` or `Update`"))
    if entry.fieldsType and entry.fieldsType != "FieldsV1":
        found.append(invalid(at("fieldsType"), entry.fieldsType, "must be `FieldsV1`"))
    if not _is_manager(entry.manager or ""):
        found += manager_findings(entry.manager or "", at("manager"))
    if entry.subresource and len(entry.subresource.encode()) > SUBRESOURCE_LIMIT_BYTES:
        found.append(too_long(at("subresource"), SUBRESOURCE_LIMIT_BYTES))
    return found


def manager_findings(name: str, path: Path) -> list[FieldError]:
    """What is wrong with the name of who manages fields."""
    if _is_manager(name):
        return []
    found = [too_long(path, FIELD_MANAGER_LIMIT_BYTES)] if len(name.encode()) > FIELD_MANAGER_LIMIT_BYTES else []
    place = 0
    for character in name:
        if not character.isprintable():
            detail = f"invalid character U+{ord(character):04X} (at position {place})"
            found.append(invalid(path, name, detail))
        place += len(character.encode())
    return found


def validate_object_meta_update(new: ObjectMeta, old: ObjectMeta, path: Path = METADATA) -> list[FieldError]:
    """What an update changed and must not. The API server has already put back what clients may leave out."""
    found: list[FieldError] = []
    for field in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        found += immutable(getattr(new, field), getattr(old, field), path, field)
    if not new.resourceVersion:
        found.append(
            invalid(path.child("resourceVersion"), new.resourceVersion or "", "must be specified for an update")
        )
    if (new.generation or 0) < (old.generation or 0):
        found.append(invalid(path.child("generation"), new.generation or 0, "must not be decremented"))
    if old.deletionTimestamp:
        known = set(old.finalizers or ())
        added = [finalizer for finalizer in new.finalizers or () if finalizer not in known]
        if added:
            words = ", ".join(f'"{finalizer}"' for finalizer in added)
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers "
            found.append(forbidden(path.child("finalizers"), f"{detail}[]string{{{words}}}"))
    return found


def immutable(new: Any, old: Any, path: Path, *fields: str) -> list[FieldError]:
    """A finding when a field that must stay as it was has changed."""
    if same(new, old):
        return []
    return [invalid(path.child(*fields) if fields else path, new, IMMUTABLE)]

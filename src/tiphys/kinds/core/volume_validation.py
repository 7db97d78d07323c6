"""Whether the volumes of a pod are well formed: unique names, exactly one source each, and each source in itself.

Files in volumes must stay inside them: keys, paths and modes are checked here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tiphys.kinds.certificates.certificate_signing_request import signer_findings
from tiphys.kinds.certificates.pod_certificate_request import LONGEST_SECONDS, SHORTEST_SECONDS
from tiphys.kinds.core.account_volume import is_account_volume
from tiphys.kinds.core.claim_spec_validation import validate_claim_spec
from tiphys.kinds.core.env_validation import FILE_FIELDS, validate_field_ref, validate_resource_field_ref
from tiphys.kinds.core.volume_defaults import SOURCES
from tiphys.kinds.core.volume_source_validation import (
    OTHER_SOURCES,
    file_mode_findings,
    iscsi_name_findings,
    one_too_many,
    source_path,
)
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import (
    label_key_findings,
    label_name,
    subdomain_name,
    validate_template_metadata,
)
from tiphys.kinds.types.core_v1 import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    EphemeralVolumeSource,
    HostPathVolumeSource,
    ImageVolumeSource,
    KeyToPath,
    PersistentVolumeClaimVolumeSource,
    SecretVolumeSource,
    Volume,
)
from tiphys.kinds.value_findings import backsteps, local_free_path, user_or_group_id
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
DIRECTORY_MODE = "must be a number between 0 and 01777 (octal), both inclusive"
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


_sources = operator.attrgetter(*SOURCES)


def validate_volumes(
    volumes: list[Volume], path: Path, is_pod: bool = True
) -> tuple[list[FieldError], dict[str, Volume]]:
    """The findings, and by their names the volumes that are well formed: what containers can mount."""
    found: list[FieldError] = []
    named: dict[str, Volume] = {}
    for position, volume in enumerate(volumes):
        at = path.index(position)
        wrong = [] if is_account_volume(volume) else _source_findings(volume, at)
        if not volume.name:
            wrong.append(required(at.child("name")))
        elif label_name(volume.name):
            wrong += [invalid(at.child("name"), volume.name, text) for text in label_name(volume.name)]
        elif volume.name in named:
            wrong.append(duplicate(at.child("name"), volume.name))
        if is_pod and volume.image is not None and not volume.image.reference:
            wrong.append(required(at.child("image", "reference")))
        if volume.iscsi is not None:
            wrong += iscsi_name_findings(volume.iscsi, volume.name, at.child("name"))
        if not wrong:
            named[volume.name] = volume
        found += wrong
    return found, named


def _source_findings(volume: Volume, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    count = 0
    for name, source in zip(SOURCES, _sources(volume), strict=True):
        if source is None:
            continue
        if count:
            found.append(one_too_many(name, path))
            continue
        count += 1
        check = CHECKS.get(name)
        if check is not None:
            found += check(source, source_path(name, path))
    if not count:
        found.append(required(path, "must specify a volume type"))
    return found


def _empty_dir(source: EmptyDirVolumeSource, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if source.sizeLimit is not None and source.sizeLimit.amount < 0:
        found.append(forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
    if source.mode is not None and not 0 <= source.mode <= 0o1777:
        found.append(invalid(path.child("mode"), source.mode, DIRECTORY_MODE))
    return found


def _user_findings(holder: Any, path: Path, field: str = "user") -> list[FieldError]:
    """Whose the files are to be: of a source (`defaultUser`) or of one file."""
    number = getattr(holder, field, None)
    if number is None:
        return []
    return [invalid(path.child(field), number, text) for text in user_or_group_id(number)]


def validate_host_path(source: HostPathVolumeSource, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not source.path:
        return [required(path.child("path"))]
    found += [invalid(path.child("path"), source.path, text) for text in backsteps(source.path)]
    if source.type is not None and source.type not in HOST_PATH_TYPES:
        found.append(not_supported(path.child("type"), source.type, HOST_PATH_TYPES))
    return found


def _secret(source: SecretVolumeSource, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not source.secretName:
        found.append(required(path.child("secretName")))
    found += file_mode_findings(source.defaultMode, path.child("defaultMode")) + _user_findings(
        source, path, "defaultUser"
    )
    return found + _items(source.items, path.child("items"))


def _config_map(source: ConfigMapVolumeSource, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not source.name:
        found.append(required(path.child("name")))
    found += file_mode_findings(source.defaultMode, path.child("defaultMode")) + _user_findings(
        source, path, "defaultUser"
    )
    return found + _items(source.items, path.child("items"))


def _items(items: list[KeyToPath] | None, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, item in enumerate(items or ()):
        found += _item(item, path.index(position))
    return found


def _item(item: KeyToPath, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not item.key:
        found.append(required(path.child("key")))
    if not item.path:
        found.append(required(path.child("path")))
    found += [invalid(path.child("path"), item.path, text) for text in local_free_path(item.path)]
    return found + file_mode_findings(item.mode, path.child("mode")) + _user_findings(item, path)


def _downward(source: DownwardAPIVolumeSource, path: Path) -> list[FieldError]:
    found = file_mode_findings(source.defaultMode, path.child("defaultMode")) + _user_findings(
        source, path, "defaultUser"
    )
    for file in source.items or ():
        found += _downward_file(file, path)
    return found


def _downward_file(file: DownwardAPIVolumeFile, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not file.path:
        found.append(required(path.child("path")))
    found += [invalid(path.child("path"), file.path, text) for text in local_free_path(file.path)]
    if file.fieldRef is not None:
        found += validate_field_ref(file.fieldRef, FILE_FIELDS, path.child("fieldRef"))
        if file.resourceFieldRef is not None:
            found.append(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif file.resourceFieldRef is not None:
        found += validate_resource_field_ref(file.resourceFieldRef, path.child("resourceFieldRef"), True)
    else:
        found.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return found + file_mode_findings(file.mode, path.child("mode")) + _user_findings(file, path)


def _projected(source: Any, path: Path) -> list[FieldError]:
    found = file_mode_findings(source.defaultMode, path.child("defaultMode")) + _user_findings(
        source, path, "defaultUser"
    )
    taken: set[str] = set()
    for position, part in enumerate(source.sources or ()):
        at = path.child("sources").index(position)
        count = 0
        for name, check in _PROJECTIONS.items():
            projected = getattr(part, name)
            if projected is None:
                continue
            count += 1
            found += check(projected, at.child(name))
            found += _user_findings(projected, at.child(name))
            found += _conflicts(projected, taken, path)
        if count > 1:
            found.append(forbidden(at, "may not specify more than 1 volume type"))
    return found


def _paths_of(projected: Any) -> list[str]:
    items = getattr(projected, "items", None)
    if items is not None:
        return [item.path for item in items]
    named = ("path", "credentialBundlePath", "keyPath", "certificateChainPath")
    return [path for name in named if (path := getattr(projected, name, None))]


def _conflicts(projected: Any, taken: set[str], path: Path) -> list[FieldError]:
    """Two parts of one volume must not write the same file."""
    found: list[FieldError] = []
    for file in _paths_of(projected):
        if not file:
            continue
        if file in taken:
            # Of a ConfigMap or Secret, its name is told, not the path.
            found.append(invalid(path, getattr(projected, "name", None) or file, "conflicting duplicate paths"))
        taken.add(file)
    return found


def _named_items(source: Any, path: Path) -> list[FieldError]:
    found = [] if source.name else [required(path.child("name"))]
    return found + _items(source.items, path.child("items"))


def _downward_projection(source: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for file in source.items or ():
        found += _downward_file(file, path)
    return found


def _token(source: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seconds = source.expirationSeconds
    if seconds is not None and seconds < 600:
        found.append(
            invalid(path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes")
        )
    if seconds is not None and seconds > 1 << 32:
        detail = "may not specify a duration larger than 2^32 seconds"
        found.append(invalid(path.child("expirationSeconds"), seconds, detail))
    if not source.path:
        found.append(required(path.child("path")))
    else:
        found += [invalid(path.child("path"), source.path, text) for text in local_free_path(source.path)]
    return found


def _trust_bundle(source: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if source.name and source.signerName:
        found.append(invalid(path, source, "only one of name and signerName may be used"))
    elif source.name:
        found += [
            invalid(path.child("name"), source.name, text) for text in subdomain_name(source.name.replace(":", "."))
        ]
        if source.labelSelector is not None:
            found.append(
                invalid(
                    path.child("labelSelector"),
                    source.labelSelector,
                    "labelSelector must be unset if name is specified",
                )
            )
    elif source.signerName:
        found += signer_findings(source.signerName, path.child("signerName"))
        found += validate_label_selector(source.labelSelector, path.child("labelSelector"))
    else:
        found.append(required(path, "either name or signerName must be specified"))
    if not source.path:
        found.append(required(path.child("path")))
    else:
        found += [invalid(path.child("path"), source.path, text) for text in local_free_path(source.path)]
    return found


def _pod_certificate(source: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    types = ("ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096")
    found += signer_findings(source.signerName, path.child("signerName"))
    for key in source.userAnnotations or ():
        found += [invalid(path.child("userAnnotations"), key, text) for text in label_key_findings(key.lower())]
    if source.keyType not in types:
        found.append(not_supported(path.child("keyType"), source.keyType, types))
    seconds = source.maxExpirationSeconds
    if seconds is not None and not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        bound = f">= {SHORTEST_SECONDS}" if seconds < SHORTEST_SECONDS else f"<= {LONGEST_SECONDS}"
        detail = f"if provided, maxExpirationSeconds must be {bound}"
        found.append(invalid(path.child("maxExpirationSeconds"), seconds, detail))
    named = [name for name in ("credentialBundlePath", "keyPath", "certificateChainPath") if getattr(source, name)]
    if not named:
        found.append(required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
    for name in named:
        file = getattr(source, name)
        found += [invalid(path.child(name), file, text) for text in local_free_path(file)]
    return found


_PROJECTIONS: dict[str, Callable[[Any, Path], list[FieldError]]] = {
    "secret": _named_items,
    "configMap": _named_items,
    "downwardAPI": _downward_projection,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _trust_bundle,
    "podCertificate": _pod_certificate,
}


def _claim(source: PersistentVolumeClaimVolumeSource, path: Path) -> list[FieldError]:
    return [] if source.claimName else [required(path.child("claimName"))]


def _ephemeral(source: EphemeralVolumeSource, path: Path) -> list[FieldError]:
    template = source.volumeClaimTemplate
    at = path.child("volumeClaimTemplate")
    if template is None:
        return [required(at)]
    refusal = "cannot be set for an ephemeral volume"
    found = validate_template_metadata(template.metadata, at.child("metadata"), refusal)
    return found + validate_claim_spec(template.spec, at.child("spec"))


def _image(source: ImageVolumeSource, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not source.pullPolicy:
        found.append(required(path.child("pullPolicy")))
    elif source.pullPolicy not in PULL_POLICIES:
        found.append(not_supported(path.child("pullPolicy"), source.pullPolicy, PULL_POLICIES))
    return found


CHECKS: dict[str, Callable[[Any, Path], list[FieldError]]] = {
    **OTHER_SOURCES,
    "emptyDir": _empty_dir,
    "hostPath": validate_host_path,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "ephemeral": _ephemeral,
    "image": _image,
}

"""Whether the volume sources that lead to storage systems are well formed: what each cannot do without.

The sources of pods and those of PersistentVolumes share these checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.types.core_v1 import ISCSIPersistentVolumeSource
from tiphys.kinds.value_findings import in_range, local_descending_path
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required, too_long

FILE_MODE_MESSAGE = "must be a number between 0 and 0777 (octal), both inclusive"
_ISCSI_FORMS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d\d\.[-.A-Za-z0-9]+(:[^,;*&$|\s]+)"),
    "eui": re.compile(r"eui\.[A-Za-z0-9]{16}"),
    "naa": re.compile(r"naa\.[A-Za-z0-9]{32}"),
}
_DRIVER_NAME_LIMIT = 63
_ISCSI_INTERFACE_LIMIT = 64
_TENANT_LIMIT = 65
_CACHING_MODES = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS = ("Dedicated", "Managed", "Shared")
_BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"


# How clients know sources in the paths of findings, where that is not their name.
_AS_ONLY_ONE = {"gcePersistentDisk": "persistentDisk"}
_AS_ONE_TOO_MANY = {"downwardAPI": "downwarAPI", "cephfs": "cephFS"}


def source_path(source: str, path: Path) -> Path:
    """The path of what is wrong with a source of this name."""
    return path.child(_AS_ONLY_ONE.get(source, source))


def one_too_many(source: str, path: Path) -> FieldError:
    return forbidden(path.child(_AS_ONE_TOO_MANY.get(source, source)), "may not specify more than 1 volume type")


def file_mode_findings(mode: int | None, path: Path) -> list[FieldError]:
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(path, mode, FILE_MODE_MESSAGE)]


def _needs(*fields: str) -> Callable[[Any, Path], list[FieldError]]:
    """A check that these fields are given."""

    def check(source: Any, path: Path) -> list[FieldError]:
        return [required(path.child(name)) for name in fields if not getattr(source, name)]

    return check


def _partitioned(field: str) -> Callable[[Any, Path], list[FieldError]]:
    def check(source: Any, path: Path) -> list[FieldError]:
        found = [] if getattr(source, field) else [required(path.child(field))]
        if source.partition is not None and not 0 <= source.partition <= 255:
            found.append(invalid(path.child("partition"), source.partition, in_range(1, 255)))
        return found

    return check


def _secret_findings(secret: Any, path: Path) -> list[FieldError]:
    """A reference to a Secret is whole; in a PersistentVolume it says in which namespace."""
    if secret is None:
        return []
    named = [name for name in ("name", "namespace") if hasattr(secret, name)]
    return [required(path.child(name)) for name in named if not getattr(secret, name)]


def _cinder(source: Any, path: Path) -> list[FieldError]:
    return _needs("volumeID")(source, path) + _secret_findings(source.secretRef, path.child("secretRef"))


def _azure_file(source: Any, path: Path) -> list[FieldError]:
    found = _needs("secretName", "shareName")(source, path)
    if getattr(source, "secretNamespace", None) == "":
        found.append(required(path.child("secretNamespace")))
    return found


def _git(source: Any, path: Path) -> list[FieldError]:
    found = _needs("repository")(source, path)
    texts = local_descending_path(source.directory or "")
    return found + [invalid(path.child("directory"), source.directory, text) for text in texts]


def _nfs(source: Any, path: Path) -> list[FieldError]:
    found = _needs("server", "path")(source, path)
    if not source.path.startswith("/"):
        found.append(invalid(path.child("path"), source.path, "must be an absolute path"))
    return found


def _iscsi(source: Any, path: Path) -> list[FieldError]:
    found = _needs("targetPortal", "iqn")(source, path)
    if source.iqn:
        found += _iscsi_form(source, source.iqn, path.child("iqn"))
    if not 0 <= source.lun <= 255:
        found.append(invalid(path.child("lun"), source.lun, in_range(0, 255)))
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        found.append(required(path.child("secretRef")))
    if isinstance(source, ISCSIPersistentVolumeSource) and source.secretRef is not None and not source.secretRef.name:
        found.append(required(path.child("secretRef", "name")))
    if source.initiatorName is not None:
        found += _iscsi_form(source, source.initiatorName, path.child("initiatorname"))
    return found


def _iscsi_form(source: Any, name: str, path: Path) -> list[FieldError]:
    """A name of a target or initiator has one of three forms, which its beginning tells."""
    form = next((form for prefix, form in _ISCSI_FORMS.items() if name.startswith(prefix)), None)
    if form is not None and form.fullmatch(name):
        return []
    known = form is not None or isinstance(source, ISCSIPersistentVolumeSource)
    return [invalid(path, name, "must be valid format" + ("" if known else " starting with iqn, eui, or naa"))]


def iscsi_name_findings(source: Any, name: str, path: Path) -> list[FieldError]:
    """An interface of the initiator is called after the volume and its portal, which has a limit. `path` is the
    name's."""
    if source.initiatorName is None or len(f"{name}:{source.targetPortal}") <= _ISCSI_INTERFACE_LIMIT:
        return []
    detail = (
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is"
        " specified."
    )
    return [invalid(path, name, detail)]


def _fc(source: Any, path: Path) -> list[FieldError]:
    names, ids = source.targetWWNs, source.wwids
    found: list[FieldError] = []
    if not names and not ids:
        found.append(required(path.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both"))
    if names and ids:
        found.append(
            invalid(path.child("targetWWNs"), names, "targetWWNs and wwids can not be specified simultaneously")
        )
    if names and source.lun is None:
        found.append(required(path.child("lun"), "lun is required if targetWWNs is specified"))
    elif names and not 0 <= source.lun <= 255:
        found.append(invalid(path.child("lun"), source.lun, in_range(0, 255)))
    return found


def _azure_disk(source: Any, path: Path) -> list[FieldError]:
    found = _needs("diskName", "diskURI")(source, path)
    if source.cachingMode not in (None, *_CACHING_MODES):
        found.append(not_supported(path.child("cachingMode"), source.cachingMode, _CACHING_MODES))
    if source.kind not in (None, *_DISK_KINDS):
        found.append(not_supported(path.child("kind"), source.kind, _DISK_KINDS))
    elif source.kind == "Managed" and not source.diskURI.startswith("/subscriptions"):
        found.append(not_supported(path.child("diskURI"), source.diskURI, (_MANAGED_DISK,)))
    elif source.kind != "Managed" and not source.diskURI.startswith("https://"):
        found.append(not_supported(path.child("diskURI"), source.diskURI, (_BLOB_DISK,)))
    return found


def _quobyte(source: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    form = "must be a host:port pair or multiple pairs separated by commas"
    if not source.registry:
        found.append(required(path.child("registry"), form))
    elif any(len(pair.split(":")) != 2 for pair in source.registry.split(",")):
        found.append(invalid(path.child("registry"), source.registry, form))
    if len(source.tenant or "") >= _TENANT_LIMIT:
        found.append(required(path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters"))
    return found + _needs("volume")(source, path)


def _storage_os(source: Any, path: Path) -> list[FieldError]:
    found = _needs("volumeName")(source, path)
    for name in ("volumeName", "volumeNamespace"):
        value = getattr(source, name)
        if value:
            found += [invalid(path.child(name), value, text) for text in label_name(value)]
    return found + _secret_findings(source.secretRef, path.child("secretRef"))


def driver_name_findings(name: str, path: Path) -> list[FieldError]:
    """The name of a CSI driver: a domain of at most 63 characters, whatever their case."""
    found = [] if name else [required(path)]
    if len(name) > _DRIVER_NAME_LIMIT:
        found.append(too_long(path, _DRIVER_NAME_LIMIT))
    return found + [invalid(path, name, text) for text in subdomain_name(name.lower())]


def _csi(source: Any, path: Path) -> list[FieldError]:
    found = driver_name_findings(source.driver, path.child("driver"))
    secret = source.nodePublishSecretRef
    if secret is not None and not secret.name:
        found.append(required(path.child("nodePublishSecretRef", "name")))
    elif secret is not None:
        found += [invalid(path.child("name"), secret.name, text) for text in subdomain_name(secret.name)]
    return found


def _flocker(source: Any, path: Path) -> list[FieldError]:
    name = source.datasetName or ""
    if not name and not source.datasetUUID:
        return [required(path, "one of datasetName and datasetUUID is required")]
    found: list[FieldError] = []
    if name and source.datasetUUID:
        found.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        found.append(invalid(path.child("datasetName"), name, "must not contain '/'"))
    return found


def _glusterfs(source: Any, path: Path) -> list[FieldError]:
    found = _needs("endpoints", "path")(source, path)
    namespace = getattr(source, "endpointsNamespace", None)  # PersistentVolumes alone have it
    if namespace == "":
        detail = "if the endpointnamespace is set, it must be a valid namespace name"
        found.append(invalid(path.child("endpointsNamespace"), namespace, detail))
    elif namespace is not None:
        found += [invalid(path.child("endpointsNamespace"), namespace, text) for text in label_name(namespace)]
    return found


OTHER_SOURCES: dict[str, Callable[[Any, Path], list[FieldError]]] = {
    "awsElasticBlockStore": _partitioned("volumeID"),
    "azureDisk": _azure_disk,
    "azureFile": _azure_file,
    "cephfs": _needs("monitors"),
    "cinder": _cinder,
    "csi": _csi,
    "fc": _fc,
    "flexVolume": _needs("driver"),
    "flocker": _flocker,
    "gcePersistentDisk": _partitioned("pdName"),
    "gitRepo": _git,
    "glusterfs": _glusterfs,
    "iscsi": _iscsi,
    "nfs": _nfs,
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "quobyte": _quobyte,
    "rbd": _needs("monitors", "image"),
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "storageos": _storage_os,
    "vsphereVolume": _needs("volumePath"),
}


def validate_csi_volume(source: Any, path: Path) -> list[FieldError]:
    """The CSI source of a PersistentVolume, which also needs a handle and whole secret references."""
    found = driver_name_findings(source.driver, path.child("driver"))
    if not source.volumeHandle:
        found.append(required(path.child("volumeHandle")))
    for name in (
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ):
        reference = getattr(source, name)
        if reference is None:
            continue
        if not reference.name:
            found.append(required(path.child(name, "name")))
        if not reference.namespace:
            found.append(required(path.child(name, "namespace")))
        for part in ("name", "namespace"):
            value = getattr(reference, part)
            if value:
                check = subdomain_name if part == "name" else label_name
                found += [invalid(path.child(part), value, text) for text in check(value)]
    return found

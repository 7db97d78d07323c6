"""Whether the volume sources that lead to storage systems are well formed: what each cannot do without.

The sources of pods and those of PersistentVolumes share these checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiphys.kinds.object_meta import label_name
from tiphys.kinds.value_findings import in_range
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

FILE_MODE_MESSAGE = "must be a number between 0 and 0777 (octal), both inclusive"
_DRIVER_NAME_LIMIT = 63


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
            found.append(invalid(path.child("partition"), source.partition, in_range(0, 255)))
        return found

    return check


def _nfs(source: Any, path: Path) -> list[FieldError]:
    found = _needs("server", "path")(source, path)
    if source.path and not source.path.startswith("/"):
        found.append(invalid(path.child("path"), source.path, "must be an absolute path"))
    return found


def _iscsi(source: Any, path: Path) -> list[FieldError]:
    found = _needs("targetPortal", "iqn")(source, path)
    if source.iqn and not source.iqn.startswith(("iqn", "eui", "naa")):
        found.append(invalid(path.child("iqn"), source.iqn, "must be valid format starting with iqn, eui, or naa"))
    if not 0 <= source.lun <= 255:
        found.append(invalid(path.child("lun"), source.lun, in_range(0, 255)))
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        found.append(required(path.child("secretRef")))
    return found


def _fc(source: Any, path: Path) -> list[FieldError]:
    names, ids = source.targetWWNs, source.wwids
    if not names and not ids:
        return [required(path.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")]
    if names and ids:
        return [invalid(path.child("targetWWNs"), names, "targetWWNs and wwids can not be specified simultaneously")]
    if names and source.lun is None:
        return [required(path.child("lun"), "lun is required if targetWWNs is specified")]
    if names and not 0 <= source.lun <= 255:
        return [invalid(path.child("lun"), source.lun, in_range(0, 255))]
    return []


def _azure_disk(source: Any, path: Path) -> list[FieldError]:
    found = _needs("diskName", "diskURI")(source, path)
    if source.cachingMode not in (None, "None", "ReadOnly", "ReadWrite"):
        found.append(not_supported(path.child("cachingMode"), source.cachingMode, ("None", "ReadOnly", "ReadWrite")))
    if source.kind not in (None, "Shared", "Dedicated", "Managed"):
        found.append(not_supported(path.child("kind"), source.kind, ("Dedicated", "Managed", "Shared")))
    return found


def driver_name_findings(name: str, path: Path) -> list[FieldError]:
    """The name of a CSI driver: a domain of at most 63 characters."""
    if not name:
        return [required(path)]
    found: list[FieldError] = []
    if len(name) > _DRIVER_NAME_LIMIT:
        detail = f"must be no more than {_DRIVER_NAME_LIMIT} bytes"
        found.append(invalid(path, name, detail))
    for part in name.lower().split("."):
        found += [invalid(path, name, text) for text in label_name(part)]
    return found


def _csi(source: Any, path: Path) -> list[FieldError]:
    found = driver_name_findings(source.driver, path.child("driver"))
    if source.nodePublishSecretRef is not None and not source.nodePublishSecretRef.name:
        found.append(required(path.child("nodePublishSecretRef", "name")))
    return found


def _flocker(source: Any, path: Path) -> list[FieldError]:
    if not source.datasetName and not source.datasetUUID:
        return [required(path, "one of datasetName and datasetUUID is required")]
    return []


OTHER_SOURCES: dict[str, Callable[[Any, Path], list[FieldError]]] = {
    "awsElasticBlockStore": _partitioned("volumeID"),
    "azureDisk": _azure_disk,
    "azureFile": _needs("secretName", "shareName"),
    "cephfs": _needs("monitors"),
    "cinder": _needs("volumeID"),
    "csi": _csi,
    "fc": _fc,
    "flexVolume": _needs("driver"),
    "flocker": _flocker,
    "gcePersistentDisk": _partitioned("pdName"),
    "gitRepo": _needs("repository"),
    "glusterfs": _needs("endpoints", "path"),
    "iscsi": _iscsi,
    "nfs": _nfs,
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "quobyte": _needs("registry", "volume"),
    "rbd": _needs("monitors", "image"),
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "storageos": _needs("volumeName"),
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
    return found

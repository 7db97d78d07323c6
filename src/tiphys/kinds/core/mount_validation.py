"""Whether a container's volume mounts and devices are well formed and name volumes that the pod has."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.kinds.types.core_v1 import Container, EphemeralContainer, Volume, VolumeMount
from tiphys.kinds.value_findings import backsteps, local_descending_path
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from tiphys.machinery.repetition import repeated

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
MOUNT_OPTIONS = ("nodev", "noexec", "nosuid")
READ_ONLY_MODES = ("Disabled", "Enabled", "IfPossible")


def validate_mounts(
    container: Container | EphemeralContainer, volumes: Mapping[str, Volume], path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    mounted: set[str] = set()
    devices = container.volumeDevices or ()
    for position, mount in enumerate(container.volumeMounts or ()):
        if not mount.name:
            found.append(required(path.index(position).child("name")))
        if mount.name not in volumes:
            found.append(not_found(path.index(position).child("name"), mount.name))
        if not mount.mountPath:
            found.append(required(path.index(position).child("mountPath")))
        if mount.mountPath in mounted:
            found.append(invalid(path.index(position).child("mountPath"), mount.mountPath, "must be unique"))
        mounted.add(mount.mountPath)
        if any(device.name == mount.name for device in devices):
            detail = "must not already exist in volumeDevices"
            found.append(invalid(path.index(position).child("name"), mount.name, detail))
        if any(device.devicePath == mount.mountPath for device in devices):
            detail = "must not already exist as a path in volumeDevices"
            found.append(invalid(path.index(position).child("mountPath"), mount.mountPath, detail))
        if mount.subPath or mount.subPathExpr:
            found += _sub_path_findings(mount, path)
        if mount.mountPropagation is not None:
            found += _propagation_findings(mount.mountPropagation, container, path.child("mountPropagation"))
        if mount.recursiveReadOnly is not None:
            found += _recursive_findings(mount, path.child("recursiveReadOnly"))
        if mount.bindMountOptions:
            found += _option_findings(mount.bindMountOptions, path.index(position).child("bindMountOptions"))
    return found


def _option_findings(options: list[str], path: Path) -> list[FieldError]:
    found = [
        not_supported(path.index(position), option, MOUNT_OPTIONS)
        for position, option in enumerate(options)
        if option not in MOUNT_OPTIONS
    ]
    return found + [duplicate(path.index(position), options[position]) for position in sorted(repeated(options))]


def _sub_path_findings(mount: VolumeMount, path: Path) -> list[FieldError]:
    """`path` is the list's, which is all that clients are told."""
    found: list[FieldError] = []
    if mount.subPath:
        texts = local_descending_path(mount.subPath)
        found += [invalid(path.child("subPath"), mount.subPath, text) for text in texts]
    if mount.subPathExpr:
        at = path.child("subPathExpr")
        if mount.subPath:
            found.append(invalid(at, mount.subPathExpr, "subPathExpr and subPath are mutually exclusive"))
        found += [invalid(at, mount.subPathExpr, text) for text in local_descending_path(mount.subPathExpr)]
    return found


def _propagation_findings(mode: str, container: Container | EphemeralContainer, path: Path) -> list[FieldError]:
    if mode not in PROPAGATIONS:
        return [not_supported(path, mode, PROPAGATIONS)]
    privileged = container.securityContext is not None and container.securityContext.privileged
    if mode == "Bidirectional" and not privileged:
        return [forbidden(path, "Bidirectional mount propagation is available only to privileged containers")]
    return []


def _recursive_findings(mount: VolumeMount, path: Path) -> list[FieldError]:
    if mount.recursiveReadOnly not in READ_ONLY_MODES:
        return [not_supported(path, mount.recursiveReadOnly, READ_ONLY_MODES)]
    if mount.recursiveReadOnly == "Disabled":
        return []
    found: list[FieldError] = []
    if not mount.readOnly:
        detail = "may only be specified when readOnly is true"
        found.append(forbidden(path, detail))
    if mount.mountPropagation not in (None, "None"):
        detail = "may only be specified when mountPropagation is None or not specified"
        found.append(forbidden(path, detail))
    return found


def validate_devices(
    container: Container | EphemeralContainer, volumes: Mapping[str, Volume], path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    paths: set[str] = set()
    mounts = container.volumeMounts or ()
    for position, device in enumerate(container.volumeDevices or ()):
        at = path.index(position)
        volume = volumes.get(device.name)
        if not device.name:
            found.append(required(at.child("name")))
        if device.name in names:
            found.append(invalid(at.child("name"), device.name, "must be unique"))
        if volume is None:
            found.append(not_found(at.child("name"), device.name))
        elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.append(invalid(at.child("name"), device.name, detail))
        if not device.devicePath:
            found.append(required(at.child("devicePath")))
        if device.devicePath in paths:
            found.append(invalid(at.child("devicePath"), device.devicePath, "must be unique"))
        if device.devicePath and backsteps(device.devicePath):
            found.append(invalid(at.child("devicePath"), device.devicePath, "can not contain backsteps ('..')"))
        else:
            paths.add(device.devicePath)
        if any(mount.name == device.name for mount in mounts):
            found.append(invalid(at.child("name"), device.name, "must not already exist in volumeMounts"))
        if any(mount.mountPath == device.devicePath for mount in mounts):
            detail = "must not already exist as a path in volumeMounts"
            found.append(invalid(at.child("devicePath"), device.devicePath, detail))
        if device.name:
            names.add(device.name)
    return found

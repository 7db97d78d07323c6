"""How one volume of a pod is to be set up: kinds, files, modes, ownership.

Plans are complete: whoever carries one out asks nobody else. The texts of `VolumeError` are those of the kubelet's
FailedMount events. Specified in "Volumes", "Projected Volumes", "Configure a Security Context for a Pod" (fsGroup).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from tiphys.kinds.types import core_v1
from tiphys.kubelet.volumes.payload import (
    VolumeError,
    VolumeFile,
    config_map_files,
    downward_files,
    projected_files,
    secret_files,
)
from tiphys.kubelet.volumes.sources import VolumeSources, due_at, token_needs
from tiphys.machinery import quantity

EMPTY_DIR_MODE = 0o777
NO_PLUGIN = "no volume plugin matched"


class VolumeKind(enum.Enum):
    FILES = "files"
    """A tmpfs or directory with files that are swapped atomically."""
    DIRECTORY = "directory"
    TMPFS = "tmpfs"
    HUGE_PAGES = "hugepages"
    HOST_PATH = "host-path"
    """A path of the host; nothing is made in the pod's directory."""
    IMAGE = "image"
    """The runtime mounts an image by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan:
    """`plugin` names the directory of the volume's kind (`kubernetes.io~configmap`). `fs_group` owns the content
    if it is there. `refresh_at`: when to plan anew because something in it runs out (seconds since the epoch),
    None for never."""

    name: str
    plugin: str
    kind: VolumeKind
    read_only: bool = False
    files: tuple[VolumeFile, ...] = ()
    in_memory: bool = False
    """FILES: keep them off the disk (secrets and tokens)."""
    mode: int = EMPTY_DIR_MODE
    size_bytes: int | None = None
    page_size_bytes: int | None = None
    host_path: str = ""
    host_path_type: str = ""
    image: str = ""
    image_pull_policy: str = ""
    fs_group: int | None = None
    fs_group_on_root_mismatch: bool = False
    refresh_at: float | None = None


def failed_mount_message(volume_name: str, error: VolumeError) -> str:
    """The message of the FailedMount event."""
    return f'MountVolume.SetUp failed for volume "{volume_name}" : {error}'


def plan_volume(pod: core_v1.Pod, volume: core_v1.Volume, sources: VolumeSources, now: float) -> VolumePlan:
    """The plan of one volume of `pod.spec.volumes`. VolumeError when it cannot be set up (now)."""
    if volume.emptyDir is not None:
        return _empty_dir(pod, volume.name, volume.emptyDir, sources)
    if volume.hostPath is not None:
        return _host_path(volume.name, volume.hostPath.path, volume.hostPath.type or "")
    if volume.configMap is not None:
        files = config_map_files(volume.configMap, pod, sources)
        return _files(pod, volume.name, "configmap", files, in_memory=False)
    if volume.secret is not None:
        files = secret_files(volume.secret, pod, sources)
        return _files(pod, volume.name, "secret", files, in_memory=True)
    if volume.downwardAPI is not None:
        files = downward_files(volume.downwardAPI, pod, sources)
        return _files(pod, volume.name, "downward-api", files, in_memory=True)
    if volume.projected is not None:
        files = projected_files(volume.projected, pod, sources)
        tokens = [sources.token(pod, need) for need in token_needs(volume.projected)]
        if any(token.expires_at <= now for token in tokens):
            raise VolumeError("failed to fetch token: the one at hand has expired")
        refresh_at = min((due_at(token) for token in tokens), default=None)
        return _files(pod, volume.name, "projected", files, in_memory=True, refresh_at=refresh_at)
    if volume.persistentVolumeClaim is not None:
        claim = volume.persistentVolumeClaim
        return _claimed(pod, volume.name, claim.claimName, bool(claim.readOnly), sources)
    if volume.ephemeral is not None:
        return _claimed(pod, volume.name, f"{pod.metadata.name}-{volume.name}", False, sources)
    if volume.image is not None:
        return VolumePlan(
            name=volume.name,
            plugin="kubernetes.io~image",
            kind=VolumeKind.IMAGE,
            read_only=True,
            image=volume.image.reference or "",
            image_pull_policy=volume.image.pullPolicy or "",
        )
    raise VolumeError(f"{NO_PLUGIN}: {_source_name(volume)} volumes are not supported on this node")


def _source_name(volume: core_v1.Volume) -> str:
    """The field under which a volume says what it is."""
    for field in volume.__struct_fields__:
        if field != "name" and getattr(volume, field) is not None:
            return field
    return "these"


def _fs_group(pod: core_v1.Pod) -> tuple[int | None, bool]:
    context = pod.spec.securityContext
    if context is None:
        return None, False
    return context.fsGroup, context.fsGroupChangePolicy == "OnRootMismatch"


def _files(
    pod: core_v1.Pod,
    name: str,
    plugin: str,
    files: tuple[VolumeFile, ...],
    *,
    in_memory: bool,
    refresh_at: float | None = None,
) -> VolumePlan:
    return VolumePlan(
        name=name,
        plugin=f"kubernetes.io~{plugin}",
        kind=VolumeKind.FILES,
        read_only=True,
        files=files,
        in_memory=in_memory,
        fs_group=_fs_group(pod)[0],
        refresh_at=refresh_at,
    )


def _host_path(name: str, path: str, path_type: str) -> VolumePlan:
    return VolumePlan(
        name=name,
        plugin="kubernetes.io~host-path",
        kind=VolumeKind.HOST_PATH,
        host_path=path,
        host_path_type=path_type,
    )


def _empty_dir(pod: core_v1.Pod, name: str, source: core_v1.EmptyDirVolumeSource, sources: VolumeSources) -> VolumePlan:
    medium = source.medium or ""
    limit = source.sizeLimit.value if source.sizeLimit is not None and source.sizeLimit.value > 0 else None
    page_size_bytes = None
    if medium == "":
        kind = VolumeKind.DIRECTORY
    elif medium == "Memory":
        kind = VolumeKind.TMPFS
        known = [limit, pod_memory_limit_bytes(pod), _allocatable_memory_bytes(sources)]
        limit = min((size for size in known if size is not None), default=None)
    elif medium == "HugePages" or medium.startswith("HugePages-"):
        kind = VolumeKind.HUGE_PAGES
        page_size_bytes = _page_size_bytes(pod, medium)
    else:
        raise VolumeError(f'unknown storage medium "{medium}"')
    fs_group, on_root_mismatch = _fs_group(pod)
    return VolumePlan(
        name=name,
        plugin="kubernetes.io~empty-dir",
        kind=kind,
        mode=source.mode if source.mode is not None else EMPTY_DIR_MODE,
        size_bytes=limit,
        page_size_bytes=page_size_bytes,
        fs_group=fs_group,
        fs_group_on_root_mismatch=on_root_mismatch,
    )


def pod_memory_limit_bytes(pod: core_v1.Pod) -> int | None:
    """The memory limit of a whole pod; None when any of its containers has none."""
    if pod.spec.resources is not None and (pod.spec.resources.limits or {}).get("memory") is not None:
        return (pod.spec.resources.limits or {})["memory"].value
    total = Decimal(0)
    for container in pod.spec.containers:
        limit = (container.resources.limits or {}).get("memory") if container.resources is not None else None
        if limit is None or not limit.amount:
            return None
        total += limit.amount
    return int(total)


def _allocatable_memory_bytes(sources: VolumeSources) -> int | None:
    found = sources.node_allocatable.get("memory")
    return found.value if found is not None else None


def _page_size_bytes(pod: core_v1.Pod, medium: str) -> int:
    """The page size that the medium names, or the only one that the pod's containers ask for."""
    containers = [*(pod.spec.initContainers or ()), *pod.spec.containers]
    sizes = {
        resource.removeprefix("hugepages-")
        for container in containers
        if container.resources is not None
        for resource in (container.resources.requests or container.resources.limits or {})
        if resource.startswith("hugepages-")
    }
    if medium != "HugePages":
        wanted = medium.removeprefix("HugePages-")
        if wanted not in sizes:
            raise VolumeError(f"medium {medium} specified, but no hugepages-{wanted} is requested by a container")
        sizes = {wanted}
    if len(sizes) != 1:
        raise VolumeError("use of HugePages medium requires exactly one huge page size requested by the containers")
    return quantity.parse(sizes.pop()).value


def _claimed(pod: core_v1.Pod, name: str, claim_name: str, read_only: bool, sources: VolumeSources) -> VolumePlan:
    """A volume behind a claim. Only those that are a path of this host can be set up without a driver."""
    namespace = pod.metadata.namespace or ""
    claim = sources.claim(namespace, claim_name)
    if claim is None:
        raise VolumeError(f'failed to fetch PVC from API server: persistentvolumeclaims "{claim_name}" not found')
    if claim.status.phase != "Bound" or not claim.spec.volumeName:
        raise VolumeError(f"PVC {namespace}/{claim_name} is not bound")
    volume = sources.volume(claim.spec.volumeName)
    if volume is None:
        raise VolumeError(f'failed to fetch PV: persistentvolumes "{claim.spec.volumeName}" not found')
    owner = volume.spec.claimRef
    if owner is None or (owner.uid or "") != (claim.metadata.uid or ""):
        raise VolumeError(f'PV "{volume.metadata.name}" is not bound to PVC {namespace}/{claim_name}')
    if volume.spec.volumeMode == "Block":
        raise VolumeError(f'volume "{name}" has volumeMode Block, but is specified in volumeMounts')
    if volume.spec.hostPath is not None:
        plan = _host_path(name, volume.spec.hostPath.path, volume.spec.hostPath.type or "")
    elif volume.spec.local is not None:
        plan = _host_path(name, volume.spec.local.path, "Directory")
    else:
        raise VolumeError(f'{NO_PLUGIN}: PV "{volume.metadata.name}" needs a driver that this node does not have')
    if not read_only:
        return plan
    return VolumePlan(
        name=plan.name,
        plugin=plan.plugin,
        kind=plan.kind,
        read_only=True,
        host_path=plan.host_path,
        host_path_type=plan.host_path_type,
    )

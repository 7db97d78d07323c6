"""The files of volumes that are made from API objects: which keys, at which paths, with which modes and owners.

Two files at one path: the later source wins, as projected volumes promise. A path must stay inside its volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.kubelet.downward import DownwardError, field_value, find_container, resource_value
from tiphys.kubelet.volumes.sources import TokenNeed, VolumeError, VolumeSources, need_of
from tiphys.kubelet.volumes.trust import trust_anchors

DEFAULT_MODE = 0o644
MODE_OF_OWNER = 0o600
LONGEST_PATH = 4096
LONGEST_NAME = 255

__all__ = ["VolumeError", "VolumeFile", "config_map_files", "downward_files", "projected_files", "secret_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFile:
    """`path` is relative and safe. `user` owns the file if given."""

    path: str
    data: bytes
    mode: int
    user: int | None = None


def checked_path(path: str) -> str:
    """The path in its shortest form. VolumeError when it is not inside the volume."""
    if not path:
        raise VolumeError("invalid path: must not be empty")
    if path.startswith("/"):
        raise VolumeError(f"invalid path: must be relative path: {path}")
    if len(path) > LONGEST_PATH:
        raise VolumeError(f"invalid path: must be less than or equal to {LONGEST_PATH} characters")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for part in parts:
        if part == "..":
            raise VolumeError(f"invalid path: must not contain '..': {path}")
        if len(part) > LONGEST_NAME:
            raise VolumeError(f"invalid path: filenames must be less than or equal to {LONGEST_NAME} characters")
    if not parts:
        raise VolumeError(f"invalid path: must not be the volume itself: {path}")
    if parts[0].startswith(".."):
        raise VolumeError(f"invalid path: must not start with '..': {path}")
    return "/".join(parts)


def merged(files: Iterable[VolumeFile]) -> tuple[VolumeFile, ...]:
    """Sorted by path, the last of each path. VolumeError when a file would be a directory of another."""
    by_path = {file.path: file for file in files}
    for path in by_path:
        parts = path.split("/")
        for length in range(1, len(parts)):
            above = "/".join(parts[:length])
            if above in by_path:
                raise VolumeError(f"invalid path: {path} is below the file {above}")
    return tuple(by_path[path] for path in sorted(by_path))


def _selected(
    data: Mapping[str, bytes],
    items: Sequence[core_v1.KeyToPath] | None,
    *,
    default_mode: int,
    default_user: int | None,
    optional: bool,
    missing: str,
) -> list[VolumeFile]:
    """All keys, or those that the items name at their paths."""
    if not items:
        return [
            VolumeFile(path=checked_path(key), data=value, mode=default_mode, user=default_user)
            for key, value in data.items()
        ]
    files = []
    for item in items:
        value = data.get(item.key)
        if value is None:
            if optional:
                continue
            raise VolumeError(f"references non-existent {missing}: {item.key}")
        mode = item.mode if item.mode is not None else default_mode
        user = item.user if item.user is not None else default_user
        files.append(VolumeFile(path=checked_path(item.path), data=value, mode=mode, user=user))
    return files


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


def _config_map(
    name: str,
    optional: bool,
    items: Sequence[core_v1.KeyToPath] | None,
    default_mode: int,
    default_user: int | None,
    pod: core_v1.Pod,
    sources: VolumeSources,
) -> list[VolumeFile]:
    found = sources.config_map(pod.metadata.namespace or "", name)
    if found is None:
        if optional:
            return []
        raise VolumeError(f'configmap "{name}" not found')
    data = {key: value.encode() for key, value in (found.data or {}).items()}
    data.update(found.binaryData or {})
    try:
        return _selected(
            data,
            items,
            default_mode=default_mode,
            default_user=default_user,
            optional=optional,
            missing="config key",
        )
    except VolumeError as error:
        raise VolumeError(f"configmap {error}" if str(error).startswith("references") else str(error)) from error


def _secret(
    name: str,
    optional: bool,
    items: Sequence[core_v1.KeyToPath] | None,
    default_mode: int,
    default_user: int | None,
    pod: core_v1.Pod,
    sources: VolumeSources,
) -> list[VolumeFile]:
    found = sources.secret(pod.metadata.namespace or "", name)
    if found is None:
        if optional:
            return []
        raise VolumeError(f'secret "{name}" not found')
    return _selected(
        found.data or {},
        items,
        default_mode=default_mode,
        default_user=default_user,
        optional=optional,
        missing="secret key",
    )


def config_map_files(
    source: core_v1.ConfigMapVolumeSource, pod: core_v1.Pod, sources: VolumeSources
) -> tuple[VolumeFile, ...]:
    name, optional = source.name or "", bool(source.optional)
    return merged(
        _config_map(name, optional, source.items, _mode(source.defaultMode), source.defaultUser, pod, sources)
    )


def secret_files(
    source: core_v1.SecretVolumeSource, pod: core_v1.Pod, sources: VolumeSources
) -> tuple[VolumeFile, ...]:
    name, optional = source.secretName or "", bool(source.optional)
    return merged(_secret(name, optional, source.items, _mode(source.defaultMode), source.defaultUser, pod, sources))


def downward_files(
    source: core_v1.DownwardAPIVolumeSource, pod: core_v1.Pod, sources: VolumeSources
) -> tuple[VolumeFile, ...]:
    return merged(_downward(source.items, _mode(source.defaultMode), source.defaultUser, pod, sources))


def _downward(
    items: Sequence[core_v1.DownwardAPIVolumeFile] | None,
    default_mode: int,
    default_user: int | None,
    pod: core_v1.Pod,
    sources: VolumeSources,
) -> list[VolumeFile]:
    return [
        VolumeFile(
            path=checked_path(item.path),
            data=_downward_text(item, pod, sources).encode(),
            mode=item.mode if item.mode is not None else default_mode,
            user=item.user if item.user is not None else default_user,
        )
        for item in items or ()
    ]


def _downward_text(item: core_v1.DownwardAPIVolumeFile, pod: core_v1.Pod, sources: VolumeSources) -> str:
    try:
        if item.fieldRef is not None:
            return field_value(pod, item.fieldRef.fieldPath)
        if item.resourceFieldRef is not None:
            reference = item.resourceFieldRef
            container = find_container(pod, reference.containerName or "")
            if container is None:
                raise VolumeError(f"container {reference.containerName or ''} not found")
            return resource_value(container, reference.resource, reference.divisor, sources.node_allocatable)
    except DownwardError as error:
        raise VolumeError(str(error)) from error
    raise VolumeError(f"downward API file {item.path} refers to nothing")


def projected_files(
    source: core_v1.ProjectedVolumeSource, pod: core_v1.Pod, sources: VolumeSources
) -> tuple[VolumeFile, ...]:
    """The files of all sources together. All that is wrong is said at once."""
    mode = _mode(source.defaultMode)
    files: list[VolumeFile] = []
    wrong: list[str] = []
    for projection in source.sources or ():
        try:
            files.extend(_projection(projection, mode, source.defaultUser, pod, sources))
        except VolumeError as error:
            wrong.append(str(error))
    if wrong:
        raise VolumeError(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    return merged(files)


def _projection(
    projection: core_v1.VolumeProjection, mode: int, user: int | None, pod: core_v1.Pod, sources: VolumeSources
) -> list[VolumeFile]:
    if projection.configMap is not None:
        config_map = projection.configMap
        return _config_map(config_map.name or "", bool(config_map.optional), config_map.items, mode, user, pod, sources)
    if projection.secret is not None:
        secret = projection.secret
        return _secret(secret.name or "", bool(secret.optional), secret.items, mode, user, pod, sources)
    if projection.downwardAPI is not None:
        return _downward(projection.downwardAPI.items, mode, user, pod, sources)
    if projection.serviceAccountToken is not None:
        return [_token(projection.serviceAccountToken, mode, user, pod, sources)]
    if projection.clusterTrustBundle is not None:
        data = trust_anchors(projection.clusterTrustBundle, sources.trust_bundles())
        guarded, owner = _guarded(mode, user, pod)
        return [VolumeFile(path=checked_path(projection.clusterTrustBundle.path), data=data, mode=guarded, user=owner)]
    if projection.podCertificate is not None:
        raise VolumeError("podCertificate projections are not supported on this node")
    return []


def _token(
    projection: core_v1.ServiceAccountTokenProjection,
    mode: int,
    user: int | None,
    pod: core_v1.Pod,
    sources: VolumeSources,
) -> VolumeFile:
    need: TokenNeed = need_of(projection)
    token = sources.token(pod, need)
    guarded, owner = _guarded(mode, projection.user if projection.user is not None else user, pod)
    return VolumeFile(path=checked_path(projection.path), data=token.token.encode(), mode=guarded, user=owner)


def _guarded(mode: int, user: int | None, pod: core_v1.Pod) -> tuple[int, int | None]:
    """(mode, owner) of a file for the one user of the pod's containers, or for the fsGroup, if there is such a
    thing."""
    owner = user if user is not None else only_user(pod)
    fs_group = pod.spec.securityContext.fsGroup if pod.spec.securityContext is not None else None
    return (MODE_OF_OWNER if owner is not None or fs_group is not None else mode), owner


def only_user(pod: core_v1.Pod) -> int | None:
    """The user that all containers run as, if the pod says so and it is the same for all."""
    default = pod.spec.securityContext.runAsUser if pod.spec.securityContext is not None else None
    users = {
        container.securityContext.runAsUser
        if container.securityContext is not None and container.securityContext.runAsUser is not None
        else default
        for container in (*(pod.spec.initContainers or ()), *pod.spec.containers)
    }
    return users.pop() if len(users) == 1 else None

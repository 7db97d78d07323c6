"""How a volume appears in a container: sub paths, propagation, read-only mounts.

Whether a sub path really stays inside its volume is settled on the disk, in `kubelet/io/mounts.py`; here its text is
checked.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.kubelet.volumes.sources import VolumeError

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")


class Propagation(enum.IntEnum):
    """The values of the runtime interface."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


_PROPAGATION = {
    "": Propagation.PRIVATE,
    "None": Propagation.PRIVATE,
    "HostToContainer": Propagation.HOST_TO_CONTAINER,
    "Bidirectional": Propagation.BIDIRECTIONAL,
}


def propagation_of(mount: core_v1.VolumeMount) -> Propagation:
    """VolumeError for a value that is none."""
    found = _PROPAGATION.get(mount.mountPropagation or "")
    if found is None:
        raise VolumeError(f"invalid MountPropagation mode: {mount.mountPropagation!r}")
    return found


@dataclass(frozen=True, slots=True)
class MountAccess:
    """`recursive` is None where the runtime decides by what it can do (IfPossible)."""

    read_only: bool
    recursive: bool | None


def access_of(mount: core_v1.VolumeMount, volume_read_only: bool) -> MountAccess:
    """Whether a container may write, and whether mounts below are read-only too."""
    read_only = bool(mount.readOnly) or volume_read_only
    mode = mount.recursiveReadOnly or "Disabled"
    if mode == "Disabled":
        return MountAccess(read_only, False)
    if not mount.readOnly:
        raise VolumeError(f"recursiveReadOnly {mode} needs readOnly")
    if propagation_of(mount) is not Propagation.PRIVATE:
        raise VolumeError(f"recursiveReadOnly {mode} needs mountPropagation None")
    return MountAccess(True, True if mode == "Enabled" else None)


def resolve_sub_path(mount: core_v1.VolumeMount, environment: Mapping[str, str]) -> str:
    """The sub path of a mount, "" for none, with `$(NAME)` of subPathExpr expanded. VolumeError when a name has no
    value or the path would leave the volume."""
    path = mount.subPath or ""
    if mount.subPathExpr:
        path = _expanded(mount.subPathExpr, environment)
    if path.startswith("/"):
        raise VolumeError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise VolumeError(f"unable to provision SubPath `{path}`: must not contain '..'")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts)


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "$"
        if match.group(1) not in environment:
            raise VolumeError(f'missing value for "{match.group(1)}"')
        return environment[match.group(1)]

    return _REFERENCE.sub(value, text)

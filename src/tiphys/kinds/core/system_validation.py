"""Whether a pod asks only for what its operating system has, and its host process containers (Windows) go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.kinds.types.core_v1 import PodSpec, WindowsSecurityContextOptions
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

SYSTEMS = ("linux", "windows")
NOT_FOR_LINUX = "windows options cannot be set for a linux pod"
NOT_FOR_WINDOWS = "cannot be set for a windows pod"
_LINUX_SPEC = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
_LINUX_BOTH = "appArmorProfile", "seLinuxOptions", "seccompProfile"
_LINUX_IDS = "runAsUser", "runAsGroup"
_LINUX_GROUPS = "supplementalGroups", "supplementalGroupsPolicy"
_LINUX_POD_CONTEXT = (
    *_LINUX_BOTH,
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    *_LINUX_IDS,
    *_LINUX_GROUPS,
    "seLinuxChangePolicy",
)
_LINUX_FLAGS = "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation"
_LINUX_CONTEXT = (*_LINUX_BOTH, "capabilities", *_LINUX_FLAGS, "procMount", *_LINUX_IDS)


def validate_system(spec: PodSpec, path: Path) -> list[FieldError]:
    """Of a pod that names its system."""
    assert spec.os is not None
    if not spec.os.name:
        return [required(path.child("os", "name"), "cannot be empty")]
    if spec.os.name not in SYSTEMS:
        return [not_supported(path.child("os"), spec.os.name, SYSTEMS)]
    contexts: list[tuple[Any, Path, tuple[str, ...]]] = [
        (spec.securityContext, path.child("securityContext"), _LINUX_POD_CONTEXT)
    ]
    contexts += [(c.securityContext, at.child("securityContext"), _LINUX_CONTEXT) for c, at in _containers(spec, path)]
    if spec.os.name == "linux":
        return [
            forbidden(at.child("windowsOptions"), NOT_FOR_LINUX)
            for context, at, _ in contexts
            if context is not None and context.windowsOptions is not None
        ]
    found = [forbidden(path.child(name), NOT_FOR_WINDOWS) for name in _LINUX_SPEC if _is_given(spec, name)]
    for context, at, names in contexts:
        if context is not None:
            found += [forbidden(at.child(name), NOT_FOR_WINDOWS) for name in names if _is_given(context, name)]
    return found


def _is_given(holder: Any, name: str) -> bool:
    """Flags of the host that are off and lists without an entry are as good as not there."""
    value = getattr(holder, name)
    return value is not None and not (name in ("hostPID", "hostIPC") and not value) and value != []


def _containers(spec: PodSpec, path: Path) -> Iterator[tuple[Any, Path]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for position, container in enumerate(getattr(spec, field) or ()):
            yield container, path.child(field).index(position)


def validate_host_processes(spec: PodSpec, path: Path) -> list[FieldError]:
    """All containers of a pod are processes of the host, or none is; and then they are on its network."""
    of_pod = _host_process(spec.securityContext)
    if of_pod is None and all(c.securityContext is None for c in (*spec.containers, *(spec.initContainers or ()))):
        return []
    found: list[FieldError] = []
    count = total = 0
    for container, at in _containers(spec, path):
        own = _host_process(container.securityContext)
        total += 1
        count += bool(own if own is not None else of_pod)
        if of_pod is not None and own is not None and own != of_pod:
            was = str(of_pod).lower()
            detail = f"pod hostProcess value must be identical if both are specified, was {was}"
            found.append(invalid(at.child("securityContext", "windowsOptions", "hostProcess"), own, detail))
    if count and count != total:
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        found.append(invalid(path, "", detail))
    if count and not spec.hostNetwork:
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        found.append(invalid(path.child("hostNetwork"), False, detail))
    return found


def _host_process(context: Any) -> bool | None:
    options: WindowsSecurityContextOptions | None = context.windowsOptions if context is not None else None
    return options.hostProcess if options is not None else None

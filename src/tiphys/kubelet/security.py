"""Security contexts: what a pod's and a container's settings together become in CRI, and the refusal to run as root.

A container's own setting wins over the pod's. Specified in "Configure a Security Context for a Pod or Container" and
"Pod Security Standards". Refusals are ConfigError.
"""

from __future__ import annotations

from typing import TypeAlias

from tiphys.kinds.types import core_v1
from tiphys.kubelet.environment import ConfigError
from tiphys.kubelet.interface import CriMessage, ImageRecord, full_name

AnyContainer: TypeAlias = core_v1.Container | core_v1.EphemeralContainer

# NamespaceMode of CRI.
POD, CONTAINER, NODE, TARGET = 0, 1, 2, 3
_PROFILE_TYPES = {"RuntimeDefault": 0, "Unconfined": 1, "Localhost": 2}

MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
)  # fmt: skip
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def namespace_options(pod: core_v1.Pod, target_id: str = "") -> CriMessage:
    """`target_id` is the container whose processes an ephemeral container sees."""
    spec = pod.spec
    pid = NODE if spec.hostPID else POD if spec.shareProcessNamespace else CONTAINER
    options: CriMessage = {
        "network": NODE if spec.hostNetwork else POD,
        "pid": pid,
        "ipc": NODE if spec.hostIPC else POD,
    }
    if target_id and pid == CONTAINER:
        options.update(pid=TARGET, target_id=target_id)
    return options


def profile(chosen: core_v1.SeccompProfile | core_v1.AppArmorProfile, directory: str = "") -> CriMessage:
    """A SecurityProfile; a local seccomp profile is a file under `directory`."""
    result: CriMessage = {"profile_type": _PROFILE_TYPES.get(chosen.type, 0)}
    if chosen.type == "Localhost":
        name = chosen.localhostProfile or ""
        result["localhost_ref"] = f"{directory}/{name}" if directory else name
    return result


def selinux(options: core_v1.SELinuxOptions) -> CriMessage:
    named = {"user": options.user, "role": options.role, "type": options.type, "level": options.level}
    return {key: value for key, value in named.items() if value}


def sandbox_security(pod: core_v1.Pod, seccomp_directory: str) -> CriMessage:
    """LinuxSandboxSecurityContext."""
    context = pod.spec.securityContext or core_v1.PodSecurityContext()
    every = [*pod.spec.containers, *(pod.spec.initContainers or ())]
    result: CriMessage = {
        "namespace_options": namespace_options(pod),
        "privileged": any(each.securityContext is not None and each.securityContext.privileged for each in every),
        # The pause process needs no more than the runtime's default whatever the containers do.
        "seccomp": {"profile_type": _PROFILE_TYPES["RuntimeDefault"]},
    }
    if context.runAsUser is not None:
        result["run_as_user"] = {"value": context.runAsUser}
    if context.runAsGroup is not None:
        result["run_as_group"] = {"value": context.runAsGroup}
    groups = supplemental_groups(context)
    if groups:
        result["supplemental_groups"] = groups
    if context.seLinuxOptions is not None:
        result["selinux_options"] = selinux(context.seLinuxOptions)
    return result


def supplemental_groups(context: core_v1.PodSecurityContext) -> list[int]:
    own = [] if context.fsGroup is None else [context.fsGroup]
    return list(dict.fromkeys([*(context.supplementalGroups or ()), *own]))


def container_security(
    pod: core_v1.Pod, container: AnyContainer, image: ImageRecord, seccomp_directory: str, target_id: str = ""
) -> CriMessage:
    """LinuxContainerSecurityContext. ConfigError when it would run as root though it must not."""
    of_pod = pod.spec.securityContext or core_v1.PodSecurityContext()
    own = container.securityContext or core_v1.SecurityContext()
    user = own.runAsUser if own.runAsUser is not None else of_pod.runAsUser
    group = own.runAsGroup if own.runAsGroup is not None else of_pod.runAsGroup
    non_root = own.runAsNonRoot if own.runAsNonRoot is not None else of_pod.runAsNonRoot
    if non_root:
        refuse_root(pod, container.name, user, image)
    result: CriMessage = {
        "namespace_options": namespace_options(pod, target_id),
        "privileged": bool(own.privileged),
        "readonly_rootfs": bool(own.readOnlyRootFilesystem),
        "no_new_privs": own.allowPrivilegeEscalation is False,
    }
    if user is not None:
        result["run_as_user"] = {"value": user}
    elif image.username:
        result["run_as_username"] = image.username
    elif image.uid is not None:
        result["run_as_user"] = {"value": image.uid}
    if group is not None:
        result["run_as_group"] = {"value": group}
    groups = supplemental_groups(of_pod)
    if groups:
        result["supplemental_groups"] = groups
    if of_pod.supplementalGroupsPolicy == "Strict":
        result["supplemental_groups_policy"] = 1
    if own.capabilities is not None:
        result["capabilities"] = {
            "add_capabilities": list(own.capabilities.add or ()),
            "drop_capabilities": list(own.capabilities.drop or ()),
        }
    options = own.seLinuxOptions or of_pod.seLinuxOptions
    if options is not None:
        result["selinux_options"] = selinux(options)
    _profiles(result, own, of_pod, seccomp_directory)
    if not own.privileged and own.procMount != "Unmasked":
        result["masked_paths"] = list(MASKED_PATHS)
        result["readonly_paths"] = list(READ_ONLY_PATHS)
    return result


def _profiles(
    result: CriMessage, own: core_v1.SecurityContext, of_pod: core_v1.PodSecurityContext, seccomp_directory: str
) -> None:
    seccomp = own.seccompProfile or of_pod.seccompProfile
    if own.privileged or seccomp is None:
        result["seccomp"] = {"profile_type": _PROFILE_TYPES["Unconfined"]}
    else:
        result["seccomp"] = profile(seccomp, seccomp_directory)
    apparmor = own.appArmorProfile or of_pod.appArmorProfile
    if apparmor is not None:
        result["apparmor"] = profile(apparmor)


def refuse_root(pod: core_v1.Pod, container: str, user: int | None, image: ImageRecord) -> None:
    """ConfigError unless it is sure that the container does not run as user 0."""
    where = f'(pod: "{full_name(pod)}", container: {container})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if image.uid == 0 or (image.uid is None and not image.username):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if image.username and image.uid is None:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
            f"cannot verify user is non-root {where}"
        )

"""Whether security contexts, of containers and of pods, are well formed and do not contradict themselves."""

from __future__ import annotations

import re

from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.types.core_v1 import (
    AppArmorProfile,
    PodSecurityContext,
    PodSpec,
    SeccompProfile,
    SecurityContext,
    Sysctl,
    WindowsSecurityContextOptions,
)
from tiphys.kinds.value_findings import local_descending_path, user_or_group_id
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
APP_ARMOR_PATH_LIMIT_BYTES = 4095
_SYSCTL_PATTERN = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_SYSCTL = re.compile(_SYSCTL_PATTERN)
WINDOWS_DOMAIN_LIMIT, WINDOWS_USER_LIMIT = 256, 104
_NETBIOS_DOMAIN = re.compile(r'(?!\.)[^\\/:*?"<>|]{1,15}')
_DNS_DOMAIN = re.compile(
    r"([A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.?"
)
_WINDOWS_USER_MARKS = frozenset('"/\\:;|=,+*?<>@[]')
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def validate_security_context(context: SecurityContext, path: Path, users_own: bool = False) -> list[FieldError]:
    """One container's. `users_own`: the pod has user ids of its own (spec.hostUsers is false)."""
    found: list[FieldError] = []
    for name, number in (("runAsUser", context.runAsUser), ("runAsGroup", context.runAsGroup)):
        if number is not None:
            found += [invalid(path.child(name), number, text) for text in user_or_group_id(number)]
    if context.procMount is not None:
        found += _proc_mount_findings(context.procMount, path.child("procMount"), users_own)
    if context.seccompProfile is not None:
        found += _seccomp_findings(context.seccompProfile, path.child("seccompProfile"))
    if context.allowPrivilegeEscalation is False:
        if context.privileged:
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            found.append(invalid(path, context, detail))
        if context.capabilities is not None and "CAP_SYS_ADMIN" in (context.capabilities.add or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(invalid(path, context, detail))
    if context.windowsOptions is not None:
        found += _windows_findings(context.windowsOptions, path.child("windowsOptions"))
    if context.appArmorProfile is not None:
        found += _app_armor_findings(context.appArmorProfile, path.child("appArmorProfile"))
    return found


def _proc_mount_findings(kind: str, path: Path, users_own: bool) -> list[FieldError]:
    if kind not in ("Default", "Unmasked"):
        return [not_supported(path, kind, ("Default", "Unmasked"))]
    if kind == "Unmasked" and not users_own:
        return [invalid(path, kind, "`hostUsers` must be false to use `Unmasked`")]
    return []


def _seccomp_findings(profile: SeccompProfile, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not profile.type:
        found.append(required(path.child("type"), "type is required when seccompProfile is set"))
    elif profile.type not in PROFILE_TYPES:
        found.append(not_supported(path.child("type"), profile.type, PROFILE_TYPES))
    at = path.child("localhostProfile")
    if profile.type == "Localhost":
        if profile.localhostProfile is None:
            found.append(required(at, "must be set when seccomp type is Localhost"))
        else:
            texts = local_descending_path(profile.localhostProfile)
            found += [invalid(at, profile.localhostProfile, text) for text in texts]
    elif profile.localhostProfile is not None:
        found.append(invalid(at, profile.localhostProfile, "can only be set when seccomp type is Localhost"))
    return found


def _app_armor_findings(profile: AppArmorProfile, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    at = path.child("localhostProfile")
    if profile.type == "Localhost":
        name = profile.localhostProfile
        if not name or not name.strip():
            found.append(required(at, "must be set when AppArmor type is Localhost"))
        elif name.strip() != name:
            found.append(invalid(at, name, "must not be padded with whitespace"))
        elif len(name) > APP_ARMOR_PATH_LIMIT_BYTES:
            found.append(too_long(at, APP_ARMOR_PATH_LIMIT_BYTES))
        return found
    if profile.localhostProfile is not None:
        found.append(invalid(at, profile.localhostProfile, "can only be set when AppArmor type is Localhost"))
    if not profile.type:
        found.append(required(path.child("type"), "type is required when appArmorProfile is set"))
    elif profile.type not in PROFILE_TYPES:
        found.append(not_supported(path.child("type"), profile.type, PROFILE_TYPES))
    return found


def _windows_findings(options: WindowsSecurityContextOptions, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if options.gmsaCredentialSpec is not None:
        if not options.gmsaCredentialSpec:
            found.append(invalid(path.child("gmsaCredentialSpec"), "", "gmsaCredentialSpec cannot be an empty string"))
        elif len(options.gmsaCredentialSpec) > 64 * 1024:
            detail = "gmsaCredentialSpec size must be under 64 KiB"
            found.append(invalid(path.child("gmsaCredentialSpec"), options.gmsaCredentialSpec, detail))
    name = options.gmsaCredentialSpecName
    if name is not None:
        found += [invalid(path.child("gmsaCredentialSpecName"), name, text) for text in subdomain_name(name)]
    if options.runAsUserName is not None:
        texts = _windows_user_findings(options.runAsUserName)
        found += [invalid(path.child("runAsUserName"), options.runAsUserName, text) for text in texts]
    return found


def _windows_user_findings(text: str) -> list[str]:
    """What is wrong with `USER` or `DOMAIN\\USER`, as Windows names its accounts."""
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if any(ord(mark) < 32 or ord(mark) == 127 for mark in text):
        return ["runAsUserName cannot contain control characters"]
    parts = text.split("\\")
    if len(parts) > 2:
        return ["runAsUserName cannot contain more than one backslash"]
    user = parts[-1]
    found: list[str] = []
    if len(parts) == 2:
        domain = parts[0]
        if len(domain) >= WINDOWS_DOMAIN_LIMIT:
            found.append(f"runAsUserName's Domain length must be under {WINDOWS_DOMAIN_LIMIT} characters")
        if not (_NETBIOS_DOMAIN.fullmatch(domain) or _DNS_DOMAIN.fullmatch(domain)):
            found.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        return [*found, "runAsUserName's User cannot be empty"]
    if len(user) > WINDOWS_USER_LIMIT:
        found.append(f"runAsUserName's User length must not be longer than {WINDOWS_USER_LIMIT} characters")
    if not user.strip(". "):
        found.append("runAsUserName's User cannot contain only periods or spaces")
    if any(mark in _WINDOWS_USER_MARKS for mark in user):
        marks = '"/\\:;|=,+*?<>@[]'
        found.append(f"runAsUserName's User cannot contain the following characters: {marks}")
    return found


def validate_pod_security(spec: PodSpec, path: Path) -> list[FieldError]:
    """The pod's own security context and its host namespaces. `path` is the spec's."""
    found = _host_findings(spec, path)
    context = spec.securityContext
    if context is None:
        return found
    at = path.child("securityContext")
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        number = getattr(context, name)
        if number is not None:
            found += [invalid(at.child(name), number, text) for text in user_or_group_id(number)]
    for position, group in enumerate(context.supplementalGroups or ()):
        texts = user_or_group_id(group)
        found += [invalid(at.child("supplementalGroups").index(position), group, text) for text in texts]
    found += _policy_findings(context, at)
    if context.sysctls:
        found += _sysctl_findings(context.sysctls, at.child("sysctls"), spec)
    if context.seccompProfile is not None:
        found += _seccomp_findings(context.seccompProfile, at.child("seccompProfile"))
    if context.windowsOptions is not None:
        found += _windows_findings(context.windowsOptions, at.child("windowsOptions"))
    if context.appArmorProfile is not None:
        found += _app_armor_findings(context.appArmorProfile, at.child("appArmorProfile"))
    return found


def _host_findings(spec: PodSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.hostPID and spec.shareProcessNamespace:
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(invalid(path.child("securityContext", "shareProcessNamespace"), True, detail))
    if spec.hostUsers is False:
        for name, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if getattr(spec, name):
                found.append(forbidden(path.child(shown), "when `pod.Spec.HostUsers` is false"))
    return found


def _policy_findings(context: PodSecurityContext, path: Path) -> list[FieldError]:
    choices = (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    )
    found: list[FieldError] = []
    for name, supported in choices:
        value = getattr(context, name)
        if value is not None and value not in supported:
            found.append(not_supported(path.child(name), value, supported))
    return found


def _sysctl_findings(sysctls: list[Sysctl], path: Path, spec: PodSpec) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, sysctl in enumerate(sysctls):
        at = path.index(position).child("name")
        name = sysctl.name.replace("/", ".")
        if not sysctl.name:
            found.append(required(at))
        elif len(sysctl.name) > 253 or not _SYSCTL.match(sysctl.name):
            detail = f"must have at most 253 characters and match regex {_SYSCTL_PATTERN}"
            found.append(invalid(at, sysctl.name, detail))
        elif sysctl.name in seen:
            found.append(duplicate(at, sysctl.name))
        if spec.hostNetwork and name.startswith("net."):
            found.append(invalid(at, sysctl.name, "may not be specified when 'hostNetwork' is true"))
        if spec.hostIPC and (name.startswith(_IPC_SYSCTLS) or name == "kernel.sem"):
            found.append(invalid(at, sysctl.name, "may not be specified when 'hostIPC' is true"))
        seen.add(sysctl.name)
    return found

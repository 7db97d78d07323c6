"""Whether the containers of a pod are well formed: regular, init (sidecars among them) and ephemeral ones.

What is asked of the pod as a whole (its volumes, claims, system, grace period) comes in a `Surroundings`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tiphys.kinds.core.env_validation import validate_env, validate_env_from
from tiphys.kinds.core.handler_validation import validate_lifecycle, validate_probe
from tiphys.kinds.core.mount_validation import validate_devices, validate_mounts
from tiphys.kinds.core.resource_validation import validate_requirements
from tiphys.kinds.core.security_validation import validate_security_context
from tiphys.kinds.object_meta import label_name
from tiphys.kinds.types.core_v1 import Container, ContainerPort, ContainerResizePolicy, EphemeralContainer, Volume
from tiphys.kinds.value_findings import port_name, port_number
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)

AnyContainer = Container | EphemeralContainer

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RESTART_RULES_LIMIT = 20
EXIT_CODES_LIMIT = 255
NOT_FOR_PLAIN_INIT = "may not be set for init containers without restartPolicy=Always"
NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"
_EPHEMERAL_FORBIDDEN = [
    "ports",
    "resources",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
]


class Surroundings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What containers are checked against. `volumes` by name; `users_own` is spec.hostUsers = false; `is_pod`: they are
    a pod's, no template's."""

    volumes: dict[str, Volume] = {}
    claim_names: frozenset[str] = frozenset()
    restart_policy: str = "Always"
    grace_seconds: int | None = None
    system: str = ""
    users_own: bool = False
    is_pod: bool = False


def validate_containers(containers: Sequence[Container], path: Path, around: Surroundings) -> list[FieldError]:
    """The regular containers: at least one, names unique, host ports without conflict."""
    if not containers:
        return [required(path)]
    found: list[FieldError] = []
    names: set[str] = set()
    for position, container in enumerate(containers):
        at = path.index(position)
        found += validate_container(container, at, around)
        if container.name in names:
            found.append(duplicate(at.child("name"), container.name))
        names.add(container.name)
        _lasting_findings(container, at, around, found)
        if container.restartPolicy is not None or container.restartPolicyRules:
            found += _restart_findings(container, at)
    return found + host_port_conflicts(containers, path)


def validate_init_containers(
    containers: Sequence[Container], path: Path, around: Surroundings, regular: Sequence[Container]
) -> list[FieldError]:
    """Init containers; those that restart always (sidecars) may have what lasts: probes and lifecycle handlers."""
    found: list[FieldError] = []
    names = {container.name for container in regular}
    for position, container in enumerate(containers):
        at = path.index(position)
        found += validate_container(container, at, around)
        if container.name:
            if container.name in names:
                found.append(duplicate(at.child("name"), container.name))
            names.add(container.name)
        found += host_port_conflicts([container], path)
        if container.restartPolicy is not None or container.restartPolicyRules:
            found += _restart_findings(container, at)
        if container.restartPolicy == "Always":
            _lasting_findings(container, at, around, found)
            continue
        for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if getattr(container, name) is not None:
                found.append(forbidden(at.child(name), NOT_FOR_PLAIN_INIT))
    return found


def validate_ephemeral_containers(
    containers: Sequence[EphemeralContainer], path: Path, around: Surroundings, others: Sequence[Container]
) -> list[FieldError]:
    """Ephemeral containers; `others` are the regular and the init containers."""
    found: list[FieldError] = []
    names = {container.name for container in others}
    targets = frozenset(names)
    for position, container in enumerate(containers):
        at = path.index(position)
        found += validate_container(container, at, around)
        if container.name in names:
            found.append(duplicate(at.child("name"), container.name))
        names.add(container.name)
        if container.targetContainerName and container.targetContainerName not in targets:
            found.append(not_found(at.child("targetContainerName"), container.targetContainerName))
        for name in _EPHEMERAL_FORBIDDEN:
            value = getattr(container, name)
            if value and not (name == "resources" and not (value.limits or value.requests or value.claims)):
                found.append(forbidden(at.child(name), NOT_FOR_EPHEMERAL))
        for place, mount in enumerate(container.volumeMounts or ()):
            for name in ("subPath", "subPathExpr"):
                if getattr(mount, name):
                    found.append(forbidden(at.child("volumeMounts").index(place).child(name), NOT_FOR_EPHEMERAL))
    return found


def validate_container(container: AnyContainer, path: Path, around: Surroundings) -> list[FieldError]:
    """What is asked of containers of every sort."""
    found: list[FieldError] = []
    if not container.name:
        found.append(required(path.child("name")))
    elif label_name(container.name):
        found += [invalid(path.child("name"), container.name, text) for text in label_name(container.name)]
    if not container.image:
        found.append(required(path.child("image")))
    elif around.is_pod and container.image.strip() != container.image:
        detail = "must not have leading or trailing whitespace"
        found.append(invalid(path.child("image"), container.image, detail))
    if container.terminationMessagePolicy not in MESSAGE_POLICIES:
        found.append(
            _choice(path.child("terminationMessagePolicy"), container.terminationMessagePolicy, MESSAGE_POLICIES)
        )
    if container.ports:
        found += _port_findings(container.ports, path.child("ports"))
    if container.env:
        found += validate_env(container.env, path.child("env"), around.volumes)
    if container.envFrom:
        found += validate_env_from(container.envFrom, path.child("envFrom"))
    if container.volumeMounts:
        found += validate_mounts(container, around.volumes, path.child("volumeMounts"))
    if container.volumeDevices:
        found += validate_devices(container, around.volumes, path.child("volumeDevices"))
    if container.imagePullPolicy not in PULL_POLICIES:
        found.append(_choice(path.child("imagePullPolicy"), container.imagePullPolicy, PULL_POLICIES))
    if container.resources is not None:
        found += validate_requirements(container.resources, path.child("resources"), around.claim_names)
    if container.resizePolicy:
        found += _resize_findings(container.resizePolicy, path.child("resizePolicy"), around.restart_policy)
    if container.securityContext is not None:
        found += validate_security_context(container.securityContext, path.child("securityContext"), around.users_own)
    return found


def _choice(path: Path, value: str | None, supported: tuple[str, ...]) -> FieldError:
    return not_supported(path, value, supported) if value else required(path)


def _lasting_findings(container: Container, path: Path, around: Surroundings, found: list[FieldError]) -> None:
    if container.lifecycle is not None:
        at = path.child("lifecycle")
        found += validate_lifecycle(container.lifecycle, at, around.grace_seconds, around.system)
    if container.livenessProbe is not None:
        found += validate_probe(container.livenessProbe, path.child("livenessProbe"), "liveness")
    if container.readinessProbe is not None:
        found += validate_probe(container.readinessProbe, path.child("readinessProbe"), "readiness")
    if container.startupProbe is not None:
        found += validate_probe(container.startupProbe, path.child("startupProbe"), "startup")


def _port_findings(ports: list[ContainerPort], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    for position, port in enumerate(ports):
        if port.name:
            texts = port_name(port.name)
            if texts:
                found += [invalid(path.index(position).child("name"), port.name, text) for text in texts]
            elif port.name in names:
                found.append(duplicate(path.index(position).child("name"), port.name))
            names.add(port.name)
        if not port.containerPort:
            found.append(required(path.index(position).child("containerPort")))
        elif port_number(port.containerPort):
            at = path.index(position).child("containerPort")
            found += [invalid(at, port.containerPort, text) for text in port_number(port.containerPort)]
        if port.hostPort and port_number(port.hostPort):
            at = path.index(position).child("hostPort")
            found += [invalid(at, port.hostPort, text) for text in port_number(port.hostPort)]
        if port.protocol not in PROTOCOLS:
            found.append(_choice(path.index(position).child("protocol"), port.protocol, PROTOCOLS))
    return found


def host_port_conflicts(containers: Sequence[Container], path: Path) -> list[FieldError]:
    """The same port of the node twice within one pod."""
    found: list[FieldError] = []
    taken: set[str] = set()
    for position, container in enumerate(containers):
        for place, port in enumerate(container.ports or ()):
            if not port.hostPort:
                continue
            key = f"{port.protocol or ''}/{port.hostIP or ''}/{port.hostPort}"
            if key in taken:
                found.append(duplicate(path.index(position).child("ports").index(place).child("hostPort"), key))
            taken.add(key)
    return found


def _restart_findings(container: Container, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    policy = container.restartPolicy
    if policy is not None and policy not in RESTART_POLICIES:
        found.append(not_supported(path.child("restartPolicy"), policy, RESTART_POLICIES))
    rules = container.restartPolicyRules or []
    at = path.child("restartPolicyRules")
    if rules and policy is None:
        found.append(required(path.child("restartPolicy"), "must specify restartPolicy when restart rules are used"))
    if len(rules) > RESTART_RULES_LIMIT:
        found.append(too_many(at, len(rules), RESTART_RULES_LIMIT))
    for position, rule in enumerate(rules):
        here = at.index(position)
        if rule.action not in ("Restart", "RestartAllContainers"):
            found.append(_choice(here.child("action"), rule.action, ("Restart", "RestartAllContainers")))
        if rule.exitCodes is None:
            found.append(required(here.child("exitCodes"), "must be specified"))
            continue
        if rule.exitCodes.operator not in ("In", "NotIn"):
            found.append(_choice(here.child("exitCodes", "operator"), rule.exitCodes.operator, ("In", "NotIn")))
        values = rule.exitCodes.values or []
        if not values:
            found.append(required(here.child("exitCodes", "values"), "must specify at least one value"))
        if len(values) > EXIT_CODES_LIMIT:
            found.append(too_many(here.child("exitCodes", "values"), len(values), EXIT_CODES_LIMIT))
    return found


def _resize_findings(policies: list[ContainerResizePolicy], path: Path, restart_policy: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, policy in enumerate(policies):
        if policy.resourceName in seen:
            found.append(duplicate(path.index(position), policy.resourceName))
        seen.add(policy.resourceName)
        if policy.resourceName not in ("cpu", "memory"):
            found.append(_choice(path, policy.resourceName, ("cpu", "memory")))
        if policy.restartPolicy not in ("NotRequired", "RestartContainer"):
            found.append(_choice(path, policy.restartPolicy, ("NotRequired", "RestartContainer")))
        elif restart_policy == "Never" and policy.restartPolicy != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            found.append(invalid(path, policy.restartPolicy, detail))
    return found

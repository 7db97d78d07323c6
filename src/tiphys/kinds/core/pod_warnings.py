"""Advice on pods and their templates that are valid and do not do what their author may think.

Given on the creation of a pod, and with every change of a template. Messages name the field they are about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tiphys.kinds.address_warnings import ip_warnings
from tiphys.kinds.core import node_labels
from tiphys.kinds.core.account_volume import is_account_volume
from tiphys.kinds.core.app_armor import ANNOTATION_PREFIX, profile_of
from tiphys.kinds.core.unserved_warnings import eviction_warnings, unserved_container_warnings
from tiphys.kinds.core.volume_warnings import (
    claim_warnings,
    fraction_warnings,
    overlap_warnings,
    source_warnings,
)
from tiphys.kinds.types.core_v1 import (
    Affinity,
    Container,
    ContainerPort,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    SecurityContext,
    Volume,
)
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.field_errors import ROOT, Path, shown
from tiphys.machinery.repetition import repeated

SYSCTLS = 'non-functional in v1.11+; use the "sysctls" field instead'
DEPRECATED_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": SYSCTLS,
    "security.alpha.kubernetes.io/unsafe-sysctls": SYSCTLS,
}
SECCOMP_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
CONTAINER_SECCOMP_ANNOTATION = "container.seccomp.security.alpha.kubernetes.io/"
SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APP_ARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
NO_POD = "a null labelSelector results in matching no pod"
GRACE = "must be >= 0; negative values are invalid and will be treated as 1"
IN_BYTES = ("memory", "ephemeral-storage")


def pod_warnings(spec: PodSpec, metadata: ObjectMeta, path: Path = ROOT) -> list[str]:
    at = path.child("spec")
    found: list[str] = []
    if spec.nodeSelector:
        found += node_labels.selector_warnings(spec.nodeSelector, at.child("nodeSelector"))
    if spec.affinity is not None or spec.topologySpreadConstraints:
        found += _placement_warnings(spec, at)
    annotations = metadata.annotations
    if annotations:
        annotations_at = path.child("metadata", "annotations")
        found += [f"{annotations_at.key(key)}: {DEPRECATED_ANNOTATIONS[key]}" for key in annotations
                  if key in DEPRECATED_ANNOTATIONS]  # fmt: skip
    volumes = [(place, v) for place, v in enumerate(spec.volumes or ()) if not is_account_volume(v)]
    if volumes:
        found += _volume_warnings(volumes, at.child("volumes"))
    if spec.hostAliases or spec.imagePullSecrets or spec.dnsConfig is not None:
        found += _name_warnings(spec, at)
    if spec.overhead:
        found += fraction_warnings(spec.overhead, IN_BYTES, at.child("overhead"))
    if annotations:
        found += _security_warnings(spec, annotations, annotations_at, is_template=str(path) != str(ROOT))
    for container, container_at in _containers(spec, at):
        found += _container_warnings(container, container_at)
    found += _port_warnings(spec, at)
    if spec.terminationGracePeriodSeconds is not None and spec.terminationGracePeriodSeconds < 0:
        found.append(f"{at.child('terminationGracePeriodSeconds')}: {GRACE}")
    found += eviction_warnings(spec, at)
    if spec.affinity is not None:
        found += _pod_affinity_warnings(spec.affinity, at.child("affinity"))
    return found


def template_warnings(template: PodTemplateSpec, path: Path) -> list[str]:
    return pod_warnings(template.spec, template.metadata, path)


def _containers(spec: PodSpec, path: Path) -> Iterator[tuple[Any, Path]]:
    for field, containers in (
        ("initContainers", spec.initContainers),
        ("containers", spec.containers),
        ("ephemeralContainers", spec.ephemeralContainers),
    ):
        for position, container in enumerate(containers or ()):
            yield container, path.child(field).index(position)


# -- where it runs


def _placement_warnings(spec: PodSpec, path: Path) -> list[str]:
    found: list[str] = []
    nodes = spec.affinity.nodeAffinity if spec.affinity is not None else None
    if nodes is not None:
        at = path.child("affinity", "nodeAffinity")
        required = nodes.requiredDuringSchedulingIgnoredDuringExecution
        terms_at = at.child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
        for position, term in enumerate(required.nodeSelectorTerms if required is not None else ()):
            found += node_labels.term_warnings(term, terms_at.index(position))
        preferred_at = at.child("preferredDuringSchedulingIgnoredDuringExecution")
        for position, preferred in enumerate(nodes.preferredDuringSchedulingIgnoredDuringExecution or ()):
            found += node_labels.term_warnings(preferred.preference, preferred_at.index(position).child("preference"))
    for position, constraint in enumerate(spec.topologySpreadConstraints or ()):
        at = path.child("topologySpreadConstraints").index(position)
        found += node_labels.key_warnings(constraint.topologyKey, at.child("topologyKey"))
        if constraint.labelSelector is None:
            found.append(f"{at.child('labelSelector')}: {NO_POD}")
    return found


def _pod_affinity_warnings(affinity: Affinity, path: Path) -> list[str]:
    found: list[str] = []
    for field in ("podAffinity", "podAntiAffinity"):
        pods = getattr(affinity, field)
        if pods is None:
            continue
        at = path.child(field, "requiredDuringSchedulingIgnoredDuringExecution")
        for position, term in enumerate(pods.requiredDuringSchedulingIgnoredDuringExecution or ()):
            if term.labelSelector is None:
                found.append(f"{at.index(position).child('labelSelector')}: {NO_POD}")
        at = path.child(field, "preferredDuringSchedulingIgnoredDuringExecution")
        for position, weighted in enumerate(pods.preferredDuringSchedulingIgnoredDuringExecution or ()):
            if weighted.podAffinityTerm.labelSelector is None:
                found.append(f"{at.index(position).child('podAffinityTerm', 'labelSelector')}: {NO_POD}")
    return found


# -- what it has


def _volume_warnings(volumes: Sequence[tuple[int, Volume]], path: Path) -> list[str]:
    found: list[str] = []
    for position, volume in volumes:
        at = path.index(position)
        found += source_warnings(volume, at)
        if volume.ephemeral is not None and volume.ephemeral.volumeClaimTemplate is not None:
            template_at = at.child("ephemeral", "volumeClaimTemplate", "spec")
            found += claim_warnings(volume.ephemeral.volumeClaimTemplate.spec, template_at)
    for _, volume in volumes:
        found += overlap_warnings(volume)
    return found


def _name_warnings(spec: PodSpec, path: Path) -> list[str]:
    """Of hosts, registries and name servers."""
    aliases = [alias.ip for alias in spec.hostAliases or ()]
    secrets = [reference.name or "" for reference in spec.imagePullSecrets or ()]
    found: list[str] = []
    again = repeated(aliases)
    for position, ip in enumerate(aliases):
        at = path.child("hostAliases").index(position).child("ip")
        found += [f"{at}: duplicate ip {shown(ip)}"] if position in again else []
        found += ip_warnings(ip, at)
    at = path.child("imagePullSecrets")
    again = repeated(secrets)
    for position, name in enumerate(secrets):
        if position in again:
            found.append(f"{at.index(position).child('name')}: duplicate name {shown(name)}")
        if not name:
            found.append(f'{at.index(position).child("name")}: invalid empty name ""')
    servers = spec.dnsConfig.nameservers if spec.dnsConfig is not None else None
    for position, ip in enumerate(servers or ()):
        found += ip_warnings(ip, path.child("dnsConfig", "nameservers").index(position))
    return found


def _security_warnings(spec: PodSpec, annotations: dict[str, str], path: Path, is_template: bool) -> list[str]:
    """Annotations that fields have replaced, where the field is not set."""
    found: list[str] = []
    pod = spec.securityContext
    if SECCOMP_ANNOTATION in annotations and (pod is None or pod.seccompProfile is None):
        found.append(f"{path.key(SECCOMP_ANNOTATION)}: {SECCOMP}")
    for container, _ in _containers(spec, ROOT):
        own = container.securityContext
        key = CONTAINER_SECCOMP_ANNOTATION + container.name
        if key in annotations and (own is None or own.seccompProfile is None):
            found.append(f"{path.key(key)}: {SECCOMP}")
        key = ANNOTATION_PREFIX + container.name
        has_field = any(context is not None and context.appArmorProfile is not None for context in (pod, own))
        if key in annotations and (not has_field if is_template else _counts_alone(annotations[key], pod, own)):
            found.append(f"{path.key(key)}: {APP_ARMOR}")
    return found


def _counts_alone(text: str, pod: PodSecurityContext | None, own: SecurityContext | None) -> bool:
    """Whether a pod's AppArmor annotation says what no field said, or nothing that a field can say. (By now the
    container's own field has been made of it.)"""
    means = profile_of(text)
    of_pod = pod.appArmorProfile if pod is not None else None
    if own is not None and own.appArmorProfile is not None:
        return own.appArmorProfile == means != of_pod
    return means is None or means != of_pod


# -- its containers


def _container_warnings(container: Container, path: Path) -> list[str]:
    found: list[str] = []
    resources = container.resources
    for field in ("limits", "requests") if resources is not None else ():
        amounts = getattr(resources, field)
        if amounts:
            found += fraction_warnings(amounts, IN_BYTES, path.child("resources", field))
    found += unserved_container_warnings(container, path)
    return found + _variable_warnings(container, path.child("env")) if container.env else found


def _variable_warnings(container: Container, path: Path) -> list[str]:
    """A variable may be made of its former value: `PATH` of `$(PATH):/more`."""
    found: list[str] = []
    seen: Counter[str] = Counter()
    for position, variable in enumerate(container.env or ()):
        value, former = variable.value or "", f"$({variable.name})"
        builds_on_it = variable.valueFrom is None and former in value and value != former
        if seen[variable.name] and not builds_on_it:
            name = shown(variable.name)
            found.append(
                f"{path.index(position)}: hides previous definition of {name}, which may be dropped when using apply"
            )
        seen[variable.name] += 1
    return found


def _port_warnings(spec: PodSpec, path: Path) -> list[str]:
    found: list[str] = []
    known: dict[tuple[int, str | None], list[tuple[Path, ContainerPort]]] = {}
    for container, container_at in _containers(spec, path):
        for position, port in enumerate(container.ports or ()):
            at = container_at.child("ports").index(position)
            if port.hostIP and not port.hostPort:
                found.append(f"{at}: hostIP set without hostPort: {_port_text(port)}")
            others = known.setdefault((port.containerPort, port.protocol), [])
            found += _port_conflicts(port, at, others)
            others.append((at, port))
    return found


def _port_conflicts(port: ContainerPort, path: Path, others: Sequence[tuple[Path, ContainerPort]]) -> list[str]:
    found: list[str] = []
    place = (port.hostIP or "", port.hostPort or 0)
    for other_at, other in others:
        other_place = (other.hostIP or "", other.hostPort or 0)
        if place == other_place:
            found.append(f"{path}: duplicate port definition with {other_at}")
        elif not place[1] or not other_place[1]:
            found.append(f"{path}: overlapping port definition with {other_at}")
        elif place[1] == other_place[1] and bool(place[0]) != bool(other_place[0]):
            found.append(f"{path}: dangerously ambiguous port definition with {other_at}")
    return found


def _port_text(port: ContainerPort) -> str:
    return (
        f"{{Name:{port.name or ''} HostPort:{port.hostPort or 0} ContainerPort:{port.containerPort}"
        f" Protocol:{port.protocol or ''} HostIP:{port.hostIP or ''}}}"
    )

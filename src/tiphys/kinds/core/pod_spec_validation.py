"""Whether the spec of a pod is well formed, all findings at once, in a pod or in any template that one is made from.

Containers, volumes, security, affinity and tolerations have files of their own; this one joins them and checks the
rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tiphys.kinds.core.affinity_validation import validate_affinity, validate_spread
from tiphys.kinds.core.container_validation import (
    Surroundings,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from tiphys.kinds.core.dns_validation import validate_dns, validate_host_aliases
from tiphys.kinds.core.eviction_validation import validate_eviction
from tiphys.kinds.core.pod_amounts import REQUESTS, container_amounts
from tiphys.kinds.core.resource_validation import (
    POD_RESOURCES,
    is_pod_resource,
    validate_overhead,
    validate_requirements,
)
from tiphys.kinds.core.security_validation import validate_pod_security
from tiphys.kinds.core.system_validation import validate_host_processes, validate_system
from tiphys.kinds.core.toleration_validation import validate_tolerations
from tiphys.kinds.core.volume_validation import validate_volumes
from tiphys.kinds.object_meta import label_key_findings, label_name, subdomain_name, validate_labels
from tiphys.kinds.types.core_v1 import Container, PodSpec
from tiphys.kinds.value_findings import LARGEST_INT32, in_range
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
from tiphys.machinery.quantity import ZERO, from_amount

RESTART_POLICIES = ("Always", "OnFailure", "Never")
HOSTNAME_LIMIT = 64  # the kernel's
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")


def validate_pod_spec(spec: PodSpec, path: Path, is_pod: bool = False) -> list[FieldError]:
    """`is_pod`: the spec is a pod's own, which has all that is left to be filled in where a template is used."""
    found: list[FieldError] = []
    wrong_volumes, volumes = validate_volumes(spec.volumes or [], path.child("volumes"), is_pod)
    found += wrong_volumes
    if spec.resourceClaims:
        found += _resource_claim_findings(spec, path.child("resourceClaims"))
    around = Surroundings(
        volumes=volumes,
        claim_names=frozenset(claim.name for claim in spec.resourceClaims or ()),
        restart_policy=spec.restartPolicy or "",
        grace_seconds=spec.terminationGracePeriodSeconds,
        system=spec.os.name if spec.os else "",
        users_own=spec.hostUsers is False,
        is_pod=is_pod,
    )
    found += validate_containers(spec.containers, path.child("containers"), around)
    if spec.initContainers:
        found += validate_init_containers(spec.initContainers, path.child("initContainers"), around, spec.containers)
    if spec.ephemeralContainers:
        others = [*spec.containers, *(spec.initContainers or ())]
        at = path.child("ephemeralContainers")
        found += validate_ephemeral_containers(spec.ephemeralContainers, at, around, others)
    if spec.resources is not None:
        found += _pod_resource_findings(spec, path.child("resources"))
    if spec.hostNetwork:
        found += _host_port_findings(spec.containers, path.child("containers"), is_pod)
    if spec.restartPolicy not in RESTART_POLICIES:
        found.append(_choice(path.child("restartPolicy"), spec.restartPolicy, RESTART_POLICIES))
    found += validate_dns(spec, path)
    found += validate_pod_security(spec, path)
    found += validate_host_processes(spec, path)
    if spec.evictionResponders or spec.schedulingGroup is not None:
        found += validate_eviction(spec, path)
    _validate_placement(spec, path, found)
    _validate_identity(spec, path, found)
    return found


def _choice(path: Path, value: str | None, supported: tuple[str, ...]) -> FieldError:
    return not_supported(path, value, supported) if value else required(path)


def _validate_placement(spec: PodSpec, path: Path, found: list[FieldError]) -> None:
    """What the scheduler looks at."""
    if spec.nodeSelector:
        found += validate_labels(spec.nodeSelector, path.child("nodeSelector"))
    if spec.affinity is not None:
        found += validate_affinity(spec.affinity, path.child("affinity"))
    if spec.readinessGates:
        found += _gate_findings(
            [gate.conditionType for gate in spec.readinessGates], path, "readinessGates", "conditionType"
        )
    if spec.schedulingGates:
        found += _scheduling_gate_findings(spec, path.child("schedulingGates"))
    if spec.topologySpreadConstraints:
        found += validate_spread(spec.topologySpreadConstraints, path.child("topologySpreadConstraints"))
    if spec.tolerations:
        found += validate_tolerations(spec.tolerations, path.child("tolerations"))
    if spec.nodeName:
        found += [invalid(path.child("nodeName"), spec.nodeName, text) for text in subdomain_name(spec.nodeName)]
    if spec.preemptionPolicy is not None and spec.preemptionPolicy not in PREEMPTION_POLICIES:
        found.append(_choice(path.child("preemptionPolicy"), spec.preemptionPolicy, PREEMPTION_POLICIES))
    if spec.overhead:
        found += validate_overhead(spec.overhead, path.child("overhead"))


def _validate_identity(spec: PodSpec, path: Path, found: list[FieldError]) -> None:
    """Names that the pod goes by or refers to, and how long it may live."""
    names = (
        ("serviceAccountName", spec.serviceAccountName, subdomain_name),
        ("hostname", spec.hostname, label_name),
        ("subdomain", spec.subdomain, label_name),
        ("hostnameOverride", spec.hostnameOverride, subdomain_name),
        ("priorityClassName", spec.priorityClassName, subdomain_name),
        ("runtimeClassName", spec.runtimeClassName, subdomain_name),
    )
    for field, value, check in names:
        if value or (value is not None and field in ("runtimeClassName", "hostnameOverride")):
            found += [invalid(path.child(field), value, text) for text in check(value)]
    if spec.hostnameOverride and len(spec.hostnameOverride) > HOSTNAME_LIMIT:
        found.append(too_long(path.child("hostnameOverride"), HOSTNAME_LIMIT))
    if spec.hostnameOverride and spec.hostNetwork:
        found.append(
            invalid(path.child("hostnameOverride"), spec.hostnameOverride, "may not be set when `hostNetwork` is true")
        )
    if spec.hostnameOverride and spec.setHostnameAsFQDN:
        detail = "may not be set when `setHostnameAsFQDN` is true"
        found.append(invalid(path.child("hostnameOverride"), spec.hostnameOverride, detail))
    seconds = spec.activeDeadlineSeconds
    if seconds is not None and not 1 <= seconds <= LARGEST_INT32:
        found.append(invalid(path.child("activeDeadlineSeconds"), seconds, in_range(1, LARGEST_INT32)))
    if spec.hostAliases:
        found += validate_host_aliases(spec.hostAliases, path.child("hostAliases"))
    if spec.os is not None:
        found += validate_system(spec, path)


def _host_port_findings(containers: Sequence[Container], path: Path, is_pod: bool) -> list[FieldError]:
    """On the node's network a container's port is the node's port."""
    found: list[FieldError] = []
    for position, container in enumerate(containers):
        for place, port in enumerate(container.ports or ()):
            if (is_pod or port.hostPort) and port.hostPort != port.containerPort:
                at = path.index(position).child("ports").index(place).child("hostPort")
                detail = "must match `containerPort` when `hostNetwork` is true"
                found.append(invalid(at, port.hostPort or 0, detail))
    return found


def _gate_findings(names: list[str], path: Path, field: str, leaf: str) -> list[FieldError]:
    found: list[FieldError] = []
    for position, name in enumerate(names):
        at = path.child(field).index(position).child(leaf)
        found += [invalid(at, name, text) for text in label_key_findings(name)]
    return found


def _scheduling_gate_findings(spec: PodSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, gate in enumerate(spec.schedulingGates or ()):
        found += [invalid(path.index(position), gate.name, text) for text in label_key_findings(gate.name)]
        if gate.name in seen:
            found.append(duplicate(path.index(position), gate.name))
        seen.add(gate.name)
    return found


def _resource_claim_findings(spec: PodSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, claim in enumerate(spec.resourceClaims or ()):
        at = path.index(position)
        if not claim.name:
            found.append(required(at.child("name")))
        elif claim.name in seen:
            found.append(duplicate(at.child("name"), claim.name))
        else:
            found += [invalid(at.child("name"), claim.name, text) for text in label_name(claim.name)]
        seen.add(claim.name)
        if claim.resourceClaimName is not None and claim.resourceClaimTemplateName is not None:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            found.append(invalid(at, claim, detail))
        elif claim.resourceClaimName is None and claim.resourceClaimTemplateName is None:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            found.append(invalid(at, claim, detail))
        for field in ("resourceClaimName", "resourceClaimTemplateName"):
            value = getattr(claim, field)
            if value is not None:
                found += [invalid(at.child(field), value, text) for text in subdomain_name(value)]
    return found


def _pod_resource_findings(spec: PodSpec, path: Path) -> list[FieldError]:
    """Requirements of the pod as a whole; its containers' together must fit into them."""
    assert spec.resources is not None
    found: list[FieldError] = []
    if spec.resources.claims is not None:
        found.append(forbidden(path.child("claims"), "claims cannot be set for Resources at pod-level"))
    found += validate_requirements(msgspec.structs.replace(spec.resources, claims=None), path)
    for side in ("limits", "requests"):
        for name in getattr(spec.resources, side) or ():
            if not is_pod_resource(name):
                found.append(not_supported(path.child(side).key(name), name, POD_RESOURCES))
    requests, limits = spec.resources.requests or {}, spec.resources.limits or {}
    for name, together in container_amounts(spec, REQUESTS).items():
        given = requests.get(name, ZERO)
        if is_pod_resource(name) and together > given.amount:
            asked = from_amount(together, binary=name != "cpu")
            detail = f"must be greater than or equal to aggregate container requests of {asked}"
            found.append(invalid(path.child("requests").key(name), str(given), detail))
    for position, container in enumerate(spec.containers):
        for name, limit in ((container.resources.limits if container.resources else None) or {}).items():
            if name in limits and limit.amount > limits[name].amount:
                at = path.child("containers").index(position).key(name).child("limits")  # as clients know it
                found.append(invalid(at, str(limit), f"must be less than or equal to pod limits of {limits[name]}"))
    return found

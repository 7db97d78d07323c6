"""What may be written into the status of a pod: what ended for good does not begin again; what is named is there."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.core.pod_annotation_validation import validate_annotation_update
from tiphys.kinds.object_meta import immutable, label_key_findings, subdomain_name
from tiphys.kinds.types.core_v1 import (
    Container,
    ContainerStatus,
    LinuxContainerUser,
    Pod,
    PodCondition,
    PodExtendedResourceClaimStatus,
    PodSpec,
    PodStatus,
)
from tiphys.kinds.value_findings import address_family, user_or_group_id
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from tiphys.machinery.repetition import repeated

STATUS = Path("status")
SYSTEM_CONDITIONS = frozenset(["PodScheduled", "Ready", "Initialized"])
HEALTHS = ("Healthy", "Unhealthy", "Unknown")
_NO_CLAIM = (
    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or"
    " 'claim:<claimName>' if request is empty"
)
_NO_REQUEST = "must match one of the container's resource requests"
_ENDED = "may not be transitioned to non-terminated state"


def validate_pod_status_update(new: Pod, old: Pod) -> list[FieldError]:
    found = validate_annotation_update(new, old)
    found += _condition_findings(new.status.conditions or (), Path("metadata").child("conditions"))
    node = new.status.nominatedNodeName
    if node and node != old.status.nominatedNodeName:
        found += [invalid(STATUS.child("nominatedNodeName"), node, text) for text in subdomain_name(node)]
    found += immutable(new.status.qosClass, old.status.qosClass, STATUS, "qosClass")
    found += _restart_findings(new.status, old)
    found += _claim_findings(new)
    found += _address_findings([entry.ip for entry in new.status.podIPs or ()], STATUS.child("podIPs"))
    hosts = [entry.ip for entry in new.status.hostIPs or ()]
    if hosts and hosts[0] != (new.status.hostIP or ""):
        found.append(invalid(STATUS.child("hostIPs").index(0).child("ip"), hosts[0], "must be equal to `hostIP`"))
    return found + _address_findings(hosts, STATUS.child("hostIPs")) + _container_findings(new)


def _condition_findings(conditions: Sequence[PodCondition], path: Path) -> list[FieldError]:
    """Conditions of somebody's own have qualified names. Clients know the path as it is, misplaced."""
    found: list[FieldError] = []
    for position, condition in enumerate(conditions):
        if condition.type not in SYSTEM_CONDITIONS:
            at = path.index(position).child("Type")
            found += [invalid(at, condition.type, text) for text in label_key_findings(condition.type)]
    return found


# -- what ended


def _restart_findings(new: PodStatus, old: Pod) -> list[FieldError]:
    """Ephemeral containers never begin again; the others do as the pod or their own rules say."""
    spec, found = old.spec, list[FieldError]()
    for field, containers in (("containerStatuses", spec.containers), ("initContainerStatuses", spec.initContainers)):
        before, after = getattr(old.status, field), getattr(new, field)
        if before and spec.restartPolicy != "Always":
            may_restart = {c.name for c in containers or () if _has_own_rules(c) or _restarts_everything(spec)}
            found += _ended_findings(before, after, STATUS.child(field), spec.restartPolicy or "", may_restart)
    before, after = old.status.ephemeralContainerStatuses, new.ephemeralContainerStatuses
    return found + _ended_findings(before or [], after, STATUS.child("ephemeralContainerStatuses"), "Never", set())


def _has_own_rules(container: Container) -> bool:
    return container.restartPolicy is not None or bool(container.restartPolicyRules)


def _restarts_everything(spec: PodSpec) -> bool:
    """Whether the end of one container may restart all."""
    containers = (*spec.containers, *(spec.initContainers or ()))
    return any(rule.action == "RestartAllContainers" for c in containers for rule in c.restartPolicyRules or ())


def _ended_findings(
    old: list[ContainerStatus], new: list[ContainerStatus] | None, path: Path, policy: str, may_restart: set[str]
) -> list[FieldError]:
    found: list[FieldError] = []
    now = {status.name: status for status in new or ()}
    for position, before in enumerate(old):
        ended = before.state.terminated if before.state else None
        if ended is None or before.name not in now or before.name in may_restart:
            continue
        if policy == "OnFailure" and ended.exitCode != 0:
            continue
        state = now[before.name].state
        if state is None or state.terminated is None:
            found.append(forbidden(path.index(position).child("state"), _ENDED))
    return found


# -- claims


def _claim_findings(pod: Pod) -> list[FieldError]:
    path, found, seen = STATUS.child("resourceClaimStatuses"), list[FieldError](), set[str]()
    known = {claim.name for claim in pod.spec.resourceClaims or ()}
    for position, status in enumerate(pod.status.resourceClaimStatuses or ()):
        at = path.index(position).child("name")
        if status.name not in known:
            found.append(invalid(at, status.name, "must match the name of an entry in `spec.resourceClaims`"))
        if status.name in seen:
            found.append(duplicate(at, status.name))
        seen.add(status.name)
        name = status.resourceClaimName
        if name is not None:
            found += [invalid(at, name, text) for text in subdomain_name(name)]
    extended = pod.status.extendedResourceClaimStatus
    if extended is not None:
        found += _extended_findings(extended, pod.spec, STATUS.child("extendedResourceClaimStatus"))
    return found


def _extended_findings(status: PodExtendedResourceClaimStatus, spec: PodSpec, path: Path) -> list[FieldError]:
    """Which requests of the claim stand for which of the containers' amounts."""
    name = status.resourceClaimName
    found = [invalid(path.child("resourceClaimName"), name, text) for text in subdomain_name(name)]
    if not status.requestMappings:
        found.append(required(path.child("requestMappings")))
    containers = {container.name: container for container in (*(spec.initContainers or ()), *spec.containers)}
    for position, mapping in enumerate(status.requestMappings or ()):
        at = path.child("requestMappings").index(position)
        container = containers.get(mapping.containerName)
        if container is None:
            detail = "must match the name of an entry in `spec.initContainers` or `spec.containers`"
            found.append(invalid(at.child("containerName"), mapping.containerName, detail))
        elif mapping.resourceName not in _requests(container):
            found.append(invalid(at.child("resourceName"), mapping.resourceName, _NO_REQUEST))
        if not mapping.requestName:
            found.append(required(at.child("requestName")))
    return found


# -- addresses


def _address_findings(addresses: list[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, address in enumerate(addresses):
        if not address_family(address):
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            found.append(invalid(path.index(position), address, detail))
    for position in sorted(repeated(addresses)):
        found.append(duplicate(path.index(position), {"ip": addresses[position]}))
    families = [address_family(address) for address in addresses if address_family(address)]
    if len(families) > len(set(families)):
        shown = [{"ip": address} for address in addresses]
        found.append(invalid(path, shown, "may specify no more than one IP for each IP family"))
    return found


# -- containers


def _container_findings(pod: Pod) -> list[FieldError]:
    found: list[FieldError] = []
    windows = pod.spec.os is not None and pod.spec.os.name == "windows"
    for field, containers in (
        ("containerStatuses", pod.spec.containers),
        ("initContainerStatuses", pod.spec.initContainers or []),
        ("ephemeralContainerStatuses", None),
    ):
        for position, status in enumerate(getattr(pod.status, field) or ()):
            at = STATUS.child(field).index(position)
            if status.user is not None and status.user.linux is not None:
                found += _user_findings(status.user.linux, at.child("linux"), windows)  # as clients know it
            if status.allocatedResourcesStatus:
                found += _resource_findings(status, at.child("allocatedResourcesStatus"), containers)
    return found


def _user_findings(user: LinuxContainerUser, path: Path, windows: bool) -> list[FieldError]:
    if windows:
        return [forbidden(path, "cannot be set for a windows pod")]
    found = [invalid(path.child("uid"), user.uid, text) for text in user_or_group_id(user.uid)]
    found += [invalid(path.child("gid"), user.gid, text) for text in user_or_group_id(user.gid)]
    for position, group in enumerate(user.supplementalGroups or ()):
        at = path.child("supplementalGroups").index(position)
        found += [invalid(at, group, text) for text in user_or_group_id(group)]
    return found


def _requests(container: Container) -> set[str]:
    return set((container.resources.requests if container.resources else None) or ())


def _claims(container: Container) -> set[str]:
    claims = (container.resources.claims if container.resources else None) or ()
    return {f"claim:{claim.name}/{claim.request}" if claim.request else f"claim:{claim.name}" for claim in claims}


def _resource_findings(status: ContainerStatus, path: Path, containers: list[Container] | None) -> list[FieldError]:
    """The health of what a container was given. `containers` is None for those that are given nothing."""
    if containers is None:
        return [forbidden(path, "must not be specified in container status")]
    found: list[FieldError] = []
    container = next((each for each in containers if each.name == status.name), None)
    for position, resource in enumerate(status.allocatedResourcesStatus or ()):
        at = path.index(position)
        is_claim = resource.name.startswith("claim:")
        if container is not None and resource.name not in (_claims if is_claim else _requests)(container):
            found.append(invalid(at.child("name"), resource.name, _NO_CLAIM if is_claim else _NO_REQUEST))
        seen: set[str] = set()
        for place, health in enumerate(resource.resources or ()):
            here = at.child("resources").index(place)
            if health.health not in HEALTHS:
                found.append(not_supported(here.child("health"), health.health or "", HEALTHS))
            if health.resourceID in seen:
                found.append(duplicate(here.child("resourceID"), health.resourceID))
            seen.add(health.resourceID)
    return found

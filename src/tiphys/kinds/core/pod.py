"""Pods: the hooks of the kind, joined from the files `pod_*`, `container_*`, `volume_*` beside this one."""

from __future__ import annotations

import msgspec

from tiphys.kinds.core.pod_annotation_validation import validate_new_annotations, validate_pod_annotations
from tiphys.kinds.core.pod_columns import COLUMNS
from tiphys.kinds.core.pod_creation import finish_new_pod
from tiphys.kinds.core.pod_defaults import default_pod
from tiphys.kinds.core.pod_spec_validation import validate_pod_spec
from tiphys.kinds.core.pod_status_validation import validate_pod_status_update
from tiphys.kinds.core.pod_subresource_validation import validate_ephemeral_containers_update, validate_resize_update
from tiphys.kinds.core.pod_update_validation import validate_pod_update
from tiphys.kinds.core.pod_warnings import pod_warnings
from tiphys.kinds.core.template import hostname_warnings
from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import Pod, PodCondition, PodIP, PodStatus
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid

SPEC = Path("spec")


def prepare_for_create(pod: Pod) -> None:
    """A new pod has no state but what it was given: pending, and its class of service (set by the defaults)."""
    pod.status = PodStatus()


def prepare_for_update(pod: Pod, old: Pod) -> None:
    """Through the pod itself the state stays, and so do ephemeral containers, which have a subresource."""
    pod.status = old.status


def prepare_for_status_update(pod: Pod, old: Pod) -> None:
    """Through the status subresource the spec stays, and what its writer leaves out of what was once observed."""
    pod.spec = old.spec
    pod.metadata.deletionTimestamp = old.metadata.deletionTimestamp
    pod.metadata.ownerReferences = old.metadata.ownerReferences
    pod.status = _with_one_address(_with_observations(pod.status, old.status))


def _with_observations(status: PodStatus, old: PodStatus) -> PodStatus:
    """The class of service and the observed generations, its own and its conditions', stay when they are left out."""
    observed: dict[str, list[int | None]] = {}
    for condition in old.conditions or ():
        observed.setdefault(condition.type, []).append(condition.observedGeneration)
    conditions: list[PodCondition] = []
    for condition in status.conditions or ():
        before = observed.get(condition.type)
        generation = before.pop(0) if before else None
        if not condition.observedGeneration and generation:
            condition = msgspec.structs.replace(condition, observedGeneration=generation)
        conditions.append(condition)
    return msgspec.structs.replace(
        status,
        qosClass=status.qosClass or old.qosClass,
        observedGeneration=status.observedGeneration or old.observedGeneration,
        conditions=conditions if status.conditions else status.conditions,
    )


def _with_one_address(status: PodStatus) -> PodStatus:
    """The one address and the first of the list agree: the list's when only it is given, otherwise the one's."""
    first = status.podIPs[0].ip if status.podIPs else ""
    if (status.podIP or "") == first:
        return status
    if not status.podIP:
        return msgspec.structs.replace(status, podIP=first)
    return msgspec.structs.replace(status, podIPs=[PodIP(ip=status.podIP)])


def validate(pod: Pod) -> list[FieldError]:
    found = validate_pod_annotations(pod) + validate_pod_spec(pod.spec, SPEC, is_pod=True)
    if not pod.spec.serviceAccountName:
        for position, volume in enumerate(pod.spec.volumes or ()):
            for place, source in enumerate((volume.projected.sources if volume.projected else None) or ()):
                if source.serviceAccountToken is not None:
                    at = SPEC.child("volumes").index(position).child("projected", "sources").index(place)
                    detail = "must not be specified when serviceAccountName is not set"
                    found.append(forbidden(at.child("serviceAccountToken"), detail))
    for position, volume in enumerate(pod.spec.volumes or ()):
        if volume.ephemeral is not None:
            name = f"{pod.metadata.name or ''}-{volume.name}"
            at = SPEC.child("volumes").index(position).child("name")
            found += [invalid(at, volume.name, f'PVC name "{name}": {text}') for text in subdomain_name(name)]
    if pod.metadata.resourceVersion:  # it is there already
        return found
    return found + validate_on_create(pod)


def validate_on_create(pod: Pod) -> list[FieldError]:
    """What only a pod that is already there may have."""
    found: list[FieldError] = []
    if pod.spec.ephemeralContainers:
        found.append(forbidden(SPEC.child("ephemeralContainers"), "cannot be set on create"))
    if pod.spec.nodeName and pod.spec.schedulingGates:
        detail = "cannot be set until all schedulingGates have been cleared"
        found.append(forbidden(SPEC.child("nodeName"), detail))
    return found + validate_new_annotations(pod)


def grace_seconds(pod: Pod, requested: int | None) -> int:
    """How long a deleted pod has left: nothing when no kubelet holds it or it has ended."""
    if not pod.spec.nodeName or pod.status.phase in ("Failed", "Succeeded"):
        return 0
    grace = requested if requested is not None else pod.spec.terminationGracePeriodSeconds
    grace = 0 if grace is None else grace
    return 1 if grace < 0 else grace


def fields(pod: Pod) -> dict[str, str]:
    spec, status = pod.spec, pod.status
    return {
        "spec.nodeName": spec.nodeName or "",
        "spec.host": spec.nodeName or "",  # what it was called long ago
        "spec.restartPolicy": spec.restartPolicy or "",
        "spec.schedulerName": spec.schedulerName or "",
        "spec.serviceAccountName": spec.serviceAccountName or "",
        "spec.hostNetwork": "true" if spec.hostNetwork else "false",
        "status.phase": status.phase or "",
        "status.podIP": (status.podIPs[0].ip if status.podIPs else status.podIP) or "",
        "status.podIPs": "",  # known by name, never by value
        "status.nominatedNodeName": status.nominatedNodeName or "",
    }


def warnings(pod: Pod, old: Pod | None) -> list[str]:
    """Only its creator is told: those who change pods are mostly programs, and do so often."""
    if old is not None:
        return []
    return hostname_warnings(pod.metadata, "the Pod's hostname") + pod_warnings(pod.spec, pod.metadata)


STRATEGY: Strategy[Pod] = Strategy(
    default=default_pod,
    prepare_for_create=prepare_for_create,
    prepare_for_update=prepare_for_update,
    prepare_for_status_update=prepare_for_status_update,
    finish_create=finish_new_pod,
    validate=validate,
    validate_update=validate_pod_update,
    validate_status_update=validate_pod_status_update,
    warnings=warnings,
    columns=COLUMNS,
    fields=fields,
    grace_seconds=grace_seconds,
    subresource_validators={
        "ephemeralcontainers": validate_ephemeral_containers_update,
        "resize": validate_resize_update,
    },
)

"""What an update of a pod may change through its subresources `ephemeralcontainers` and `resize`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tiphys.kinds.core.pod_annotation_validation import MIRROR, validate_annotation_update, validate_pod_annotations
from tiphys.kinds.core.pod_spec_validation import validate_pod_spec
from tiphys.kinds.core.pod_update_validation import SPEC, difference
from tiphys.kinds.core.qos import spec_qos_class
from tiphys.kinds.equality import same
from tiphys.kinds.types.core_v1 import Container, Pod, ResourceClaim, ResourceRequirements
from tiphys.machinery.field_errors import ROOT, FieldError, Path, forbidden, invalid

RESIZABLE = ("cpu", "memory")
NOT_RESIZABLE = "only cpu and memory resources are mutable"
NOT_RESIZABLE_INIT = "only cpu and memory resources for init or sidecar containers are mutable"
NO_RESTART_INIT = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"


def _is_mirror(pod: Pod) -> bool:
    return MIRROR in (pod.metadata.annotations or {})


def validate_ephemeral_containers_update(new: Pod, old: Pod) -> list[FieldError]:
    """Ephemeral containers are added, never changed or taken away."""
    if _is_mirror(old):
        return [forbidden(ROOT, "static pods do not support ephemeral containers")]
    found = validate_pod_annotations(new) + validate_pod_spec(new.spec, SPEC, is_pod=True)
    found += validate_annotation_update(new, old)
    path = SPEC.child("ephemeralContainers")
    now = {container.name: container for container in new.spec.ephemeralContainers or ()}
    for before in old.spec.ephemeralContainers or ():
        after = now.get(before.name)
        if after is None:
            detail = f'existing ephemeral containers "{before.name}" may not be removed\n'
            found.append(forbidden(path, detail))
        elif not same(after, before):
            detail = f'existing ephemeral containers "{before.name}" may not be changed\n{difference(before, after)}'
            found.append(forbidden(path, detail))
    return found


def validate_resize_update(new: Pod, old: Pod) -> list[FieldError]:
    """Only cpu and memory may change, of containers and of the pod as a whole, within the same class of service."""
    if _is_mirror(old):
        return [forbidden(ROOT, "static pods cannot be resized")]
    if old.spec.os is not None and old.spec.os.name == "windows":
        return [forbidden(ROOT, "windows pods cannot be resized")]
    found = validate_pod_annotations(new) + validate_pod_spec(new.spec, SPEC, is_pod=True)
    if (old.status.qosClass or spec_qos_class(old.spec)) != spec_qos_class(new.spec):
        detail = "Pod QOS Class may not change as a result of resizing"
        found.append(invalid(SPEC, new.status.qosClass or "", detail))
    if not _can_be_resized(old):
        found.append(forbidden(SPEC, "Pod running on node without support for resize"))
    found += _whole_pod_findings(new.spec.resources, old.spec.resources)
    if old.status.nodeAllocatableResourceClaimStatuses:
        found.append(forbidden(SPEC, "pods with node allocatable resource claims cannot be resized"))
    moved = [each for field in ("containers", "initContainers") for each in _order_findings(new, old, field)]
    return found + (moved or _container_findings(new, old))


def _can_be_resized(pod: Pod) -> bool:
    """A kubelet that can says of running containers what they have."""
    for status in pod.status.containerStatuses or ():
        if status.state is not None and status.state.running is not None:
            return status.resources is not None
    return True


def _whole_pod_findings(new: ResourceRequirements | None, old: ResourceRequirements | None) -> list[FieldError]:
    path = SPEC.child("resources")
    if new is None:
        return [] if old is None else [forbidden(path, "pod-level resources cannot be removed")]
    found = _removed_amounts(new, old, path, "pod-level resource")
    if _other_amounts(new) != _other_amounts(old):
        found.append(forbidden(SPEC, f"{NOT_RESIZABLE} at pod-level"))
    return found


def _order_findings(new: Pod, old: Pod, field: str) -> list[FieldError]:
    after, before = getattr(new.spec, field) or (), getattr(old.spec, field) or ()
    path = SPEC.child(field)
    if len(after) != len(before):
        return [forbidden(path, f"{field} may not be added or removed on resize")]
    detail = f"{field} may not be renamed or reordered on resize"
    return [
        forbidden(path.index(position).child("name"), detail)
        for position, (one, other) in enumerate(zip(after, before, strict=True))
        if one.name != other.name
    ]


def _container_findings(new: Pod, old: Pod) -> list[FieldError]:
    """Of containers that are the same ones in the same order."""
    found: list[FieldError] = []
    for field in ("initContainers", "containers"):
        for path, after, before in _pairs(new, old, field):
            found += _removed_amounts(after.resources, before.resources, path.child("resources"), "resource")
    for _, after, before in _pairs(new, old, "containers"):
        if not _only_amounts_differ(after, before):
            found.append(forbidden(SPEC, NOT_RESIZABLE))
    for path, after, before in _pairs(new, old, "initContainers"):
        if not _only_amounts_differ(after, before):
            found.append(forbidden(path, NOT_RESIZABLE_INIT))
        if after.restartPolicy != "Always" and _wants_restart(after) and not same(after, before):
            found.append(forbidden(path, NO_RESTART_INIT))
    return found


def _pairs(new: Pod, old: Pod, field: str) -> Iterator[tuple[Path, Container, Container]]:
    pairs = zip(getattr(new.spec, field) or (), getattr(old.spec, field) or (), strict=True)
    for position, (after, before) in enumerate(pairs):
        yield SPEC.child(field).index(position), after, before


def _wants_restart(container: Container) -> bool:
    return any(policy.restartPolicy == "RestartContainer" for policy in container.resizePolicy or ())


def _only_amounts_differ(new: Container, old: Container) -> bool:
    """Nothing but what it asks for of cpu and memory."""
    return _other_amounts(new.resources) == _other_amounts(old.resources) and same(
        msgspec.structs.replace(new, resources=None), msgspec.structs.replace(old, resources=None)
    )


def _other_amounts(
    resources: ResourceRequirements | None,
) -> tuple[dict[tuple[str, str], Decimal], list[ResourceClaim]]:
    """What they have of what may not change, by side and name, and their claims."""
    if resources is None:
        return {}, []
    amounts = {
        (side, name): amount.amount
        for side in ("limits", "requests")
        for name, amount in (getattr(resources, side) or {}).items()
        if name not in RESIZABLE
    }
    return amounts, resources.claims or []


def _removed_amounts(
    new: ResourceRequirements | None, old: ResourceRequirements | None, path: Path, subject: str
) -> list[FieldError]:
    """Amounts may become others, not none."""
    found: list[FieldError] = []
    for side in ("requests", "limits"):
        after = (getattr(new, side) if new is not None else None) or {}
        before = (getattr(old, side) if old is not None else None) or {}
        if not before.keys() <= after.keys():
            found.append(forbidden(path.child(side), f"{subject} {side} cannot be removed"))
    return found

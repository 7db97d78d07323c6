"""What an update of a pod may change through its subresources `ephemeralcontainers` and `resize`."""

from __future__ import annotations

from decimal import Decimal

from tiphys.kinds.core.pod_annotation_validation import MIRROR, validate_annotation_update, validate_pod_annotations
from tiphys.kinds.core.pod_spec_validation import validate_pod_spec
from tiphys.kinds.core.pod_update_validation import SPEC, difference
from tiphys.kinds.core.qos import spec_qos_class
from tiphys.kinds.equality import same
from tiphys.kinds.types.core_v1 import Container, Pod, ResourceRequirements
from tiphys.machinery.field_errors import ROOT, FieldError, Path, forbidden, invalid

RESIZABLE = ("cpu", "memory")
NOT_RESIZABLE = "only cpu and memory resources are mutable"
NOT_RESIZABLE_SIDECAR = "only cpu and memory resources for sidecar containers are mutable"
NOT_RESIZABLE_INIT = "resources for non-sidecar init containers are immutable"


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
    """Only cpu and memory may change, of what runs on (the pod as a whole too), within the same class of service."""
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
    found += _amount_findings(new.spec.resources, old.spec.resources, SPEC.child("resources"))
    for field in ("initContainers", "containers"):
        found += _container_findings(getattr(new.spec, field) or [], getattr(old.spec, field) or [], field)
    return found


def _can_be_resized(pod: Pod) -> bool:
    """A kubelet that can says of running containers what they have."""
    for status in pod.status.containerStatuses or ():
        if status.state is not None and status.state.running is not None:
            return status.resources is not None
    return True


def _container_findings(new: list[Container], old: list[Container], field: str) -> list[FieldError]:
    found: list[FieldError] = []
    if len(new) != len(old):
        return [forbidden(SPEC.child(field), "containers may not be added or removed on resize")]
    for position, (after, before) in enumerate(zip(new, old, strict=True)):
        if after.name != before.name:
            found.append(forbidden(SPEC, NOT_RESIZABLE))
            continue
        if field == "initContainers" and before.restartPolicy != "Always":
            if not same(after, before):
                found.append(forbidden(SPEC, NOT_RESIZABLE_INIT))
            continue
        found += _amount_findings(
            after.resources, before.resources, SPEC.child(field).index(position).child("resources")
        )
        if _fixed(after.resources) != _fixed(before.resources):
            found.append(forbidden(SPEC, NOT_RESIZABLE_SIDECAR if field == "initContainers" else NOT_RESIZABLE))
    return found


def _fixed(resources: ResourceRequirements | None) -> dict[tuple[str, str], Decimal]:
    """What may not change of them, by side and name."""
    return {
        (side, name): amount.amount
        for side in ("limits", "requests")
        for name, amount in ((getattr(resources, side) if resources is not None else None) or {}).items()
        if name not in RESIZABLE
    }


def _amount_findings(
    new: ResourceRequirements | None, old: ResourceRequirements | None, path: Path
) -> list[FieldError]:
    """Amounts may become others, not none."""
    found: list[FieldError] = []
    for side in ("requests", "limits"):
        after = (getattr(new, side) if new is not None else None) or {}
        before = (getattr(old, side) if old is not None else None) or {}
        if not before.keys() <= after.keys():
            found.append(forbidden(path.child(side), f"resource {side} cannot be removed"))
    return found

"""What an update of a pod may change: through the pod itself, its status, its ephemeral containers, its size.

A pod is nearly immutable. Each way of changing it lets a few fields through; everything else must stay as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.kinds.core.pod_spec_validation import validate_pod_spec
from tiphys.kinds.core.qos import spec_qos_class
from tiphys.kinds.equality import same
from tiphys.kinds.object_meta import label_key_findings, subdomain_name
from tiphys.kinds.types.core_v1 import (
    Affinity,
    Container,
    ContainerStatus,
    NodeAffinity,
    NodeSelectorTerm,
    Pod,
    PodCondition,
    PodSpec,
    ResourceRequirements,
    Toleration,
)
from tiphys.kinds.value_findings import LARGEST_INT32, address_family, in_range
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid
from tiphys.machinery.repetition import repeated

SPEC = Path("spec")
CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
SYSTEM_CONDITIONS = frozenset(["PodScheduled", "Ready", "Initialized"])
RESIZABLE = ("cpu", "memory")


def validate_pod_update(new: Pod, old: Pod) -> list[FieldError]:
    """Findings on a changed pod; its own form is `validate`'s matter."""
    if same(new.spec, old.spec):
        return []
    for field in ("containers", "initContainers"):
        news, olds = getattr(new.spec, field) or [], getattr(old.spec, field) or []
        if len(news) != len(olds):
            return [forbidden(SPEC.child(field), "pod updates may not add or remove containers")]
    found = _deadline_findings(new.spec, old.spec)
    found += _toleration_findings(new.spec.tolerations or (), old.spec.tolerations or ())
    found += _gate_findings(new.spec, old.spec)
    allowed = _with_allowed_changes(new.spec, old.spec)
    if old.spec.schedulingGates:
        found += _allow_gated_changes(allowed, new.spec, old.spec)
    if not same(allowed, new.spec):
        found.append(forbidden(SPEC, f"{CHANGEABLE}\n{difference(allowed, new.spec)}"))
    return found


def _with_allowed_changes(new: PodSpec, old: PodSpec) -> PodSpec:
    """The old spec with what may change taken from the new one."""
    replace = msgspec.structs.replace
    containers = [replace(was, image=now.image) for was, now in zip(old.containers, new.containers, strict=True)]
    inits = old.initContainers
    if inits:
        inits = [replace(was, image=now.image) for was, now in zip(inits, new.initContainers or [], strict=True)]
    grace = old.terminationGracePeriodSeconds
    if grace is not None and grace < 0 and new.terminationGracePeriodSeconds == 1:
        grace = 1
    return replace(
        old,
        containers=containers,
        initContainers=inits,
        activeDeadlineSeconds=new.activeDeadlineSeconds,
        tolerations=new.tolerations,
        schedulingGates=new.schedulingGates,
        terminationGracePeriodSeconds=grace,
    )


def difference(old: Any, new: Any, path: str = "") -> str:
    """The changed leaves as lines `- field: before` and `+ field: after`."""
    return "\n".join(_differences(_plain(old), _plain(new), path))


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)


def _differences(old: Any, new: Any, path: str) -> list[str]:
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted({*old, *new}):
            lines += _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return lines
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        lines = []
        for position, (before, after) in enumerate(zip(old, new, strict=True)):
            lines += _differences(before, after, f"{path}[{position}]")
        return lines
    shown = []
    if old is not None:
        shown.append(f"- {path}: {msgspec.json.encode(old).decode()}")
    if new is not None:
        shown.append(f"+ {path}: {msgspec.json.encode(new).decode()}")
    return shown


def _deadline_findings(new: PodSpec, old: PodSpec) -> list[FieldError]:
    """A deadline can be set and brought forward, never put off or taken away."""
    path = SPEC.child("activeDeadlineSeconds")
    before, after = old.activeDeadlineSeconds, new.activeDeadlineSeconds
    if after is None:
        if before is None:
            return []
        return [invalid(path, after, "must not update from a positive integer to nil value")]
    if not 0 <= after <= LARGEST_INT32:
        return [invalid(path, after, in_range(0, LARGEST_INT32))]
    if before is not None and before < after:
        return [invalid(path, after, "must be less than or equal to previous value")]
    return []


def _toleration_findings(new: Sequence[Toleration], old: Sequence[Toleration]) -> list[FieldError]:
    """Tolerations can be added; of those that are there only the seconds can change."""

    def fixed(toleration: Toleration) -> Toleration:
        return msgspec.structs.replace(toleration, tolerationSeconds=None)

    if new == old:
        return []
    present = [fixed(toleration) for toleration in new]
    if all(fixed(toleration) in present for toleration in old):
        return []
    detail = "existing toleration can not be modified except its tolerationSeconds"
    return [forbidden(SPEC.child("tolerations"), detail)]


def _gate_findings(new: PodSpec, old: PodSpec) -> list[FieldError]:
    before = {gate.name for gate in old.schedulingGates or ()}
    return [
        forbidden(
            SPEC.child("schedulingGates").index(position).child("name"),
            f"only deletion is allowed, but found new scheduling gate '{gate.name}'",
        )
        for position, gate in enumerate(new.schedulingGates or ())
        if gate.name not in before
    ]


def _allow_gated_changes(allowed: PodSpec, new: PodSpec, old: PodSpec) -> list[FieldError]:
    """While gates hold a pod back, its node selector and required node affinity may become narrower."""
    found: list[FieldError] = []
    if new.nodeSelector != old.nodeSelector:
        after = new.nodeSelector or {}
        if any(after.get(key) != value for key, value in (old.nodeSelector or {}).items()):
            detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            found.append(invalid(SPEC.child("nodeSelector"), after, detail))
        allowed.nodeSelector = new.nodeSelector
    before = old.affinity.nodeAffinity if old.affinity else None
    after_affinity = new.affinity.nodeAffinity if new.affinity else None
    if before != after_affinity:
        found += _narrower_findings(after_affinity, before)
        affinity = msgspec.structs.replace(allowed.affinity) if allowed.affinity else Affinity()
        affinity.nodeAffinity = after_affinity
        allowed.affinity = new.affinity if affinity == (new.affinity or Affinity()) else affinity
    return found


def _narrower_findings(new: NodeAffinity | None, old: NodeAffinity | None) -> list[FieldError]:
    path = SPEC.child("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    required = old.requiredDuringSchedulingIgnoredDuringExecution if old else None
    if required is None:
        return []
    after = new.requiredDuringSchedulingIgnoredDuringExecution if new else None
    terms = after.nodeSelectorTerms if after else []
    if len(terms) != len(required.nodeSelectorTerms):
        return [invalid(path, terms, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    found: list[FieldError] = []
    for position, (before, now) in enumerate(zip(required.nodeSelectorTerms, terms, strict=True)):
        if not _extends(now, before):
            detail = "only additions are allowed (no mutations or deletions)"
            found.append(invalid(path.index(position), now, detail))
    return found


def _extends(new: NodeSelectorTerm, old: NodeSelectorTerm) -> bool:
    for field in ("matchExpressions", "matchFields"):
        before, after = getattr(old, field) or [], getattr(new, field) or []
        if after[: len(before)] != before:
            return False
    return bool(old.matchExpressions or old.matchFields) or new == old


def validate_pod_status_update(new: Pod, old: Pod) -> list[FieldError]:
    """The status as the kubelet writes it: what ended for good does not begin again; addresses are addresses."""
    found: list[FieldError] = []
    path = Path("status")
    if new.spec.nodeName != old.spec.nodeName:
        found.append(forbidden(SPEC.child("nodeName"), "may not be changed directly"))
    found += _condition_findings(new.status.conditions or (), Path("metadata").child("conditions"))
    node = new.status.nominatedNodeName
    if node:
        found += [invalid(path.child("nominatedNodeName"), node, text) for text in subdomain_name(node)]
    if old.spec.restartPolicy != "Always":
        at = path.child("containerStatuses")
        found += _restart_findings(new.status.containerStatuses, old.status.containerStatuses, old, at)
    for field in ("podIPs", "hostIPs"):
        found += _address_findings([entry.ip for entry in getattr(new.status, field) or ()], path.child(field))
    return found


def _condition_findings(conditions: Sequence[PodCondition], path: Path) -> list[FieldError]:
    """Conditions of somebody's own have qualified names. Clients know the path as it is, misplaced."""
    found: list[FieldError] = []
    for position, condition in enumerate(conditions):
        if condition.type not in SYSTEM_CONDITIONS:
            at = path.index(position).child("Type")
            found += [invalid(at, condition.type, text) for text in label_key_findings(condition.type)]
    return found


def _restart_findings(
    new: list[ContainerStatus] | None, old: list[ContainerStatus] | None, pod: Pod, path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    now = {status.name: status for status in new or ()}
    own_policy = {c.name for c in pod.spec.containers if c.restartPolicy is not None or c.restartPolicyRules}
    for position, before in enumerate(old or ()):
        ended = before.state.terminated if before.state else None
        if ended is None or before.name not in now or before.name in own_policy:
            continue
        if pod.spec.restartPolicy == "OnFailure" and ended.exitCode != 0:
            continue
        state = now[before.name].state
        if state is None or state.terminated is None:
            at = path.index(position).child("state")
            found.append(forbidden(at, "may not be transitioned to non-terminated state"))
    return found


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
        found.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    return found


def validate_ephemeral_containers_update(new: Pod, old: Pod) -> list[FieldError]:
    """Ephemeral containers are added, never changed or taken away."""
    found = validate_pod_spec(new.spec, SPEC, is_pod=True)
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
    if not same(msgspec.structs.replace(new.spec, ephemeralContainers=old.spec.ephemeralContainers), old.spec):
        found.append(forbidden(SPEC, "only ephemeral containers may be changed through this subresource"))
    return found


def validate_resize_update(new: Pod, old: Pod) -> list[FieldError]:
    """Only cpu and memory of containers may change, within the same quality-of-service class."""
    found = validate_pod_spec(new.spec, SPEC, is_pod=True)
    for field in ("containers", "initContainers"):
        found += _resize_findings(getattr(new.spec, field) or [], getattr(old.spec, field) or [], SPEC.child(field))
    if (old.status.qosClass or spec_qos_class(old.spec)) != spec_qos_class(new.spec):
        found.append(invalid(SPEC, spec_qos_class(new.spec), "Pod QOS Class may not change as a result of resizing"))
    allowed = msgspec.structs.replace(
        new.spec, containers=old.spec.containers, initContainers=old.spec.initContainers, resources=old.spec.resources
    )
    if not same(allowed, old.spec):
        detail = f"only cpu and memory resources are mutable\n{difference(old.spec, allowed)}"
        found.append(forbidden(SPEC, detail))
    return found


def _resize_findings(new: list[Container], old: list[Container], path: Path) -> list[FieldError]:
    if len(new) != len(old):
        return [forbidden(path, "containers may not be added or removed on resize")]
    found: list[FieldError] = []
    for position, (after, before) in enumerate(zip(new, old, strict=True)):
        if not same(
            msgspec.structs.replace(after, resources=before.resources, resizePolicy=before.resizePolicy), before
        ):
            found.append(forbidden(path.index(position), "only cpu and memory resources are mutable"))
        found += _amount_changes(after.resources, before.resources, path.index(position).child("resources"))
    return found


def _amount_changes(new: ResourceRequirements | None, old: ResourceRequirements | None, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for side in ("requests", "limits"):
        after = (getattr(new, side) if new else None) or {}
        before = (getattr(old, side) if old else None) or {}
        for name in {**before, **after}:
            if name in RESIZABLE:
                if name in before and name not in after:
                    found.append(forbidden(path.child(side), f"resource {side} cannot be removed"))
            elif before.get(name) != after.get(name):
                found.append(forbidden(path.child(side).key(name), "only cpu and memory resources are mutable"))
    return found

"""What an update of a pod may change through the pod itself; its subresources have files of their own beside this one.

A pod is nearly immutable: a few fields may change, everything else must stay as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.kinds.core.pod_annotation_validation import validate_annotation_update
from tiphys.kinds.equality import same
from tiphys.kinds.types.core_v1 import (
    Affinity,
    NodeAffinity,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    Toleration,
)
from tiphys.kinds.value_findings import LARGEST_INT32, in_range
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid

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
    found = validate_annotation_update(new, old)
    if same(new.spec, old.spec):
        return found
    for field in ("containers", "initContainers"):
        news, olds = getattr(new.spec, field) or [], getattr(old.spec, field) or []
        if len(news) != len(olds):
            return [*found, forbidden(SPEC.child(field), "pod updates may not add or remove containers")]
    found += _deadline_findings(new.spec, old.spec)
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

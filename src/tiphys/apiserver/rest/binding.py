"""Binding a pod to a node: once, and only while it is not going away."""

from __future__ import annotations

from typing import Any

import msgspec

from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors, field_errors, timestamps
from tiphys.machinery.field_errors import FieldError, Path

SCHEDULED = "PodScheduled"


def findings(binding: core_v1.Binding) -> list[FieldError]:
    found = []
    target = binding.target
    if target.kind not in (None, "", "Node"):
        found.append(field_errors.not_supported(Path("target.kind"), target.kind, ["Node", "<empty>"]))
    if not target.name:
        found.append(field_errors.required(Path("target.name")))
    return found


def bound(context: WriteContext, pod: core_v1.Pod, binding: core_v1.Binding) -> Any:
    """The pod on its node. ApiError 409 when it is bound, gated or going away."""
    meta, wanted = pod.metadata, binding.metadata
    if wanted.uid and wanted.uid != meta.uid:
        detail = f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {meta.uid}"
        raise context.conflict(detail)
    if wanted.resourceVersion and wanted.resourceVersion != meta.resourceVersion:
        raise context.conflict(
            "Precondition failed: ResourceVersion in precondition: "
            f"{wanted.resourceVersion}, ResourceVersion in object meta: {meta.resourceVersion}"
        )
    if meta.deletionTimestamp:
        raise _refused(context, f"pod {meta.name} is being deleted, cannot be assigned to a host")
    if pod.spec.nodeName:
        raise _refused(context, f'pod {meta.name} is already assigned to node "{pod.spec.nodeName}"')
    if pod.spec.schedulingGates:
        raise _refused(context, f"pod {meta.name} has non-empty .spec.schedulingGates")
    annotations = {**(meta.annotations or {}), **(wanted.annotations or {})}
    labels = {**(meta.labels or {}), **(wanted.labels or {})}
    return msgspec.structs.replace(
        pod,
        metadata=msgspec.structs.replace(meta, annotations=annotations or None, labels=labels or None),
        spec=msgspec.structs.replace(pod.spec, nodeName=binding.target.name),
        status=msgspec.structs.replace(pod.status, conditions=_conditions(context, pod), nominatedNodeName=None),
    )


def _refused(context: WriteContext, detail: str) -> errors.ApiError:
    return errors.conflict("pods/binding", "", context.name, detail)


def _conditions(context: WriteContext, pod: core_v1.Pod) -> list[core_v1.PodCondition]:
    now = timestamps.time_of(context.now)
    kept = [condition for condition in pod.status.conditions or () if condition.type != SCHEDULED]
    for condition in pod.status.conditions or ():
        if condition.type == SCHEDULED and condition.status == "True":
            now = condition.lastTransitionTime or now
    generation = pod.metadata.generation
    scheduled = core_v1.PodCondition(
        type=SCHEDULED, status="True", lastTransitionTime=now, observedGeneration=generation
    )
    return [*kept, scheduled]


def success() -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

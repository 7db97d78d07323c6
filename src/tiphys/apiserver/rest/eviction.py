"""Evicting a pod: a delete that disruption budgets must allow. Specified in "API-initiated Eviction" and "Specifying a
Disruption Budget for your Application"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.rest.delete import check_preconditions
from tiphys.kinds.types import core_v1, meta_v1, policy_v1
from tiphys.machinery import errors, labels, timestamps
from tiphys.machinery.field_errors import FieldError

MESSAGE = "Cannot evict pod as it would violate the pod's disruption budget."
CAUSE = "DisruptionBudget"
DISRUPTED_PODS_LIMIT = 2000
TARGET = "DisruptionTarget"


def _ready(pod: core_v1.Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())


def needs_no_budget(pod: core_v1.Pod) -> bool:
    """Pods that do not run (any more) count for no budget."""
    return bool(pod.metadata.deletionTimestamp) or pod.status.phase in ("Succeeded", "Failed", "Pending")


def budget_of(pod: core_v1.Pod, budgets: Iterable[Any]) -> Any:
    """The one budget that selects the pod, or None. ApiError 500 when there are several."""
    found = []
    for budget in budgets:
        selector = budget.spec.selector
        if selector is not None and labels.from_object(selector).matches(pod.metadata.labels):
            found.append(budget)
    if len(found) > 1:
        raise errors.ApiError(
            500,
            "InternalError",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
    return found[0] if found else None


def charged(context: WriteContext, budget: policy_v1.PodDisruptionBudget, pod: core_v1.Pod) -> Any:
    """The budget with one disruption less, or None when this pod costs none. ApiError 429."""
    status, spec = budget.status, budget.spec
    if not _ready(pod):
        healthy, desired = status.currentHealthy or 0, status.desiredHealthy or 0
        if spec.unhealthyPodEvictionPolicy == "AlwaysAllow" or (healthy >= desired and desired > 0):
            return None
    name = budget.metadata.name
    if (status.observedGeneration or 0) < (budget.metadata.generation or 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", 10)
    if (status.disruptionsAllowed or 0) <= 0:
        raise _refused(
            f"The disruption budget {name} needs {status.desiredHealthy or 0} healthy pods"
            f" and has {status.currentHealthy or 0} currently"
        )
    if len(status.disruptedPods or {}) > DISRUPTED_PODS_LIMIT:
        raise _refused("Too many pods are being disrupted already; the server waits for them to go.")
    disrupted = {**(status.disruptedPods or {}), context.name: timestamps.time_of(context.now)}
    return msgspec.structs.replace(
        budget,
        metadata=msgspec.structs.replace(budget.metadata),
        status=msgspec.structs.replace(
            status, disruptionsAllowed=(status.disruptionsAllowed or 0) - 1, disruptedPods=disrupted
        ),
    )


def disrupted(context: WriteContext, pod: core_v1.Pod, options: meta_v1.DeleteOptions) -> Any:
    """The pod that says why it goes, for those who count its failure otherwise then (a Job's pod failure policy).
    ApiError 409 when it is not the one that is meant."""
    check_preconditions(context, pod, options)
    known = next((c for c in pod.status.conditions or () if c.type == TARGET), None)
    condition = core_v1.PodCondition(
        type=TARGET,
        status="True",
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
        lastTransitionTime=timestamps.time_of(context.now),
        observedGeneration=pod.metadata.generation,
    )
    if known is not None and known.status == condition.status:
        condition.lastTransitionTime = known.lastTransitionTime
    conditions = [*(c for c in pod.status.conditions or () if c.type != TARGET), condition]
    return msgspec.structs.replace(
        pod,
        metadata=msgspec.structs.replace(pod.metadata),
        status=msgspec.structs.replace(pod.status, conditions=conditions),
    )


def after_marking(options: meta_v1.DeleteOptions, pod: core_v1.Pod) -> meta_v1.DeleteOptions:
    """Options that named the revision before the mark name the marked one."""
    wanted = options.preconditions
    if wanted is None or not wanted.resourceVersion:
        return options
    replace = msgspec.structs.replace
    return replace(options, preconditions=replace(wanted, resourceVersion=pod.metadata.resourceVersion))


def _refused(cause: str, retry_after_seconds: int = 0) -> errors.ApiError:
    error = errors.too_many_requests(MESSAGE, retry_after_seconds)
    error.causes = (FieldError(reason=CAUSE, field="", message=cause),)
    return error

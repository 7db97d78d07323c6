"""PodDisruptionBudgets: how many pods are healthy, how many must be, and so how many may be evicted now.

The expected number of pods comes from the pods' controllers (their scale), because a pod that is just missing must
count. Evictions that the API server has let through are noted in status.disruptedPods until the pod shows it is going.
Specified in "Specifying a Disruption Budget for your Application".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import Action, RequeueAfter, UpdateStatus, record
from tiphys.controllers.conditions import with_condition
from tiphys.controllers.controller import Controller, View, Watch, controller_index, controller_of, own_key
from tiphys.controllers.deployment.rolling import resolved
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1, policy_v1
from tiphys.machinery import labels, timestamps

# An eviction that has not deleted its pod after this long is forgotten.
EVICTION_SECONDS = 120.0


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    budget = view.get(policy_v1.PodDisruptionBudget, key.namespace, key.name)
    if budget is None or budget.metadata.deletionTimestamp is not None:
        return []
    pods = view.list(core_v1.Pod, key.namespace, labels.from_object(budget.spec.selector))
    counted = [pod for pod in pods if not pod_facts.is_finished(pod)]
    disrupted, wait_seconds = _disrupted(budget, pods, now)
    healthy = sum(
        pod_facts.is_ready(pod) and pod.metadata.deletionTimestamp is None and pod.metadata.name not in disrupted
        for pod in counted
    )
    try:
        expected, desired = _expected(view, budget, counted)
    except LookupError as error:
        return _unknown(budget, str(error), now)
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    status = policy_v1.PodDisruptionBudgetStatus(
        currentHealthy=healthy,
        desiredHealthy=desired,
        expectedPods=expected,
        disruptionsAllowed=allowed,
        disruptedPods=disrupted or None,
        observedGeneration=budget.metadata.generation,
        conditions=budget.status.conditions,
    )
    reason = "SufficientPods" if allowed > 0 else "InsufficientPods"
    status.conditions = _conditions(budget, "True" if allowed > 0 else "False", reason, "", now)
    actions: list[Action] = []
    if status != budget.status:
        changed = codec.copy(budget)
        changed.status = codec.copy(status)
        actions.append(UpdateStatus(object=changed))
    return [*actions, RequeueAfter(seconds=wait_seconds)] if wait_seconds is not None else actions


def _disrupted(
    budget: policy_v1.PodDisruptionBudget, pods: Sequence[core_v1.Pod], now: float
) -> tuple[dict[str, timestamps.Time], float | None]:
    """Evictions under way, and when to look at them again."""
    standing = {pod.metadata.name for pod in pods if pod.metadata.deletionTimestamp is None}
    found: dict[str, timestamps.Time] = {}
    waits = []
    for name, moment in (budget.status.disruptedPods or {}).items():
        left_seconds = timestamps.seconds(moment) + EVICTION_SECONDS - now
        if name in standing and left_seconds > 0:
            found[name] = moment
            waits.append(left_seconds)
    return found, min(waits) if waits else None


def _expected(view: View, budget: policy_v1.PodDisruptionBudget, pods: Sequence[core_v1.Pod]) -> tuple[int, int]:
    """(expected pods, pods that must be healthy). LookupError when a pod's controller has no scale."""
    minimum, maximum = budget.spec.minAvailable, budget.spec.maxUnavailable
    if maximum is not None:
        expected = _scale(view, pods)
        unavailable = resolved(maximum, expected, up=True, default=0)
        return expected, max(expected - unavailable, 0)
    if isinstance(minimum, int):
        return len(pods), minimum
    if minimum is not None:
        expected = _scale(view, pods)
        return expected, resolved(minimum, expected, up=True, default=0)
    return len(pods), 0


def _scale(view: View, pods: Sequence[core_v1.Pod]) -> int:
    """The replicas that the pods' controllers want, each controller counted once."""
    scales: dict[str, int] = {}
    for pod in pods:
        reference = controller_of(pod)
        if reference is None:
            continue
        uid, replicas = _scale_of(view, pod.metadata.namespace or "", reference)
        if not uid:
            message = f"found no controller ref for pod {pod.metadata.name!r}"
            raise LookupError(message)
        scales[uid] = replicas
    return sum(scales.values())


def _scale_of(view: View, namespace: str, reference: meta_v1.OwnerReference) -> tuple[str, int]:
    kinds: dict[str, type[Any]] = {
        "ReplicaSet": apps_v1.ReplicaSet,
        "StatefulSet": apps_v1.StatefulSet,
        "ReplicationController": core_v1.ReplicationController,
    }
    kind = kinds.get(reference.kind)
    owner = view.get(kind, namespace, reference.name) if kind is not None else None
    if owner is None or owner.metadata.uid != reference.uid:
        return "", 0
    parent = controller_of(owner)
    if parent is not None and parent.kind == "Deployment":
        deployment = view.get(apps_v1.Deployment, namespace, parent.name)
        if deployment is not None and deployment.metadata.uid == parent.uid:
            return parent.uid, 1 if deployment.spec.replicas is None else deployment.spec.replicas
    return reference.uid, 1 if owner.spec.replicas is None else owner.spec.replicas


def _conditions(
    budget: policy_v1.PodDisruptionBudget, status: str, reason: str, message: str, now: float
) -> list[meta_v1.Condition]:
    fresh = meta_v1.Condition(
        type="DisruptionAllowed",
        status=status,
        reason=reason,
        message=message,
        observedGeneration=budget.metadata.generation,
        lastTransitionTime=timestamps.time_of(now),
    )
    return with_condition(budget.status.conditions, fresh)


def _unknown(budget: policy_v1.PodDisruptionBudget, message: str, now: float) -> list[Action]:
    """Nothing may be evicted while the expected number is not known."""
    changed = codec.copy(budget)
    changed.status.disruptionsAllowed = 0
    changed.status.observedGeneration = budget.metadata.generation
    changed.status.conditions = _conditions(budget, "False", "SyncFailed", message, now)
    if changed.status == budget.status:
        return []
    text = f"Failed to calculate the number of expected pods: {message}"
    event = record(budget, "Warning", "CalculateExpectedPodCountFailed", text)
    return [event, UpdateStatus(object=changed)]


def _pod_keys(view: View, old: core_v1.Pod | None, new: core_v1.Pod | None) -> set[ObjectKey]:
    found: set[ObjectKey] = set()
    for pod in (old, new):
        if pod is None:
            continue
        namespace = pod.metadata.namespace or ""
        for budget in view.list(policy_v1.PodDisruptionBudget, namespace):
            if labels.from_object(budget.spec.selector).matches(pod.metadata.labels):
                found.add(ObjectKey(namespace, budget.metadata.name or ""))
    return found


def _scale_keys(view: View, old: object, new: object) -> set[ObjectKey]:
    """A controller was scaled: the budgets of its namespace."""
    before = getattr(getattr(old, "spec", None), "replicas", None)
    after = getattr(getattr(new, "spec", None), "replicas", None)
    obj: apps_v1.Deployment = new or old  # type: ignore[assignment]
    if before == after and old is not None and new is not None:
        return set()
    namespace = obj.metadata.namespace or ""
    budgets = view.list(policy_v1.PodDisruptionBudget, namespace)
    return {ObjectKey(namespace, budget.metadata.name or "") for budget in budgets}


CONTROLLER = Controller(
    name="disruption",
    source="controllermanager",
    reconcile=reconcile,
    watches=(
        Watch(kind=policy_v1.PodDisruptionBudget, keys=own_key),
        Watch(kind=core_v1.Pod, keys=_pod_keys),
        Watch(kind=apps_v1.Deployment, keys=_scale_keys),
        Watch(kind=apps_v1.ReplicaSet, keys=_scale_keys),
        Watch(kind=apps_v1.StatefulSet, keys=_scale_keys),
        Watch(kind=core_v1.ReplicationController, keys=_scale_keys),
    ),
    indexes=(controller_index(core_v1.Pod),),
)

"""Keeping a number of pods of one template: creating, choosing what to delete, and the status, for ReplicaSets and
ReplicationControllers.

Pods that are being deleted or have finished are no replicas. Invariants: at most BURST pods are created or deleted in
one go; a pod that was counted as deleted is never chosen twice (the caches know of it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import (
    Action,
    Create,
    Delete,
    Failure,
    RequeueAfter,
    UpdateStatus,
    delete_of,
    record,
)
from tiphys.controllers.claims import claim
from tiphys.controllers.controller import View, controller_of
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.machinery import timestamps

BURST = 500


@dataclass(frozen=True, slots=True)
class Behavior:
    """The adaptor of one kind: its Struct and that of its conditions."""

    kind: type[Any]
    condition: type[Any]

    def reconcile(self, view: View, key: ObjectKey, now: float) -> list[Action]:
        owner = view.get(self.kind, key.namespace, key.name)
        if owner is None:
            return []
        found = claim(view, owner, core_v1.Pod)
        if found.actions:
            return list(found.actions)
        active = [pod for pod in found.owned if pod_facts.is_active(pod)]
        actions: list[Action] = []
        if owner.metadata.deletionTimestamp is None:
            actions += self._scale(view, owner, active, now)
        actions += self._status(owner, found.owned, now, None)
        wait_seconds = pod_facts.next_availability(active, owner.spec.minReadySeconds or 0, now)
        if wait_seconds is not None:
            actions.append(RequeueAfter(seconds=wait_seconds))
        return actions

    def after_failure(self, view: View, key: ObjectKey, now: float, failures: Sequence[Failure]) -> Sequence[Action]:
        """Scaling failed: the ReplicaFailure condition tells why."""
        owner = view.get(self.kind, key.namespace, key.name)
        scaling = [f for f in failures if isinstance(f.action, Create | Delete)]
        if owner is None or not scaling:
            return []
        return self._status(owner, claim(view, owner, core_v1.Pod).owned, now, scaling[0])

    def _scale(self, view: View, owner: Any, active: Sequence[core_v1.Pod], now: float) -> list[Action]:
        wanted = 1 if owner.spec.replicas is None else owner.spec.replicas
        missing = wanted - len(active)
        if missing > 0:
            create = Create(
                object=pod_facts.pod_of_template(owner.spec.template or core_v1.PodTemplateSpec(), owner),
                succeeded=record(owner, "Normal", "SuccessfulCreate", "Created pod: {name}"),
                failed=record(owner, "Warning", "FailedCreate", "Error creating: {error}"),
            )
            return [create] * min(missing, BURST)
        if missing < 0:
            order = pod_facts.deletion_order(now, self._crowd(view, owner, active))
            chosen = sorted(active, key=order)[: min(-missing, BURST)]
            return [
                delete_of(
                    pod,
                    succeeded=record(owner, "Normal", "SuccessfulDelete", "Deleted pod: {name}"),
                    failed=record(owner, "Warning", "FailedDelete", "Error deleting: {error}"),
                )
                for pod in chosen
            ]
        return []

    def _crowd(self, view: View, owner: Any, active: Sequence[core_v1.Pod]) -> Counter[str]:
        """Active pods by node, counting those of the sets that share our own owner (a Deployment's others)."""
        related = list(active)
        parent = controller_of(owner)
        if parent is not None:
            for sibling in view.controlled_by(self.kind, parent.uid):
                if sibling.metadata.uid != owner.metadata.uid:
                    related += view.controlled_by(core_v1.Pod, sibling.metadata.uid)
        return Counter(pod.spec.nodeName or "" for pod in related if pod_facts.is_active(pod))

    def _status(self, owner: Any, owned: Sequence[core_v1.Pod], now: float, failure: Failure | None) -> list[Action]:
        old = owner.status
        new = codec.copy(old) if old is not None else self.kind().status
        active = [pod for pod in owned if pod_facts.is_active(pod)]
        template = owner.spec.template
        template_labels = (template.metadata.labels if template and template.metadata else None) or {}
        min_ready_seconds = owner.spec.minReadySeconds or 0
        new.replicas = len(active)
        new.fullyLabeledReplicas = _positive(
            sum(template_labels.items() <= (p.metadata.labels or {}).items() for p in active)
        )
        new.readyReplicas = _positive(sum(map(pod_facts.is_ready, active)))
        available = sum(pod_facts.is_available(pod, min_ready_seconds, now) for pod in active)
        new.availableReplicas = _positive(available)
        if hasattr(new, "terminatingReplicas"):
            new.terminatingReplicas = sum(map(pod_facts.is_terminating, owned))
        new.observedGeneration = owner.metadata.generation
        new.conditions = self._conditions(old, now, failure)
        if new == old:
            return []
        changed = codec.copy(owner)
        changed.status = new
        return [UpdateStatus(object=changed)]

    def _conditions(self, old: Any, now: float, failure: Failure | None) -> list[Any] | None:
        conditions = list(old.conditions or ()) if old is not None else []
        known = next((c for c in conditions if c.type == "ReplicaFailure"), None)
        if failure is None:
            return [c for c in conditions if c is not known] or None
        reason = "FailedCreate" if isinstance(failure.action, Create) else "FailedDelete"
        if known is not None and known.reason == reason and known.status == "True":
            return conditions
        fresh = self.condition(
            type="ReplicaFailure",
            status="True",
            lastTransitionTime=timestamps.time_of(now),
            reason=reason,
            message=str(failure.error),
        )
        return [*(c for c in conditions if c is not known), fresh]


def _positive(count: int) -> int | None:
    """Go leaves zeros of these fields out."""
    return count or None

"""Deployments: what to do next about a rollout. One step per reconcile; each step's effect brings about the next.

Order: adopt, pause or resume, revision and new ReplicaSet, scaling, rolling update or recreation, clean-up, status.
Sizes are `rolling.py`'s decision, names and revisions `revisions.py`'s, conditions `status.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import (
    Action,
    Create,
    Failure,
    Record,
    RequeueAfter,
    Update,
    UpdateStatus,
    delete_of,
    record,
)
from tiphys.controllers.claims import adopt_if_alive, claim, claimant_keys
from tiphys.controllers.controller import Controller, View, Watch, controller_index, controller_of, own_key
from tiphys.controllers.deployment import revisions, rolling
from tiphys.controllers.deployment import status as rollout
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1


@dataclass(frozen=True, slots=True)
class _Rollout:
    """A Deployment with its ReplicaSets."""

    deployment: apps_v1.Deployment
    new: apps_v1.ReplicaSet | None
    old: Sequence[apps_v1.ReplicaSet]
    now: float

    @property
    def everything(self) -> list[apps_v1.ReplicaSet]:
        return [*self.old, *([self.new] if self.new is not None else [])]


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    """The next step of one Deployment."""
    deployment = view.get(apps_v1.Deployment, key.namespace, key.name)
    if deployment is None:
        return []
    if _selects_everything(deployment):
        return _refused(deployment)
    found = claim(view, deployment, apps_v1.ReplicaSet)
    if found.actions:
        return list(found.actions)
    new = revisions.find_new(deployment, found.owned)
    old = [r for r in found.owned if r is not new]
    state = _Rollout(deployment, new, sorted(old, key=revisions.by_age), now)
    if deployment.metadata.deletionTimestamp is not None:
        return _status(state, plain=True)
    return _pause_or_resume(state) or _sync_revision(state) or _proceed(view, state)


def _selects_everything(deployment: apps_v1.Deployment) -> bool:
    selector = deployment.spec.selector
    return not selector.matchLabels and not selector.matchExpressions


def _refused(deployment: apps_v1.Deployment) -> list[Action]:
    message = "This deployment is selecting all pods. A non-empty selector is required."
    actions: list[Action] = [record(deployment, "Warning", "SelectingAll", message)]
    if (deployment.status.observedGeneration or 0) < (deployment.metadata.generation or 0):
        changed = codec.copy(deployment)
        changed.status.observedGeneration = deployment.metadata.generation
        actions.append(UpdateStatus(object=changed))
        return actions
    return []


def _pause_or_resume(state: _Rollout) -> list[Action]:
    """The Progressing condition says whether the Deployment is paused, so that its deadline does not run."""
    deployment = state.deployment
    if not rollout.has_deadline(deployment):
        return []
    current = rollout.find_condition(deployment.status, "Progressing")
    if current is not None and current.reason == "ProgressDeadlineExceeded":
        return []
    noted = current is not None and current.reason == "DeploymentPaused"
    if bool(deployment.spec.paused) == noted:
        return []
    changed = codec.copy(deployment)
    reason, message = (
        ("DeploymentResumed", "Deployment is resumed") if noted else ("DeploymentPaused", "Deployment is paused")
    )
    rollout.set_condition(changed.status, "Progressing", "Unknown", reason, message, state.now)
    return [UpdateStatus(object=changed)]


def _sync_revision(state: _Rollout) -> list[Action]:
    """The new ReplicaSet's annotations follow the Deployment, whose revision is that of the new ReplicaSet."""
    deployment, new = state.deployment, state.new
    if new is None:
        return []
    annotations = revisions.new_annotations(deployment, new, revisions.next_revision(state.old))
    if annotations != (new.metadata.annotations or {}) or new.spec.minReadySeconds != deployment.spec.minReadySeconds:
        changed = codec.copy(new)
        changed.metadata.annotations = annotations
        changed.spec.minReadySeconds = deployment.spec.minReadySeconds
        return [Update(object=changed)]
    return _set_revision(deployment, annotations[revisions.REVISION]) or _note_found(state, new)


def _note_found(state: _Rollout, new: apps_v1.ReplicaSet) -> list[Action]:
    """The progress deadline counts from the moment the new ReplicaSet was found, when nothing else has been noted."""
    deployment = state.deployment
    if not rollout.has_deadline(deployment) or rollout.find_condition(deployment.status, "Progressing") is not None:
        return []
    changed = codec.copy(deployment)
    message = f'Found new replica set "{new.metadata.name}"'
    rollout.set_condition(changed.status, "Progressing", "True", "FoundNewReplicaSet", message, state.now)
    return [UpdateStatus(object=changed)]


def _set_revision(deployment: apps_v1.Deployment, revision: str) -> list[Action]:
    if (deployment.metadata.annotations or {}).get(revisions.REVISION) == revision:
        return []
    changed = codec.copy(deployment)
    changed.metadata.annotations = {**(changed.metadata.annotations or {}), revisions.REVISION: revision}
    return [Update(object=changed)]


def _proceed(view: View, state: _Rollout) -> list[Action]:
    deployment = state.deployment
    if deployment.spec.paused:
        return _scale(state) or [*_clean_up(state), *_status(state, plain=True)]
    if _was_scaled(state):
        return _scale(state) or _status(state, plain=True)
    if rolling.is_rolling(deployment):
        steps = _create_new(state) or _roll(state)
    else:
        steps = _recreate(view, state)
    if steps:
        return [*steps, *_status(state)] if not isinstance(steps[0], Create) else steps
    done = state.new is not None and rollout.is_complete(deployment, _rollout_status(state))
    return [*(_clean_up(state) if done else ()), *_status(state)]


def _was_scaled(state: _Rollout) -> bool:
    """Some active ReplicaSet was sized for another number of replicas."""
    wanted = str(rolling.wanted(state.deployment))
    noted = [
        (r.metadata.annotations or {}).get(revisions.DESIRED_REPLICAS) for r in state.everything if rolling.size(r) > 0
    ]
    return any(n is not None and n != wanted for n in noted)


def _scale(state: _Rollout) -> list[Action]:
    """Follow spec.replicas without rolling on."""
    deployment, everything = state.deployment, state.everything
    active = [r for r in everything if rolling.size(r) > 0]
    wanted = rolling.wanted(deployment)
    if len(active) <= 1:
        latest = active[0] if active else state.new or (state.old[-1] if state.old else None)
        return _resize(state, {latest.metadata.name or "": wanted}) if latest is not None else []
    new = state.new
    if new is not None and _is_saturated(deployment, new):
        return _resize(state, {r.metadata.name or "": 0 for r in state.old if rolling.size(r) > 0})
    if rolling.is_rolling(deployment):
        return _resize(state, rolling.proportional_sizes(deployment, everything))
    return []


def _is_saturated(deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet) -> bool:
    noted = (new.metadata.annotations or {}).get(revisions.DESIRED_REPLICAS)
    wanted = rolling.wanted(deployment)
    return rolling.size(new) == wanted == (new.status.availableReplicas or 0) and noted == str(wanted)


def _resize(state: _Rollout, sizes: rolling.Sizes) -> list[Action]:
    """Give ReplicaSets these sizes and note what for; an Event for each that changes."""
    deployment = state.deployment
    wanted = rolling.wanted(deployment)
    surge, _ = rolling.surge_and_unavailable(deployment)
    notes = {revisions.DESIRED_REPLICAS: str(wanted), revisions.MAX_REPLICAS: str(wanted + surge)}
    actions: list[Action] = []
    for replica_set in state.everything:
        size = sizes.get(replica_set.metadata.name or "")
        if size is None:
            continue
        before = rolling.size(replica_set)
        annotations = {**(replica_set.metadata.annotations or {}), **notes}
        if size == before and annotations == replica_set.metadata.annotations:
            continue
        changed = codec.copy(replica_set)
        changed.spec.replicas = size
        changed.metadata.annotations = annotations
        report = _scaled_event(deployment, replica_set.metadata.name or "", before, size)
        actions.append(Update(object=changed, succeeded=report if size != before else None))
    return actions


def _scaled_event(deployment: apps_v1.Deployment, name: str, before: int, after: int) -> Record:
    direction = "up" if after > before else "down"
    message = f"Scaled {direction} replica set {name} from {before} to {after}"
    return record(deployment, "Normal", "ScalingReplicaSet", message)


def _create_new(state: _Rollout) -> list[Action]:
    if state.new is not None:
        return []
    deployment = state.deployment
    size = rolling.initial_size(deployment, state.old)
    surge, _ = rolling.surge_and_unavailable(deployment)
    replica_set = revisions.new_replica_set(deployment, state.old, size, surge)
    name = replica_set.metadata.name or ""
    report = _scaled_event(deployment, name, 0, size) if size else None
    actions: list[Action] = [Create(object=replica_set, succeeded=report)]
    if rollout.has_deadline(deployment):
        changed = codec.copy(deployment)
        message = f'Created new replica set "{name}"'
        rollout.set_condition(changed.status, "Progressing", "True", "NewReplicaSetCreated", message, state.now)
        if changed.status != deployment.status:
            actions.append(UpdateStatus(object=changed))
    return actions


def _roll(state: _Rollout) -> list[Action]:
    """Grow the new ReplicaSet first, then shrink the old ones."""
    assert state.new is not None
    active = [r for r in state.old if rolling.size(r) > 0]
    grown = rolling.next_new_size(state.deployment, state.new, active)
    if grown != rolling.size(state.new):
        return _resize(state, {state.new.metadata.name or "": grown})
    if not active:
        return []
    return _resize(state, rolling.next_old_sizes(state.deployment, state.new, active))


def _recreate(view: View, state: _Rollout) -> list[Action]:
    """All old pods must be gone before the first new one comes."""
    active = {r.metadata.name or "": 0 for r in state.old if rolling.size(r) > 0}
    if active:
        return _resize(state, active)
    for replica_set in state.old:
        pods = view.controlled_by(core_v1.Pod, replica_set.metadata.uid or "")
        if any(not pod_facts.is_finished(pod) for pod in pods):
            return []
    if state.new is None:
        return _create_new(state)
    wanted = rolling.wanted(state.deployment)
    if rolling.size(state.new) == wanted:
        return []
    return _resize(state, {state.new.metadata.name or "": wanted})


def _clean_up(state: _Rollout) -> list[Action]:
    """Old ReplicaSets beyond the history limit go, oldest revision first, once nothing of them is left."""
    limit = state.deployment.spec.revisionHistoryLimit
    if limit is None:
        return []
    alive = sorted((r for r in state.old if r.metadata.deletionTimestamp is None), key=revisions.revision_of)
    return [
        delete_of(r)
        for r in alive[: max(len(alive) - limit, 0)]
        if not r.status.replicas
        and not rolling.size(r)
        and (r.metadata.generation or 0) <= (r.status.observedGeneration or 0)
    ]


def _rollout_status(state: _Rollout) -> apps_v1.DeploymentStatus:
    return rollout.rollout_status(state.deployment, state.new, state.everything, state.now)


def _status(state: _Rollout, *, plain: bool = False) -> list[Action]:
    """Write the status if it changed; `plain` leaves the progress alone (paused, scaled, ending)."""
    deployment = state.deployment
    if plain:
        status = rollout.calculated(deployment, state.new, state.everything, state.now)
    else:
        status = _rollout_status(state)
    actions: list[Action] = []
    if status != deployment.status:
        changed = codec.copy(deployment)
        changed.status = status
        actions.append(UpdateStatus(object=changed))
    wait_seconds = None if plain else rollout.seconds_to_deadline(deployment, status, state.now)
    if wait_seconds is not None:
        actions.append(RequeueAfter(seconds=wait_seconds))
    return actions


def after_failure(view: View, key: ObjectKey, now: float, failures: Sequence[Failure]) -> Sequence[Action] | None:
    """A new ReplicaSet could not be created: another hash when its name belongs to something else, else a condition."""
    failure = failures[0]
    deployment = view.get(apps_v1.Deployment, key.namespace, key.name)
    if deployment is None or not isinstance(failure.action, Create):
        return []
    changed = codec.copy(deployment)
    name = failure.action.object.metadata.name
    if failure.error.reason == "AlreadyExists":
        known = view.get(apps_v1.ReplicaSet, key.namespace, name)
        reference = controller_of(known) if known is not None else None
        if known is None or (
            reference is not None and reference.uid == deployment.metadata.uid and _same(deployment, known)
        ):
            return []
        changed.status.collisionCount = (deployment.status.collisionCount or 0) + 1
        return [UpdateStatus(object=changed)]
    message = f'Failed to create new replica set "{name}": {failure.error}'
    if rollout.has_deadline(deployment):
        rollout.set_condition(changed.status, "Progressing", "False", "ReplicaSetCreateError", message, now)
    actions: list[Action] = [record(deployment, "Warning", "ReplicaSetCreateError", message)]
    return [*actions, UpdateStatus(object=changed)] if changed.status != deployment.status else actions


def _same(deployment: apps_v1.Deployment, replica_set: apps_v1.ReplicaSet) -> bool:
    return revisions.find_new(deployment, [replica_set]) is replica_set


def _pod_keys(view: View, old: core_v1.Pod | None, new: core_v1.Pod | None) -> list[ObjectKey]:
    """The last pod of an old ReplicaSet is gone: a Deployment that recreates its pods can go on."""
    if (new is not None and not pod_facts.is_finished(new)) or old is None:
        return []
    reference: meta_v1.OwnerReference | None = controller_of(old)
    if reference is None or reference.kind != "ReplicaSet":
        return []
    namespace = old.metadata.namespace or ""
    replica_set = view.get(apps_v1.ReplicaSet, namespace, reference.name)
    owner = controller_of(replica_set) if replica_set is not None else None
    deployment = view.get(apps_v1.Deployment, namespace, owner.name) if owner is not None else None
    if deployment is None or rolling.is_rolling(deployment):
        return []
    return [ObjectKey(namespace, deployment.metadata.name or "")]


CONTROLLER = Controller(
    name="deployment",
    reconcile=reconcile,
    after_failure=after_failure,
    answered=adopt_if_alive(apps_v1.Deployment),
    watches=(
        Watch(kind=apps_v1.Deployment, keys=own_key),
        Watch(kind=apps_v1.ReplicaSet, keys=claimant_keys(apps_v1.Deployment)),
        Watch(kind=core_v1.Pod, keys=_pod_keys),
    ),
    indexes=(controller_index(apps_v1.ReplicaSet), controller_index(core_v1.Pod)),
)

"""StatefulSets: what to do next about the pods of one set.

In order (OrderedReady): a pod comes when all before it are ready, goes when all after it are gone, and an update takes
one pod at a time from the end. Parallel: pods come and go together, updates stay in order. Identity and storage are
`identity.py`'s business. Specified in "StatefulSets".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers import revision_history
from tiphys.controllers.actions import Action, Create, RequeueAfter, Update, UpdateStatus, delete_of, record
from tiphys.controllers.claims import adopt_if_alive, claim, claimant_keys
from tiphys.controllers.controller import Controller, View, Watch, controller_index, own_key
from tiphys.controllers.deployment.rolling import resolved
from tiphys.controllers.revision_history import HASH_LABEL
from tiphys.controllers.statefulset import identity
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1


@dataclass(frozen=True, slots=True)
class _State:
    """`replicas` are the pods by place within the wanted range, `condemned` those beyond, last place first."""

    owner: apps_v1.StatefulSet
    replicas: dict[int, core_v1.Pod]
    condemned: Sequence[core_v1.Pod]
    current: apps_v1.ControllerRevision
    update: apps_v1.ControllerRevision
    now: float

    @property
    def places(self) -> range:
        start = self.owner.spec.ordinals.start or 0 if self.owner.spec.ordinals is not None else 0
        count = 1 if self.owner.spec.replicas is None else self.owner.spec.replicas
        return range(start, start + count)

    @property
    def in_order(self) -> bool:
        return self.owner.spec.podManagementPolicy != "Parallel"

    @property
    def partition(self) -> int:
        strategy = self.owner.spec.updateStrategy
        rolling = strategy.rollingUpdate if strategy is not None else None
        return rolling.partition or 0 if rolling is not None else 0

    def is_healthy(self, pod: core_v1.Pod) -> bool:
        """Running, ready, and not being deleted."""
        return pod.status.phase == "Running" and pod_facts.is_ready(pod) and pod.metadata.deletionTimestamp is None

    def is_available(self, pod: core_v1.Pod) -> bool:
        seconds = self.owner.spec.minReadySeconds or 0
        return self.is_healthy(pod) and pod_facts.is_available(pod, seconds, self.now)


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    owner = view.get(apps_v1.StatefulSet, key.namespace, key.name)
    if owner is None:
        return []
    found = claim(view, owner, core_v1.Pod, adopts=lambda pod: identity.ordinal_of(owner, pod) >= 0)
    if found.actions:
        return list(found.actions)
    revisions = view.controlled_by(apps_v1.ControllerRevision, owner.metadata.uid or "")
    template_meta = owner.spec.template.metadata
    history = revision_history.history(owner, revisions, template_meta.labels if template_meta else None)
    ends = owner.metadata.deletionTimestamp is not None
    if history.actions:
        return [] if ends else list(history.actions)
    state = _observe(owner, history, found.owned, now)
    actions: list[Action] = []
    if not ends:
        actions += _claim_owners(view, state)
        if not actions:
            actions = _work(view, state)
        live = {(p.metadata.labels or {}).get(HASH_LABEL, "") for p in found.owned}
        live.add(state.current.metadata.name or "")
        actions += revision_history.surplus(history, live, owner.spec.revisionHistoryLimit)
    actions += _status(state)
    wait_seconds = pod_facts.next_availability(found.owned, owner.spec.minReadySeconds or 0, now)
    return [*actions, RequeueAfter(seconds=wait_seconds)] if wait_seconds is not None else actions


def _observe(
    owner: apps_v1.StatefulSet, history: revision_history.History, owned: Sequence[core_v1.Pod], now: float
) -> _State:
    named = owner.status.currentRevision
    current = next((r for r in history.others if r.metadata.name == named), history.update)
    state = _State(owner, {}, [], current, history.update, now)
    by_place = {identity.ordinal_of(owner, pod): pod for pod in owned}
    by_place.pop(-1, None)
    replicas = {place: pod for place, pod in by_place.items() if place in state.places}
    condemned = [by_place[place] for place in sorted(by_place, reverse=True) if place not in state.places]
    return _State(owner, replicas, condemned, current, history.update, now)


def _work(view: View, state: _State) -> list[Action]:
    """Pods that are missing or failed come first, then surplus ones go, then old ones are replaced."""
    actions, may_go_on = _fill(view, state)
    if not may_go_on:
        return actions
    surplus = _shrink(state)
    if surplus or (state.condemned and state.in_order):
        return [*actions, *surplus]
    return [*actions, *_replace(state)]


def _fill(view: View, state: _State) -> tuple[list[Action], bool]:
    """What to create (or to remove because it failed), and whether what is there allows to go on."""
    claims: list[Action] = []
    creates: list[Action] = []
    removals: list[Action] = []
    for place in state.places:
        pod = state.replicas.get(place)
        if pod is None:
            claims += _missing_claims(view, state, place)
            creates.append(_create(state, place))
        elif pod_facts.is_finished(pod):
            if pod.metadata.deletionTimestamp is None:
                removals += _failed(state, pod)
        elif state.is_available(pod):
            continue
        if state.in_order:
            removals.sort(key=lambda action: type(action).__name__, reverse=True)
            return [*claims, *creates, *removals], False
    removals.sort(key=lambda action: type(action).__name__, reverse=True)
    return [*claims, *creates, *removals], not creates and not removals


def _failed(state: _State, pod: core_v1.Pod) -> list[Action]:
    meta = state.owner.metadata
    message = f"StatefulSet {meta.namespace}/{meta.name} is recreating failed Pod {pod.metadata.name}"
    return [record(state.owner, "Warning", "RecreatingFailedPod", message), _delete(state, pod)]


def _missing_claims(view: View, state: _State, place: int) -> list[Action]:
    owner = state.owner
    actions: list[Action] = []
    for wanted in identity.claims_for(owner, place):
        name = wanted.metadata.name or ""
        if view.get(core_v1.PersistentVolumeClaim, owner.metadata.namespace or "", name) is not None:
            continue
        owners = identity.claim_owners(owner, wanted, None, condemned=False)
        wanted.metadata.ownerReferences = owners or None
        what = f"Claim {name} Pod {owner.metadata.name}-{place} in StatefulSet {owner.metadata.name}"
        actions.append(
            Create(
                object=wanted,
                tolerate_existing=True,
                succeeded=record(owner, "Normal", "SuccessfulCreate", f"create {what} success"),
                failed=record(owner, "Warning", "FailedCreate", f"create {what} failed error: {{error}}"),
            )
        )
    return actions


def _create(state: _State, place: int) -> Action:
    owner = state.owner
    revision = state.current if _is_current_place(state, place) else state.update
    template = revision_history.template_of(revision) or owner.spec.template
    what = f"Pod {owner.metadata.name}-{place} in StatefulSet {owner.metadata.name}"
    return Create(
        object=identity.pod_for(owner, template, place, revision.metadata.name or ""),
        succeeded=record(owner, "Normal", "SuccessfulCreate", f"create {what} successful"),
        failed=record(owner, "Warning", "FailedCreate", f"create {what} failed error: {{error}}"),
    )


def _is_current_place(state: _State, place: int) -> bool:
    """Whether a pod at this place still belongs to the old revision."""
    if state.current is state.update:
        return False
    strategy = state.owner.spec.updateStrategy
    if strategy is not None and strategy.type == "OnDelete":
        return False
    if strategy is None or strategy.rollingUpdate is None or strategy.rollingUpdate.partition is None:
        return place < state.places.start + (state.owner.status.currentReplicas or 0)
    return place < state.places.start + state.partition


def _shrink(state: _State) -> list[Action]:
    """Pods beyond the range go: in order one at a time from the end, each when the rest is healthy."""
    if not state.in_order:
        return [_delete(state, pod) for pod in state.condemned if pod.metadata.deletionTimestamp is None]
    if not state.condemned:
        return []
    last = state.condemned[0]
    if last.metadata.deletionTimestamp is not None:
        return []
    everything = [*state.replicas.values(), *state.condemned]
    others_broken = [pod for pod in everything if pod is not last and not state.is_healthy(pod)]
    if not state.is_healthy(last) and others_broken:
        return []
    return [_delete(state, last)]


def _replace(state: _State) -> list[Action]:
    """Pods of old revisions go from the end down to the partition, while enough others are available."""
    strategy = state.owner.spec.updateStrategy
    if strategy is not None and strategy.type == "OnDelete":
        return []
    rolling = strategy.rollingUpdate if strategy is not None else None
    total = len(state.places)
    limit = max(resolved(rolling.maxUnavailable if rolling is not None else None, total, up=True, default=1), 1)
    room = limit - sum(not state.is_available(pod) for pod in state.replicas.values())
    actions: list[Action] = []
    for place in reversed(state.places):
        if place < state.places.start + state.partition:
            break
        pod = state.replicas.get(place)
        if pod is None or pod.metadata.deletionTimestamp is not None:
            continue
        is_old = (pod.metadata.labels or {}).get(HASH_LABEL) != state.update.metadata.name
        if is_old and (room > 0 or not state.is_available(pod)):
            room -= state.is_available(pod)
            actions.append(_delete(state, pod))
            if limit == 1:
                break
        elif not state.is_available(pod) and limit == 1:
            break
    return actions


def _delete(state: _State, pod: core_v1.Pod) -> Action:
    what = f"Pod {pod.metadata.name} in StatefulSet {state.owner.metadata.name}"
    return delete_of(
        pod,
        succeeded=record(state.owner, "Normal", "SuccessfulDelete", f"delete {what} successful"),
        failed=record(state.owner, "Warning", "FailedDelete", f"delete {what} failed error: {{error}}"),
    )


def _claim_owners(view: View, state: _State) -> list[Action]:
    """Claims follow the retention policy through their owner references."""
    owner = state.owner
    actions: list[Action] = []
    for pod in [*state.replicas.values(), *state.condemned]:
        place = identity.ordinal_of(owner, pod)
        for template in owner.spec.volumeClaimTemplates or ():
            name = identity.claim_name(owner, template, place)
            present = view.get(core_v1.PersistentVolumeClaim, owner.metadata.namespace or "", name)
            if present is None:
                continue
            owners = identity.claim_owners(owner, present, pod, condemned=place not in state.places)
            if owners is not None:
                changed = codec.copy(present)
                changed.metadata.ownerReferences = owners or None
                actions.append(Update(object=changed))
    return actions


def _status(state: _State) -> list[Action]:
    owner = state.owner
    pods = [*state.replicas.values(), *state.condemned]
    standing = [pod for pod in pods if pod.metadata.deletionTimestamp is None]
    hashes = [(pod.metadata.labels or {}).get(HASH_LABEL) for pod in standing]
    current, update = state.current.metadata.name or "", state.update.metadata.name or ""
    status = codec.copy(owner.status)
    status.observedGeneration = owner.metadata.generation
    status.replicas = len(pods)
    status.readyReplicas = sum(pod_facts.is_ready(p) and p.status.phase == "Running" for p in pods) or None
    status.availableReplicas = sum(map(state.is_available, pods))
    status.currentReplicas = hashes.count(current) or None
    status.updatedReplicas = hashes.count(update) or None
    status.currentRevision, status.updateRevision = current, update
    status.collisionCount = owner.status.collisionCount or 0
    rolls = owner.spec.updateStrategy is None or owner.spec.updateStrategy.type != "OnDelete"
    if rolls and (status.updatedReplicas or 0) == status.replicas == (status.readyReplicas or 0):
        status.currentReplicas, status.currentRevision = status.updatedReplicas, update
    if status == owner.status:
        return []
    changed = codec.copy(owner)
    changed.status = status
    return [UpdateStatus(object=changed)]


CONTROLLER = Controller(
    name="statefulset",
    reconcile=reconcile,
    answered=adopt_if_alive(apps_v1.StatefulSet),
    watches=(
        Watch(kind=apps_v1.StatefulSet, keys=own_key),
        Watch(kind=core_v1.Pod, keys=claimant_keys(apps_v1.StatefulSet)),
        Watch(kind=apps_v1.ControllerRevision, keys=claimant_keys(apps_v1.StatefulSet)),
    ),
    reads=(core_v1.PersistentVolumeClaim,),
    indexes=(controller_index(core_v1.Pod), controller_index(apps_v1.ControllerRevision)),
)

"""DaemonSets: one pod on every node that wants it, replaced node by node when the template changes.

Pods are made for their node by required node affinity on its name; the scheduler binds them. Rolling: old pods go while
no more than maxUnavailable nodes lack an available pod, or with maxSurge the new pod comes before the old one goes.
Specified in "DaemonSet" and "Perform a Rolling Update on a DaemonSet".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tiphys.client.interface import ObjectKey
from tiphys.controllers import node_selection, revision_history
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import Action, Create, RequeueAfter, UpdateStatus, delete_of, record
from tiphys.controllers.claims import adopt_if_alive, claim, claimant_keys
from tiphys.controllers.controller import Controller, View, Watch, controller_index, own_key
from tiphys.controllers.deployment.rolling import resolved
from tiphys.kinds import codec
from tiphys.kinds.apps.daemon_set import GENERATION_ANNOTATION
from tiphys.kinds.types import apps_v1, core_v1
from tiphys.machinery import timestamps

BURST = 250
GENERATION_LABEL = "pod-template-generation"
FIRST_RETRY_SECONDS = 1.0
_EXECUTE = ("not-ready", "unreachable")
_SCHEDULE = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")


def daemon_tolerations(spec: core_v1.PodSpec) -> list[core_v1.Toleration]:
    """What pods of DaemonSets bear besides their own: they belong to the node, whatever its state."""
    wanted = [(name, "NoExecute") for name in _EXECUTE] + [(name, "NoSchedule") for name in _SCHEDULE]
    if spec.hostNetwork:
        wanted.append(("network-unavailable", "NoSchedule"))
    found = list(spec.tolerations or ())
    for name, effect in wanted:
        toleration = core_v1.Toleration(key=f"node.kubernetes.io/{name}", operator="Exists", effect=effect)
        if toleration not in found:
            found.append(toleration)
    return found


def node_of(pod: core_v1.Pod) -> str:
    """The node that a pod is on or was made for; "" when neither says so."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    for term in required.nodeSelectorTerms if required is not None else ():
        for requirement in term.matchFields or ():
            if (requirement.key, requirement.operator) == ("metadata.name", "In") and requirement.values:
                return requirement.values[0]
    return ""


@dataclass(frozen=True, slots=True)
class _State:
    """`by_node`: the set's pods that are not being deleted; `wanted`: the nodes that should have one, `kept` those that
    may keep one."""

    daemon_set: apps_v1.DaemonSet
    history: revision_history.History
    by_node: dict[str, list[core_v1.Pod]]
    terminating: frozenset[str]
    wanted: frozenset[str]
    kept: frozenset[str]
    now: float

    @property
    def min_ready_seconds(self) -> int:
        return self.daemon_set.spec.minReadySeconds or 0

    def is_new(self, pod: core_v1.Pod) -> bool:
        hashed = revision_history.hash_of(self.history.update)
        return (pod.metadata.labels or {}).get(revision_history.HASH_LABEL) == hashed

    def is_available(self, pod: core_v1.Pod) -> bool:
        return pod_facts.is_available(pod, self.min_ready_seconds, self.now)


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    daemon_set = view.get(apps_v1.DaemonSet, key.namespace, key.name)
    if daemon_set is None:
        return []
    found = claim(view, daemon_set, core_v1.Pod)
    if found.actions:
        return list(found.actions)
    revisions = view.controlled_by(apps_v1.ControllerRevision, daemon_set.metadata.uid or "")
    template_meta = daemon_set.spec.template.metadata
    history = revision_history.history(daemon_set, revisions, template_meta.labels if template_meta else None)
    if history.actions:
        return list(history.actions) if daemon_set.metadata.deletionTimestamp is None else []
    state = _observe(view, daemon_set, history, found.owned, now)
    actions: list[Action] = []
    if daemon_set.metadata.deletionTimestamp is None:
        actions += _place(state)
        if not actions and (
            daemon_set.spec.updateStrategy is None or daemon_set.spec.updateStrategy.type != "OnDelete"
        ):
            actions += _roll(state)
        live = {(p.metadata.labels or {}).get(revision_history.HASH_LABEL, "") for p in found.owned}
        actions += revision_history.surplus(history, live, daemon_set.spec.revisionHistoryLimit)
    actions += _status(state)
    wait_seconds = pod_facts.next_availability(found.owned, state.min_ready_seconds, now)
    return [*actions, RequeueAfter(seconds=wait_seconds)] if wait_seconds is not None else actions


def _observe(
    view: View,
    daemon_set: apps_v1.DaemonSet,
    history: revision_history.History,
    owned: Iterable[core_v1.Pod],
    now: float,
) -> _State:
    by_node: dict[str, list[core_v1.Pod]] = {}
    terminating = set()
    for pod in sorted(owned, key=lambda p: (p.metadata.creationTimestamp or "", p.metadata.name or "")):
        if pod.metadata.deletionTimestamp is None:
            by_node.setdefault(node_of(pod), []).append(pod)
        elif not pod_facts.is_finished(pod):
            terminating.add(node_of(pod))
    spec = daemon_set.spec.template.spec or core_v1.PodSpec()
    tolerations = daemon_tolerations(spec)
    wanted, kept = set(), set()
    for node in view.list(core_v1.Node):
        name = node.metadata.name or ""
        if spec.nodeName not in (None, "", name) or not node_selection.is_selected(spec, node):
            continue
        if node_selection.is_borne(tolerations, node, ("NoExecute",)):
            kept.add(name)
            if node_selection.is_borne(tolerations, node, ("NoSchedule", "NoExecute")):
                wanted.add(name)
    return _State(daemon_set, history, by_node, frozenset(terminating), frozenset(wanted), frozenset(kept), now)


def _place(state: _State) -> list[Action]:
    """Pods that are missing, double, failed, or on nodes where they may not be."""
    deletes: list[Action] = []
    missing: list[str] = []
    waits: list[float] = []
    for name in sorted(state.by_node.keys() - state.kept):
        deletes += [_delete(state, pod) for pod in state.by_node[name]]
    for name in sorted(state.wanted | (state.kept & state.by_node.keys())):
        running = []
        for pod in state.by_node.get(name, ()):
            if pod_facts.is_finished(pod):
                wait_seconds = _retry_wait(state, pod)
                if wait_seconds > 0:
                    waits.append(wait_seconds)
                    running.append(pod)
                else:
                    deletes.append(_failed(state, pod, name))
                    deletes.append(_delete(state, pod))
            else:
                running.append(pod)
        if running:
            deletes += [_delete(state, pod) for pod in _doubles(state, running)]
        elif name in state.wanted and name not in state.terminating:
            missing.append(name)
    deletes.sort(key=lambda action: type(action).__name__, reverse=True)
    actions: list[Action] = [*(_create(state, name) for name in missing[:BURST]), *deletes[: 2 * BURST]]
    return [*actions, RequeueAfter(seconds=min(waits))] if waits else actions


def _retry_wait(state: _State, pod: core_v1.Pod) -> float:
    """A pod that failed quickly is replaced after a moment, so that a broken node is not filled with pods."""
    start = pod.metadata.creationTimestamp
    if not start:
        return 0.0
    return timestamps.seconds(start) + FIRST_RETRY_SECONDS - state.now


def _failed(state: _State, pod: core_v1.Pod, node_name: str) -> Action:
    message = (
        f"Found failed daemon pod {pod.metadata.namespace}/{pod.metadata.name} on node {node_name}, will try to kill it"
    )
    return record(state.daemon_set, "Warning", "FailedDaemonPod", message)


def _doubles(state: _State, running: Sequence[core_v1.Pod]) -> list[core_v1.Pod]:
    """All but the pod to keep: with surge an old one that is available and a new one stay side by side."""
    if len(running) == 1:
        return []
    surge, _ = _surge_and_unavailable(state)
    if surge:
        old = [p for p in running if not state.is_new(p)]
        new = [p for p in running if state.is_new(p)]
        if old and new:
            keep_old = old[0] if not state.is_available(new[0]) and state.is_available(old[0]) else None
            return [p for p in running if p is not new[0] and p is not keep_old]
    return list(running[1:])


def _surge_and_unavailable(state: _State) -> tuple[int, int]:
    strategy = state.daemon_set.spec.updateStrategy
    if strategy is not None and strategy.type == "OnDelete":
        return 0, 0
    rolling = strategy.rollingUpdate if strategy is not None else None
    total = len(state.wanted)
    surge = resolved(rolling.maxSurge if rolling else None, total, up=True, default=0)
    unavailable = resolved(rolling.maxUnavailable if rolling else None, total, up=True, default=1)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _roll(state: _State) -> list[Action]:
    """Replace pods of old templates."""
    surge, unavailable = _surge_and_unavailable(state)
    return _roll_surging(state, surge) if surge else _roll_replacing(state, unavailable)


def _roll_replacing(state: _State, limit: int) -> list[Action]:
    """Delete old pods: those that are not available at once, others while the limit allows."""
    unavailable, candidates, broken = 0, [], []
    for name in sorted(state.wanted):
        pods = state.by_node.get(name, [])
        new = next((p for p in pods if state.is_new(p)), None)
        old = next((p for p in pods if not state.is_new(p)), None)
        if new is None and old is None:
            unavailable += 1
        elif new is not None:
            unavailable += not state.is_available(new)
        elif old is not None and not state.is_available(old):
            unavailable += 1
            broken.append(old)
        elif old is not None:
            candidates.append(old)
    room = max(limit - unavailable, 0)
    return [_delete(state, pod) for pod in [*broken, *candidates[:room]]]


def _roll_surging(state: _State, limit: int) -> list[Action]:
    """Create new pods beside old ones; an old one goes when its successor is available (or it is not available
    itself)."""
    creates: list[Action] = []
    deletes: list[Action] = []
    surging = 0
    candidates = []
    for name in sorted(state.wanted):
        pods = state.by_node.get(name, [])
        new = next((p for p in pods if state.is_new(p)), None)
        old = next((p for p in pods if not state.is_new(p)), None)
        if old is None:
            continue
        if new is None and not state.is_available(old):
            creates.append(_create(state, name))
            deletes.append(_delete(state, old))
        elif new is None:
            candidates.append(name)
        elif state.is_available(new):
            deletes.append(_delete(state, old))
        else:
            surging += 1
    creates += [_create(state, name) for name in candidates[: max(limit - surging, 0)]]
    return [*creates, *deletes]


def _create(state: _State, node_name: str) -> Action:
    daemon_set = state.daemon_set
    pod = pod_facts.pod_of_template(daemon_set.spec.template, daemon_set)
    hashed = revision_history.hash_of(state.history.update)
    pod.metadata.labels = {**(pod.metadata.labels or {}), revision_history.HASH_LABEL: hashed}
    generation = (daemon_set.metadata.annotations or {}).get(GENERATION_ANNOTATION)
    if generation:
        pod.metadata.labels[GENERATION_LABEL] = generation
    pod.spec.tolerations = daemon_tolerations(pod.spec)
    _pin(pod.spec, node_name)
    return Create(
        object=pod,
        succeeded=record(daemon_set, "Normal", "SuccessfulCreate", "Created pod: {name}"),
        failed=record(daemon_set, "Warning", "FailedCreate", "Error creating: {error}"),
    )


def _pin(spec: core_v1.PodSpec, node_name: str) -> None:
    """Demand this node, by its name alone in place of what the template demands (the node fulfils that already)."""
    requirement = core_v1.NodeSelectorRequirement(key="metadata.name", operator="In", values=[node_name])
    term = core_v1.NodeSelectorTerm(matchFields=[requirement])
    spec.affinity = spec.affinity or core_v1.Affinity()
    spec.affinity.nodeAffinity = spec.affinity.nodeAffinity or core_v1.NodeAffinity()
    selector = core_v1.NodeSelector(nodeSelectorTerms=[term])
    spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = selector


def _delete(state: _State, pod: core_v1.Pod) -> Action:
    return delete_of(
        pod,
        succeeded=record(state.daemon_set, "Normal", "SuccessfulDelete", "Deleted pod: {name}"),
        failed=record(state.daemon_set, "Warning", "FailedDelete", "Error deleting: {error}"),
    )


def _status(state: _State) -> list[Action]:
    daemon_set = state.daemon_set
    scheduled = ready = available = updated = 0
    for name in state.wanted:
        pods = state.by_node.get(name, [])
        if not pods:
            continue
        scheduled += 1
        newest = next((p for p in reversed(pods) if state.is_new(p)), pods[-1])
        best = next((p for p in pods if pod_facts.is_ready(p)), newest)
        ready += pod_facts.is_ready(best)
        available += state.is_available(best)
        updated += state.is_new(newest)
    misplaced = sum(1 for name in state.by_node if name not in state.wanted)
    status = codec.copy(daemon_set.status)
    status.observedGeneration = daemon_set.metadata.generation
    status.desiredNumberScheduled = len(state.wanted)
    status.currentNumberScheduled = scheduled
    status.numberMisscheduled = misplaced
    status.numberReady = ready
    status.updatedNumberScheduled = updated or None
    status.numberAvailable = available or None
    status.numberUnavailable = (len(state.wanted) - available) or None
    if status == daemon_set.status:
        return []
    changed = codec.copy(daemon_set)
    changed.status = status
    return [UpdateStatus(object=changed)]


def _node_keys(view: View, old: core_v1.Node | None, new: core_v1.Node | None) -> list[ObjectKey]:
    """A node that came, went, or changed in what DaemonSets look at."""
    if old is not None and new is not None and _shape(old) == _shape(new):
        return []
    return [ObjectKey(d.metadata.namespace or "", d.metadata.name or "") for d in view.list(apps_v1.DaemonSet)]


def _shape(node: core_v1.Node) -> tuple[object, ...]:
    return (node.metadata.name, node.metadata.labels, node.spec.taints)


CONTROLLER = Controller(
    name="daemonset",
    identity="system:serviceaccount:kube-system:daemon-set-controller",
    source="daemonset-controller",
    reconcile=reconcile,
    answered=adopt_if_alive(apps_v1.DaemonSet),
    watches=(
        Watch(kind=apps_v1.DaemonSet, keys=own_key),
        Watch(kind=core_v1.Pod, keys=claimant_keys(apps_v1.DaemonSet)),
        Watch(kind=apps_v1.ControllerRevision, keys=claimant_keys(apps_v1.DaemonSet)),
        Watch(kind=core_v1.Node, keys=_node_keys),
    ),
    indexes=(controller_index(core_v1.Pod), controller_index(apps_v1.ControllerRevision)),
)

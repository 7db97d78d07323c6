"""The scheduler's mind: takes in what the API says, decides, and says what to write. No I/O; `component.py` carries
it out.

A pod that was given a node is *assumed* there (counted in the cluster) until the API says so itself or its binding
fails. A pod that made room for itself is *nominated*: its node counts it for others of no higher priority until it
has a node.

Invariants: a pod is in at most one of the queue, the assumed pods, and the pods the API shows with a node; decisions
of one call of `decide` are consistent with each other and with everything taken in before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.kinds.types import apps_v1, core_v1, policy_v1, storage_v1
from tiphys.machinery import labels as label_selectors
from tiphys.scheduler import messages
from tiphys.scheduler.batch import Decision, assigned, schedule_batch
from tiphys.scheduler.cluster import Cluster, WorkloadSelector
from tiphys.scheduler.config import DEFAULT_SCHEDULER, SchedulerConfig
from tiphys.scheduler.cycle import Diagnosis, NodeExplanation, RandomSource, ShapeCycle
from tiphys.scheduler.framework import ClusterEvent, EventKind
from tiphys.scheduler.plugins.table import DEFAULT_PLUGINS
from tiphys.scheduler.pods import PodInfo, PodShape, PodShapes
from tiphys.scheduler.preemption import Candidate, preempt
from tiphys.scheduler.queue import QueuedPod, SchedulingQueue
from tiphys.scheduler.volume_actions import ReserveVolume, SelectNode, volume_actions

VOLUME_PLUGIN = "VolumeBinding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """Give the pod the node. Answer with `SchedulerCore.bound` or `binding_failed`."""

    pod: PodInfo
    scheduler_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareVolumes:
    """Have the waiting claims of a pod bound for a node; the pod is decided about again when they are."""

    pod: PodInfo
    node_name: str
    actions: tuple[SelectNode | ReserveVolume, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Say why the pod waits. `nominated_node_name` as in `conditions.waiting_patch`; `victims` are to be deleted."""

    pod: PodInfo
    scheduler_name: str
    message: str
    nominated_node_name: str | None = None
    victims: tuple[PodInfo, ...] = ()


Action = Bind | PrepareVolumes | Wait
Workload = core_v1.Service | core_v1.ReplicationController | apps_v1.ReplicaSet | apps_v1.StatefulSet


def scheduler_name_of(pod: core_v1.Pod) -> str:
    return pod.spec.schedulerName or DEFAULT_SCHEDULER


class SchedulerCore:
    """See the module. Times are seconds of one monotonic clock."""

    def __init__(self, config: SchedulerConfig, random: RandomSource) -> None:
        self.config = config
        self.tables = {profile.scheduler_name: profile.table() for profile in config.profiles}
        self.cluster = Cluster()
        self.shapes = PodShapes()
        self.queue = SchedulingQueue(self._hint)
        self.assumed: dict[str, QueuedPod] = {}
        self.nominated: dict[str, tuple[PodInfo, str]] = {}
        self._random = random
        self._plugins = {entry.plugin.name: entry.plugin for entry in DEFAULT_PLUGINS}

    def _hint(self, plugin: str, event: ClusterEvent, shape: PodShape) -> bool:
        found = self._plugins[plugin]
        return event.kind in found.wakes_on and found.may_help(event, shape, self.cluster)

    # Taking in what the API says. `old` and `new` as informers tell them: None for what is not there.

    def pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None, now: float) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._pod_gone(old, now)
        if new is None:
            return
        if new.status.phase in ("Succeeded", "Failed"):
            self._pod_gone(new, now)
        elif new.spec.nodeName:
            self._pod_on_node(self.shapes.info(new), now)
        elif scheduler_name_of(new) in self.tables:
            self._pod_waits(self.shapes.info(new), now)

    def _pod_gone(self, pod: core_v1.Pod, now: float) -> None:
        uid = pod.metadata.uid or f"{pod.metadata.namespace}/{pod.metadata.name}"
        self.queue.remove(uid)
        self.assumed.pop(uid, None)
        promised = self.nominated.pop(uid, None)
        gone = self.cluster.remove_pod(uid)
        if gone is None and promised is not None:
            gone = promised[0]  # what was kept free for it is free for others
        if gone is not None:
            self._event(EventKind.POD_DELETE, gone, None, now)

    def _pod_on_node(self, pod: PodInfo, now: float) -> None:
        self.queue.remove(pod.uid)
        self.nominated.pop(pod.uid, None)
        was_assumed = self.assumed.pop(pod.uid, None) is not None
        previous = self.cluster.pods.get(pod.uid)
        self.cluster.set_pod(pod)
        if previous is None or was_assumed:
            self._event(EventKind.POD_ADD, None, pod, now)
        elif previous.shape is not pod.shape:
            self._event(EventKind.POD_UPDATE, previous, pod, now)

    def _pod_waits(self, pod: PodInfo, now: float) -> None:
        if pod.uid in self.assumed:
            return
        if pod.terminating:
            self._pod_gone(pod.pod, now)
            return
        if pod.nominated_node_name:
            self.nominated[pod.uid] = (pod, pod.nominated_node_name)
        else:
            self.nominated.pop(pod.uid, None)
        self.queue.set(pod, now)

    def node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None, now: float) -> None:
        if new is None:
            if old is not None:
                self.cluster.remove_node(old.metadata.name or "")
                self._event(EventKind.NODE_DELETE, old, None, now)
            return
        if old is None:
            self.cluster.set_node(new)
            self._event(EventKind.NODE_ADD, None, new, now)
        elif _node_matters(old, new):
            self.cluster.set_node(new)
            self._event(EventKind.NODE_UPDATE, old, new, now)

    def namespace_changed(self, old: core_v1.Namespace | None, new: core_v1.Namespace | None, now: float) -> None:
        if new is None:
            if old is not None:
                self.cluster.namespaces.pop(old.metadata.name or "", None)
            return
        self.cluster.namespaces[new.metadata.name or ""] = new.metadata.labels or {}
        if old is not None and old.metadata.labels != new.metadata.labels:
            self._event(EventKind.NAMESPACE_CHANGE, old, new, now)

    def claim_changed(
        self, old: core_v1.PersistentVolumeClaim | None, new: core_v1.PersistentVolumeClaim | None, now: float
    ) -> None:
        _replace(self.cluster.volumes.claims, _key(old), _key(new), new)
        self._event(EventKind.CLAIM_CHANGE, old, new, now)

    def volume_changed(
        self, old: core_v1.PersistentVolume | None, new: core_v1.PersistentVolume | None, now: float
    ) -> None:
        _replace(self.cluster.volumes.volumes, _name(old), _name(new), new)
        self._event(EventKind.VOLUME_CHANGE, old, new, now)

    def class_changed(
        self, old: storage_v1.StorageClass | None, new: storage_v1.StorageClass | None, now: float
    ) -> None:
        _replace(self.cluster.volumes.classes, _name(old), _name(new), new)
        self._event(EventKind.CLASS_CHANGE, old, new, now)

    def budget_changed(
        self, old: policy_v1.PodDisruptionBudget | None, new: policy_v1.PodDisruptionBudget | None, now: float
    ) -> None:
        _replace(self.cluster.budgets, _key(old), _key(new), new)

    def workload_changed(self, old: Workload | None, new: Workload | None, now: float) -> None:
        if new is None:
            if old is not None:
                self.cluster.remove_workload(old.kind, old.metadata.namespace or "", old.metadata.name or "")
            return
        if isinstance(new, core_v1.Service | core_v1.ReplicationController):
            selector = label_selectors.from_set(new.spec.selector)
        else:
            selector = label_selectors.from_object(new.spec.selector)
        namespace, name = new.metadata.namespace or "", new.metadata.name or ""
        self.cluster.set_workload(WorkloadSelector(new.kind, namespace, name, selector))

    def _event(self, kind: EventKind, old: Any, new: Any, now: float) -> None:
        self.queue.on_event(ClusterEvent(kind, old, new), now)

    # Deciding

    def next_at(self) -> float | None:
        """When `decide` could find something to do: 0 for now, None for not before something changes."""
        return self.queue.next_at()

    def decide(self, now: float) -> list[Action]:
        """Take the next pods in turn and decide about them."""
        batch = self.queue.take(now, self.config.batch_limit)
        if not batch:
            return []
        pods = [queued.pod for queued in batch]
        name = scheduler_name_of(pods[0].pod)
        nominated = self._nominated_for(pods[0])
        result = schedule_batch(self.tables[name], pods, self.cluster, self._random, nominated=nominated)
        by_uid = {queued.pod.uid: queued for queued in batch}
        actions: list[Action] = []
        for decision in result.decisions:
            actions.append(self._decided(by_uid[decision.pod.uid], decision, name, now))
        if result.diagnosis is not None:
            waiting = [by_uid[pod.uid] for pod in result.unschedulable]
            actions.extend(self._nothing_found(waiting, result.diagnosis, name, now))
        return actions

    def _nominated_for(self, pod: PodInfo) -> Mapping[int, Sequence[PodInfo]]:
        """The promises this pod must respect, by row."""
        found: dict[int, list[PodInfo]] = {}
        for uid, (other, node_name) in self.nominated.items():
            row = self.cluster.nodes.row_of.get(node_name)
            if row is not None and uid != pod.uid and other.priority >= pod.priority:
                found.setdefault(row, []).append(other)
        return found

    def _decided(self, queued: QueuedPod, decision: Decision, scheduler_name: str, now: float) -> Action:
        pod = decision.pod
        if pod.shape.claims:
            volumes = volume_actions(pod.shape, decision.node_name, self.cluster)
            if volumes:
                self.cluster.remove_pod(pod.uid)
                self.queue.put_back(queued, now, (VOLUME_PLUGIN,))
                return PrepareVolumes(pod=queued.pod, node_name=decision.node_name, actions=tuple(volumes))
        self.assumed[pod.uid] = queued
        self.nominated.pop(pod.uid, None)
        return Bind(pod=pod, scheduler_name=scheduler_name)

    def _nothing_found(
        self, waiting: list[QueuedPod], diagnosis: Diagnosis, scheduler_name: str, now: float
    ) -> list[Action]:
        """Preempt for the first; what is said of it holds for the rest, unless it gets room: then they try again."""
        first = waiting[0].pod
        outcome = preempt(
            self.tables[scheduler_name],
            first,
            diagnosis,
            self.cluster,
            self._random,
            nominated=self._nominated_for(first),
        )
        message = messages.failed_scheduling(diagnosis, outcome.message)
        if outcome.chosen is not None:
            for queued in waiting[1:]:
                self.queue.resume(queued, now)
            return [self._promised(waiting[0], diagnosis, outcome.chosen, message, scheduler_name, now)]
        actions: list[Action] = []
        for queued in waiting:
            self.queue.put_back(queued, now, diagnosis.plugins)
            keeps = outcome.message.startswith("preemption: not eligible")
            nominated = None if keeps or not queued.pod.nominated_node_name else ""
            if nominated == "":
                self.nominated.pop(queued.pod.uid, None)
            actions.append(
                Wait(pod=queued.pod, scheduler_name=scheduler_name, message=message, nominated_node_name=nominated)
            )
        return actions

    def _promised(
        self,
        queued: QueuedPod,
        diagnosis: Diagnosis,
        chosen: Candidate,
        message: str,
        scheduler_name: str,
        now: float,
    ) -> Wait:
        self.nominated[queued.pod.uid] = (queued.pod, chosen.node_name)
        for uid, (other, node_name) in [*self.nominated.items()]:
            if node_name == chosen.node_name and other.priority < queued.pod.priority:
                del self.nominated[uid]  # its promise cannot be kept; it finds out at its next turn
        self.queue.put_back(queued, now, diagnosis.plugins)
        return Wait(
            pod=queued.pod,
            scheduler_name=scheduler_name,
            message=message,
            nominated_node_name=chosen.node_name,
            victims=chosen.victims,
        )

    # What became of the decisions

    def binding_failed(self, uid: str, now: float, current: core_v1.Pod | None) -> None:
        """The API refused a binding. `current` is the pod as the informer shows it: it is tried again if it still
        waits."""
        queued = self.assumed.pop(uid, None)
        if queued is None:
            return
        self.cluster.remove_pod(uid)
        if current is not None and current.metadata.uid == queued.pod.pod.metadata.uid and not current.spec.nodeName:
            queued.pod = self.shapes.info(current)
            if not queued.pod.terminating:
                self.queue.put_back(queued, now)
        self._event(EventKind.POD_DELETE, assigned(queued.pod, ""), None, now)

    def retry(self, pod: PodInfo, now: float) -> None:
        """Something written for a waiting pod failed: let it be decided about again."""
        self.queue.wake((pod.uid,), now)

    def explain(self, pod: core_v1.Pod) -> list[NodeExplanation]:
        """What every plugin would say of every node for this pod, as things are now."""
        info = self.shapes.info(pod)
        table = self.tables.get(scheduler_name_of(pod), DEFAULT_PLUGINS)
        return ShapeCycle(table, info.shape, self.cluster, nominated=self._nominated_for(info)).explain()


def _node_matters(old: core_v1.Node, new: core_v1.Node) -> bool:
    """Whether anything changed that a plugin looks at (heartbeats do not count)."""
    return (
        old.spec != new.spec
        or old.metadata.labels != new.metadata.labels
        or old.status.allocatable != new.status.allocatable
        or old.status.capacity != new.status.capacity
        or old.status.images != new.status.images
        or old.status.declaredFeatures != new.status.declaredFeatures
        or old.metadata.uid != new.metadata.uid
    )


def _key(obj: Any) -> tuple[str, str] | None:
    return None if obj is None else (obj.metadata.namespace or "", obj.metadata.name or "")


def _name(obj: Any) -> str | None:
    return None if obj is None else obj.metadata.name or ""


def _replace(table: dict[Any, Any], old_key: Any, new_key: Any, new: Any) -> None:
    if old_key is not None and old_key != new_key:
        table.pop(old_key, None)
    if new is not None:
        table[new_key] = new

"""Taint-based eviction: pods leave nodes with NoExecute taints that they do not bear, at once or when their time is
over.

The time counts from when the taint was put on (its timeAdded), for a taint without that from when it was first seen
here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import Action, Patch, RequeueAfter, delete_of, record
from tiphys.controllers.controller import Controller, Index, View, Watch
from tiphys.controllers.node_lifecycle.controller import BY_NODE, node_of_pod
from tiphys.controllers.node_lifecycle.taints import seconds_borne
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.machinery import timestamps


def no_execute_taints(node: core_v1.Node | None) -> list[core_v1.Taint]:
    return [t for t in (node.spec.taints or ()) if t.effect == "NoExecute"] if node is not None else []


@dataclass(slots=True)
class TaintEviction:
    """`first_seen`: since when a pod (by uid) is known to stand under taints that do not tell their time."""

    first_seen: dict[str, float] = field(default_factory=dict)

    def reconcile(self, view: View, key: ObjectKey, now: float) -> list[Action]:
        pod = view.get(core_v1.Pod, key.namespace, key.name)
        if pod is None or pod.metadata.deletionTimestamp is not None or pod_facts.is_finished(pod):
            self._forget(view, pod)
            return []
        found = no_execute_taints(view.get(core_v1.Node, "", pod.spec.nodeName or ""))
        if not found:
            self._forget(view, pod)
            return []
        borne_seconds = seconds_borne(pod.spec.tolerations or (), found)
        if borne_seconds is None:
            return []
        wait_seconds = self._since(pod, found, now) + borne_seconds - now
        return [RequeueAfter(seconds=wait_seconds)] if wait_seconds > 0 else _evicted(pod, now)

    def _since(self, pod: core_v1.Pod, found: Iterable[core_v1.Taint], now: float) -> float:
        created = timestamps.seconds(pod.metadata.creationTimestamp) if pod.metadata.creationTimestamp else now
        moments = [timestamps.seconds(t.timeAdded) if t.timeAdded else None for t in found]
        if None in moments:
            return self.first_seen.setdefault(pod.metadata.uid or "", now)
        return max(max(m for m in moments if m is not None), created)

    def _forget(self, view: View, pod: core_v1.Pod | None) -> None:
        if pod is not None:
            self.first_seen.pop(pod.metadata.uid or "", None)
        elif len(self.first_seen) > 1000:
            alive = {p.metadata.uid for p in view.list(core_v1.Pod)}
            self.first_seen = {uid: at for uid, at in self.first_seen.items() if uid in alive}


def _evicted(pod: core_v1.Pod, now: float) -> list[Action]:
    condition = core_v1.PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="DeletionByTaintManager",
        message="Taint manager: deleting due to NoExecute taint",
        lastTransitionTime=timestamps.time_of(now),
    )
    others = [c for c in pod.status.conditions or () if c.type != "DisruptionTarget"]
    patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": codec.plain([*others, condition])}}
    namespace, name = pod.metadata.namespace or "", pod.metadata.name or ""
    message = f"Marking for deletion Pod {namespace}/{name}"
    return [
        record(pod, "Normal", "TaintManagerEviction", message),
        Patch(
            kind=core_v1.Pod,
            namespace=namespace,
            name=name,
            patch=patch,
            subresource="status",
            tolerate_missing=True,
        ),
        delete_of(pod),
    ]


def _pod_keys(view: View, old: core_v1.Pod | None, new: core_v1.Pod | None) -> list[ObjectKey]:
    pod = new or old
    if pod is None or not pod.spec.nodeName:
        return []
    if old is not None and new is not None and _shape(old) == _shape(new):
        return []
    if new is not None and not no_execute_taints(view.get(core_v1.Node, "", pod.spec.nodeName)):
        return []
    return [ObjectKey(pod.metadata.namespace or "", pod.metadata.name or "")]


def _shape(pod: core_v1.Pod) -> tuple[object, ...]:
    return (pod.metadata.uid, pod.spec.nodeName, pod.spec.tolerations, pod.status.phase, pod.metadata.deletionTimestamp)


def _node_keys(view: View, old: core_v1.Node | None, new: core_v1.Node | None) -> list[ObjectKey]:
    if no_execute_taints(old) == no_execute_taints(new):
        return []
    node = new or old
    assert node is not None
    pods = view.by_index(core_v1.Pod, BY_NODE, node.metadata.name or "")
    return [ObjectKey(pod.metadata.namespace or "", pod.metadata.name or "") for pod in pods]


def controller() -> Controller:
    return Controller(
        name="taint-eviction",
        identity="system:serviceaccount:kube-system:node-controller",
        source="taint-eviction-controller",
        reconcile=TaintEviction().reconcile,
        watches=(Watch(kind=core_v1.Node, keys=_node_keys), Watch(kind=core_v1.Pod, keys=_pod_keys)),
        indexes=(Index(kind=core_v1.Pod, name=BY_NODE, function=node_of_pod),),
    )

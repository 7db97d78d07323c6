"""Pods that nobody else removes: too many finished ones, those of nodes that are gone, those that ended before they had
a node, and terminating ones on nodes that were declared out of service.

Everything is looked at every PERIOD_SECONDS. Specified in "Pod Lifecycle", "Garbage collection of Pods", and
"Non-graceful node shutdown".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.client.interface import ApiRequest
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import Action, Answer, Ask, Patch, RequeueAfter, delete_of
from tiphys.controllers.controller import Controller, View, Watch
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.machinery import timestamps

PERIOD_SECONDS = 20.0
# A node must be missing for so long before its pods are orphans: caches of pods and nodes are not in step.
QUARANTINE_SECONDS = 40.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
KEY = "all pods"


@dataclass(slots=True)
class PodGarbage:
    """`threshold`: how many finished pods may stay (0 and less: all). `missing_since`: nodes named by pods that are not
    there."""

    threshold: int
    missing_since: dict[str, float] = field(default_factory=dict)

    def reconcile(self, view: View, key: str, now: float) -> list[Action]:
        pods = view.list(core_v1.Pod)
        actions: list[Action] = [RequeueAfter(seconds=PERIOD_SECONDS)]
        doomed = [*self._finished(pods), *_never_scheduled(pods), *_out_of_service(view, pods)]
        unique = {pod.metadata.uid: pod for pod in doomed}
        actions += _removal([*unique.values()], now)
        suspects = self._missing_nodes(view, pods, now)
        if suspects:
            requests = tuple(
                ApiRequest(verb="get", group="", version="v1", resource="nodes", name=name) for name in suspects
            )
            actions.append(Ask(requests=requests, memo=tuple(suspects)))
        return actions

    def answered(self, view: View, key: str, now: float, answers: Sequence[Answer], memo: Any) -> list[Action]:
        """Which of the suspected nodes do not exist: their pods go."""
        gone = {name for name, a in zip(memo, answers, strict=True) if a.error is not None and a.error.code == 404}
        orphans = [pod for pod in view.list(core_v1.Pod) if pod.spec.nodeName in gone]
        return _removal(orphans, now, "PodGC: node no longer exists")

    def _finished(self, pods: Iterable[core_v1.Pod]) -> list[core_v1.Pod]:
        if self.threshold <= 0:
            return []
        finished = [pod for pod in pods if pod_facts.is_finished(pod)]
        surplus = len(finished) - self.threshold
        if surplus <= 0:
            return []
        return sorted(finished, key=lambda p: (p.metadata.creationTimestamp or "", p.metadata.name or ""))[:surplus]

    def _missing_nodes(self, view: View, pods: Iterable[core_v1.Pod], now: float) -> list[str]:
        named = {pod.spec.nodeName for pod in pods if pod.spec.nodeName}
        missing = sorted(name for name in named if view.get(core_v1.Node, "", name) is None)
        self.missing_since = {name: self.missing_since.get(name, now) for name in missing}
        return [name for name in missing if now - self.missing_since[name] >= QUARANTINE_SECONDS]


def _never_scheduled(pods: Iterable[core_v1.Pod]) -> list[core_v1.Pod]:
    return [pod for pod in pods if pod.metadata.deletionTimestamp is not None and not pod.spec.nodeName]


def _out_of_service(view: View, pods: Iterable[core_v1.Pod]) -> list[core_v1.Pod]:
    names = set()
    for node in view.list(core_v1.Node):
        if any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints or ()):
            ready = next((c for c in node.status.conditions or () if c.type == "Ready"), None)
            if ready is None or ready.status != "True":
                names.add(node.metadata.name)
    if not names:
        return []
    return [pod for pod in pods if pod.spec.nodeName in names and pod.metadata.deletionTimestamp is not None]


def _removal(pods: Sequence[core_v1.Pod], now: float, disruption: str = "") -> list[Action]:
    """Delete without grace; what had not finished is marked as failed first, so that owners count it rightly."""
    actions: list[Action] = [_failed(pod, disruption, now) for pod in pods if not pod_facts.is_finished(pod)]
    return actions + [delete_of(pod, grace_seconds=0) for pod in pods]


def _failed(pod: core_v1.Pod, disruption: str, now: float) -> Patch:
    status: dict[str, Any] = {"phase": "Failed"}
    if disruption:
        condition = core_v1.PodCondition(
            type="DisruptionTarget",
            status="True",
            reason="DeletionByPodGC",
            message=disruption,
            lastTransitionTime=timestamps.time_of(now),
        )
        others = [c for c in pod.status.conditions or () if c.type != "DisruptionTarget"]
        status["conditions"] = codec.plain([*others, condition])
    return Patch(
        kind=core_v1.Pod,
        namespace=pod.metadata.namespace or "",
        name=pod.metadata.name or "",
        patch={"metadata": {"uid": pod.metadata.uid}, "status": status},
        subresource="status",
        tolerate_missing=True,
    )


def _no_keys(view: View, old: Any, new: Any) -> tuple[str, ...]:
    return ()


def controller(threshold: int) -> Controller:
    """Keeps at most `threshold` finished pods."""
    garbage = PodGarbage(threshold)
    return Controller(
        name="pod-garbage",
        identity="system:serviceaccount:kube-system:pod-garbage-collector",
        source="pod-garbage-collector",
        reconcile=garbage.reconcile,
        answered=garbage.answered,
        watches=(Watch(kind=core_v1.Pod, keys=_no_keys), Watch(kind=core_v1.Node, keys=_no_keys)),
        initial_keys=(KEY,),
    )

"""Nodes: silence is noticed, taints follow conditions, and pods are driven off slowly enough that a fault of the
network does not empty the cluster.

One key looks at all nodes every period; each node has its own key for what changes in between. Zones: a zone where most
nodes are not ready loses nodes more slowly (large) or not at all (small); when no node anywhere is ready, it is rather
we who are cut off, and nobody is driven off. Specified in "Nodes", "Node controller", and "API-initiated eviction"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tiphys.controllers.actions import Action, RequeueAfter
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.controller import Controller, Index, View, Watch
from tiphys.controllers.node_lifecycle import health, taints
from tiphys.kinds.types import coordination_v1, core_v1

LEASE_NAMESPACE = "kube-node-lease"
ALL_NODES = ""
UNHEALTHY_PART = 0.55
LARGE_ZONE = 50
SECONDARY_RATE_PER_SECOND = 0.01
BY_NODE = "node"


def node_of_pod(pod: core_v1.Pod) -> tuple[str, ...]:
    """Index function: the node that a pod is bound to."""
    return (pod.spec.nodeName,) if pod.spec.nodeName else ()


def zone_of(node: core_v1.Node) -> str:
    labels = node.metadata.labels or {}
    return f"{labels.get('topology.kubernetes.io/region', '')}:{labels.get('topology.kubernetes.io/zone', '')}"


@dataclass(slots=True)
class _Pace:
    """How many nodes of a zone may be tainted: one at once, then as the rate allows."""

    tokens: float = 1.0
    at: float = 0.0

    def take(self, rate_per_second: float, now: float) -> bool:
        self.tokens = min(1.0, self.tokens + max(now - self.at, 0.0) * rate_per_second)
        self.at = now
        if self.tokens < 1.0 or rate_per_second <= 0.0:
            return False
        self.tokens -= 1.0
        return True


@dataclass(slots=True)
class NodeLifecycle:
    """Remembers reports and paces; everything else is in the nodes."""

    config: ControllersConfig
    reports: health.NodeReports
    paces: dict[str, _Pace] = field(default_factory=dict)

    def reconcile(self, view: View, key: str, now: float) -> list[Action]:
        if key == ALL_NODES:
            return self._look_at_all(view, now)
        node = view.get(core_v1.Node, "", key)
        if node is None or node.metadata.deletionTimestamp is not None:
            return []
        clears = health.ready_status(node) == "True"
        actions = taints.with_taints(node, no_execute="" if clears else None, now=now)
        if not actions and not clears and health.node_condition(node, "Ready") is not None:
            actions += health.pods_not_ready(view.by_index(core_v1.Pod, BY_NODE, key), now)
        return actions

    def _look_at_all(self, view: View, now: float) -> list[Action]:
        nodes = sorted(view.list(core_v1.Node), key=lambda n: n.metadata.name or "")
        self.reports.forget_others(nodes)
        updates: list[Action] = []
        for node in nodes:
            lease = view.get(coordination_v1.Lease, LEASE_NAMESPACE, node.metadata.name or "")
            if self.reports.is_silent(node, lease, now):
                updates += health.silenced(node, now)
        updates.sort(key=lambda action: type(action).__name__, reverse=True)
        driven = self._drive_off(nodes, now)
        return [*updates, *driven, RequeueAfter(seconds=self.config.node_monitor_period_seconds)]

    def _drive_off(self, nodes: Sequence[core_v1.Node], now: float) -> list[Action]:
        """NoExecute taints for nodes that are not ready, at each zone's pace."""
        zones: dict[str, list[core_v1.Node]] = {}
        for node in nodes:
            zones.setdefault(zone_of(node), []).append(node)
        rates = {zone: self._rate(members) for zone, members in zones.items()}
        self.paces = {zone: pace for zone, pace in self.paces.items() if zone in zones}
        if rates and all(rate is None for rate in rates.values()):
            return [a for n in nodes if taints.has_no_execute(n) for a in taints.with_taints(n, no_execute="", now=now)]
        actions: list[Action] = []
        for zone, members in zones.items():
            rate = rates[zone]
            pace = self.paces.setdefault(zone, _Pace(1.0, now))
            for node in members:
                key = taints.no_execute_key(node)
                if not key or taints.has_no_execute(node, key):
                    continue
                switches = taints.has_no_execute(node)  # from one taint to the other: no new eviction
                if switches or pace.take(self.config.node_eviction_rate_per_second if rate is None else rate, now):
                    actions += taints.with_taints(node, no_execute=key, now=now)
        return actions

    def _rate(self, members: Sequence[core_v1.Node]) -> float | None:
        """Nodes a second of a zone that may be tainted; None when none of its nodes is ready."""
        ready = sum(health.ready_status(node) == "True" for node in members)
        broken = len(members) - ready
        if ready == 0 and broken > 0:
            return None
        if broken > 2 and broken / len(members) >= UNHEALTHY_PART:
            return SECONDARY_RATE_PER_SECOND if len(members) > LARGE_ZONE else 0.0
        return self.config.node_eviction_rate_per_second


def _node_keys(view: View, old: core_v1.Node | None, new: core_v1.Node | None) -> Iterable[str]:
    if new is None or (old is not None and _shape(old) == _shape(new)):
        return ()
    return (new.metadata.name or "",)


def _shape(node: core_v1.Node) -> tuple[object, ...]:
    """What the decisions of a node's own key depend on; heartbeats change nothing of it."""
    statuses = {c.type: c.status for c in node.status.conditions or ()}
    return (node.metadata.uid, node.spec.unschedulable, node.spec.taints, statuses)


def _pod_keys(view: View, old: core_v1.Pod | None, new: core_v1.Pod | None) -> Iterable[str]:
    """A pod that claims to be ready on a node that is not."""
    if new is None or not new.spec.nodeName:
        return ()
    node = view.get(core_v1.Node, "", new.spec.nodeName)
    if node is None or health.ready_status(node) == "True":
        return ()
    return (new.spec.nodeName,)


def _no_keys(view: View, old: object, new: object) -> tuple[str, ...]:
    return ()


def controller(config: ControllersConfig) -> Controller:
    lifecycle = NodeLifecycle(config, health.NodeReports(config.node_monitor_grace_seconds))
    return Controller(
        name="node-lifecycle",
        identity="system:serviceaccount:kube-system:node-controller",
        source="node-controller",
        reconcile=lifecycle.reconcile,
        watches=(
            Watch(kind=core_v1.Node, keys=_node_keys),
            Watch(kind=core_v1.Pod, keys=_pod_keys),
            Watch(kind=coordination_v1.Lease, keys=_no_keys),
        ),
        indexes=(Index(kind=core_v1.Pod, name=BY_NODE, function=node_of_pod),),
        initial_keys=(ALL_NODES,),
    )

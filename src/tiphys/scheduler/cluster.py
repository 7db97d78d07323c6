"""The scheduler's picture of the cluster: nodes, the pods on them, and what else decides where a pod may go.

It is changed only by `set_`/`remove_` calls (from informers, and for pods that were just given a node) and read by
plugins. A pod may be told several times, or move; the picture always holds it once, on the node it was last said to
be on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tiphys.kinds.types import core_v1, policy_v1, storage_v1
from tiphys.machinery.labels import Selector
from tiphys.scheduler.columns import Column
from tiphys.scheduler.counting import PodCounts, PodQuery
from tiphys.scheduler.nodes import NodeTable
from tiphys.scheduler.pods import PodInfo


@dataclass(frozen=True, slots=True)
class WorkloadSelector:
    """The pod selector of a Service, ReplicationController, ReplicaSet or StatefulSet: decides the default
    spreading."""

    kind: str
    namespace: str
    name: str
    selector: Selector


@dataclass(slots=True)
class VolumeView:
    """Claims by (namespace, name), volumes and classes by name."""

    claims: dict[tuple[str, str], core_v1.PersistentVolumeClaim] = field(default_factory=dict)
    volumes: dict[str, core_v1.PersistentVolume] = field(default_factory=dict)
    classes: dict[str, storage_v1.StorageClass] = field(default_factory=dict)


class Cluster:
    """What plugins see. `nodes` and `counts` always agree about which pod is where."""

    def __init__(self) -> None:
        self.nodes = NodeTable()
        self.counts = PodCounts()
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.volumes = VolumeView()
        self.budgets: dict[tuple[str, str], policy_v1.PodDisruptionBudget] = {}
        self.workloads: dict[str, dict[tuple[str, str], WorkloadSelector]] = {}
        """By namespace, then by (kind, name)."""
        self.pods: dict[str, PodInfo] = {}
        """Pods that have a node, by uid."""
        self.pods_on: dict[str, dict[str, PodInfo]] = {}
        """The same by node name, then uid; the node need not be known."""

    def set_node(self, node: core_v1.Node) -> None:
        name = node.metadata.name or ""
        known = name in self.nodes.row_of
        row = self.nodes.set_node(node)
        self.counts.grow(self.nodes.capacity)
        if not known:
            for pod in self.pods_on.get(name, {}).values():
                self.nodes.count(pod, row, 1)
                self.counts.count(pod, row, 1)

    def remove_node(self, name: str) -> None:
        row = self.nodes.remove_node(name)
        if row is not None:
            self.counts.clear_row(row)

    def set_pod(self, pod: PodInfo) -> None:
        """Put a pod on its node, wherever it was before."""
        previous = self.pods.get(pod.uid)
        if previous is not None:
            if (previous.node_name, previous.terminating) == (pod.node_name, pod.terminating) and (
                previous.shape is pod.shape
            ):
                self.pods[pod.uid] = self.pods_on[pod.node_name][pod.uid] = pod
                return
            self.remove_pod(pod.uid)
        self.pods[pod.uid] = pod
        on_node = self.pods_on.get(pod.node_name)
        if on_node is None:
            on_node = self.pods_on[pod.node_name] = {}
        on_node[pod.uid] = pod
        row = self.nodes.row_of.get(pod.node_name)
        if row is not None:
            self.nodes.count(pod, row, 1)
            self.counts.count(pod, row, 1)

    def remove_pod(self, uid: str) -> PodInfo | None:
        """Take a pod off its node. Returns it as it was known."""
        pod = self.pods.pop(uid, None)
        if pod is None:
            return None
        on_node = self.pods_on[pod.node_name]
        del on_node[uid]
        if not on_node:
            del self.pods_on[pod.node_name]
        row = self.nodes.row_of.get(pod.node_name)
        if row is not None:
            self.nodes.count(pod, row, -1)
            self.counts.count(pod, row, -1)
        return pod

    def pods_of(self, row: int) -> list[PodInfo]:
        return list(self.pods_on.get(self.nodes.names[row], {}).values())

    def matching(self, query: PodQuery) -> Column:
        """Matching pods per row of the node table (rows in use only)."""
        return self.counts.column(query)[: self.nodes.size]

    def set_workload(self, workload: WorkloadSelector) -> None:
        self.workloads.setdefault(workload.namespace, {})[workload.kind, workload.name] = workload

    def remove_workload(self, kind: str, namespace: str, name: str) -> None:
        in_namespace = self.workloads.get(namespace, {})
        in_namespace.pop((kind, name), None)
        if not in_namespace:
            self.workloads.pop(namespace, None)

    @contextmanager
    def with_pods(self, row: int, added: list[PodInfo], removed: list[PodInfo]) -> Iterator[None]:
        """Count a row as if some pods were there and others not, for as long as the context lasts."""
        try:
            self._recount(row, added, 1)
            self._recount(row, removed, -1)
            yield
        finally:
            self._recount(row, removed, 1)
            self._recount(row, added, -1)

    def recount(self, row: int, pod: PodInfo, sign: int) -> None:
        """Part of a dry run: count a pod in or out of a row without changing who is where. The caller undoes it."""
        self._recount(row, [pod], sign)

    def _recount(self, row: int, pods: list[PodInfo], sign: int) -> None:
        for pod in pods:
            self.nodes.count(pod, row, sign)
            self.counts.count(pod, row, sign)

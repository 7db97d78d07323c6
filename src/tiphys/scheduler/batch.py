"""Many pods of one shape, priority and profile in one go: a node for each, or the word that nothing is left.

The cluster counts each pod on its node as soon as it is decided, so the next pod sees it. Identical to deciding one
by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.cycle import Diagnosis, RandomSource, ShapeCycle
from tiphys.scheduler.plugins.table import Entry
from tiphys.scheduler.pods import PodInfo


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a pod goes. `pod` knows its node and is counted there."""

    pod: PodInfo
    node_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The pods that have a node, in order; the others with the reason they share (None if there are none)."""

    decisions: tuple[Decision, ...]
    unschedulable: tuple[PodInfo, ...] = ()
    diagnosis: Diagnosis | None = None


def assigned(pod: PodInfo, node_name: str) -> PodInfo:
    """The pod as it is on that node."""
    return PodInfo(
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        priority=pod.priority,
        shape=pod.shape,
        node_name=node_name,
        nominated_node_name="",
        terminating=pod.terminating,
        start_time=pod.start_time,
        pod=pod.pod,
    )


def schedule_batch(
    table: Sequence[Entry],
    pods: Sequence[PodInfo],
    cluster: Cluster,
    random: RandomSource,
    *,
    nominated: Mapping[int, Sequence[PodInfo]] | None = None,
) -> BatchResult:
    """Decide about pods of one shape, in order. Pods that were promised a node must come alone (a batch of one)."""
    cycle = ShapeCycle(table, pods[0].shape, cluster, nominated=nominated)
    decisions: list[Decision] = []
    waiting = list(reversed(pods))
    promised = pods[0].nominated_node_name if len(pods) == 1 else ""
    while waiting and cycle.refusal is None:
        rows = cycle.pick_round(random, len(waiting))
        if not rows:
            row = cycle.pick(random, promised)
            if row is None:
                break
            rows = [row]
        for row in rows:
            name = cluster.nodes.names[row]
            pod = assigned(waiting.pop(), name)
            cluster.set_pod(pod)
            decisions.append(Decision(pod, name))
        if waiting:
            cycle.placed(rows)
    if not waiting:
        return BatchResult(decisions=tuple(decisions))
    return BatchResult(decisions=tuple(decisions), unschedulable=tuple(reversed(waiting)), diagnosis=cycle.diagnosis())

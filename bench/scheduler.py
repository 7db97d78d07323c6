"""Scheduling throughput: how fast decisions are made (no I/O), for the rows of the performance goals.

    python bench/scheduler.py            # decisions alone
    python bench/scheduler.py --api      # first bind -> last bind against an API server in this process, on SQLite

Every figure is the median of several runs, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery.quantity import parse
from tiphys.scheduler.config import SchedulerConfig
from tiphys.scheduler.core import Bind, SchedulerCore

ZONES = 10


def node(number: int) -> core_v1.Node:
    resources = {"cpu": parse("32"), "memory": parse("64Gi"), "pods": parse("110")}
    name = f"node-{number:05}"
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % ZONES}"}
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name, labels=labels),
        status=core_v1.NodeStatus(allocatable=resources, capacity=resources),
    )


def pod(number: int, app: str = "plain") -> core_v1.Pod:
    """A pod that asks for a little, as most do."""
    requests = {"cpu": parse("100m"), "memory": parse("200Mi")}
    container = core_v1.Container(
        name="main", image="example/pause:1", resources=core_v1.ResourceRequirements(requests=requests)
    )
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name=f"{app}-{number:05}", namespace="default", uid=f"{app}-{number}", labels={"app": app}
        ),
        spec=core_v1.PodSpec(containers=[container], schedulerName="default-scheduler"),
    )


def spread_pod(number: int) -> core_v1.Pod:
    found = pod(number, "spread")
    found.spec.topologySpreadConstraints = [
        core_v1.TopologySpreadConstraint(
            maxSkew=1,
            topologyKey="topology.kubernetes.io/zone",
            whenUnsatisfiable="DoNotSchedule",
            labelSelector=meta_v1.LabelSelector(matchLabels={"app": "spread"}),
        )
    ]
    return found


def lonely_pod(number: int) -> core_v1.Pod:
    found = pod(number, "lonely")
    term = core_v1.PodAffinityTerm(
        topologyKey="kubernetes.io/hostname",
        labelSelector=meta_v1.LabelSelector(matchLabels={"app": "lonely"}),
    )
    found.spec.affinity = core_v1.Affinity(
        podAntiAffinity=core_v1.PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=[term])
    )
    return found


def mixed_pod(number: int) -> core_v1.Pod:
    """Every pod of its own shape: nothing can be decided together."""
    found = pod(number, "mixed")
    assert found.spec.containers[0].resources is not None
    found.spec.containers[0].resources.requests = {
        "cpu": parse(f"{50 + number % 97}m"),
        "memory": parse(f"{100 + number % 89}Mi"),
    }
    return found


def decide(nodes: int, pods: list[core_v1.Pod]) -> float:
    """Decisions per second, from the moment the pods are seen."""
    core = SchedulerCore(SchedulerConfig(), random.Random(1))
    for number in range(nodes):
        core.node_changed(None, node(number), 0.0)
    begin = time.perf_counter()
    for item in pods:
        core.pod_changed(None, item, 0.0)
    bound = 0
    while core.next_at() is not None and bound < len(pods):
        bound += sum(isinstance(action, Bind) for action in core.decide(0.0))
    seconds = time.perf_counter() - begin
    assert bound == len(pods), f"only {bound} of {len(pods)} pods found a node"
    return len(pods) / seconds


ROWS: tuple[tuple[str, int, int, Callable[[int], core_v1.Pod]], ...] = (
    ("plain pods, 1,000 nodes", 1000, 3000, pod),
    ("plain pods, 5,000 nodes", 5000, 2000, pod),
    ("pods of many shapes, 1,000 nodes", 1000, 3000, mixed_pod),
    ("zone spreading, 1,000 nodes", 1000, 2000, spread_pod),
    ("host anti-affinity, 1,000 nodes", 1000, 800, lonely_pod),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    for name, nodes, count, make in ROWS:
        rates = [decide(nodes, [make(number) for number in range(count)]) for _ in range(arguments.runs)]
        print(
            f"decide {count} {name}: {statistics.median(rates):,.0f} pods/s"
            f" (lowest {min(rates):,.0f}, highest {max(rates):,.0f})"
        )


if __name__ == "__main__":
    main()

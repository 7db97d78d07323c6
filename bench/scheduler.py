"""Scheduling throughput: decisions alone, and first bind to last bind against an API server on SQLite in this process.

The nodes are hollow: Node objects without anybody behind them. All pods are there before the scheduler starts.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figures import show
from tiphys.aio.clock import SystemClock
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.client.interface import ApiRequest, PatchType
from tiphys.kinds.types import apps_v1, core_v1, meta_v1
from tiphys.machinery.quantity import parse
from tiphys.scheduler.component import Scheduler
from tiphys.scheduler.config import SchedulerConfig
from tiphys.scheduler.core import Bind, SchedulerCore
from tiphys.store.drivers.sqlite import SqliteStore

RUNS = int(os.environ.get("RUNS", "3"))
ZONES = 10
CREATORS = 32
STATUS = {"allocatable": {"cpu": "32", "memory": "64Gi", "pods": "110"}}


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


def owned_pod(number: int) -> core_v1.Pod:
    """A pod of a ReplicaSet: it is spread by host and zone without asking for it."""
    found = pod(number, "owned")
    owner = meta_v1.OwnerReference(apiVersion="apps/v1", kind="ReplicaSet", name="owned", uid="o", controller=True)
    found.metadata.ownerReferences = [owner]
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
    core.workload_changed(None, REPLICA_SET, 0.0)
    begin = time.perf_counter()
    for item in pods:
        core.pod_changed(None, item, 0.0)
    bound = 0
    while core.next_at() is not None and bound < len(pods):
        bound += sum(isinstance(action, Bind) for action in core.decide(0.0))
    seconds = time.perf_counter() - begin
    assert bound == len(pods), f"only {bound} of {len(pods)} pods found a node"
    return len(pods) / seconds


REPLICA_SET = apps_v1.ReplicaSet(
    metadata=meta_v1.ObjectMeta(name="owned", namespace="default"),
    spec=apps_v1.ReplicaSetSpec(selector=meta_v1.LabelSelector(matchLabels={"app": "owned"})),
)


class BindTimes:
    """A transport that notes when each binding was acknowledged."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.watch = inner.watch
        self.close = inner.close
        self.begun: list[float] = []
        self.done: list[float] = []
        self._wanted = 0
        self._enough = asyncio.Event()

    async def reached(self, count: int) -> None:
        """Return when so many bindings have been acknowledged."""
        self._wanted = count
        if len(self.done) < count:
            await asyncio.wait_for(self._enough.wait(), 300)

    async def call(self, request: ApiRequest) -> Any:
        if request.subresource != "binding":
            return await self.inner.call(request)
        self.begun.append(time.perf_counter())
        answer = await self.inner.call(request)
        self.done.append(time.perf_counter())
        if len(self.done) == self._wanted:
            self._enough.set()
        return answer


async def create_all(client: Client, objects: list[Any]) -> None:
    left = iter(objects)

    async def work() -> None:
        for item in left:
            await client.create(item)

    await asyncio.gather(*(work() for _ in range(CREATORS)))


async def bind(nodes: int, pods: list[core_v1.Pod]) -> float:
    """Bindings per second, from the first one begun to the last one acknowledged."""
    failures: list[tuple[str, BaseException]] = []
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory) / "state.db", clock=clock)
        await store.start()
        begin = BootstrapConfig(addresses=("10.201.0.1",), port=6443, service_cidrs=("10.96.0.0/16",))
        server = ApiServer(ApiServerConfig(bootstrap=begin), store, clock)
        await server.start()
        client = Client(server.transport("admin", ("system:masters",)))
        account = meta_v1.ObjectMeta(name="default", namespace="default")
        await client.create(core_v1.ServiceAccount(metadata=account))
        await create_all(client, [node(number) for number in range(nodes)])
        for number in range(nodes):
            await client.patch(
                core_v1.Node, "", node(number).metadata.name or "", {"status": STATUS}, PatchType.MERGE, "status"
            )
        for item in pods:
            item.metadata.uid = None
        await create_all(client, pods)
        times = BindTimes(server.transport("system:kube-scheduler", ()))
        scheduler = Scheduler(
            times, clock, SchedulerConfig(), lambda name, error: failures.append((name, error)), random.Random(1)
        )
        await scheduler.start()
        await times.reached(len(pods))
        await scheduler.stop()
        await server.stop()
        await store.close()
    assert not failures, failures
    return len(pods) / (times.done[-1] - times.begun[0])


Row = tuple[str, int, int, Callable[[int], core_v1.Pod], str]
ROWS: tuple[Row, ...] = (
    ("plain pods, 1,000 nodes", 1000, 3000, pod, "137"),
    ("plain pods, 5,000 nodes", 5000, 2000, pod, "120"),
    ("zone spreading, 1,000 nodes", 1000, 2000, spread_pod, "91"),
    ("host anti-affinity, 1,000 nodes", 1000, 800, lonely_pod, "73"),
)
DECIDED_ONLY: tuple[Row, ...] = (
    ("pods of many shapes, 1,000 nodes", 1000, 3000, mixed_pod, ""),
    ("pods of a ReplicaSet, 1,000 nodes", 1000, 3000, owned_pod, ""),
)


def main() -> None:
    for name, nodes, count, make, _ in itertools.chain(ROWS, DECIDED_ONLY):
        rates = [decide(nodes, [make(number) for number in range(count)]) for _ in range(RUNS)]
        show(f"decide {count} {name}", rates, "pods/s")
    for name, nodes, count, make, peer in ROWS:
        rates = [asyncio.run(bind(nodes, [make(number) for number in range(count)])) for _ in range(RUNS)]
        show(f"schedule {count} {name}", rates, "pods/s", peer)


if __name__ == "__main__":
    main()

"""The scheduler against an API server in memory: what it binds, says and deletes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tiphys.aio.clock import VirtualClock, settle
from tiphys.client.interface import ApiRequest, PatchType, WatchEvent
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1, policy_v1
from tiphys.machinery import errors
from tiphys.machinery.quantity import parse
from tiphys.scheduler.component import Scheduler
from tiphys.scheduler.config import Profile, SchedulerConfig
from tiphys.testing.fake_api import FakeApi


def node(name: str, cpu: str = "1", **spec: Any) -> core_v1.Node:
    resources = {"cpu": parse(cpu), "memory": parse("4Gi"), "pods": parse("110")}
    labels = {"kubernetes.io/hostname": name}
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name, labels=labels),
        spec=core_v1.NodeSpec(**spec),
        status=core_v1.NodeStatus(allocatable=resources, capacity=resources),
    )


def pod(name: str, cpu: str = "600m", **spec: Any) -> core_v1.Pod:
    requests = {"cpu": parse(cpu)}
    container = core_v1.Container(name="main", image="app", resources=core_v1.ResourceRequirements(requests=requests))
    spec.setdefault("schedulerName", "default-scheduler")
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels={"app": name}),
        spec=core_v1.PodSpec(containers=[container], **spec),
    )


class ConditionMerging:
    """A transport to the API in memory that merges the lists of conditions, as the real server does for strategic
    patches."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.inner = api.transport("system:kube-scheduler")

    async def call(self, request: ApiRequest) -> Any:
        if request.patch_type is PatchType.STRATEGIC and "conditions" in request.body.get("status", {}):
            found = self.api.get(core_v1.Pod, request.namespace, request.name)
            merged = {c["type"]: c for c in codec.plain(found.status.conditions or [])} if found is not None else {}
            for condition in request.body["status"]["conditions"]:
                merged[condition["type"]] = {**merged.get(condition["type"], {}), **condition}
            body = {"status": {**request.body["status"], "conditions": list(merged.values())}}
            request = replace(request, patch_type=PatchType.MERGE, body=body)
        return await self.inner.call(request)

    def watch(self, request: ApiRequest) -> AsyncIterator[Sequence[WatchEvent]]:
        return self.inner.watch(request)

    async def close(self) -> None:
        await self.inner.close()


class World:
    """An API server in memory and a scheduler on it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(self.clock)
        self.failures: list[tuple[str, BaseException]] = []
        self.scheduler = Scheduler(
            ConditionMerging(self.api),
            self.clock,
            SchedulerConfig(profiles=(Profile(), Profile(scheduler_name="second")), instance="host"),
            lambda name, error: self.failures.append((name, error)),
            random.Random(7),
        )

    def node_of(self, name: str) -> str | None:
        found = self.api.get(core_v1.Pod, "default", name)
        return found.spec.nodeName if found is not None else None

    def condition(self, name: str) -> tuple[str, str | None, str | None] | None:
        found = self.api.get(core_v1.Pod, "default", name)
        assert found is not None
        for condition in found.status.conditions or ():
            if condition.type == "PodScheduled":
                return (condition.status, condition.reason, condition.message)
        return None

    def events(self) -> list[tuple[str | None, ...]]:
        return [(e.type, e.reason, e.action, e.involvedObject.name, e.message) for e in self.api.list(core_v1.Event)]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    yield found
    await found.scheduler.stop()
    assert found.failures == []


async def test_waiting_pods_are_bound_and_an_event_says_where(world: World) -> None:
    world.api.add(node("a"))
    world.api.add(pod("web"))
    await world.scheduler.start()
    await settle(300)
    assert world.node_of("web") == "a"
    assert world.condition("web") == ("True", None, None)
    assert world.events() == [("Normal", "Scheduled", "Binding", "web", "Successfully assigned default/web to a")]
    event = world.api.list(core_v1.Event)[0]
    assert (event.reportingComponent, event.reportingInstance) == ("default-scheduler", "default-scheduler-host")


async def test_two_pods_do_not_share_the_room_of_one(world: World) -> None:
    for name in ("a", "b"):
        world.api.add(node(name))
    await world.scheduler.start()
    for name in ("one", "two", "three"):
        world.api.add(pod(name))
    await settle(300)
    assert {world.node_of("one"), world.node_of("two")} == {"a", "b"}
    message = (
        "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available:"
        " 2 No preemption victims found for incoming pod."
    )
    assert world.condition("three") == ("False", "Unschedulable", message)
    assert ("Warning", "FailedScheduling", "Scheduling", "three", message) in world.events()


async def test_the_message_counts_each_reason(world: World) -> None:
    taint = core_v1.Taint(key="dedicated", value="db", effect="NoSchedule")
    world.api.add(node("a", taints=[taint]))
    world.api.add(node("b", cpu="500m"))
    world.api.add(node("c", unschedulable=True))
    world.api.add(pod("web"))
    await world.scheduler.start()
    await settle(300)
    assert world.condition("web") == (
        "False",
        "Unschedulable",
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db},"
        " 1 node(s) were unschedulable. preemption: 0/3 nodes are available:"
        " 3 Preemption is not helpful for scheduling.",
    )


async def test_without_nodes_the_message_says_so(world: World) -> None:
    world.api.add(pod("web"))
    await world.scheduler.start()
    await settle(300)
    assert world.condition("web") == ("False", "Unschedulable", "no nodes available to schedule pods")


async def test_a_new_node_wakes_a_pod_after_its_backoff(world: World) -> None:
    world.api.add(pod("web"))
    await world.scheduler.start()
    await settle(300)
    world.api.add(node("a"))
    await settle(300)
    assert world.node_of("web") is None
    await world.clock.advance(1.0)
    assert world.node_of("web") == "a"


async def test_a_pod_that_ends_makes_room(world: World) -> None:
    world.api.add(node("a"))
    first = pod("first")
    first.spec.nodeName = "a"
    world.api.add(first)
    world.api.add(pod("second"))
    await world.scheduler.start()
    await settle(300)
    assert world.node_of("second") is None
    world.api.change(core_v1.Pod, "default", "first", _succeed)
    await world.clock.advance(1.0)
    assert world.node_of("second") == "a"


def _succeed(found: core_v1.Pod) -> None:
    found.status.phase = "Succeeded"


async def test_other_schedulers_and_gated_pods_are_left_alone(world: World) -> None:
    world.api.add(node("a", cpu="8"))
    world.api.add(pod("theirs", schedulerName="another"))
    world.api.add(pod("ours", schedulerName="second"))
    world.api.add(pod("gated", schedulingGates=[core_v1.PodSchedulingGate(name="example.com/hold")]))
    await world.scheduler.start()
    await settle(300)
    assert (world.node_of("theirs"), world.node_of("ours"), world.node_of("gated")) == (None, "a", None)

    def open_gate(found: core_v1.Pod) -> None:
        found.spec.schedulingGates = None

    world.api.change(core_v1.Pod, "default", "gated", open_gate)
    await settle(300)
    assert world.node_of("gated") == "a"


async def test_a_refused_binding_is_tried_again(world: World) -> None:
    world.api.add(node("a"))
    world.api.add(pod("web"))
    world.api.fail(errors.internal("disk"), resource="pods", subresource="binding")
    await world.scheduler.start()
    await settle(300)
    assert world.node_of("web") is None
    assert world.condition("web") == (
        "False",
        "SchedulerError",
        "binding rejected: Internal error occurred: disk",
    )
    await world.clock.advance(1.0)
    assert world.node_of("web") == "a"


async def test_preemption_deletes_the_victim_and_keeps_its_place(world: World) -> None:
    world.api.add(node("a"))
    world.api.add(pod("low", priority=0))
    await world.scheduler.start()
    await settle(300)
    world.api.add(pod("high", priority=1000))
    await settle(300)
    victim = world.api.get(core_v1.Pod, "default", "low")
    assert victim is not None
    assert victim.metadata.deletionTimestamp is not None
    assert [
        (c.type, c.status, c.reason, c.message) for c in victim.status.conditions or () if c.type == "DisruptionTarget"
    ] == [
        (
            "DisruptionTarget",
            "True",
            "PreemptionByScheduler",
            "default-scheduler: preempting to accommodate a higher priority pod",
        )
    ]
    high = world.api.get(core_v1.Pod, "default", "high")
    assert high is not None
    assert high.status.nominatedNodeName == "a"
    assert world.condition("high") == ("False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
    reasons = {(reason, name) for _, reason, _, name, _ in world.events()}
    assert {("Preempted", "low"), ("FailedScheduling", "high")} <= reasons
    world.api.add(pod("later", priority=0))
    world.api.remove(core_v1.Pod, "default", "low")
    await world.clock.advance(2.0)
    assert (world.node_of("high"), world.node_of("later")) == ("a", None)


async def test_preemption_spares_what_a_budget_protects(world: World) -> None:
    for name in ("a", "b"):
        world.api.add(node(name))
    for name, node_name in (("guarded", "a"), ("free", "b")):
        low = pod(name, priority=0)
        low.spec.nodeName = node_name
        world.api.add(low)
    budget = policy_v1.PodDisruptionBudget(
        metadata=meta_v1.ObjectMeta(name="guard", namespace="default"),
        spec=policy_v1.PodDisruptionBudgetSpec(selector=meta_v1.LabelSelector(matchLabels={"app": "guarded"})),
        status=policy_v1.PodDisruptionBudgetStatus(
            disruptionsAllowed=0, currentHealthy=1, desiredHealthy=1, expectedPods=1
        ),
    )
    world.api.add(budget)
    world.api.add(pod("high", priority=10))
    await world.scheduler.start()
    await settle(300)
    high = world.api.get(core_v1.Pod, "default", "high")
    assert high is not None
    assert high.status.nominatedNodeName == "b"


async def test_a_pod_that_never_preempts_says_so(world: World) -> None:
    world.api.add(node("a"))
    low = pod("low", priority=0)
    low.spec.nodeName = "a"
    world.api.add(low)
    world.api.add(pod("high", priority=10, preemptionPolicy="Never"))
    await world.scheduler.start()
    await settle(300)
    condition = world.condition("high")
    assert condition is not None
    assert condition[2] == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )


async def test_a_missing_claim_keeps_a_pod_waiting(world: World) -> None:
    world.api.add(node("a"))
    volume = core_v1.Volume(
        name="data", persistentVolumeClaim=core_v1.PersistentVolumeClaimVolumeSource(claimName="data")
    )
    world.api.add(pod("db", volumes=[volume]))
    await world.scheduler.start()
    await settle(300)
    assert world.condition("db") == (
        "False",
        "Unschedulable",
        '0/1 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/1 nodes are available:'
        " 1 Preemption is not helpful for scheduling.",
    )
    claim = core_v1.PersistentVolumeClaim(metadata=meta_v1.ObjectMeta(name="data", namespace="default"))
    world.api.add(claim)
    await world.clock.advance(1.0)
    condition = world.condition("db")
    assert condition is not None
    assert "pod has unbound immediate PersistentVolumeClaims" in (condition[2] or "")


async def test_the_same_message_again_is_counted_in_a_series(world: World) -> None:
    world.api.add(node("a", cpu="100m"))
    world.api.add(pod("web"))
    await world.scheduler.start()
    await settle(300)
    await world.clock.advance(301.0)
    found = [event for event in world.api.list(core_v1.Event) if event.reason == "FailedScheduling"]
    assert len(found) == 1
    assert found[0].series is not None
    assert found[0].series.count == 2

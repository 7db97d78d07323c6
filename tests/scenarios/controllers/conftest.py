"""A cluster of nothing but the controllers, a fake API and a fake node agent, under a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio

from tiphys.aio.clock import VirtualClock, settle
from tiphys.controllers.component import ControllerManager
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.daemonset import node_of
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import timestamps
from tiphys.testing.fake_api import FakeApi


class Cluster:
    """`agent` decides what becomes of pods: `ready(pod)` says whether a running pod is ready, `finish(pod)` in which
    phase it ends ("" while it runs on)."""

    def __init__(self, config: ControllersConfig) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(self.clock)
        self.faults: list[tuple[str, BaseException]] = []
        self.ready: Callable[[core_v1.Pod], bool] = lambda pod: True
        self.ends_pods = True
        self.finish: Callable[[core_v1.Pod], str] = lambda pod: ""
        self.after_step: Callable[[], None] = lambda: None
        self.manager = ControllerManager(
            lambda user, groups: self.api.transport(user),
            self.clock,
            config,
            lambda name, error: self.faults.append((name, error)),
            on_fault=lambda name, error: self.faults.append((name, error)),
        )
        self._addresses = 0
        self.live_nodes: set[str] = set()

    async def quiet(self) -> None:
        """Until nobody has anything to do now."""
        for _ in range(200):
            await settle(20)
            if self.manager.idle:
                await settle(20)
                if self.manager.idle:
                    return
        raise AssertionError(f"busy for ever: {[n for n, r in self.manager.runners.items() if not r.idle]}")

    async def step(self, seconds: float = 1.0) -> None:
        """Let the controllers work, then the node agent, then time pass."""
        await self.quiet()
        self.run_agent()
        await self.quiet()
        self.after_step()
        await self.clock.advance(seconds)
        await self.quiet()

    async def steps(self, count: int, seconds: float = 1.0) -> None:
        for _ in range(count):
            await self.step(seconds)

    def run_agent(self) -> None:
        """Nodes report; pods are bound, run, become ready, and end when they are deleted."""
        for name in self.live_nodes:
            self.api.change(core_v1.Node, "", name, self._reports)
        for pod in self.api.list(core_v1.Pod):
            namespace, name = pod.metadata.namespace or "", pod.metadata.name or ""
            if pod.metadata.deletionTimestamp is not None:
                if self.ends_pods and pod.metadata.deletionGracePeriodSeconds:
                    self.api.remove(core_v1.Pod, namespace, name)
                continue
            phase = self.finish(pod)
            if phase and pod.status.phase == "Running":
                self.api.change(core_v1.Pod, namespace, name, self._ends(phase))
                continue
            wanted = "True" if self.ready(pod) else "False"
            current = next((c.status for c in pod.status.conditions or () if c.type == "Ready"), None)
            if pod.status.phase in ("Succeeded", "Failed") or (pod.status.phase == "Running" and current == wanted):
                continue
            self.api.change(core_v1.Pod, namespace, name, self._runs(wanted))

    def _reports(self, node: core_v1.Node) -> None:
        for condition in node.status.conditions or ():
            if condition.type == "Ready":
                condition.status = "True"
                condition.lastHeartbeatTime = timestamps.time_of(self.clock.now())

    def _ends(self, phase: str) -> Callable[[core_v1.Pod], None]:
        def edit(pod: core_v1.Pod) -> None:
            pod.status.phase = phase
            moment = timestamps.time_of(self.clock.now())
            pod.status.conditions = [core_v1.PodCondition(type="Ready", status="False", lastTransitionTime=moment)]
            ended = core_v1.ContainerStateTerminated(exitCode=int(phase == "Failed"), finishedAt=moment)
            state = core_v1.ContainerState(terminated=ended)
            pod.status.containerStatuses = [core_v1.ContainerStatus(name="c", state=state)]

        return edit

    def _runs(self, ready: str) -> Callable[[core_v1.Pod], None]:
        def edit(pod: core_v1.Pod) -> None:
            pod.spec.nodeName = pod.spec.nodeName or node_of(pod) or "a"
            if not pod.status.podIP:
                self._addresses += 1
                address = f"10.0.{self._addresses // 250}.{self._addresses % 250}"
                pod.status.podIP, pod.status.podIPs = address, [core_v1.PodIP(ip=address)]
            pod.status.phase = "Running"
            moment = timestamps.time_of(self.clock.now())
            pod.status.conditions = [core_v1.PodCondition(type="Ready", status=ready, lastTransitionTime=moment)]

        return edit

    def events(self) -> list[tuple[str, str]]:
        return [(e.reason or "", e.message or "") for e in self.api.list(core_v1.Event)]

    def add_node(self, name: str, **labels: str) -> None:
        meta = meta_v1.ObjectMeta(name=name, labels=dict(labels) or None)
        ready = core_v1.NodeCondition(
            type="Ready", status="True", lastHeartbeatTime=timestamps.time_of(self.clock.now())
        )
        self.live_nodes.add(name)
        self.api.add(core_v1.Node(metadata=meta, status=core_v1.NodeStatus(conditions=[ready])))


def condition(obj: Any, kind: str) -> tuple[str, str]:
    """(status, reason) of a condition; ("", "") for none."""
    found = next((c for c in obj.status.conditions or () if c.type == kind), None)
    return (found.status or "", found.reason or "") if found is not None else ("", "")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster(ControllersConfig(root_ca_pem="CA", cluster_cidrs=("10.244.0.0/16",), detect_mutation=True))
    made.add_node("a")
    await made.manager.start()
    await made.quiet()
    yield made
    assert made.faults == []
    assert made.manager.informers is not None
    made.manager.informers.verify()
    await made.manager.stop()

"""A kubelet on a runtime in memory, against an API in memory, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiphys.aio.clock import VirtualClock, settle
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.component import Kubelet, KubeletConfig
from tiphys.kubelet.eviction import MachineUsage
from tiphys.kubelet.node_status import MachineInfo
from tiphys.testing.fake_api import FakeApi
from tiphys.testing.fake_runtime import FakeRuntime

NODE = "node-1"
IMAGE = "docker.io/library/web:1"
GIB = 1 << 30

MACHINE = MachineInfo(
    cores=4,
    memory_bytes=8 * GIB,
    storage_bytes=100 * GIB,
    machine_id="machine",
    system_uuid="system",
    boot_id="boot",
    kernel_version="6.1.0",
    os_image="Test",
    architecture="amd64",
)
PLENTY = MachineUsage(
    memory_available_bytes=4 * GIB,
    root_available_bytes=50 * GIB,
    root_capacity_bytes=100 * GIB,
    root_inodes_free=900,
    root_inodes=1000,
    images_available_bytes=50 * GIB,
    images_capacity_bytes=100 * GIB,
    pids=100,
    maximum_pids=32768,
)


class HollowNode:
    """`start` it, then act on `api` and `runtime` and let time pass with `run`."""

    def __init__(self, directory: Path, **config: Any) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(self.clock, namespaces=("default", "kube-system", "kube-node-lease"))
        self.api.add(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default")))
        self.runtime = FakeRuntime(self.clock)
        self.runtime.add_image(IMAGE)
        self.failures: list[tuple[str, BaseException]] = []
        self.usage = PLENTY
        self._directory = directory
        self._config = config
        self.kubelet = self._make()

    def _make(self) -> Kubelet:
        config = KubeletConfig(
            node_name=NODE,
            node_addresses=("192.0.2.10",),
            root_dir=str(self._directory / "kubelet"),
            log_dir=str(self._directory / "logs"),
            runtime_endpoint="",
            resolv_conf=str(self._directory / "resolv.conf"),
            **self._config,
        )
        return Kubelet(
            config,
            self.api.transport(f"system:node:{NODE}"),
            self.clock,
            lambda task, error: self.failures.append((task, error)),
            runtime=self.runtime,
            machine=MACHINE,
            usage=lambda: self.usage,
        )

    async def start(self) -> None:
        await self.kubelet.start()
        await settle()

    async def restart(self) -> None:
        """As after a crash of the agent: another kubelet, the same runtime."""
        await self.kubelet.stop()
        self.kubelet = self._make()
        await self.start()

    async def stop(self) -> None:
        await self.kubelet.stop()
        await self.runtime.shut_down()
        assert self.failures == []

    async def run(self, seconds: float = 0.0) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    async def create(self, pod: core_v1.Pod) -> core_v1.Pod:
        """A pod bound to this node, and all that happens at once."""
        created = self.api.add(pod)
        await self.run()
        return created

    def pod(self, name: str = "web") -> core_v1.Pod:
        found = self.api.get(core_v1.Pod, "default", name)
        assert found is not None, f"no pod {name}"
        return found

    def gone(self, name: str = "web") -> bool:
        return self.api.get(core_v1.Pod, "default", name) is None

    def state(self, container: str = "main", name: str = "web") -> str:
        """`running`, `waiting: REASON` or `terminated: REASON CODE` of a container."""
        status = self.pod(name).status
        groups = (status.initContainerStatuses, status.containerStatuses, status.ephemeralContainerStatuses)
        for each in (entry for group in groups for entry in group or ()):
            if each.name == container and each.state is not None:
                if each.state.running is not None:
                    return "running"
                if each.state.waiting is not None:
                    return f"waiting: {each.state.waiting.reason}"
                if each.state.terminated is not None:
                    return f"terminated: {each.state.terminated.reason} {each.state.terminated.exitCode}"
        return "unknown"

    def restarts(self, container: str = "main", name: str = "web") -> int:
        status = self.pod(name).status
        return next(
            each.restartCount
            for each in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ()))
            if each.name == container
        )

    def condition(self, kind: str, name: str = "web") -> str:
        return next((each.status for each in self.pod(name).status.conditions or () if each.type == kind), "missing")

    def events(self, reason: str) -> list[str]:
        return [each.message or "" for each in self.api.list(core_v1.Event) if each.reason == reason]

    def change(self, edit: Callable[[core_v1.Pod], None], name: str = "web") -> None:
        self.api.change(core_v1.Pod, "default", name, edit)

    async def delete(self, name: str = "web", grace_seconds: int | None = None) -> None:
        options = meta_v1.DeleteOptions(gracePeriodSeconds=grace_seconds)
        self.api.remove(core_v1.Pod, "default", name, options)
        await self.run()


def container(name: str = "main", **fields: Any) -> core_v1.Container:
    return core_v1.Container(name=name, image=IMAGE, **fields)


def make_pod(name: str = "web", containers: list[core_v1.Container] | None = None, **spec: Any) -> core_v1.Pod:
    fields: dict[str, Any] = {"containers": containers or [container()], "nodeName": NODE, "restartPolicy": "Always"}
    fields.update(terminationGracePeriodSeconds=30, **spec)
    return core_v1.Pod(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), spec=core_v1.PodSpec(**fields))

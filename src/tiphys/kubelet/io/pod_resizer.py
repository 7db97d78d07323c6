"""Gives a pod and its running containers the resources that its definition asks for now."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tiphys.kinds.types import core_v1
from tiphys.kubelet.container_config import container_named
from tiphys.kubelet.interface import PodRuntime, RuntimeFailure
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_preparation import PodPreparation
from tiphys.kubelet.pod_actions import KillContainer
from tiphys.kubelet.resize import ContainerResize, ResizeProblem, changed_resources, resizes
from tiphys.kubelet.resources import linux_resources

log = logging.getLogger(__name__)


class PodResizer:
    """`applied` is what containers run with, by id, `applied_together` what the pod as a whole has (None where it says
    nothing); `problem` why the last resize was not done. `judge(pod)` says whether the node has room."""

    def __init__(
        self,
        context: NodeContext,
        preparation: PodPreparation,
        judge: Callable[[core_v1.Pod], ResizeProblem | None],
    ) -> None:
        self.applied: dict[str, core_v1.ResourceRequirements] = {}
        self.applied_together: core_v1.ResourceRequirements | None = None
        self.problem: ResizeProblem | None = None
        self._context = context
        self._preparation = preparation
        self._judge = judge

    def learn(self, pod: core_v1.Pod, runtime: PodRuntime) -> None:
        """New containers run with what the pod says; adopted ones with what was reported of them last."""
        if pod.spec.resources is None:
            self.applied_together = None
        elif self.applied_together is None:
            self.applied_together = pod.status.resources or pod.spec.resources
        running = {record.id: record for record in runtime.running}
        for container_id in [each for each in self.applied if each not in running]:
            del self.applied[container_id]
        statuses = [*(pod.status.containerStatuses or ()), *(pod.status.initContainerStatuses or ())]
        reported = {(each.containerID or "").rpartition("//")[2]: each.resources for each in statuses}
        for record in running.values():
            if record.id in self.applied:
                continue
            container = container_named(pod, record.name)
            own = container.resources if container is not None else None
            self.applied[record.id] = reported.get(record.id) or own or core_v1.ResourceRequirements()

    async def resize(self, pod: core_v1.Pod, runtime: PodRuntime) -> tuple[KillContainer, ...]:
        """Change what can be changed; the containers to end because they must be started anew for it."""
        wanted = resizes(pod, runtime, self.applied)
        together = bool(changed_resources(self.applied_together, pod.spec.resources))
        self.problem = self._judge(pod) if wanted or together else None
        if not (wanted or together) or self.problem is not None:
            return ()
        await self._limit_pod(pod)
        kills = []
        for each in wanted:
            if each.restart:
                message = f"Container {each.name} resize requires restart"
                kills.append(KillContainer(container_id=each.container_id, name=each.name, message=message))
            else:
                await self._resize(pod, each)
        await self._limit_pod(pod)
        if together:
            self.applied_together = pod.spec.resources
            self._context.recorder.record(pod, "Normal", "ResizeCompleted", "Pod resized")
        return tuple(kills)

    async def _limit_pod(self, pod: core_v1.Pod) -> None:
        """Before the containers, when it grows, and after them, when it shrinks: one of the two is refused."""
        try:
            await self._preparation.limit(pod)
        except OSError as error:
            log.info("resizing pod %s/%s: %s", pod.metadata.namespace, pod.metadata.name, error)

    async def _resize(self, pod: core_v1.Pod, change: ContainerResize) -> None:
        context = self._context
        container = container_named(pod, change.name)
        if not isinstance(container, core_v1.Container):
            return
        resources = linux_resources(pod, container, context.facts.memory_capacity_bytes, context.facts.unified_cgroups)
        try:
            await context.runtime.update_resources(change.container_id, resources)
        except RuntimeFailure as error:
            context.recorder.record(pod, "Warning", "ResizeError", f"Error resizing container {change.name}: {error}")
            self.problem = ResizeProblem(reason="Deferred", message=str(error))
            return
        self.applied[change.container_id] = change.resources
        message = f"Container {change.name} resized"
        context.recorder.record(pod, "Normal", "ResizeCompleted", message)

"""Watches what is left of memory, disk and process ids, and ends pods when it is too little. Which ones, and when, is
`eviction.py`'s decision."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

from tiphys.kinds.types import core_v1
from tiphys.kubelet import eviction
from tiphys.kubelet.eviction import MachineUsage, PodUse, PressureState, Shortage, Thresholds
from tiphys.kubelet.interface import ContainerUsage, RuntimeFailure
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_worker import PodWorker
from tiphys.kubelet.io.pod_workers import PodWorkers
from tiphys.kubelet.lifecycle import State
from tiphys.kubelet.node_status import Pressure
from tiphys.kubelet.pod_status import Verdict

log = logging.getLogger(__name__)
ROUND_SECONDS = 10.0


class Evictor:
    """`pressure` is what holds now. `usage` looks at the machine (blocking), `free_images` throws away images that
    nobody uses, `changed` is called when the pressure is another one."""

    def __init__(
        self,
        context: NodeContext,
        thresholds: Thresholds,
        usage: Callable[[], MachineUsage],
        changed: Callable[[], None],
    ) -> None:
        self.pressure = Pressure()
        self._context = context
        self._thresholds = thresholds
        self._usage = usage
        self._changed = changed
        self._state = PressureState()
        self._evicted: PodWorker | None = None

    async def run(self, workers: PodWorkers, free_images: Callable[[], Awaitable[None]]) -> None:
        """For ever."""
        while True:
            try:
                await self.look(workers, free_images)
            except (RuntimeFailure, OSError) as error:
                log.warning("looking at what is left on the node: %s", error)
            await self._context.clock.sleep(ROUND_SECONDS)

    async def look(self, workers: PodWorkers, free_images: Callable[[], Awaitable[None]]) -> None:
        """One round."""
        usage = await asyncio.to_thread(self._usage)
        found = eviction.shortages(usage, self._thresholds)
        before = self.pressure
        self._state, self.pressure = eviction.observe(self._state, found, self._context.clock.now())
        if self.pressure != before:
            log.info("pressure of the node: %s", self.pressure)
            self._changed()
        running = [each for each in workers.workers() if each.life.state is State.RUNNING]
        limited = [each for each in running if eviction.has_disk_limits(each.pod)]
        if not found and not limited:
            return
        uses = await self._uses(running if found else limited)
        for worker in limited:
            verdict = eviction.over_its_disk(uses[worker.uid])
            if verdict is not None:
                self._end(worker, verdict)
        if found:
            await self._relieve(found[0], running, uses, free_images)

    async def _relieve(
        self,
        shortage: Shortage,
        running: list[PodWorker],
        uses: dict[str, PodUse],
        free_images: Callable[[], Awaitable[None]],
    ) -> None:
        """First what nobody needs, then one pod; the next one only when that has gone."""
        if shortage.condition == "DiskPressure":
            await free_images()
            usage = await asyncio.to_thread(self._usage)
            if shortage not in eviction.shortages(usage, self._thresholds) and not any(
                each.condition == shortage.condition for each in eviction.shortages(usage, self._thresholds)
            ):
                return
        if self._evicted is not None and self._evicted.life.state is State.ENDING:
            return
        chosen = eviction.victim(shortage, [uses[each.uid] for each in running if each.life.state is State.RUNNING])
        if chosen is None:
            return
        worker = next(each for each in running if each.pod is chosen.pod)
        self._end(worker, eviction.evicted(shortage, chosen))

    def _end(self, worker: PodWorker, verdict: Verdict) -> None:
        self._evicted = worker
        self._context.recorder.record(worker.pod, "Warning", verdict.reason, verdict.message)
        worker.fail(verdict, grace_seconds=0)

    async def _uses(self, workers: list[PodWorker]) -> dict[str, PodUse]:
        by_pod: dict[str, list[ContainerUsage]] = {}
        for usage in await self._context.runtime.usage():
            by_pod.setdefault(usage.pod_uid, []).append(usage)
        result = {}
        for worker in workers:
            containers = by_pod.get(worker.uid, [])
            logs = await asyncio.to_thread(disk_bytes, self._context.facts.paths.pod_logs(worker.pod))
            disk = {each.name: each.writable_layer_bytes for each in containers}
            if containers and logs:
                disk[containers[0].name] = disk.get(containers[0].name, 0) + logs
            result[worker.uid] = PodUse(
                pod=worker.pod,
                memory={each.name: each.working_set_bytes for each in containers},
                disk=disk,
                volumes=await asyncio.to_thread(self._volume_bytes, worker.pod),
            )
        return result

    def _volume_bytes(self, pod: core_v1.Pod) -> dict[str, int]:
        root = f"{self._context.facts.paths.pod(pod.metadata.uid or '')}/volumes/kubernetes.io~empty-dir"
        return {
            volume.name: disk_bytes(f"{root}/{volume.name}")
            for volume in pod.spec.volumes or ()
            if volume.emptyDir is not None
        }


def disk_bytes(directory: str) -> int:
    """What a directory takes on its disk, files with several names once."""
    total, seen = 0, set()
    for parent, _, names in os.walk(directory):
        for name in (*names, "."):
            try:
                found = os.lstat(os.path.join(parent, name))
            except OSError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total

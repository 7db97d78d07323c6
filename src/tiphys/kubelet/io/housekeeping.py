"""What has to be tidied now and then: containers that ended, logs that grew, images nobody uses."""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from tiphys.kubelet import images as image_decisions
from tiphys.kubelet.images import ImageUse
from tiphys.kubelet.interface import ContainerRecord, RuntimeFailure
from tiphys.kubelet.io import files
from tiphys.kubelet.io.machine import machine_usage
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_workers import PodWorkers
from tiphys.kubelet.log_format import rotated_names
from tiphys.kubelet.paths import uid_of_log_directory
from tiphys.kubelet.resources import kubepods

log = logging.getLogger(__name__)
ROUND_SECONDS = 60.0
ROUNDS_BETWEEN_IMAGES = 5
MINIMUM_IMAGE_AGE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`dead_containers` a container name are kept besides the running one. Percentages are of the image file system."""

    dead_containers: int = 1
    log_bytes: int = 10 << 20
    log_files: int = 5
    images_high_percent: int = 85
    images_low_percent: int = 80


class Housekeeping:
    """`run` for ever; a fault of the runtime ends a round, not the task."""

    def __init__(self, workers: PodWorkers, context: NodeContext, limits: Limits) -> None:
        self._workers = workers
        self._cgroups = context.cgroups
        self._cgroup_root = context.facts.cgroup_root
        self._runtime = context.runtime
        self._paths = context.facts.paths
        self._clock = context.clock
        self._limits = limits
        self._uses: dict[str, ImageUse] = {}

    async def run(self) -> None:
        rounds = 0
        while True:
            await self._clock.sleep(ROUND_SECONDS)
            rounds += 1
            try:
                for worker in self._workers.workers():
                    await self._tidy(worker.uid)
                await self._remove_leftovers()
                if rounds % ROUNDS_BETWEEN_IMAGES == 0:
                    await self._free_images()
            except (RuntimeFailure, OSError) as error:
                log.warning("housekeeping: %s", error)

    async def _tidy(self, uid: str) -> None:
        worker = self._workers.worker(uid)
        if worker is None:
            return
        ended: dict[str, list[ContainerRecord]] = {}
        for record in worker.runtime.containers:
            if record.state == "exited":
                ended.setdefault(record.name, []).append(record)
            elif record.state == "running" and record.log_path:
                await self._rotate(record)
        for name, records in ended.items():
            keep = self._limits.dead_containers + (worker.runtime.latest(name) is records[0])
            for record in records[keep:]:
                await self._runtime.remove_container(record.id)
                if record.log_path:
                    await asyncio.to_thread(files.remove_logs, str(Path(record.log_path).parent), name, record.attempt)

        holding = {record.sandbox_id for record in worker.runtime.containers}
        for sandbox in worker.runtime.sandboxes[1:]:
            if not sandbox.ready and sandbox.id not in holding:
                await self._runtime.remove_sandbox(sandbox.id)

    async def _remove_leftovers(self) -> None:
        """Logs and control groups of pods that are gone (the pods' own workers remove theirs)."""
        for name in await asyncio.to_thread(files.names_in, self._paths.logs):
            uid = uid_of_log_directory(name)
            if uid and self._workers.worker(uid) is None:
                await asyncio.to_thread(files.remove_tree, f"{self._paths.logs}/{name}")
        if self._cgroups is None:
            return
        groups = await asyncio.to_thread(self._cgroups.pods, kubepods(self._cgroup_root))
        for uid, group in groups.items():
            if self._workers.worker(uid) is None:
                await asyncio.to_thread(self._cgroups.remove, group)

    async def _rotate(self, record: ContainerRecord) -> None:
        if await asyncio.to_thread(files.size_of, record.log_path) < self._limits.log_bytes:
            return
        moment = datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC).strftime("%Y%m%d-%H%M%S")
        await asyncio.to_thread(os.rename, record.log_path, f"{record.log_path}.{moment}")
        await self._runtime.reopen_log(record.id)
        await asyncio.to_thread(self._drop_old_logs, Path(record.log_path))

    def _drop_old_logs(self, path: Path) -> None:
        _, old = rotated_names(path.name, os.listdir(path.parent), self._limits.log_files - 1)
        for name in old:
            (path.parent / name).unlink(missing_ok=True)

    async def free_unused_images(self) -> None:
        """All of them, because the disk is full. RuntimeFailure."""
        await self._free_images(everything=True)

    async def _free_images(self, everything: bool = False) -> None:
        now = self._clock.now()
        known = await self._runtime.images()
        in_use = frozenset(
            reference
            for worker in self._workers.workers()
            for record in worker.runtime.containers
            for reference in (record.image_id, record.image)
        )
        for image in known:
            before = self._uses.get(image.id, ImageUse(detected_at=now, used_at=0.0))
            used = {image.id, *image.tags, *image.digests} & in_use
            self._uses[image.id] = ImageUse(detected_at=before.detected_at, used_at=now if used else before.used_at)
        directory, _ = await self._runtime.image_filesystem_bytes()
        usage = await asyncio.to_thread(machine_usage, self._paths.root, directory)
        wanted = image_decisions.bytes_to_free(
            usage.images_capacity_bytes,
            usage.images_available_bytes,
            self._limits.images_high_percent,
            self._limits.images_low_percent,
        )
        if everything:
            wanted = usage.images_capacity_bytes
        if not wanted:
            return
        used_ids = frozenset(i.id for i in known if {i.id, *i.tags, *i.digests} & in_use)
        for image_id in image_decisions.images_to_remove(
            known, self._uses, used_ids, wanted, 0.0 if everything else MINIMUM_IMAGE_AGE_SECONDS, now
        ):
            log.info("removing image %s to free disk space", image_id)
            await self._runtime.remove_image(image_id)

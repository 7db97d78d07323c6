"""What one pod needs before its first container: its control group and its volumes; and keeping the volumes current."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from tiphys.aio.backoff import Backoff
from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import VolumeFailure
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.resources import pod_cgroup, pod_cgroup_limits

log = logging.getLogger(__name__)
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 120.0


class PodPreparation:
    """`volumes` maps names to paths, None before they are there. `refresh_at` is when they must be brought up to date
    in any case. `report(type, reason, message)` makes an event."""

    def __init__(self, context: NodeContext, report: Callable[[str, str, str], None]) -> None:
        self.volumes: Mapping[str, str] | None = None
        self.refresh_at: float | None = None
        self.retry_at = 0.0
        self._context = context
        self._report = report
        self._stale = False
        self._retries: Backoff[str] = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)

    def sources_changed(self) -> None:
        """What volumes are made from is new: try again, or refresh, at the next opportunity."""
        self._stale = True
        self.retry_at = 0.0

    async def prepare(self, pod: core_v1.Pod) -> bool:
        """False when it cannot be done before `retry_at`, or before the sources change."""
        if self.volumes is not None:
            return True
        if self.retry_at > self._context.clock.now():
            return False
        await self.limit(pod)
        self._stale = False
        try:
            self.volumes = await self._context.sources.setup(pod)
            self.refresh_at = await self._context.sources.refresh(pod) if pod.spec.volumes else None
        except VolumeFailure as error:
            self.volumes = None
            self._report("Warning", "FailedMount", str(error))
            self.retry_at = self._context.clock.now() + self._retries.next("setup")
            return False
        self._retries.reset("setup")
        return True

    async def limit(self, pod: core_v1.Pod) -> None:
        """Make the pod's control group with its limits. OSError."""
        context = self._context
        if context.cgroups is not None:
            name = pod_cgroup(context.facts.cgroup_root, pod)
            limits = pod_cgroup_limits(pod, context.pod_pids_limit)
            await asyncio.to_thread(context.cgroups.ensure, name, limits)

    async def refresh(self, pod: core_v1.Pod) -> None:
        """Bring the volumes' files up to date if something they show has changed or runs out."""
        due = self.refresh_at is not None and self._context.clock.now() >= self.refresh_at
        if self.volumes is None or not (self._stale or due):
            return
        self._stale = False
        try:
            self.refresh_at = await self._context.sources.refresh(pod)
            self._retries.reset("refresh")
        except VolumeFailure as error:
            log.info("pod %s/%s: %s", pod.metadata.namespace, pod.metadata.name, error)
            self.refresh_at = self._context.clock.now() + self._retries.next("refresh")

    async def tear_down(self, pod: core_v1.Pod) -> None:
        """Volumes and control group. VolumeFailure."""
        context = self._context
        await context.sources.teardown(pod.metadata.uid or "")
        self.volumes = None
        if context.cgroups is not None:
            await asyncio.to_thread(context.cgroups.remove, pod_cgroup(context.facts.cgroup_root, pod))

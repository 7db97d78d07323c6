"""Writes pod statuses to the API: at once when they have changed, the newest only, again and again until it worked.

One write a pod at a time; the cache sees each answer, so nobody reads an older status than the kubelet itself wrote.
"""

from __future__ import annotations

import asyncio
import logging

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.interface import PatchType
from tiphys.client.io.reflector import Informer
from tiphys.kinds.types import core_v1
from tiphys.kubelet.static_pods import mirrors
from tiphys.kubelet.status_patch import status_patch
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)
CONCURRENT_WRITES = 16
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 15.0


class StatusWriter:
    """`publish` from anywhere on the loop; `written` waits until the pod's newest status is in the API."""

    def __init__(self, client: Client, pods: Informer[core_v1.Pod], clock: Clock, owner: TaskOwner) -> None:
        self._client = client
        self._pods = pods
        self._clock = clock
        self._owner = owner
        self._wanted: dict[str, tuple[core_v1.Pod, core_v1.PodStatus]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(CONCURRENT_WRITES)
        self._backoff: Backoff[str] = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)

    def publish(self, pod: core_v1.Pod, status: core_v1.PodStatus) -> None:
        """`pod` names whose status it is."""
        uid = pod.metadata.uid or ""
        self._wanted[uid] = (pod, status)
        if uid not in self._tasks:
            task = self._owner.start(self._write(uid), f"status of {pod.metadata.namespace}/{pod.metadata.name}")
            self._tasks[uid] = task
            task.add_done_callback(lambda _: self._tasks.pop(uid, None))

    async def written(self, uid: str) -> None:
        task = self._tasks.get(uid)
        if task is not None:
            await asyncio.shield(task)

    async def _write(self, uid: str) -> None:
        while uid in self._wanted:
            pod, status = self._wanted[uid]
            try:
                async with self._slots:
                    await self._write_once(pod, status)
            except ApiError as error:
                if error.code not in (0, 429, 500, 502, 503, 504):
                    if error.code != 404:
                        log.warning("status of pod %s/%s: %s", pod.metadata.namespace, pod.metadata.name, error)
                    self._wanted.pop(uid, None)
                    break
                await self._clock.sleep(max(self._backoff.next(uid), error.retry_after_seconds))
                continue
            self._backoff.reset(uid)
            if self._wanted.get(uid) == (pod, status):
                del self._wanted[uid]
        self._backoff.reset(uid)

    async def _write_once(self, pod: core_v1.Pod, status: core_v1.PodStatus) -> None:
        namespace, name, uid = pod.metadata.namespace or "", pod.metadata.name or "", pod.metadata.uid or ""
        current = self._pods.cache.get(namespace, name)
        if current is None or (current.metadata.uid != uid and not mirrors(current, pod)):
            return
        patch = status_patch(current.metadata.uid or "", current.status, status)
        if patch is not None:
            answer = await self._client.patch(core_v1.Pod, namespace, name, patch, PatchType.STRATEGIC, "status")
            self._pods.observe_write(answer)

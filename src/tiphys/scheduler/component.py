"""The scheduler as a component: informers in, bindings, conditions and Events out. Decisions are `core.py`'s.

Bindings go out with many under way at once and before everything else; conditions and preemptions follow in their own
pool; Events give way to bindings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.interface import Transport
from tiphys.client.io.reflector import InformerSet
from tiphys.kinds.types import apps_v1, core_v1, meta_v1, policy_v1, storage_v1
from tiphys.machinery.errors import ApiError
from tiphys.scheduler import conditions, events
from tiphys.scheduler.config import SchedulerConfig
from tiphys.scheduler.core import Bind, PrepareVolumes, SchedulerCore, Wait
from tiphys.scheduler.cycle import RandomSource
from tiphys.scheduler.io.writers import EventWriter, WorkerPool
from tiphys.scheduler.pods import PodInfo
from tiphys.scheduler.volume_actions import BOUND_BY_CONTROLLER, SELECTED_NODE, ReserveVolume, SelectNode

log = logging.getLogger(__name__)

WAITING_PODS = "status.phase!=Succeeded,status.phase!=Failed"
STATUS_WRITES_LIMIT = 16


class Scheduler:
    """Gives waiting pods a node. `random` chooses among nodes of equal score (`random.Random` will do)."""

    name = "scheduler"

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        config: SchedulerConfig,
        on_failure: Callable[[str, BaseException], None],
        random: RandomSource,
    ) -> None:
        self.core = SchedulerCore(config, random)
        self._client = Client(transport)
        self._clock = clock
        self._config = config
        self._owner = TaskOwner(self.name, on_failure)
        self._informers = InformerSet(self._client, clock, self._owner)
        self._pods = self._informers.informer(core_v1.Pod, field_selector=WAITING_PODS)
        self._wake = asyncio.Event()
        self._timer: asyncio.Task[Any] | None = None
        self._timer_at = 0.0
        self._bindings: WorkerPool[Bind] = WorkerPool(self._owner, "bind", config.binding_limit, self._bind)
        self._others: WorkerPool[Wait | PrepareVolumes] = WorkerPool(
            self._owner, "write", STATUS_WRITES_LIMIT, self._write_other
        )
        self._events = EventWriter(
            self._client,
            clock,
            self._owner,
            instance=config.instance,
            limit=config.event_limit,
            backlog_limit=config.event_backlog_limit,
        )
        self._events.give_way_to(self._bindings.idle.wait)
        self._listen()

    def _listen(self) -> None:
        core = self.core
        handlers: list[tuple[type[Any], Callable[[Any, Any, float], None]]] = [
            (core_v1.Namespace, core.namespace_changed),
            (core_v1.Node, core.node_changed),
            (core_v1.PersistentVolumeClaim, core.claim_changed),
            (core_v1.PersistentVolume, core.volume_changed),
            (storage_v1.StorageClass, core.class_changed),
            (policy_v1.PodDisruptionBudget, core.budget_changed),
            (core_v1.Service, core.workload_changed),
            (core_v1.ReplicationController, core.workload_changed),
            (apps_v1.ReplicaSet, core.workload_changed),
            (apps_v1.StatefulSet, core.workload_changed),
        ]
        self._pods.add_handler(self._handler(core.pod_changed))
        for kind, handler in handlers:
            self._informers.informer(kind).add_handler(self._handler(handler))

    def _handler(self, take_in: Callable[[Any, Any, float], None]) -> Callable[[Any, Any], None]:
        def handle(old: Any, new: Any) -> None:
            take_in(old, new, self._clock.monotonic())
            self._wake.set()

        return handle

    async def start(self) -> None:
        """Return when all informers have their first list and scheduling has begun."""
        self._informers.start()
        await self._informers.synced()
        self._owner.start(self._run(), "decide")

    async def stop(self) -> None:
        await self._owner.close()
        await self._informers.stop()

    async def _run(self) -> None:
        while True:
            await self._bindings.room()
            self._wake.clear()
            at = self.core.next_at()
            if at is not None and at <= self._clock.monotonic():
                self._decide()
                await asyncio.sleep(0)
                continue
            self._set_timer(at)
            await self._wake.wait()

    def _decide(self) -> None:
        for action in self.core.decide(self._clock.monotonic()):
            if isinstance(action, Bind):
                self._bindings.submit(action)
            else:
                self._others.submit(action)

    def _set_timer(self, at: float | None) -> None:
        """Wake up at that moment, unless something happens before."""
        if self._timer is not None and not self._timer.done():
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            self._timer = self._owner.start(self._sleep_until(at), "timer")

    async def _sleep_until(self, at: float) -> None:
        await self._clock.sleep(max(at - self._clock.monotonic(), 0.0))
        self._wake.set()

    # Writing

    async def _bind(self, action: Bind) -> None:
        pod = action.pod
        binding = core_v1.Binding(
            metadata=meta_v1.ObjectMeta(name=pod.name, namespace=pod.namespace, uid=pod.pod.metadata.uid),
            target=core_v1.ObjectReference(kind="Node", name=pod.node_name),
        )
        try:
            await self._client.create_subresource(core_v1.Pod, pod.namespace, pod.name, "binding", binding)
        except ApiError as error:
            current = self._pods.cache.get(pod.namespace, pod.name)
            self.core.binding_failed(pod.uid, self._clock.monotonic(), current)
            self._wake.set()
            if error.code not in (404, 409):
                await self._report_error(action, f"binding rejected: {error.message}")
            log.info("binding %s to %s: %s", pod.key, pod.node_name, error)
            return
        self._events.report(events.scheduled(pod.pod, pod.node_name, action.scheduler_name))

    async def _report_error(self, action: Bind, message: str) -> None:
        pod = action.pod.pod
        self._events.report(events.failed(pod, message, action.scheduler_name))
        patch = conditions.waiting_patch(pod, reason=conditions.SCHEDULER_ERROR, message=message, now=self._clock.now())
        if patch is not None:
            await self._patch_status(action.pod, patch)

    async def _write_other(self, action: Wait | PrepareVolumes) -> None:
        if isinstance(action, Wait):
            await self._wait(action)
        else:
            await self._prepare_volumes(action)

    async def _wait(self, action: Wait) -> None:
        pod = action.pod.pod
        self._events.report(events.failed(pod, action.message, action.scheduler_name))
        for victim in action.victims:
            await self._evict(victim, action)
        patch = conditions.waiting_patch(
            self._pods.cache.get(action.pod.namespace, action.pod.name) or pod,
            reason=conditions.UNSCHEDULABLE,
            message=action.message,
            now=self._clock.now(),
            nominated_node_name=action.nominated_node_name,
        )
        if patch is not None and action.pod.uid not in self.core.assumed:
            await self._patch_status(action.pod, patch)

    async def _evict(self, victim: PodInfo, action: Wait) -> None:
        """Tell the victim why and delete it; one that is gone already is no error."""
        patch = conditions.disruption_patch(victim.pod, action.scheduler_name, self._clock.now())
        options = meta_v1.DeleteOptions(preconditions=meta_v1.Preconditions(uid=victim.pod.metadata.uid))
        try:
            await self._client.patch(core_v1.Pod, victim.namespace, victim.name, patch, subresource="status")
            await self._client.delete(core_v1.Pod, victim.namespace, victim.name, options)
        except ApiError as error:
            if error.code not in (404, 409):
                log.warning("preempting %s: %s", victim.key, error)
                self.core.retry(action.pod, self._clock.monotonic())
            return
        node_name = action.nominated_node_name or ""
        self._events.report(events.preempted(victim.pod, action.pod.pod, node_name, action.scheduler_name))

    async def _patch_status(self, pod: PodInfo, patch: dict[str, Any]) -> None:
        """Of this very pod: one that was made anew under its name is left alone."""
        patch = {"metadata": {"uid": pod.pod.metadata.uid}, **patch}
        try:
            written = await self._client.patch(core_v1.Pod, pod.namespace, pod.name, patch, subresource="status")
        except ApiError as error:
            if error.code not in (404, 409):
                log.info("status of %s: %s", pod.key, error)
            return
        self._pods.observe_write(written)

    async def _prepare_volumes(self, action: PrepareVolumes) -> None:
        for item in action.actions:
            try:
                if isinstance(item, SelectNode):
                    await self._select_node(item)
                else:
                    await self._reserve(item)
            except ApiError as error:
                log.info("volumes of %s: %s", action.pod.key, error)
                self.core.retry(action.pod, self._clock.monotonic())
                self._wake.set()
                return

    async def _select_node(self, item: SelectNode) -> None:
        patch = {"metadata": {"annotations": {SELECTED_NODE: item.node_name}}}
        await self._client.patch(core_v1.PersistentVolumeClaim, item.namespace, item.claim, patch)

    async def _reserve(self, item: ReserveVolume) -> None:
        meta = item.claim.metadata
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,
        }
        patch = {"metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}}, "spec": {"claimRef": reference}}
        await self._client.patch(core_v1.PersistentVolume, "", item.volume, patch)

"""All pods of a node: one worker each, fed by the API, by the runtime's events and, rarely, by looking at everything.

Pods that only the runtime or the disk knows any more (their object is gone) get a worker too, which removes them. What
runs when the kubelet starts is adopted by the same way: the worker looks and finds nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from tiphys.aio.backoff import Backoff
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.admission import admit
from tiphys.kubelet.eviction import refused_under
from tiphys.kubelet.interface import POD_NAME, POD_NAMESPACE, ContainerRecord, PodRuntime, RuntimeFailure, is_mirror
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_worker import PodWorker
from tiphys.kubelet.node_status import Pressure
from tiphys.kubelet.resize import ResizeProblem, problem
from tiphys.machinery.quantity import Quantity

log = logging.getLogger(__name__)
RELIST_SECONDS = 30.0
RELIST_WITHOUT_EVENTS_SECONDS = 1.0
EXITS_LIMIT = 1000
EXIT_FIRST_WAIT_SECONDS = 0.01
EXIT_LOOKS = 9

_Signature = tuple[tuple[str, object], ...]


class PodWorkers:
    """`start` after the pods' first list is here. `node` gives this node's object, `allocatable` what pods may use of
    it, `on_disk` the uids of pods that left a directory, `pressure` what the node runs short of."""

    def __init__(
        self,
        context: NodeContext,
        node: Callable[[], core_v1.Node | None],
        allocatable: Callable[[], Mapping[str, Quantity]],
        on_disk: Callable[[], Sequence[str]],
        pressure: Callable[[], Pressure],
        allowed_sysctls: Sequence[str] = (),
    ) -> None:
        self._context = context
        self._node = node
        self._allocatable = allocatable
        self._on_disk = on_disk
        self._pressure = pressure
        self._allowed_sysctls = allowed_sysctls
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._containers: dict[str, str] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._exits: dict[str, int] = {}
        self._seen: dict[str, _Signature] = {}
        self._backoff: Backoff[str] = Backoff(initial_seconds=0.2, maximum_seconds=10.0)
        self._has_events = False
        self._mirrors: dict[str, core_v1.Pod] = {}

    def worker(self, uid: str) -> PodWorker | None:
        return self._workers.get(uid)

    def workers(self) -> list[PodWorker]:
        return [*self._workers.values()]

    # From the API

    def pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        """The informer's handler."""
        for each, here in ((old, False), (new, True)):
            if each is not None and is_mirror(each):
                self._mirrors.pop(each.metadata.uid or "", None)
                if here:
                    self._mirrors[each.metadata.uid or ""] = each
        if new is not None and is_mirror(new):
            return
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            worker = self._workers.get(old.metadata.uid or "")
            if worker is not None:
                worker.remove()
        if new is None:
            return
        worker = self._workers.get(new.metadata.uid or "")
        if worker is None:
            self._add(new)
        else:
            worker.update(new)

    def _add(self, pod: core_v1.Pod) -> PodWorker:
        uid = pod.metadata.uid or ""
        worker = PodWorker(self._context, pod, self._gone, self._looked_at, self._judge_resize)
        node = self._node()
        fresh = uid not in self._seen and pod.status.phase in (None, "", "Pending")
        if fresh and node is not None and pod.metadata.deletionTimestamp is None and pod.spec.containers:
            others = [each.pod for each in self._workers.values() if each.takes_resources]
            verdict = refused_under(self._pressure(), pod) or admit(
                pod, others, node, self._allocatable(), self._allowed_sysctls
            )
            if verdict is not None:
                worker.reject(verdict)
        self._workers[uid] = worker
        name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        self._tasks[uid] = self._context.owner.start(worker.run(), name)
        if pod.metadata.deletionTimestamp is not None:
            worker.update(pod)
        return worker

    def _judge_resize(self, pod: core_v1.Pod) -> ResizeProblem | None:
        """Whether the node has room for what a running pod asks for now."""
        others = [each.pod for each in self._workers.values() if each.takes_resources and each.uid != pod.metadata.uid]
        return problem(pod, others, self._allocatable())

    def add_static(self, pod: core_v1.Pod) -> None:
        """A pod of this node's own."""
        self._add(pod)

    def mirrors(self) -> list[core_v1.Pod]:
        """The objects in the API that show static pods."""
        return [*self._mirrors.values()]

    def _gone(self, uid: str) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        self._seen.pop(uid, None)
        for container in [container for container, owner in self._containers.items() if owner == uid]:
            del self._containers[container]
            self._ended.pop(container, None)

    # From the runtime

    def _looked_at(self, runtime: PodRuntime) -> None:
        """A worker has looked at its pod: remember whose the containers are, and who of them has ended."""
        self._seen[runtime.uid] = _signature(runtime)
        for sandbox in runtime.sandboxes:
            self._containers[sandbox.id] = runtime.uid
        for record in runtime.containers:
            self._containers[record.id] = runtime.uid
            self._check_exit(record)
            if record.state == "exited" and record.id in self._ended:
                self._ended[record.id].set()

    def _check_exit(self, record: ContainerRecord) -> None:
        """The runtime told that the container has ended. Its own lists follow a moment later: look until they do."""
        looks = self._exits.get(record.id)
        if looks is None:
            return
        if record.state == "exited" or looks >= EXIT_LOOKS:
            del self._exits[record.id]
            return
        self._exits[record.id] = looks + 1
        wait_seconds = EXIT_FIRST_WAIT_SECONDS * 2**looks
        self._context.owner.start(self._look_later(record.uid, wait_seconds), f"exit of {record.name}")

    async def _look_later(self, uid: str, wait_seconds: float) -> None:
        await self._context.clock.sleep(wait_seconds)
        self._look_again(uid)

    def _look_again(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.look()

    def ended_event(self, record: ContainerRecord) -> asyncio.Event:
        """Set when the container has ended."""
        event = self._ended.setdefault(record.id, asyncio.Event())
        if record.state == "exited":
            event.set()
        return event

    async def run(self) -> None:
        """Follow the runtime for ever."""
        self._context.owner.start(self._follow_events(), "runtime events")
        while True:
            try:
                await self._relist()
                self._backoff.reset("relist")
            except RuntimeFailure as error:
                wait_seconds = self._backoff.next("relist")
                log.warning("the container runtime does not answer: %s", error)
                await self._context.clock.sleep(wait_seconds)
                continue
            wait_seconds = RELIST_SECONDS if self._has_events else RELIST_WITHOUT_EVENTS_SECONDS
            await self._context.clock.sleep(wait_seconds)

    async def _follow_events(self) -> None:
        while True:
            try:
                self._has_events = True
                async for event in self._context.runtime.events():
                    self._backoff.reset("events")
                    self._remember_exit(event.container_id)
                    self._look_again(event.uid or self._containers.get(event.container_id, ""))
            except RuntimeFailure as error:
                self._has_events = False
                if error.code == "UNIMPLEMENTED":
                    log.info("the container runtime tells no events: it is asked every second")
                    return
                await self._context.clock.sleep(self._backoff.next("events"))
            for worker in self.workers():  # what happened meanwhile was not told
                worker.look()

    def _remember_exit(self, container_id: str) -> None:
        """It may be one that no worker has seen yet: a container that ended as soon as it was started."""
        self._exits[container_id] = 0
        if len(self._exits) > EXITS_LIMIT:
            del self._exits[next(iter(self._exits))]

    async def _relist(self) -> None:
        """Compare what the runtime has with what was last seen of it."""
        found = await self._context.runtime.pods()
        for uid, runtime in sorted(found.items()):
            worker = self._workers.get(uid)
            if worker is None:
                self._remove_unknown(uid, runtime)
            elif self._seen.get(uid) != _signature(runtime):
                worker.look()
        for uid, worker in list(self._workers.items()):
            if uid not in found and self._seen.get(uid):
                worker.look()
        for uid in await asyncio.to_thread(self._on_disk):
            if uid not in self._workers and uid not in found:
                self._remove_unknown(uid, PodRuntime(uid=uid))

    def _remove_unknown(self, uid: str, runtime: PodRuntime) -> None:
        """A pod without an object: end it and take away what is left of it."""
        sandbox = runtime.sandbox
        labels: Mapping[str, str] = {}
        if sandbox is not None:
            labels = {POD_NAME: sandbox.name, POD_NAMESPACE: sandbox.namespace}
        meta = meta_v1.ObjectMeta(
            name=labels.get(POD_NAME, "unknown"), namespace=labels.get(POD_NAMESPACE, "unknown"), uid=uid
        )
        log.info("pod %s/%s (%s) has no object any more: it is removed", meta.namespace, meta.name, uid)
        status = core_v1.PodStatus(phase="Running")
        worker = self._add(core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(), status=status))
        worker.remove()

    async def stop(self) -> None:
        """Let go of all pods; they live on."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _signature(runtime: PodRuntime) -> _Signature:
    """What a list shows of a pod: enough to tell that something has changed."""
    sandboxes = [(each.id, each.ready) for each in runtime.sandboxes]
    return (*sandboxes, *((each.id, each.state) for each in runtime.containers))

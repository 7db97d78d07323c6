"""All pods of a node: a worker for each, told of what becomes of its object and of its containers.

Events of the runtime wake exactly the pod they concern; a slow look at everything is the safety net, and the only way
with a runtime that tells no events. What runs here and belongs to no pod is ended and removed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from tiphys.kinds.types import core_v1
from tiphys.kubelet.admission import admit
from tiphys.kubelet.interface import PodRuntime, RuntimeFailure, is_mirror
from tiphys.kubelet.io import files
from tiphys.kubelet.io.containers import PodContainers
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_worker import PodWorker
from tiphys.kubelet.lifecycle import State
from tiphys.kubelet.paths import uid_of_log_directory
from tiphys.kubelet.pod_actions import KillContainer, StopSandbox, termination_plan
from tiphys.kubelet.resources import kubepods

log = logging.getLogger(__name__)
RELIST_SECONDS = 30.0
RELIST_WITHOUT_EVENTS_SECONDS = 1.0
RESUBSCRIBE_SECONDS = 1.0


class NodePods:
    """`pod_changed` is the handler of the pods' informer. `node()` is this node's object, None before it is known."""

    def __init__(
        self, context: NodeContext, node: Callable[[], core_v1.Node | None], allowed_sysctls: tuple[str, ...] = ()
    ) -> None:
        self._context = context
        self._node = node
        self._allowed_sysctls = allowed_sysctls
        self._workers: dict[str, PodWorker] = {}
        self._uids: dict[str, str] = {}
        self._orphans: set[str] = set()
        self._found: dict[str, PodRuntime] = {}
        self._period_seconds = RELIST_SECONDS
        self._relist_now = asyncio.Event()

    # Pods

    def pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if new is None:
            worker = self._workers.get((old.metadata.uid if old is not None else "") or "")
            if worker is not None:
                worker.remove()
            return
        if is_mirror(new):
            return
        worker = self._workers.get(new.metadata.uid or "")
        if worker is None:
            self.add(new)
        else:
            worker.update(new)

    def add(self, pod: core_v1.Pod) -> PodWorker:
        """A pod that this node has not had before, or has had before its kubelet was restarted."""
        uid = pod.metadata.uid or ""
        worker = PodWorker(self._context, pod, self._ended, self._seen)
        if pod.metadata.deletionTimestamp is not None:
            worker.update(pod)
        node = self._node()
        if uid not in self._found and worker.life.state is State.RUNNING and not _has_begun(pod) and node is not None:
            others = [each.pod for each in self._workers.values() if each.takes_resources]
            verdict = admit(pod, others, node, node.status.allocatable or {}, self._allowed_sysctls)
            if verdict is not None:
                worker.reject(verdict)
        self._workers[uid] = worker
        self._context.owner.start(worker.run(), f"pod {pod.metadata.namespace}/{pod.metadata.name}")
        return worker

    def worker(self, uid: str) -> PodWorker | None:
        return self._workers.get(uid)

    def workers(self) -> Iterable[PodWorker]:
        return [*self._workers.values()]

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The newest pod of that name."""
        found = [
            each
            for each in self._workers.values()
            if each.pod.metadata.name == name and each.pod.metadata.namespace == namespace
        ]
        return found[-1] if found else None

    def _ended(self, uid: str) -> None:
        self._workers.pop(uid, None)
        self._found.pop(uid, None)
        for known in [known for known, owner in self._uids.items() if owner == uid]:
            del self._uids[known]

    def _seen(self, runtime: PodRuntime) -> None:
        """A worker has looked: from now on events about these belong to it."""
        self._found[runtime.uid] = runtime
        for record in runtime.containers:
            self._uids[record.id] = runtime.uid
        for sandbox in runtime.sandboxes:
            self._uids[sandbox.id] = runtime.uid

    # The runtime

    async def adopt(self) -> None:
        """Learn what runs already, before the first pod is heard of. RuntimeFailure."""
        self._found = await self._context.runtime.pods()
        for runtime in self._found.values():
            for record in (*runtime.containers, *runtime.sandboxes):
                self._uids[record.id] = runtime.uid

    async def follow_events(self) -> None:
        while True:
            try:
                async for event in self._context.runtime.events():
                    worker = self._workers.get(event.uid or self._uids.get(event.container_id, ""))
                    if worker is not None:
                        worker.look()
            except RuntimeFailure as error:
                if error.code == "UNIMPLEMENTED":
                    log.info("the container runtime tells no events: it is asked every second")
                    self._period_seconds = RELIST_WITHOUT_EVENTS_SECONDS
                    self._relist_now.set()
                    return
                log.warning("events of the container runtime: %s", error)
            await self._context.clock.sleep(RESUBSCRIBE_SECONDS)
            self._relist_now.set()

    async def relist(self) -> None:
        """For ever: look at everything now and then, and when asked to."""
        while True:
            try:
                await self.look_at_everything()
            except (RuntimeFailure, OSError) as error:
                log.warning("looking at the container runtime: %s", error)
            self._relist_now.clear()
            waits = [
                asyncio.ensure_future(self._context.clock.sleep(self._period_seconds)),
                asyncio.ensure_future(self._relist_now.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def look_at_everything(self) -> None:
        listed = await self._context.runtime.pods()
        for uid, worker in [*self._workers.items()]:
            if _outline(worker.runtime) != _outline(listed.get(uid, PodRuntime(uid=uid))):
                worker.look()
        for uid, runtime in listed.items():
            if uid not in self._workers and uid not in self._orphans:
                self._orphans.add(uid)
                self._context.owner.start(self._end_orphan(runtime), f"orphan {uid}")
        await self._remove_leftovers(listed)

    async def _end_orphan(self, runtime: PodRuntime) -> None:
        """A pod that nobody knows any more: its object went while no kubelet was here."""
        context = self._context
        containers = PodContainers(context)
        uid = runtime.uid
        try:
            runtime = await context.runtime.pod(uid)
            while actions := termination_plan(None, runtime):
                kills = [each for each in actions if isinstance(each, KillContainer)]
                await asyncio.gather(*(containers.kill(None, each, runtime) for each in kills))
                for action in actions:
                    if isinstance(action, StopSandbox):
                        await context.runtime.stop_sandbox(action.sandbox_id)
                runtime = await context.runtime.pod(uid)
            for record in runtime.containers:
                await context.runtime.remove_container(record.id)
            for sandbox in runtime.sandboxes:
                await context.runtime.remove_sandbox(sandbox.id)
            log.info("pod %s, which nobody knows any more, has been removed", uid)
        except RuntimeFailure as error:
            log.warning("removing what is left of pod %s: %s", uid, error)
        finally:
            self._orphans.discard(uid)

    async def _remove_leftovers(self, listed: dict[str, PodRuntime]) -> None:
        """Directories, logs and groups of pods that are gone."""
        context = self._context
        known = {*self._workers, *listed, *self._orphans}
        for uid in await asyncio.to_thread(files.names_in, context.facts.paths.pods):
            if uid not in known and uid not in self._workers:
                await context.sources.remove_pod_directory(uid)
        for name in await asyncio.to_thread(files.names_in, context.facts.paths.logs):
            uid = uid_of_log_directory(name)
            if uid and uid not in known and uid not in self._workers:
                await asyncio.to_thread(files.remove_tree, f"{context.facts.paths.logs}/{name}")
        if context.cgroups is not None:
            groups = await asyncio.to_thread(context.cgroups.pods, kubepods(context.facts.cgroup_root))
            for uid, group in groups.items():
                if uid not in known and uid not in self._workers:
                    await asyncio.to_thread(context.cgroups.remove, group)


def _has_begun(pod: core_v1.Pod) -> bool:
    """The kubelet has taken it before."""
    return pod.status.startTime is not None


def _outline(runtime: PodRuntime) -> set[tuple[str, object]]:
    return {
        *((each.id, each.state) for each in runtime.containers),
        *((each.id, each.ready) for each in runtime.sandboxes),
    }

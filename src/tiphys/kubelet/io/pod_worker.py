"""One serial worker a pod: looks at the runtime, asks `pod_actions.py` what to do, does it, reports the status; again,
until there is nothing to do, and then sleeps until an event or a moment that was asked for.

An event that ends the pod interrupts what is being done for its running (a pull, a hook), so ending begins at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable

from tiphys.aio.backoff import Backoff
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet import lifecycle
from tiphys.kubelet.container_config import sandbox_config
from tiphys.kubelet.dns_config import dns_config
from tiphys.kubelet.environment import ConfigError
from tiphys.kubelet.interface import CriMessage, PodRuntime, RuntimeFailure, VolumeFailure, is_static
from tiphys.kubelet.io import files
from tiphys.kubelet.io.containers import PodContainers, StartFailure
from tiphys.kubelet.io.health import PodHealth
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_preparation import PodPreparation
from tiphys.kubelet.io.pod_resizer import PodResizer
from tiphys.kubelet.lifecycle import Event, Lifecycle, State
from tiphys.kubelet.pod_actions import (
    SANDBOX_CHANGED,
    Action,
    CreateSandbox,
    KillContainer,
    PodView,
    StartContainer,
    StopSandbox,
    plan,
    termination_plan,
)
from tiphys.kubelet.pod_status import StatusInputs, Verdict, pod_status, rejected_status
from tiphys.kubelet.resize import ResizeProblem
from tiphys.kubelet.restarts import RestartBackOff, remembered
from tiphys.kubelet.status_history import known_restarts, with_foreign_changes
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)
SANDBOX_RETRY_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 120.0
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """`update`, `end` and `poke` from the loop; `run` is the worker's task. `ended(uid)` is called when nothing is
    left."""

    def __init__(
        self,
        context: NodeContext,
        pod: core_v1.Pod,
        ended: Callable[[str], None],
        seen: Callable[[PodRuntime], None],
        judge_resize: Callable[[core_v1.Pod], ResizeProblem | None],
    ) -> None:
        self.pod = pod
        self.uid = pod.metadata.uid or ""
        self.runtime = PodRuntime(uid=self.uid)
        self.life = Lifecycle()
        self.rejection: Verdict | None = None
        self.status: core_v1.PodStatus = pod.status
        self._context = context
        self._ended = ended
        self._seen = seen
        self._containers = PodContainers(context)
        self._health = PodHealth(
            context.runtime,
            context.prober,
            context.clock,
            context.owner,
            self.poke,
            lambda name, kind, reason, message: self._containers.report(self.pod, name, kind, reason, message),
            context.jitter,
        )
        self._dirty = asyncio.Event()
        self._stale = True
        self._step_task: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = 0.0
        self._back_offs: dict[str, RestartBackOff] = {}
        self._waiting: dict[str, tuple[str, str]] = {}
        self._refused: dict[str, float] = {}
        self._messages: dict[str, str] = {}
        self._preparation = PodPreparation(
            context, lambda kind, reason, message: self._containers.report(self.pod, "", kind, reason, message)
        )
        self._resizer = PodResizer(context, self._preparation, judge_resize)
        self._grace_seconds: int | None = None
        self._retries: Backoff[str] = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        if pod.status.phase in ("Succeeded", "Failed"):
            self._event(Event.COMPLETE)

    # From outside

    def poke(self) -> None:
        """Decide again with what is known."""
        self._dirty.set()

    def look(self) -> None:
        """Something became of the pod in the runtime: look again."""
        self._stale = True
        self._dirty.set()

    def sources_changed(self) -> None:
        """A ConfigMap, Secret or the like that the pod refers to is new."""
        self._preparation.sources_changed()
        self._refused = {
            name: moment
            for name, moment in self._refused.items()
            if self._waiting.get(name, ("", ""))[0] != "CreateContainerConfigError"
        }
        self._dirty.set()

    def update(self, pod: core_v1.Pod) -> None:
        """The object has changed."""
        old, self.pod = self.pod, pod
        if old.spec != pod.spec and not self.life.removed:
            self._context.sources.follow(pod, self.sources_changed)
        if (old.metadata.labels, old.metadata.annotations) != (pod.metadata.labels, pod.metadata.annotations):
            self._preparation.sources_changed()
        if pod.metadata.deletionTimestamp is not None:
            before, after = old.metadata.deletionGracePeriodSeconds, pod.metadata.deletionGracePeriodSeconds
            shorter = before is not None and after is not None and after < before
            self._event(Event.DELETE, interrupt=shorter and self.life.state is State.ENDING)
        self._dirty.set()

    def remove(self, grace_seconds: int | None = None) -> None:
        """The object is gone from its source."""
        if grace_seconds is not None:
            self._grace_seconds = grace_seconds
        self._event(Event.REMOVE)

    def fail(self, verdict: Verdict, grace_seconds: int | None = None) -> None:
        """End the pod because the node cannot go on with it."""
        self._grace_seconds = grace_seconds
        self._event(Event.FAIL, verdict)

    def reject(self, verdict: Verdict) -> None:
        """Never run it."""
        self.rejection = verdict
        self._context.recorder.record(self.pod, "Warning", verdict.reason, verdict.message)
        self._event(Event.FAIL, verdict)

    @property
    def takes_resources(self) -> bool:
        return self.life.state in (State.RUNNING, State.ENDING)

    def _event(self, event: Event, verdict: Verdict | None = None, interrupt: bool = False) -> None:
        before = self.life.state
        self.life = lifecycle.step(self.life, event, verdict)
        if (before is State.RUNNING and self.life.state is State.ENDING) or interrupt:
            task = self._step_task
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._dirty.set()

    # The worker

    async def run(self) -> None:
        self._context.sources.follow(self.pod, self.sources_changed)
        try:
            while self.life.state is not State.GONE:
                self._dirty.clear()
                await self._interruptible_step()
                await self._dirty.wait()
        finally:
            self._health.stop()
            if self._timer is not None:
                self._timer.cancel()
            self._context.sources.forget(self.uid)
        self._context.puller.forget(self.uid)
        self._ended(self.uid)

    async def _interruptible_step(self) -> None:
        name = f"step of {self.pod.metadata.namespace}/{self.pod.metadata.name}"
        self._step_task = asyncio.get_running_loop().create_task(self._step(), name=name)
        task = self._step_task
        try:
            await asyncio.wait([task])
        finally:
            self._step_task = None
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._stale = self._stale or task.cancelled()
        if task.cancelled():
            self._dirty.set()
            return
        error = task.exception()
        if error is None:
            self._retries.reset("step")
            return
        if not isinstance(error, RuntimeFailure | VolumeFailure | ApiError | OSError):
            raise error
        wait_seconds = self._retries.next("step")
        log.warning("pod %s/%s: %s", self.pod.metadata.namespace, self.pod.metadata.name, error)
        self._stale = True
        self._wake_at(self._context.clock.now() + wait_seconds)

    async def _step(self) -> None:
        """Go on until nothing is left to do now."""
        while True:
            state = self.life.state
            if state is State.RUNNING:
                more = await self._run_step()
            elif state is State.ENDING:
                more = await self._end_step()
            elif state is State.ENDED:
                more = await self._clean()
            elif state is State.PURGING:
                more = await self._purge()
            else:
                more = False
            if not more and self.life.state is state:
                return

    async def _look(self) -> None:
        """Learn what the runtime has, and what containers that have ended left as message."""
        if self._stale:
            self._stale = False
            try:
                found = await self._context.runtime.pod(self.uid)
            except BaseException:
                self._stale = True
                raise
            records = []
            for record in found.containers:
                back_off = remembered(record)
                if back_off is not None:
                    self._back_offs.setdefault(record.name, back_off)
                if record.state == "exited":
                    if record.id not in self._messages:
                        self._messages[record.id] = await asyncio.to_thread(files.termination_message, record)
                    record = dataclasses.replace(record, message=self._messages[record.id])
                records.append(record)
            self._messages = {each.id: each.message for each in records if each.state == "exited"}
            self.runtime = dataclasses.replace(found, containers=tuple(records))
            self._seen(self.runtime)
        self._health.follow(self.pod, self.runtime, self._address(), self.life.state is not State.RUNNING)

    def _address(self) -> str:
        if self.pod.spec.hostNetwork:
            return self._context.host_ips[0] if self._context.host_ips else ""
        sandbox = self.runtime.sandbox
        return sandbox.ips[0] if sandbox is not None and sandbox.ips else ""

    async def _run_step(self) -> bool:
        if self._past_deadline():
            return True
        await self._look()
        await self._preparation.refresh(self.pod)
        self._resizer.learn(self.pod, self.runtime)
        view = PodView(
            pod=self.pod,
            runtime=self.runtime,
            health=self._health.health(),
            back_offs=self._back_offs,
            restarts=known_restarts(self.pod.status),
            refused=self._refused,
        )
        now = self._context.clock.now()
        decided = plan(view, now)
        for name in [*self._waiting]:
            record = self.runtime.current(name)
            if record is not None and record.state == "running":
                del self._waiting[name]
        for name, why in decided.waiting.items():
            if self._waiting.get(name) != why:
                self._containers.report(
                    self.pod, name, "Warning", "BackOff",
                    f"Back-off restarting failed container {name} in pod {self.pod.metadata.name}_"
                    f"{self.pod.metadata.namespace}({self.uid})",
                )  # fmt: skip
            self._waiting[name] = why
        if decided.complete:
            self._event(Event.COMPLETE)
            return True
        actions = decided.actions or await self._resizer.resize(self.pod, self.runtime)
        self._publish()
        for moment in (decided.wake_at, self._preparation.refresh_at):
            if moment is not None:
                self._wake_at(moment)
        return await self._perform(actions) if actions else self._stale

    def _past_deadline(self) -> bool:
        seconds = self.pod.spec.activeDeadlineSeconds
        if seconds is None or self.status.startTime is None:
            return False
        deadline = timestamps.seconds(self.status.startTime) + seconds
        if self._context.clock.now() < deadline:
            self._wake_at(deadline)
            return False
        self._containers.report(self.pod, "", "Normal", "DeadlineExceeded", DEADLINE_MESSAGE)
        self._event(Event.FAIL, Verdict(reason="DeadlineExceeded", message=DEADLINE_MESSAGE))
        return True

    def _publish(self) -> None:
        """Report the status if it has changed."""
        now = self._context.clock.now()
        if self.rejection is not None:
            status = rejected_status(self.pod, self.rejection, now)
        else:
            inputs = StatusInputs(
                runtime=self.runtime,
                old=with_foreign_changes(self.status, self.pod.status),
                waiting=self._waiting,
                health=self._health.health(),
                host_ips=self._context.host_ips,
                verdict=self.life.verdict,
                ending=self.life.state is not State.RUNNING,
                runtime_name=self._context.runtime_name,
                applied=self._resizer.applied,
                applied_together=self._resizer.applied_together,
                resize_problem=self._resizer.problem,
            )
            status = pod_status(self.pod, inputs, now)
        self.status = status
        self._context.statuses.publish(self.pod, status)

    async def _perform(self, actions: tuple[Action, ...]) -> bool:
        """Carry out the actions; True when the runtime is to be looked at again."""
        kills = [each for each in actions if isinstance(each, KillContainer)]
        if kills:
            self._stale = True
            await asyncio.gather(*(self._containers.kill(self.pod, each, self.runtime) for each in kills))
        done = bool(kills)
        for action in actions:
            if isinstance(action, StopSandbox):
                self._stale = done = True
                await self._context.runtime.stop_sandbox(action.sandbox_id)
            elif isinstance(action, CreateSandbox):
                self._stale = done = True
                return await self._create_sandbox(action.attempt)
            elif isinstance(action, StartContainer):
                done = await self._start(action) or done
        return done

    def _sandbox_config(self, attempt: int) -> CriMessage:
        context = self._context
        dns = dns_config(self.pod, context.cluster_dns, context.facts.cluster_domain, context.host_dns)
        if dns.warning:
            self._containers.report(self.pod, "", "Warning", "DNSConfigForming", dns.warning)
        return sandbox_config(self.pod, attempt, dns, context.facts)

    async def _prepare(self) -> bool:
        if await self._preparation.prepare(self.pod):
            return True
        self._wake_at(self._preparation.retry_at)
        return False

    async def _create_sandbox(self, attempt: int) -> bool:
        context = self._context
        if not await self._prepare():
            return False
        if attempt:
            self._containers.report(self.pod, "", "Normal", "SandboxChanged", SANDBOX_CHANGED)
        async with context.starts:
            try:
                config = self._sandbox_config(attempt)
                await context.runtime.run_sandbox(config, context.runtime_handler(self.pod))
            except (RuntimeFailure, ConfigError) as error:
                message = f"Failed to create pod sandbox: {error}"
                self._containers.report(self.pod, "", "Warning", "FailedCreatePodSandBox", message)
                self._refused[""] = context.clock.now() + SANDBOX_RETRY_SECONDS
                return True
        self._refused.pop("", None)
        return True

    async def _start(self, action: StartContainer) -> bool:
        """False when the container has to wait."""
        context = self._context
        if not await self._prepare():
            return False
        if action.back_off is not None:
            self._back_offs[action.name] = action.back_off
        sandbox = self.runtime.sandbox
        volumes = self._preparation.volumes
        assert sandbox is not None and volumes is not None
        try:
            config = self._sandbox_config(sandbox.attempt)
            await self._containers.start(self.pod, action, self.runtime, config, volumes)
        except (StartFailure, ConfigError) as error:
            now = context.clock.now()
            reason = error.reason if isinstance(error, StartFailure) else "CreateContainerConfigError"
            self._refused[action.name] = error.retry_at if isinstance(error, StartFailure) else now + 10.0
            self._waiting[action.name] = (reason, str(error))
            if reason in ("RunContainerError", "PostStartHookError", "CreateContainerError"):
                self._stale = True
            self._publish()
            self._wake_at(self._refused[action.name])
            return self._stale
        self._waiting.pop(action.name, None)
        self._refused.pop(action.name, None)
        self._stale = True
        return True

    async def _end_step(self) -> bool:
        """End all containers, then the sandbox."""
        await self._look()
        self._publish()
        actions = termination_plan(self.pod, self.runtime)
        if not actions:
            self._event(Event.STOPPED)
            return True
        self._stale = True
        kills = [each for each in actions if isinstance(each, KillContainer)]
        await asyncio.gather(
            *(self._containers.kill(self.pod, each, self.runtime, self._grace_seconds) for each in kills)
        )
        for action in actions:
            if isinstance(action, StopSandbox):
                await self._context.runtime.stop_sandbox(action.sandbox_id)
        return True

    async def _clean(self) -> bool:
        """The last status, volumes, groups; then the object, if it is to go."""
        context = self._context
        self._health.stop()
        self._waiting.clear()
        await self._look()
        self._publish()
        await self._preparation.tear_down(self.pod)
        await context.statuses.written(self.uid)
        if self.life.deleted and not self.life.removed and not is_static(self.pod):
            await self._delete_object()
        self._event(Event.CLEANED)
        return True

    async def _delete_object(self) -> None:
        meta = self.pod.metadata
        options = meta_v1.DeleteOptions(gracePeriodSeconds=0, preconditions=meta_v1.Preconditions(uid=meta.uid))
        try:
            await self._context.client.delete(core_v1.Pod, meta.namespace or "", meta.name or "", options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _purge(self) -> bool:
        context = self._context
        await self._look()
        for record in self.runtime.containers:
            await context.runtime.remove_container(record.id)
        for sandbox in self.runtime.sandboxes:
            await context.runtime.remove_sandbox(sandbox.id)
        await context.sources.remove_pod_directory(self.uid)
        await asyncio.to_thread(files.remove_tree, context.facts.paths.pod_logs(self.pod))
        self._event(Event.PURGED)
        return True

    def _wake_at(self, moment: float) -> None:
        """Poke ourselves at that moment; the earliest wins."""
        if self._timer is not None and not self._timer.done():
            if self._timer_at <= moment:
                return
            self._timer.cancel()
        self._timer_at = moment
        name = f"timer of {self.pod.metadata.namespace}/{self.pod.metadata.name}"
        self._timer = self._context.owner.start(self._wake(moment), name)

    async def _wake(self, moment: float) -> None:
        await self._context.clock.sleep(max(0.0, moment - self._context.clock.now()))
        self._dirty.set()

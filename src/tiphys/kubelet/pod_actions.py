"""What to do next for one pod: its definition, what the runtime has of it, how its containers' probes stand, and now.

`plan` decides for a pod that should run, `termination_plan` for one that should not. Both are idempotent: the shell
carries the actions out in order, looks at the runtime again and asks again, until there are none. `wake_at` says when
to ask without an event.

A pod is brought up in order: a sandbox, the init containers one after the other (a sidecar, that is an init container
with restartPolicy Always, must only have started), then all containers. What decides is only what is in the newest
sandbox; when that is gone, everything starts again in a new one. When a container's end is to restart all of them,
everything starts again in the same one. Images, volumes and status are others' business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tiphys.kinds.types import core_v1
from tiphys.kubelet.container_config import definition_hash
from tiphys.kubelet.interface import ContainerRecord, PodRuntime
from tiphys.kubelet.resources import is_sidecar
from tiphys.kubelet.restarts import (
    RestartBackOff,
    after_restart,
    all_restarted_at,
    back_off_message,
    restart_at,
    should_restart,
    should_restart_init,
)
from tiphys.kubelet.security import AnyContainer

ContainerKind = Literal["init", "regular", "ephemeral"]
ALL_RESTARTED = "All containers of the pod will be restarted"
SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerHealth:
    """How a running container's probes stand, keyed by its id. `started`: the startup probe passed and the postStart
    hook ended (or there are none). `kill` says why it must be killed, "" for no reason; `kill_grace_seconds` is the
    failed probe's own grace."""

    started: bool = True
    ready: bool = True
    kill: str = ""
    kill_grace_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """All that is known of a pod. `restarts` holds the attempts that the API remembers but the runtime may not;
    `refused` names containers that are not to be tried before that moment (their last try failed)."""

    pod: core_v1.Pod
    runtime: PodRuntime
    health: Mapping[str, ContainerHealth] = field(default_factory=dict)
    back_offs: Mapping[str, RestartBackOff] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillContainer:
    """`message` is the event's text. `grace_seconds` None means the pod's own grace; `with_hook`: the container's
    preStop hook goes first."""

    container_id: str
    name: str
    message: str
    grace_seconds: int | None = None
    with_hook: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSandbox:
    sandbox_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSandbox:
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer:
    """`back_off` is what to remember for the container after this restart (None for a first start)."""

    name: str
    kind: ContainerKind
    attempt: int
    back_off: RestartBackOff | None = None


Action: TypeAlias = KillContainer | StopSandbox | CreateSandbox | StartContainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`waiting` maps containers to the reason and message with which they wait. `complete` says that the pod has ended
    by itself: nothing will be started any more."""

    actions: tuple[Action, ...] = ()
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    wake_at: float | None = None
    complete: bool = False


class _Planner:
    def __init__(self, view: PodView, now: float) -> None:
        self.view = view
        self.pod = view.pod
        self.runtime = view.runtime
        self.now = now
        self.actions: list[Action] = []
        self.waiting: dict[str, tuple[str, str]] = {}
        self.wake_at: float | None = None

    def plan(self, complete: bool = False) -> Plan:
        return Plan(actions=tuple(self.actions), waiting=self.waiting, wake_at=self.wake_at, complete=complete)

    def wake(self, moment: float) -> None:
        self.wake_at = moment if self.wake_at is None else min(self.wake_at, moment)

    def health(self, record: ContainerRecord) -> ContainerHealth:
        return self.view.health.get(record.id, ContainerHealth())

    def start(self, container: AnyContainer, kind: ContainerKind) -> None:
        """Start it, now or when its back-off is over."""
        name = container.name
        latest = self.runtime.latest(name)
        refused_until = self.view.refused.get(name, 0.0)
        if refused_until > self.now:
            self.wake(refused_until)
            return
        before = self.view.back_offs.get(name)
        back_off: RestartBackOff | None = None
        if latest is not None and latest.state == "exited":
            moment = restart_at(before, latest.finished_at)
            if before is not None and moment > self.now:
                self.waiting[name] = ("CrashLoopBackOff", back_off_message(self.pod, name, before))
                self.wake(moment)
                return
            back_off = after_restart(before, latest.finished_at, self.now)
        known = self.view.restarts.get(name, -1)
        attempt = max(latest.restart_count if latest is not None else -1, known) + 1
        self.actions.append(StartContainer(name=name, kind=kind, attempt=attempt, back_off=back_off))

    def kill_for_health(self, container: AnyContainer, record: ContainerRecord) -> bool:
        """Kill a running container that must not go on as it is; True when so. It is started again once it has
        ended."""
        health = self.health(record)
        if record.definition_hash and record.definition_hash != definition_hash(container):
            message = f"Container {container.name} definition changed, will be restarted"
            self.actions.append(KillContainer(container_id=record.id, name=container.name, message=message))
            return True
        if health.kill:
            self.actions.append(
                KillContainer(
                    container_id=record.id,
                    name=container.name,
                    message=health.kill,
                    grace_seconds=health.kill_grace_seconds,
                )
            )
            return True
        return False


def plan(view: PodView, now: float) -> Plan:
    """For a pod that should run."""
    begins_at = all_restarted_at(view.pod, view.runtime)
    if begins_at:
        view = dataclasses.replace(view, runtime=dataclasses.replace(view.runtime, begins_at=begins_at))
    planner = _Planner(view, now)
    if _has_ended(view):
        return planner.plan(complete=True)
    sandbox = view.runtime.sandbox
    if sandbox is None or not sandbox.ready or (not sandbox.ips and not view.pod.spec.hostNetwork):
        return _new_sandbox(planner)
    for stale in view.runtime.sandboxes[1:]:
        if stale.ready:
            planner.actions.append(StopSandbox(sandbox_id=stale.id))
    if _end_what_is_past(planner):
        return planner.plan()
    _ephemeral(planner)
    if _initialized(planner):
        for container in view.pod.spec.containers:
            _regular(planner, container)
    return planner.plan()


def _has_ended(view: PodView) -> bool:
    """Nothing is to be started any more: all containers ended for good, or an init container failed for good."""
    if not view.runtime.sandboxes:
        return False
    for container in view.pod.spec.initContainers or ():
        record = view.runtime.current(container.name)
        if record is None or is_sidecar(container) or record.state != "exited" or record.exit_code == 0:
            continue
        if not _is_initialized(view) and not should_restart_init(view.pod, container, record):
            return True
    ended = [view.runtime.latest(each.name) for each in view.pod.spec.containers]
    return bool(ended) and all(
        record is not None
        and record.state == "exited"
        and not view.runtime.is_past(record)
        and not should_restart(view.pod, container, record)
        for container, record in zip(view.pod.spec.containers, ended, strict=True)
    )


def _end_what_is_past(planner: _Planner) -> bool:
    """End what still runs of the time before all containers were to begin again; True while there is any."""
    past = [record for record in planner.runtime.running if planner.runtime.is_past(record)]
    planner.actions += [
        KillContainer(container_id=record.id, name=record.name, message=ALL_RESTARTED, with_hook=False)
        for record in past
    ]
    return bool(past)


def _new_sandbox(planner: _Planner) -> Plan:
    """End what is left of the old sandbox, then make a new one; its containers follow with the next plan."""
    runtime = planner.runtime
    for record in runtime.running:
        kill = KillContainer(container_id=record.id, name=record.name, message=SANDBOX_CHANGED)
        planner.actions.append(kill)
    for sandbox in runtime.sandboxes[:1]:
        planner.actions.append(StopSandbox(sandbox_id=sandbox.id))
    if runtime.running:
        return planner.plan()
    refused_until = planner.view.refused.get("", 0.0)
    if refused_until > planner.now:
        planner.wake(refused_until)
        return planner.plan()
    attempt = runtime.sandboxes[0].attempt + 1 if runtime.sandboxes else 0
    planner.actions.append(CreateSandbox(attempt=attempt))
    return planner.plan()


def _is_initialized(view: PodView) -> bool:
    """Regular containers have been made in this sandbox, so the init containers are behind us, even if their records
    are gone."""
    return any(view.runtime.current(each.name) is not None for each in view.pod.spec.containers)


def _initialized(planner: _Planner) -> bool:
    """Work on the init containers; True when the regular containers' turn has come."""
    done = _is_initialized(planner.view)
    for container in planner.pod.spec.initContainers or ():
        record = planner.runtime.current(container.name)
        if is_sidecar(container):
            if not _sidecar(planner, container, record) and not done:
                return False
        elif not done:
            if record is not None and record.state == "exited" and record.exit_code == 0:
                continue
            if record is None or record.state != "running":
                planner.start(container, "init")
            else:
                planner.kill_for_health(container, record)
            return False
    return True


def _sidecar(planner: _Planner, container: core_v1.Container, record: ContainerRecord | None) -> bool:
    """Keep a sidecar running; True when what comes after it may start."""
    if record is None or record.state != "running":
        planner.start(container, "init")
        return False
    if planner.kill_for_health(container, record):
        return False
    return planner.health(record).started


def _regular(planner: _Planner, container: core_v1.Container) -> None:
    record = planner.runtime.current(container.name)
    if record is not None and record.state == "running":
        planner.kill_for_health(container, record)
        return
    latest = record or planner.runtime.latest(container.name)
    if latest is None or planner.runtime.is_past(latest) or should_restart(planner.pod, container, latest):
        planner.start(container, "regular")


def _ephemeral(planner: _Planner) -> None:
    """Started once, never again."""
    for container in planner.pod.spec.ephemeralContainers or ():
        if planner.runtime.latest(container.name) is None:
            planner.start(container, "ephemeral")


def termination_plan(pod: core_v1.Pod | None, runtime: PodRuntime) -> tuple[Action, ...]:
    """The next step of ending a pod: first all its containers but the sidecars at once, then the sidecars, the last one
    first, then the sandboxes. `pod` is None for one that nobody remembers. () when nothing runs any more."""
    sidecars = [each.name for each in (pod.spec.initContainers or ()) if is_sidecar(each)] if pod is not None else []
    running = runtime.running
    main = [each for each in running if each.name not in sidecars]
    if not main:
        for name in reversed(sidecars):
            main = [each for each in running if each.name == name]
            if main:
                break
    if main:
        return tuple(
            KillContainer(container_id=each.id, name=each.name, message=f"Stopping container {each.name}")
            for each in main
        )
    return tuple(StopSandbox(sandbox_id=each.id) for each in runtime.sandboxes if each.ready)

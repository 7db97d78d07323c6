"""Probes the containers of one pod, each probe in a task of its own, and tells when a verdict changes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.kinds.types import core_v1
from tiphys.kubelet.container_config import container_named
from tiphys.kubelet.interface import ContainerRecord, ContainerRuntime, PodRuntime, RuntimeFailure
from tiphys.kubelet.io.prober import Prober
from tiphys.kubelet.pod_actions import ContainerHealth
from tiphys.kubelet.probes import Outcome, ProbeKind, ProbeResult, ProbeState, advance, begin, exhausted, probe_of

# (container name, event type, reason, message)
Report = Callable[[str, str, str, str], None]


@dataclass(slots=True)
class _Probing:
    container: core_v1.Container
    record: ContainerRecord
    states: dict[ProbeKind, ProbeState] = field(default_factory=dict)
    tasks: dict[ProbeKind, asyncio.Task[None]] = field(default_factory=dict)
    started: asyncio.Event = field(default_factory=asyncio.Event)


class PodHealth:
    """`follow` after each look at the runtime; `health` for decisions and status; `changed()` is called on news."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        prober: Prober,
        clock: Clock,
        owner: TaskOwner,
        changed: Callable[[], None],
        report: Report,
        jitter: Callable[[], float],
    ) -> None:
        self._runtime = runtime
        self._prober = prober
        self._clock = clock
        self._owner = owner
        self._changed = changed
        self._report = report
        self._jitter = jitter
        self._probing: dict[str, _Probing] = {}

    def health(self) -> Mapping[str, ContainerHealth]:
        return {container_id: self._health(probing) for container_id, probing in self._probing.items()}

    def _health(self, probing: _Probing) -> ContainerHealth:
        name = probing.container.name
        startup = probing.states.get(ProbeKind.STARTUP)
        liveness = probing.states.get(ProbeKind.LIVENESS)
        readiness = probing.states.get(ProbeKind.READINESS)
        started = startup is None or startup.verdict
        kill, grace_seconds = "", None
        for kind, state in ((ProbeKind.STARTUP, startup), (ProbeKind.LIVENESS, liveness)):
            probe = probe_of(probing.container, kind)
            if probe is not None and state is not None and exhausted(state, probe):
                kill = f"Container {name} failed {kind.value.lower()} probe, will be restarted"
                grace_seconds = probe.terminationGracePeriodSeconds
        ready = started and (readiness.verdict if readiness is not None else True)
        return ContainerHealth(started=started, ready=ready, kill=kill, kill_grace_seconds=grace_seconds)

    def follow(self, pod: core_v1.Pod, runtime: PodRuntime, address: str, ending: bool) -> None:
        """Probe what runs, stop probing what does not. A pod that is being ended is still asked whether it is
        ready."""
        running = {record.id: record for record in runtime.containers if record.state == "running"}
        for container_id in [each for each in self._probing if each not in running]:
            self._stop(self._probing.pop(container_id), list(ProbeKind))
        for record in running.values():
            if record.id not in self._probing and not ending:
                container = container_named(pod, record.name)
                if isinstance(container, core_v1.Container):
                    self._begin(pod, container, record, address)
        if ending:
            for probing in self._probing.values():
                self._stop(probing, [ProbeKind.STARTUP, ProbeKind.LIVENESS])

    def stop(self) -> None:
        for probing in self._probing.values():
            self._stop(probing, list(ProbeKind))
        self._probing.clear()

    def _stop(self, probing: _Probing, kinds: Sequence[ProbeKind]) -> None:
        for kind in kinds:
            task = probing.tasks.pop(kind, None)
            if task is not None:
                task.cancel()

    def _begin(self, pod: core_v1.Pod, container: core_v1.Container, record: ContainerRecord, address: str) -> None:
        probing = self._probing[record.id] = _Probing(container, record)
        known = _reported(pod, record)
        for kind in ProbeKind:
            probe = probe_of(container, kind)
            if probe is None:
                continue
            state = begin(probe, kind, record.started_at, self._clock.now(), self._jitter())
            if known is not None and kind is not ProbeKind.LIVENESS:
                verdict = bool(known.started) if kind is ProbeKind.STARTUP else known.ready
                state = dataclasses.replace(state, verdict=verdict)
            probing.states[kind] = state
            if kind is ProbeKind.STARTUP and state.verdict:
                continue
            name = f"{kind.value.lower()} probe of {pod.metadata.namespace}/{pod.metadata.name} {container.name}"
            probing.tasks[kind] = self._owner.start(self._run(probing, kind, probe, address), name)
        startup = probing.states.get(ProbeKind.STARTUP)
        if startup is None or startup.verdict:
            probing.started.set()

    async def _run(self, probing: _Probing, kind: ProbeKind, probe: core_v1.Probe, address: str) -> None:
        if kind is not ProbeKind.STARTUP and not probing.started.is_set():
            await probing.started.wait()
            state = probing.states[kind]
            probing.states[kind] = dataclasses.replace(state, due=max(state.due, self._clock.now()))
        while True:
            wait_seconds = probing.states[kind].due - self._clock.now()
            if wait_seconds > 0:
                await self._clock.sleep(wait_seconds)
            result = await self._probe(probing, probe, address)
            before = probing.states[kind]
            state = probing.states[kind] = advance(before, probe, result, self._clock.now())
            if result.outcome is Outcome.FAILURE:
                message = f"{kind.value} probe failed: {result.message}"
                self._report(probing.container.name, "Warning", "Unhealthy", message)
            elif result.outcome is Outcome.UNKNOWN:
                message = f"{kind.value} probe errored: {result.message}"
                self._report(probing.container.name, "Warning", "Unhealthy", message)
            if kind is ProbeKind.STARTUP and state.verdict:
                probing.started.set()
                self._changed()
                return
            if kind is not ProbeKind.READINESS and exhausted(state, probe):
                self._changed()
                return
            if state.verdict != before.verdict:
                self._changed()

    async def _probe(self, probing: _Probing, probe: core_v1.Probe, address: str) -> ProbeResult:
        async def execute(command: Sequence[str], seconds: int) -> tuple[int, bytes]:
            try:
                result = await self._runtime.exec_sync(probing.record.id, command, seconds)
            except RuntimeFailure as error:
                if error.code == "DEADLINE_EXCEEDED":
                    raise TimeoutError(error.message) from error
                raise ValueError(error.message) from error
            return result.exit_code, result.stdout + result.stderr

        return await self._prober.probe(probe, probing.container, address, execute)


def _reported(pod: core_v1.Pod, record: ContainerRecord) -> core_v1.ContainerStatus | None:
    """What was reported of this very container before (the kubelet has been restarted)."""
    statuses: list[core_v1.ContainerStatus] = [
        *(pod.status.containerStatuses or ()),
        *(pod.status.initContainerStatuses or ()),
    ]
    for status in statuses:
        if (status.containerID or "").endswith(f"://{record.id}"):
            return status
    return None

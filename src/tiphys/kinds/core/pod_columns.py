"""How `kubectl get pods` shows a pod: how many containers are ready, its state in one word, restarts, address and node.

The word is the most telling one: what an init container waits for, what a container crashed of, or else the phase.
"""

from __future__ import annotations

from typing import NamedTuple

from tiphys.kinds import cells
from tiphys.kinds.strategy import Column
from tiphys.kinds.types.core_v1 import ContainerStateTerminated, ContainerStatus, Pod
from tiphys.machinery import timestamps
from tiphys.machinery.duration import human_duration


class Summary(NamedTuple):
    """What the columns show; `last_restart` is the latest end of a container that was started again."""

    ready: int
    total: int
    word: str
    restarts: int
    last_restart: str


def summary(pod: Pod) -> Summary:
    status = pod.status
    word = status.reason or status.phase or ""
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.reason == "SchedulingGated":
            word = "SchedulingGated"
    sidecars = {c.name for c in pod.spec.initContainers or () if c.restartPolicy == "Always"}
    total = len(pod.spec.containers) + len(sidecars)
    initializing, init_word, counted = _init_state(pod, sidecars)
    if initializing:
        word = init_word
    if not initializing or _is_true(pod, "Initialized"):
        found, has_running = _container_word(status.containerStatuses or [])
        if found:
            word = found
        if word == "Completed" and has_running:
            word = "Running" if _is_true(pod, "Ready") else "NotReady"
        counted = [s for s in status.initContainerStatuses or () if s.name in sidecars] + [
            *(status.containerStatuses or ())
        ]
        ready = sum(s.ready and _is_running(s) for s in counted)
    else:
        ready = sum(s.ready and bool(s.started) for s in status.initContainerStatuses or () if s.name in sidecars)
    if pod.metadata.deletionTimestamp:
        if status.reason == "NodeLost":
            word = "Unknown"
        elif status.phase not in ("Failed", "Succeeded"):
            word = "Terminating"
    restarts = sum(s.restartCount for s in counted)
    return Summary(ready, total, word, restarts, max((_last_end(s) for s in counted), default=""))


def _is_running(status: ContainerStatus) -> bool:
    return status.state is not None and status.state.running is not None


def _is_true(pod: Pod, condition_type: str) -> bool:
    return any(c.type == condition_type and c.status == "True" for c in pod.status.conditions or ())


def _last_end(status: ContainerStatus) -> str:
    ended = status.lastState.terminated if status.lastState else None
    return (ended.finishedAt or "") if ended else ""


def _ended_word(ended: ContainerStateTerminated) -> str:
    if ended.reason:
        return ended.reason
    return f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exitCode}"


def _init_state(pod: Pod, sidecars: set[str]) -> tuple[bool, str, list[ContainerStatus]]:
    """Whether init containers still have to end, the word for it, and the statuses whose restarts count meanwhile."""
    statuses = pod.status.initContainerStatuses or []
    for position, status in enumerate(statuses):
        state = status.state
        if state is not None and state.terminated is not None and state.terminated.exitCode == 0:
            continue
        if status.name in sidecars and status.started:
            continue
        seen = statuses[: position + 1]
        if state is not None and state.terminated is not None:
            return True, f"Init:{_ended_word(state.terminated)}", seen
        waiting = state.waiting if state else None
        if waiting is not None and waiting.reason and waiting.reason != "PodInitializing":
            return True, f"Init:{waiting.reason}", seen
        return True, f"Init:{position}/{len(pod.spec.initContainers or ())}", seen
    return False, "", list(statuses)


def _container_word(statuses: list[ContainerStatus]) -> tuple[str, bool]:
    """What the first container with something to say says, and whether any is ready and runs."""
    word, has_running = "", False
    for status in reversed(statuses):
        state = status.state
        if state is None:
            continue
        if state.waiting is not None and state.waiting.reason:
            word = state.waiting.reason
        elif state.terminated is not None:
            word = _ended_word(state.terminated)
        elif status.ready and state.running is not None:
            has_running = True
    return word, has_running


def _restarts(pod: Pod, now: float) -> str:
    found = summary(pod)
    if found.restarts and found.last_restart:
        return f"{found.restarts} ({human_duration(now - timestamps.seconds(found.last_restart))} ago)"
    return str(found.restarts)


def _ready(pod: Pod, _: float) -> str:
    found = summary(pod)
    return f"{found.ready}/{found.total}"


def _address(pod: Pod, _: float) -> str:
    if pod.status.podIPs:
        return pod.status.podIPs[0].ip
    return pod.status.podIP or cells.NONE


def _gates(pod: Pod, _: float) -> str:
    gates = pod.spec.readinessGates
    if not gates:
        return cells.NONE
    return f"{sum(_is_true(pod, gate.conditionType) for gate in gates)}/{len(gates)}"


COLUMNS: tuple[Column[Pod], ...] = (
    cells.name_column(),
    Column(name="Ready", cell=_ready, description="How many containers are ready, of how many."),
    Column(name="Status", cell=lambda pod, _: summary(pod).word, description="The state of the pod in one word."),
    Column(name="Restarts", cell=_restarts, description="How often containers were started again, and when last."),
    cells.age_column(),
    Column(name="IP", cell=_address, priority=1, description="The address of the pod."),
    Column(name="Node", cell=lambda pod, _: pod.spec.nodeName or cells.NONE, priority=1, description="Its node."),
    Column(
        name="Nominated Node",
        cell=lambda pod, _: pod.status.nominatedNodeName or cells.NONE,
        priority=1,
        description="The node on which room is being made for the pod.",
    ),
    Column(name="Readiness Gates", cell=_gates, priority=1, description="How many readiness gates are open."),
)

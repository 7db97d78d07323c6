"""The status of a pod as the API shows it: phase, conditions, addresses, the statuses of its containers.

Pure: from the pod, the runtime's records, why containers wait, how probes stand, and now. Conditions that others own
are kept; a condition's transition time changes only with its status. Writing it is `io/status_writer.py`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tiphys.kinds.types import core_v1
from tiphys.kubelet.container_status import RUNTIME_NAME, container_status
from tiphys.kubelet.interface import PodRuntime
from tiphys.kubelet.pod_actions import ContainerHealth
from tiphys.kubelet.resize import Applied, ResizeProblem
from tiphys.kubelet.resources import is_sidecar, qos_class
from tiphys.kubelet.restarts import all_restarted_at, may_restart_all
from tiphys.machinery import timestamps

RESIZE_PENDING = "PodResizePending"
ALL_RESTARTING = "AllContainersRestarting"
OWN_CONDITIONS = (
    "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", RESIZE_PENDING,
    ALL_RESTARTING,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a pod was ended by the node: phase Failed with this reason (Evicted, DeadlineExceeded, OutOfcpu, ...).
    `disruption` is the reason of its DisruptionTarget condition, "" for none."""

    reason: str
    message: str
    phase: str = "Failed"
    disruption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusInputs:
    """`ending`: the pod is being ended, nothing new will be started. `host_ips`: the node's addresses. `applied`: the
    resources that running containers have, by id, `applied_together` those of the pod as a whole; `resize_problem`: why
    they have no others."""

    runtime: PodRuntime
    old: core_v1.PodStatus
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    health: Mapping[str, ContainerHealth] = field(default_factory=dict)
    host_ips: Sequence[str] = ()
    verdict: Verdict | None = None
    ending: bool = False
    runtime_name: str = RUNTIME_NAME
    applied: Applied = field(default_factory=dict)
    applied_together: core_v1.ResourceRequirements | None = None
    resize_problem: ResizeProblem | None = None


def pod_status(pod: core_v1.Pod, inputs: StatusInputs, now: float) -> core_v1.PodStatus:
    """The whole status, from scratch but for what only the old one knows."""
    old = inputs.old
    init = _statuses(pod, pod.spec.initContainers or (), old.initContainerStatuses, inputs, now, "PodInitializing")
    waits_for = "PodInitializing" if pod.spec.initContainers and not _init_done(pod, init) else "ContainerCreating"
    regular = _statuses(pod, pod.spec.containers, old.containerStatuses, inputs, now, waits_for)
    ephemeral = _statuses(
        pod, pod.spec.ephemeralContainers or (), old.ephemeralContainerStatuses, inputs, now, "ContainerCreating"
    )
    verdict = inputs.verdict
    phase = verdict.phase if verdict is not None else pod_phase(pod, init, regular, inputs.ending)
    if phase in ("Succeeded", "Failed") and verdict is None and inputs.runtime.running:
        phase = "Running"  # sidecars are still being ended
    if verdict is not None and inputs.runtime.running:
        phase = old.phase if old.phase in ("Pending", "Running") else "Running"
    if old.phase in ("Succeeded", "Failed"):
        phase = old.phase
    ips = _addresses(pod, inputs)
    status = msgspec.structs.replace(
        old,
        phase=phase,
        reason=verdict.reason if verdict is not None else old.reason,
        message=verdict.message if verdict is not None else old.message,
        hostIP=inputs.host_ips[0] if inputs.host_ips else old.hostIP,
        hostIPs=[core_v1.HostIP(ip=ip) for ip in inputs.host_ips] or old.hostIPs,
        podIP=ips[0] if ips else None,
        podIPs=[core_v1.PodIP(ip=ip) for ip in ips] or None,
        startTime=old.startTime or timestamps.time_of(now),
        qosClass=old.qosClass or qos_class(pod),
        observedGeneration=pod.metadata.generation or old.observedGeneration,
        resources=inputs.applied_together,
        allocatedResources=inputs.applied_together.requests if inputs.applied_together is not None else None,
        initContainerStatuses=init or None,
        containerStatuses=regular or None,
        ephemeralContainerStatuses=ephemeral or None,
    )
    status.conditions = _conditions(pod, status, inputs, now)
    return status


def rejected_status(pod: core_v1.Pod, verdict: Verdict, now: float) -> core_v1.PodStatus:
    """The status of a pod that this node does not take at all."""
    return msgspec.structs.replace(
        pod.status,
        phase=verdict.phase,
        reason=verdict.reason,
        message=verdict.message,
        startTime=pod.status.startTime or timestamps.time_of(now),
        qosClass=pod.status.qosClass or qos_class(pod),
        observedGeneration=pod.metadata.generation or pod.status.observedGeneration,
    )


def _addresses(pod: core_v1.Pod, inputs: StatusInputs) -> list[str]:
    """The pod's addresses; those of a sandbox that is gone stay until there are new ones."""
    if pod.spec.hostNetwork:
        return list(inputs.host_ips[:1])
    sandbox = inputs.runtime.sandbox
    if sandbox is not None and sandbox.ips:
        return list(sandbox.ips)
    return [each.ip for each in inputs.old.podIPs or ()]


def _statuses(
    pod: core_v1.Pod,
    containers: Sequence[core_v1.Container | core_v1.EphemeralContainer],
    old: Sequence[core_v1.ContainerStatus] | None,
    inputs: StatusInputs,
    now: float,
    default_reason: str,
) -> list[core_v1.ContainerStatus]:
    remembered = {each.name: each for each in old or ()}
    init_names = {each.name for each in pod.spec.initContainers or () if not is_sidecar(each)}
    return [
        container_status(
            container,
            inputs.runtime,
            remembered.get(container.name),
            waiting=inputs.waiting.get(container.name),
            default_reason=default_reason,
            health=inputs.health,
            is_plain_init=container.name in init_names,
            ending=inputs.ending,
            runtime_name=inputs.runtime_name,
            applied=inputs.applied,
            now=now,
        )
        for container in containers
    ]


def _terminated(status: core_v1.ContainerStatus) -> core_v1.ContainerStateTerminated | None:
    return status.state.terminated if status.state is not None else None


def _running(status: core_v1.ContainerStatus) -> bool:
    return status.state is not None and status.state.running is not None


def _stopped(status: core_v1.ContainerStatus) -> core_v1.ContainerStateTerminated | None:
    """How it ended, if it has: it may be waiting for its next attempt."""
    if status.state is not None and status.state.waiting is not None and status.lastState is not None:
        return status.lastState.terminated
    return _terminated(status)


def _init_done(pod: core_v1.Pod, statuses: Sequence[core_v1.ContainerStatus]) -> bool:
    return not _incomplete(pod, statuses)


def _incomplete(pod: core_v1.Pod, statuses: Sequence[core_v1.ContainerStatus]) -> list[str]:
    """The init containers that are still in the way of the others."""
    names = []
    for container, status in zip(pod.spec.initContainers or (), statuses, strict=True):
        ended = _terminated(status)
        done = status.started if is_sidecar(container) else ended is not None and ended.exitCode == 0
        if not done:
            names.append(container.name)
    return names


def pod_phase(
    pod: core_v1.Pod,
    init: Sequence[core_v1.ContainerStatus],
    regular: Sequence[core_v1.ContainerStatus],
    ending: bool,
) -> str:
    """Pending, Running, Succeeded or Failed."""
    policy = pod.spec.restartPolicy or "Always"
    begun = any(_running(each) or _stopped(each) is not None for each in regular)
    init_waits = init_failed = False
    for container, status in zip(pod.spec.initContainers or (), init, strict=True):
        if is_sidecar(container):
            init_waits |= not status.started and not ending
            continue
        ended = _stopped(status)
        init_waits |= ended is None or ended.exitCode != 0
        init_failed |= ended is not None and ended.exitCode != 0 and _terminated(status) is not None
    if init_failed and not begun and (policy == "Never" or ending):
        return "Failed"
    running = sum(map(_running, regular))
    ends = [each for each in map(_stopped, regular) if each is not None]
    never_begun = len(regular) - running - len(ends)
    if (init_waits and not begun) or never_begun:
        if ending and not running:
            return "Failed" if ends or begun else "Pending"
        return "Pending" if not (begun and ending) else "Running"
    if running:
        return "Running"
    if ends:
        succeeded = all(each.exitCode == 0 for each in ends)
        if not (ending or _ended_for_good(pod, regular)):
            return "Running"
        return "Succeeded" if succeeded else "Failed"
    return "Pending"


def _ended_for_good(pod: core_v1.Pod, regular: Sequence[core_v1.ContainerStatus]) -> bool:
    """No container will have another attempt, by its own or the pod's restart policy."""
    for container, status in zip(pod.spec.containers, regular, strict=True):
        ended = _terminated(status)
        policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
        if ended is None or policy == "Always" or (policy == "OnFailure" and ended.exitCode != 0):
            return False
        for rule in container.restartPolicyRules or ():
            codes = rule.exitCodes
            if codes is not None and (ended.exitCode in (codes.values or ())) == (codes.operator == "In"):
                return False
    return True


def _conditions(
    pod: core_v1.Pod, status: core_v1.PodStatus, inputs: StatusInputs, now: float
) -> list[core_v1.PodCondition]:
    old = {each.type: each for each in inputs.old.conditions or ()}
    sandbox = inputs.runtime.sandbox
    networked = sandbox is not None and sandbox.ready and (bool(sandbox.ips) or bool(pod.spec.hostNetwork))
    containers_ready = _containers_ready(pod, status)
    found = {
        "PodReadyToStartContainers": (networked, "", ""),
        "Initialized": _initialized(pod, status),
        "Ready": _ready(pod, containers_ready, old),
        "ContainersReady": containers_ready,
        "PodScheduled": (True, "", ""),
    }
    if may_restart_all(pod):
        found[ALL_RESTARTING] = _all_restarting(pod, status, inputs.runtime)
    result = []
    for kind, (holds, reason, message) in found.items():
        before = old.get(kind)
        text = "True" if holds else "False"
        same = before is not None and before.status == text and before.lastTransitionTime
        result.append(
            core_v1.PodCondition(
                type=kind,
                status=text,
                reason=reason or None,
                message=message or None,
                observedGeneration=pod.metadata.generation or None,
                lastTransitionTime=before.lastTransitionTime
                if before is not None and same
                else timestamps.time_of(now),
            )
        )
    others = [each for kind, each in old.items() if kind not in found and kind != RESIZE_PENDING]
    verdict, problem = inputs.verdict, inputs.resize_problem
    if problem is not None:
        others.append(_special(pod, RESIZE_PENDING, problem.reason, problem.message, old.get(RESIZE_PENDING), now))
    if verdict is not None and verdict.disruption and "DisruptionTarget" not in old:
        others.append(_special(pod, "DisruptionTarget", verdict.disruption, verdict.message, None, now))
    return [*result, *others]


def _special(
    pod: core_v1.Pod, kind: str, reason: str, message: str, before: core_v1.PodCondition | None, now: float
) -> core_v1.PodCondition:
    """A condition that is there only while it is true."""
    return core_v1.PodCondition(
        type=kind,
        status="True",
        reason=reason,
        message=message,
        observedGeneration=pod.metadata.generation or None,
        lastTransitionTime=before.lastTransitionTime if before is not None else timestamps.time_of(now),
    )


_Found = tuple[bool, str, str]


def _all_restarting(pod: core_v1.Pod, status: core_v1.PodStatus, runtime: PodRuntime) -> _Found:
    """While what was before is ended, for all containers to begin again."""
    if status.phase in ("Failed", "Succeeded"):
        return False, "PodFailed" if status.phase == "Failed" else "PodCompleted", ""
    begins_at = all_restarted_at(pod, runtime)
    if any(record.created_at < begins_at for record in runtime.running):
        return True, "RestartAllContainersStarted", "container exited with restart policy rule"
    return False, "", ""


def _names(names: Sequence[str]) -> str:
    return f"[{' '.join(names)}]"


def _initialized(pod: core_v1.Pod, status: core_v1.PodStatus) -> _Found:
    if status.phase == "Succeeded":
        return True, "PodCompleted", ""
    begun = any(_running(each) or _stopped(each) is not None for each in status.containerStatuses or ())
    names = _incomplete(pod, status.initContainerStatuses or ()) if status.initContainerStatuses else []
    if not names or (begun and pod.spec.initContainers):
        return True, "", ""
    return False, "ContainersNotInitialized", f"containers with incomplete status: {_names(names)}"


def _containers_ready(pod: core_v1.Pod, status: core_v1.PodStatus) -> _Found:
    if status.phase == "Succeeded":
        return False, "PodCompleted", ""
    if status.phase == "Failed":
        return False, "PodFailed", ""
    statuses = {each.name: each for each in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ()))}
    wanted = [each.name for each in pod.spec.initContainers or () if is_sidecar(each)]
    wanted += [each.name for each in pod.spec.containers]
    unknown = [name for name in wanted if name not in statuses]
    unready = [name for name in wanted if name in statuses and not statuses[name].ready]
    texts = []
    if unknown:
        texts.append(f"containers with unknown status: {_names(unknown)}")
    if unready:
        texts.append(f"containers with unready status: {_names(unready)}")
    return (not texts, "ContainersNotReady" if texts else "", ", ".join(texts))


def _ready(pod: core_v1.Pod, containers: _Found, old: Mapping[str, core_v1.PodCondition]) -> _Found:
    if not containers[0]:
        return containers
    texts = []
    for gate in pod.spec.readinessGates or ():
        condition = old.get(gate.conditionType)
        if condition is None:
            texts.append(f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.')
        elif condition.status != "True":
            texts.append(
                f'the status of pod readiness gate "{gate.conditionType}" is not "True", but {condition.status}'
            )
    return (not texts, "ReadinessGatesNotReady" if texts else "", ", ".join(texts))

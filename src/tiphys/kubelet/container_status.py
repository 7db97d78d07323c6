"""The status of one container as the API shows it: waiting, running or terminated, what came before, readiness.

Built from the runtime's records (the newest attempt and the one before), from why it waits if it does, and from the
status that was reported last, which alone remembers containers that the runtime has forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import ContainerRecord, PodRuntime
from tiphys.kubelet.pod_actions import ContainerHealth
from tiphys.kubelet.resize import Applied
from tiphys.kubelet.security import AnyContainer
from tiphys.machinery import timestamps

RUNTIME_NAME = "containerd"
LOST_EXIT_CODE = 137
LOST_REASON = "ContainerStatusUnknown"
LOST_MESSAGE = "The container could not be located when the pod was terminated"


def waiting_state(reason: str, message: str = "") -> core_v1.ContainerState:
    return core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=reason or None, message=message or None))


def _time(moment: float) -> timestamps.Time | None:
    return timestamps.time_of(moment) if moment > 0 else None


def terminated_reason(record: ContainerRecord) -> str:
    return record.reason or ("Completed" if record.exit_code == 0 else "Error")


def record_state(record: ContainerRecord, runtime_name: str) -> core_v1.ContainerState:
    if record.state in ("running", "unknown"):
        return core_v1.ContainerState(running=core_v1.ContainerStateRunning(startedAt=_time(record.started_at)))
    if record.state == "created":
        return waiting_state("ContainerCreating")
    return core_v1.ContainerState(
        terminated=core_v1.ContainerStateTerminated(
            containerID=f"{runtime_name}://{record.id}",
            exitCode=record.exit_code,
            reason=terminated_reason(record),
            message=record.message or None,
            startedAt=_time(record.started_at),
            finishedAt=_time(record.finished_at),
        )
    )


def _volume_mounts(container: AnyContainer) -> list[core_v1.VolumeMountStatus] | None:
    mounts = [
        core_v1.VolumeMountStatus(
            name=mount.name,
            mountPath=mount.mountPath,
            readOnly=mount.readOnly or None,
            recursiveReadOnly="Disabled" if mount.readOnly else None,
        )
        for mount in container.volumeMounts or ()
    ]
    return mounts or None


def _user(record: ContainerRecord) -> core_v1.ContainerUser | None:
    if record.user is None:
        return None
    uid, gid, groups = record.user
    return core_v1.ContainerUser(
        linux=core_v1.LinuxContainerUser(uid=uid, gid=gid, supplementalGroups=list(groups) or None)
    )


def container_status(
    container: AnyContainer,
    runtime: PodRuntime,
    old: core_v1.ContainerStatus | None,
    *,
    waiting: tuple[str, str] | None,
    default_reason: str,
    health: Mapping[str, ContainerHealth],
    is_plain_init: bool,
    ending: bool,
    runtime_name: str,
    applied: Applied,
    now: float,
) -> core_v1.ContainerStatus:
    """`waiting` is the reason and message when it waits for something; `default_reason` that of a container that is
    not there yet. `ending`: the pod is being ended, nothing will be made any more."""
    records = [each for each in runtime.containers if each.name == container.name]
    if not records:
        return _without_record(container, old, waiting, default_reason, ending, now)
    record = records[0]
    state = record_state(record, runtime_name)
    last = record_state(records[1], runtime_name) if len(records) > 1 and records[1].state == "exited" else None
    if last is None and old is not None and record.restart_count:
        last = _remembered(old, record, runtime_name)
    if waiting is not None and record.state != "running" and not ending:
        last = state if state.terminated is not None else last
        state = waiting_state(*waiting)
    found = health.get(record.id, ContainerHealth())
    running = record.state == "running"
    if is_plain_init:
        ready = record.state == "exited" and record.exit_code == 0
    else:
        ready = running and found.started and found.ready
    status = core_v1.ContainerStatus(
        name=container.name,
        image=record.image or container.image or "",
        imageID=record.image_id,
        containerID=f"{runtime_name}://{record.id}",
        restartCount=record.restart_count,
        ready=ready,
        started=running and (is_plain_init or found.started),
        state=state,
        lastState=last or core_v1.ContainerState(),
        volumeMounts=_volume_mounts(container),
        user=_user(record),
    )
    # Shown also when there are none: that tells that the kubelet knows, and can change them.
    resources = applied.get(record.id, container.resources) or core_v1.ResourceRequirements()
    status.resources = core_v1.ResourceRequirements(limits=resources.limits, requests=resources.requests)
    status.allocatedResources = resources.requests
    if record.stop_signal:
        status.stopSignal = record.stop_signal
    return status


def _remembered(
    old: core_v1.ContainerStatus, record: ContainerRecord, runtime_name: str
) -> core_v1.ContainerState | None:
    """The attempt before this one when the runtime has forgotten it."""
    if old.containerID == f"{runtime_name}://{record.id}":
        return old.lastState
    return old.state if old.state is not None and old.state.terminated is not None else old.lastState


def _without_record(
    container: AnyContainer,
    old: core_v1.ContainerStatus | None,
    waiting: tuple[str, str] | None,
    default_reason: str,
    ending: bool,
    now: float,
) -> core_v1.ContainerStatus:
    if old is not None and old.state is not None:
        if old.state.terminated is not None:
            return old
        if old.state.running is not None and ending:
            lost = core_v1.ContainerState(
                terminated=core_v1.ContainerStateTerminated(
                    containerID=old.containerID,
                    exitCode=LOST_EXIT_CODE,
                    reason=LOST_REASON,
                    message=LOST_MESSAGE,
                    startedAt=old.state.running.startedAt,
                    finishedAt=timestamps.time_of(now),
                )
            )
            return msgspec.structs.replace(old, state=lost, ready=False, started=False)
    status = core_v1.ContainerStatus(
        name=container.name,
        image=container.image or "",
        started=False,
        state=waiting_state(*(waiting or (default_reason, ""))),
        lastState=core_v1.ContainerState(),
        volumeMounts=_volume_mounts(container),
    )
    if old is not None and old.restartCount:
        status.restartCount = old.restartCount
        status.lastState = old.lastState
    return status

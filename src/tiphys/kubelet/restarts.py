"""Whether a container that has ended is started again, and how long it waits first (CrashLoopBackOff).

The first restart is immediate; then waits double from 10 s to 5 min, and begin anew when the container ran for more
than 10 min. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import BACK_OFF_SECONDS, ContainerRecord, PodRuntime, full_name
from tiphys.kubelet.security import AnyContainer

FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 300.0
RESTART_ALL = "RestartAllContainers"


def restart_policy(pod: core_v1.Pod, container: AnyContainer) -> str:
    """The container's own policy, or the pod's."""
    return container.restartPolicy or pod.spec.restartPolicy or "Always"


def _applicable_action(container: AnyContainer, record: ContainerRecord) -> str:
    """That of the first rule that says something about the exit code; "" when none does."""
    for rule in container.restartPolicyRules or ():
        codes = rule.exitCodes
        if codes is not None and (record.exit_code in (codes.values or ())) == (codes.operator == "In"):
            return rule.action
    return ""


def _rule_applies(container: AnyContainer, record: ContainerRecord) -> bool:
    return _applicable_action(container, record) == "Restart"


def may_restart_all(pod: core_v1.Pod) -> bool:
    """Whether the end of some container can make all of them begin again."""
    containers = (*(pod.spec.initContainers or ()), *pod.spec.containers)
    return any(rule.action == RESTART_ALL for each in containers for rule in each.restartPolicyRules or ())


def all_restarted_at(pod: core_v1.Pod, runtime: PodRuntime) -> float:
    """When the last container ended whose rules want all containers of the pod to begin again; 0.0 for never. Nothing
    that was made before counts any more."""
    containers = {each.name: each for each in (*(pod.spec.initContainers or ()), *pod.spec.containers)}
    moment = 0.0
    for record in runtime.containers:
        container = containers.get(record.name)
        if container is None or not container.restartPolicyRules or record.state != "exited":
            continue
        if runtime.is_in_sandbox(record) and _applicable_action(container, record) == RESTART_ALL:
            moment = max(moment, record.finished_at)
    return moment


def should_restart(pod: core_v1.Pod, container: AnyContainer, record: ContainerRecord) -> bool:
    """For a container that does not run: whether another attempt follows."""
    if record.state in ("created", "unknown") or _rule_applies(container, record):
        return True
    policy = restart_policy(pod, container)
    return policy == "Always" or (policy == "OnFailure" and record.exit_code != 0)


def should_restart_init(pod: core_v1.Pod, container: AnyContainer, record: ContainerRecord) -> bool:
    """For an init container that has failed. With the pod's policy Always it is tried again like with OnFailure."""
    return _rule_applies(container, record) or restart_policy(pod, container) != "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartBackOff:
    """The wait before the next restart; `restarted_at` is when the container was last started again."""

    wait_seconds: float
    restarted_at: float


def _expired(before: RestartBackOff, finished_at: float) -> bool:
    return finished_at - before.restarted_at > 2 * LONGEST_WAIT_SECONDS


def restart_at(before: RestartBackOff | None, finished_at: float) -> float:
    """The moment from which a container that ended at `finished_at` may start again."""
    if before is None or _expired(before, finished_at):
        return finished_at
    return finished_at + before.wait_seconds


def after_restart(before: RestartBackOff | None, finished_at: float, now: float) -> RestartBackOff:
    if before is None or _expired(before, finished_at):
        return RestartBackOff(wait_seconds=FIRST_WAIT_SECONDS, restarted_at=now)
    return RestartBackOff(wait_seconds=min(before.wait_seconds * 2, LONGEST_WAIT_SECONDS), restarted_at=now)


def remembered(record: ContainerRecord) -> RestartBackOff | None:
    """What was written on the container when it was started again; None for a first start."""
    seconds = record.annotations.get(BACK_OFF_SECONDS)
    return RestartBackOff(wait_seconds=float(seconds), restarted_at=record.created_at) if seconds else None


def duration_text(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def back_off_message(pod: core_v1.Pod, name: str, before: RestartBackOff) -> str:
    return f"back-off {duration_text(before.wait_seconds)} restarting failed container={name} pod={full_name(pod)}"

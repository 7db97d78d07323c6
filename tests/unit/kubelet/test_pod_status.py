"""Phases, conditions and container statuses, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import RESTART_COUNT, ContainerRecord, PodRuntime, Sandbox
from tiphys.kubelet.pod_actions import ContainerHealth
from tiphys.kubelet.pod_status import StatusInputs, Verdict, pod_status, rejected_status
from tiphys.machinery import timestamps

NOW = 1_700_000_000.0


def at(seconds: float = 0.0) -> timestamps.Time:
    return timestamps.time_of(NOW + seconds)


def container(name: str = "main", **fields: Any) -> core_v1.Container:
    return core_v1.Container(name=name, image="web:1", **fields)


def pod(*containers: core_v1.Container, **spec: Any) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="u", generation=3),
        spec=core_v1.PodSpec(containers=list(containers) or [container()], **spec),
    )


def record(name: str = "main", state: Any = "running", code: int = 0, number: int = 0, **more: Any) -> ContainerRecord:
    return ContainerRecord(
        id=f"{name}-{number}",
        name=name,
        sandbox_id="s",
        uid="u",
        attempt=number,
        state=state,
        exit_code=code,
        started_at=NOW - 20,
        finished_at=NOW - 10 if state == "exited" else 0.0,
        image="docker.io/library/web:1",
        image_id="sha256:1",
        annotations={RESTART_COUNT: str(number)},
        **more,
    )


def status(of: core_v1.Pod, *records: ContainerRecord, ready: bool = True, **inputs: Any) -> core_v1.PodStatus:
    sandbox = Sandbox(id="s", name="web", namespace="default", uid="u", ready=ready, ips=("10.0.0.2",) if ready else ())
    found = PodRuntime(uid="u", sandboxes=(sandbox,), containers=records)
    fields = {"runtime": found, "old": of.status, "host_ips": ("192.0.2.1",), **inputs}
    return pod_status(of, StatusInputs(**fields), NOW)


INIT = container("init")
PHASES: dict[str, tuple[core_v1.Pod, tuple[ContainerRecord, ...], bool, str]] = {
    "nothing yet": (pod(), (), False, "Pending"),
    "created": (pod(), (record(state="created"),), False, "Pending"),
    "running": (pod(), (record(),), False, "Running"),
    "one of two": (pod(container("a"), container("b")), (record("a"),), False, "Pending"),
    "one ended, always": (pod(), (record(state="exited"),), False, "Running"),
    "failed, on failure": (pod(restartPolicy="OnFailure"), (record(state="exited", code=1),), False, "Running"),
    "well, on failure": (pod(restartPolicy="OnFailure"), (record(state="exited"),), False, "Succeeded"),
    "failed, never": (pod(restartPolicy="Never"), (record(state="exited", code=1),), False, "Failed"),
    "well, never": (pod(restartPolicy="Never"), (record(state="exited"),), False, "Succeeded"),
    "half, never": (
        pod(container("a"), container("b"), restartPolicy="Never"),
        (record("a", "exited", 1), record("b")),
        False,
        "Running",
    ),
    "mixed, never": (
        pod(container("a"), container("b"), restartPolicy="Never"),
        (record("a", "exited", 1), record("b", "exited")),
        False,
        "Failed",
    ),
    "own policies": (
        pod(container(restartPolicy="Never")),
        (record(state="exited", code=1),),
        False,
        "Failed",
    ),
    "init runs": (pod(initContainers=[INIT]), (record("init"),), False, "Pending"),
    "init failed, always": (pod(initContainers=[INIT]), (record("init", "exited", 1),), False, "Pending"),
    "init failed, never": (
        pod(initContainers=[INIT], restartPolicy="Never"),
        (record("init", "exited", 1),),
        False,
        "Failed",
    ),
    "init done": (pod(initContainers=[INIT]), (record("init", "exited"), record()), False, "Running"),
    "init forgotten": (pod(initContainers=[INIT]), (record(),), False, "Running"),
    "sidecar still ends": (
        pod(initContainers=[container("s", restartPolicy="Always")], restartPolicy="Never"),
        (record(state="exited"), record("s")),
        True,
        "Running",
    ),
    "ended from outside": (pod(), (record(state="exited", code=143),), True, "Failed"),
    "ended well from outside": (pod(), (record(state="exited"),), True, "Succeeded"),
    "ended before it began": (pod(), (), True, "Pending"),
    "being ended": (pod(), (record(),), True, "Running"),
}


@pytest.mark.parametrize("case", PHASES, ids=str)
def test_phases(case: str) -> None:
    of, records, ending, phase = PHASES[case]
    assert status(of, *records, ending=ending).phase == phase


def test_a_whole_status() -> None:
    found = status(pod(), record())
    moment = at()
    expected = [
        core_v1.PodCondition(type=kind, status="True", observedGeneration=3, lastTransitionTime=moment)
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    assert found == core_v1.PodStatus(
        phase="Running",
        hostIP="192.0.2.1",
        hostIPs=[core_v1.HostIP(ip="192.0.2.1")],
        podIP="10.0.0.2",
        podIPs=[core_v1.PodIP(ip="10.0.0.2")],
        startTime=moment,
        qosClass="BestEffort",
        observedGeneration=3,
        conditions=expected,
        containerStatuses=[
            core_v1.ContainerStatus(
                resources=core_v1.ResourceRequirements(),
                name="main",
                image="docker.io/library/web:1",
                imageID="sha256:1",
                containerID="containerd://main-0",
                ready=True,
                started=True,
                state=core_v1.ContainerState(running=core_v1.ContainerStateRunning(startedAt=at(-20))),
                lastState=core_v1.ContainerState(),
            )
        ],
    )


def conditions(found: core_v1.PodStatus) -> dict[str, tuple[str, str | None, str | None]]:
    return {each.type: (each.status, each.reason, each.message) for each in found.conditions or ()}


def test_what_is_not_ready_is_named() -> None:
    health = {"a-0": ContainerHealth(ready=False)}
    found = conditions(status(pod(container("a"), container("b")), record("a"), record("b"), health=health))
    reason = ("False", "ContainersNotReady", "containers with unready status: [a]")
    assert (found["ContainersReady"], found["Ready"]) == (reason, reason)


def test_gates_hold_up_readiness() -> None:
    of = pod(readinessGates=[core_v1.PodReadinessGate(conditionType="example.com/ok")])
    found = conditions(status(of, record()))
    assert found["ContainersReady"][0] == "True"
    assert found["Ready"] == (
        "False",
        "ReadinessGatesNotReady",
        'corresponding condition of pod readiness gate "example.com/ok" does not exist.',
    )
    of.status.conditions = [core_v1.PodCondition(type="example.com/ok", status="False")]
    assert conditions(status(of, record()))["Ready"][2] == (
        'the status of pod readiness gate "example.com/ok" is not "True", but False'
    )
    of.status.conditions = [core_v1.PodCondition(type="example.com/ok", status="True")]
    found = conditions(status(of, record()))
    assert found["Ready"] == ("True", None, None) and found["example.com/ok"][0] == "True"


def test_a_transition_is_dated_once() -> None:
    of = pod()
    of.status = status(of, record())
    later = pod_status(
        of,
        StatusInputs(
            runtime=PodRuntime(
                uid="u",
                sandboxes=(Sandbox(id="s", name="web", namespace="default", uid="u", ips=("10.0.0.2",)),),
                containers=(record(state="exited"),),
            ),
            old=of.status,
        ),
        NOW + 60,
    )
    times = {each.type: each.lastTransitionTime for each in later.conditions or ()}
    assert times == {
        "PodReadyToStartContainers": at(),
        "Initialized": at(),
        "Ready": at(60),
        "ContainersReady": at(60),
        "PodScheduled": at(),
    }


def test_a_waiting_container_keeps_its_past() -> None:
    found = status(
        pod(), record(state="exited", code=2, number=1, message="oops"), waiting={"main": ("CrashLoopBackOff", "why")}
    )
    (shown,) = found.containerStatuses or ()
    terminated = core_v1.ContainerStateTerminated(
        containerID="containerd://main-1",
        exitCode=2,
        reason="Error",
        message="oops",
        startedAt=at(-20),
        finishedAt=at(-10),
    )
    assert (shown.state, shown.lastState, shown.restartCount, shown.ready) == (
        core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason="CrashLoopBackOff", message="why")),
        core_v1.ContainerState(terminated=terminated),
        1,
        False,
    )


def test_a_running_container_shows_its_last_end() -> None:
    found = status(pod(), record(number=1), record(state="exited", code=3))
    (shown,) = found.containerStatuses or ()
    assert shown.lastState is not None and shown.lastState.terminated is not None
    assert (shown.lastState.terminated.exitCode, shown.restartCount) == (3, 1)


def test_the_last_end_is_remembered_when_its_record_is_gone() -> None:
    of = pod()
    of.status = status(of, record(state="exited", code=3))
    (shown,) = status(of, record(number=1)).containerStatuses or ()
    assert shown.lastState is not None and shown.lastState.terminated is not None
    assert shown.lastState.terminated.exitCode == 3


def test_a_lost_container_has_ended_somehow() -> None:
    of = pod()
    of.status = status(of, record())
    (shown,) = status(of, ending=True).containerStatuses or ()
    assert shown.state is not None and shown.state.terminated is not None
    assert (shown.state.terminated.exitCode, shown.state.terminated.reason) == (137, "ContainerStatusUnknown")


@pytest.mark.parametrize(
    ("code", "given", "reason"), [(0, "", "Completed"), (1, "", "Error"), (137, "OOMKilled", "OOMKilled")]
)
def test_why_it_ended(code: int, given: str, reason: str) -> None:
    (shown,) = status(pod(), record(state="exited", code=code, reason=given)).containerStatuses or ()
    assert shown.state is not None and shown.state.terminated is not None and shown.state.terminated.reason == reason


def test_addresses_outlive_the_sandbox() -> None:
    of = pod()
    of.status = status(of, record())
    assert status(of, record(state="exited"), ready=False).podIP == "10.0.0.2"
    assert status(pod(hostNetwork=True), record()).podIP == "192.0.2.1"


def test_a_verdict_counts_when_all_has_ended() -> None:
    verdict = Verdict(reason="Evicted", message="no room", disruption="TerminationByKubelet")
    assert status(pod(), record(), verdict=verdict, ending=True).phase == "Running"
    found = status(pod(), record(state="exited", code=137), verdict=verdict, ending=True)
    assert (found.phase, found.reason, found.message) == ("Failed", "Evicted", "no room")
    assert conditions(found)["DisruptionTarget"] == ("True", "TerminationByKubelet", "no room")
    assert conditions(found)["Ready"] == ("False", "PodFailed", None)


def test_an_end_is_final() -> None:
    of = pod(restartPolicy="Never")
    of.status.phase = "Failed"
    assert status(of, record(state="exited")).phase == "Failed"


def test_a_rejected_pod_has_no_containers() -> None:
    found = rejected_status(pod(), Verdict(reason="OutOfcpu", message="no"), NOW)
    assert found == core_v1.PodStatus(
        phase="Failed", reason="OutOfcpu", message="no", startTime=at(), qosClass="BestEffort", observedGeneration=3
    )


RULE = core_v1.ContainerRestartRule(
    action="RestartAllContainers", exitCodes=core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[0])
)
WATCHED = pod(container("a"), container("b", restartPolicy="Never", restartPolicyRules=[RULE]), restartPolicy="Never")
BEFORE, AFTER = {"created_at": NOW - 30}, {"created_at": NOW}


@pytest.mark.parametrize(
    ("records", "phase", "condition"),
    [
        ((record("a", **BEFORE), record("b", **BEFORE)), "Running", ("False", None)),
        ((record("a", **BEFORE), record("b", "exited", **BEFORE)), "Running", ("True", "RestartAllContainersStarted")),
        ((record("a", "exited", **BEFORE), record("b", "exited", **BEFORE)), "Running", ("False", None)),
        ((record("a", **AFTER), record("b", "exited", **BEFORE)), "Running", ("False", None)),
        ((record("a", "exited"), record("b", "exited", 1)), "Failed", ("False", "PodFailed")),
    ],
)
def test_all_containers_begin_again(
    records: tuple[ContainerRecord, ...], phase: str, condition: tuple[str, str | None]
) -> None:
    found = status(WATCHED, *records)
    restarting = next(each for each in found.conditions or () if each.type == "AllContainersRestarting")
    assert (found.phase, (restarting.status, restarting.reason)) == (phase, condition)

"""What to do next for a pod: every case as a table of state and actions."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import HASH, RESTART_COUNT, ContainerRecord, PodRuntime, Sandbox
from tiphys.kubelet.pod_actions import (
    Action,
    ContainerHealth,
    CreateSandbox,
    KillContainer,
    Plan,
    PodView,
    StartContainer,
    StopSandbox,
    plan,
    termination_plan,
)
from tiphys.kubelet.restarts import RestartBackOff

NOW = 1000.0


def container(name: str = "main", **fields: Any) -> core_v1.Container:
    return core_v1.Container(name=name, image="web:1", **fields)


def pod(*containers: core_v1.Container, **spec: Any) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="u"),
        spec=core_v1.PodSpec(containers=list(containers) or [container()], **spec),
    )


def sandbox(number: int = 0, ready: bool = True, ips: tuple[str, ...] = ("10.0.0.2",)) -> Sandbox:
    return Sandbox(
        id=f"s{number}", name="web", namespace="default", uid="u", attempt=number, ready=ready, ips=ips if ready else ()
    )


def record(
    name: str = "main", state: Any = "running", code: int = 0, number: int = 0, of: int = 0, **more: Any
) -> ContainerRecord:
    return ContainerRecord(
        id=f"{name}-{number}",
        name=name,
        sandbox_id=f"s{of}",
        uid="u",
        attempt=number,
        state=state,
        exit_code=code,
        finished_at=NOW - 1 if state == "exited" else 0.0,
        annotations={RESTART_COUNT: str(number), **more.pop("annotations", {})},
        **more,
    )


def runtime(*containers: ContainerRecord, sandboxes: tuple[Sandbox, ...] | None = None) -> PodRuntime:
    return PodRuntime(uid="u", sandboxes=(sandbox(),) if sandboxes is None else sandboxes, containers=containers)


def start(
    name: str = "main", kind: Any = "regular", attempt: int = 0, back_off: RestartBackOff | None = None
) -> StartContainer:
    return StartContainer(name=name, kind=kind, attempt=attempt, back_off=back_off)


def first_back_off(seconds: float = 10.0) -> RestartBackOff:
    return RestartBackOff(wait_seconds=seconds, restarted_at=NOW)


SIDECAR = container("proxy", restartPolicy="Always")
ALL_ON_42 = core_v1.ContainerRestartRule(
    action="RestartAllContainers", exitCodes=core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[42])
)
WATCHED = pod(
    container("a"),
    container("b", restartPolicy="Never", restartPolicyRules=[ALL_ON_42]),
    initContainers=[SIDECAR, container("init")],
    restartPolicy="Never",
)
BEFORE, AFTER = {"created_at": NOW - 9}, {"created_at": NOW}
CHANGED = "Pod sandbox changed, it will be killed and re-created."

CASES: dict[str, tuple[core_v1.Pod, PodRuntime, list[Action]]] = {
    "nothing yet": (pod(), runtime(sandboxes=()), [CreateSandbox(attempt=0)]),
    "an end that is to restart all": (
        WATCHED,
        runtime(
            record("b", "exited", 42, **BEFORE),
            record("a", **BEFORE),
            record("init", "exited", **BEFORE),
            record("proxy", **BEFORE),
        ),
        [
            KillContainer(
                container_id=f"{name}-0",
                name=name,
                message="All containers of the pod will be restarted",
                with_hook=False,
            )
            for name in ("a", "proxy")
        ],
    ),
    "all begins again in the same sandbox": (
        WATCHED,
        runtime(
            record("b", "exited", 42, **BEFORE),
            record("a", "exited", 137, **BEFORE),
            record("init", "exited", **BEFORE),
            record("proxy", "exited", **BEFORE),
        ),
        [start("proxy", "init", 1, first_back_off())],
    ),
    "init containers again": (
        WATCHED,
        runtime(
            record("proxy", number=1, **AFTER),
            record("b", "exited", 42, **BEFORE),
            record("a", "exited", 137, **BEFORE),
            record("init", "exited", **BEFORE),
        ),
        [start("init", "init", 1, first_back_off())],
    ),
    "and then the others, whatever their policy": (
        WATCHED,
        runtime(
            record("init", "exited", number=1, **AFTER),
            record("proxy", number=1, **AFTER),
            record("b", "exited", 42, **BEFORE),
            record("a", "exited", 0, **BEFORE),
        ),
        [start("a", attempt=1, back_off=first_back_off()), start("b", attempt=1, back_off=first_back_off())],
    ),
    "when all have begun again that is over": (
        WATCHED,
        runtime(
            record("b", number=1, **AFTER),
            record("a", "exited", 1, number=1, **AFTER),
            record("init", "exited", number=1, **AFTER),
            record("proxy", number=1, **AFTER),
            record("b", "exited", 42, **BEFORE),
        ),
        [],
    ),
    "another end restarts nothing": (
        WATCHED,
        runtime(
            record("b", "exited", 1, **BEFORE),
            record("a", **BEFORE),
            record("init", "exited", **BEFORE),
            record("proxy", **BEFORE),
        ),
        [],
    ),
    "a sandbox alone": (pod(), runtime(), [start()]),
    "all runs": (pod(), runtime(record()), []),
    "two containers": (pod(container("a"), container("b")), runtime(), [start("a"), start("b")]),
    "one of two": (pod(container("a"), container("b")), runtime(record("b")), [start("a")]),
    "host network needs no address": (
        pod(hostNetwork=True),
        runtime(record(), sandboxes=(sandbox(ips=()),)),
        [],
    ),
    "a dead sandbox": (
        pod(),
        runtime(record("main", "exited", 137), sandboxes=(sandbox(ready=False),)),
        [StopSandbox(sandbox_id="s0"), CreateSandbox(attempt=1)],
    ),
    "a dead sandbox with something alive": (
        pod(),
        runtime(record(), sandboxes=(sandbox(ready=False),)),
        [KillContainer(container_id="main-0", name="main", message=CHANGED), StopSandbox(sandbox_id="s0")],
    ),
    "a sandbox without address": (
        pod(),
        runtime(sandboxes=(sandbox(ips=()),)),
        [StopSandbox(sandbox_id="s0"), CreateSandbox(attempt=1)],
    ),
    "in the new sandbox the old container counts": (
        pod(),
        runtime(record("main", "exited", 137), sandboxes=(sandbox(1), sandbox(ready=False))),
        [start(attempt=1, back_off=first_back_off())],
    ),
    "an older sandbox that is still ready": (
        pod(),
        runtime(record(of=1), sandboxes=(sandbox(1), sandbox(0))),
        [StopSandbox(sandbox_id="s0")],
    ),
    "exited, always": (pod(), runtime(record("main", "exited")), [start(attempt=1, back_off=first_back_off())]),
    "exited well, on failure": (pod(restartPolicy="OnFailure"), runtime(record("main", "exited")), []),
    "exited badly, on failure": (
        pod(restartPolicy="OnFailure"),
        runtime(record("main", "exited", 1)),
        [start(attempt=1, back_off=first_back_off())],
    ),
    "its own policy wins": (
        pod(container(restartPolicy="Always"), restartPolicy="Never"),
        runtime(record("main", "exited", 1)),
        [start(attempt=1, back_off=first_back_off())],
    ),
    "a rule for its exit code": (
        pod(
            container(
                restartPolicy="Never",
                restartPolicyRules=[
                    core_v1.ContainerRestartRule(
                        action="Restart",
                        exitCodes=core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[42]),
                    )
                ],
            )
        ),
        runtime(record("main", "exited", 42)),
        [start(attempt=1, back_off=first_back_off())],
    ),
    "created but never started": (pod(), runtime(record("main", "created")), [start(attempt=1)]),
    "init first": (pod(initContainers=[container("i"), container("j")]), runtime(), [start("i", "init")]),
    "init runs": (pod(initContainers=[container("i")]), runtime(record("i")), []),
    "next init": (
        pod(initContainers=[container("i"), container("j")]),
        runtime(record("i", "exited")),
        [start("j", "init")],
    ),
    "init failed": (
        pod(initContainers=[container("i")]),
        runtime(record("i", "exited", 1)),
        [start("i", "init", 1, first_back_off())],
    ),
    "init done": (pod(initContainers=[container("i")]), runtime(record("i", "exited")), [start()]),
    "init forgotten": (pod(initContainers=[container("i")]), runtime(record()), []),
    "sidecar first": (pod(initContainers=[SIDECAR]), runtime(), [start("proxy", "init")]),
    "sidecar runs": (pod(initContainers=[SIDECAR]), runtime(record("proxy")), [start()]),
    "sidecar ended": (
        pod(initContainers=[SIDECAR], restartPolicy="Never"),
        runtime(record(), record("proxy", "exited")),
        [start("proxy", "init", 1, first_back_off())],
    ),
    "ephemeral": (
        pod(ephemeralContainers=[core_v1.EphemeralContainer(name="debug", image="web:1")]),
        runtime(record()),
        [start("debug", "ephemeral")],
    ),
    "ephemeral ended": (
        pod(ephemeralContainers=[core_v1.EphemeralContainer(name="debug", image="web:1")]),
        runtime(record(), record("debug", "exited")),
        [],
    ),
    "another definition": (
        pod(),
        runtime(record(annotations={HASH: "other"})),
        [
            KillContainer(
                container_id="main-0", name="main", message="Container main definition changed, will be restarted"
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_next_actions(case: str) -> None:
    of, found, wanted = CASES[case]
    assert list(plan(PodView(pod=of, runtime=found), NOW).actions) == wanted


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (pod(restartPolicy="Never"), runtime(record("main", "exited", 1))),
        (pod(restartPolicy="OnFailure"), runtime(record("main", "exited", 0))),
        (pod(restartPolicy="Never", initContainers=[container("i")]), runtime(record("i", "exited", 1))),
        (pod(restartPolicy="Never", initContainers=[SIDECAR]), runtime(record("main", "exited"), record("proxy"))),
        (
            pod(restartPolicy="Never"),
            runtime(record("main", "exited", 137), sandboxes=(sandbox(ready=False),)),
        ),
    ],
)
def test_the_end_by_itself(of: core_v1.Pod, found: PodRuntime) -> None:
    assert plan(PodView(pod=of, runtime=found), NOW) == Plan(complete=True)


def test_a_crash_waits_and_says_why() -> None:
    view = PodView(pod=pod(), runtime=runtime(record("main", "exited", 1, 1)), back_offs={"main": first_back_off(20)})
    message = "back-off 20s restarting failed container=main pod=web_default(u)"
    assert plan(view, NOW) == Plan(waiting={"main": ("CrashLoopBackOff", message)}, wake_at=NOW + 19)
    after = plan(view, NOW + 19)
    assert after == Plan(actions=(start(attempt=2, back_off=RestartBackOff(wait_seconds=40, restarted_at=NOW + 19)),))


def test_what_was_refused_waits_for_its_moment() -> None:
    view = PodView(pod=pod(), runtime=runtime(), refused={"main": NOW + 5})
    assert plan(view, NOW) == Plan(wake_at=NOW + 5)
    view = PodView(pod=pod(), runtime=runtime(sandboxes=()), refused={"": NOW + 5})
    assert plan(view, NOW) == Plan(wake_at=NOW + 5)


def test_restarts_that_only_the_api_remembers_count() -> None:
    view = PodView(pod=pod(), runtime=runtime(), restarts={"main": 6})
    assert plan(view, NOW).actions == (start(attempt=7),)


def test_a_failed_probe_kills() -> None:
    health = {"main-0": ContainerHealth(kill="Container main failed liveness probe", kill_grace_seconds=3)}
    assert plan(PodView(pod=pod(), runtime=runtime(record()), health=health), NOW).actions == (
        KillContainer(
            container_id="main-0", name="main", message="Container main failed liveness probe", grace_seconds=3
        ),
    )


def test_a_sidecar_that_has_not_started_holds_up_the_others() -> None:
    view = PodView(
        pod=pod(initContainers=[SIDECAR]),
        runtime=runtime(record("proxy")),
        health={"proxy-0": ContainerHealth(started=False, ready=False)},
    )
    assert plan(view, NOW) == Plan()


def kill(name: str) -> KillContainer:
    return KillContainer(container_id=f"{name}-0", name=name, message=f"Stopping container {name}")


def test_ending_goes_from_the_outside_in() -> None:
    of = pod(container("a"), container("b"), initContainers=[container("s1", restartPolicy="Always"), SIDECAR])
    everything = [record("a"), record("b"), record("s1"), record("proxy")]
    assert termination_plan(of, runtime(*everything)) == (kill("a"), kill("b"))
    assert termination_plan(of, runtime(*everything[2:])) == (kill("proxy"),)
    assert termination_plan(of, runtime(record("s1"))) == (kill("s1"),)
    assert termination_plan(of, runtime()) == (StopSandbox(sandbox_id="s0"),)
    assert termination_plan(of, runtime(sandboxes=(sandbox(ready=False),))) == ()
    assert termination_plan(None, runtime(record("x"))) == (kill("x"),)

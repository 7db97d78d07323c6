"""Images, configuration, probes and hooks of containers."""

from __future__ import annotations

from collections.abc import Sequence

from hollow_node import IMAGE, HollowNode, container, make_pod

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import ContainerRecord, ExecResult
from tiphys.machinery import quantity
from tiphys.testing.fake_runtime import Program


def probe(seconds: int = 1, failures: int = 3, **fields: int) -> core_v1.Probe:
    return core_v1.Probe(
        exec=core_v1.ExecAction(command=["check"]), periodSeconds=seconds, failureThreshold=failures, **fields
    )


def answer(node: HollowNode, code: int) -> None:
    def execute(record: ContainerRecord, command: Sequence[str]) -> ExecResult:
        return ExecResult(exit_code=code, stdout=b"so it is", stderr=b"")

    node.runtime.execute = execute


# Images


async def test_an_image_is_pulled_when_it_is_not_there(node: HollowNode) -> None:
    node.runtime.pullable.add("docker.io/library/other:1")
    await node.create(make_pod(containers=[core_v1.Container(name="main", image="other:1")]))
    assert node.state() == "running"
    assert node.runtime.named("pull_image") == ["docker.io/library/other:1"]
    await node.run(1)
    assert node.events("Pulling") == ['Pulling image "other:1"']


async def test_an_image_that_is_there_is_not_pulled(node: HollowNode) -> None:
    await node.create(make_pod())
    assert node.runtime.named("pull_image") == []
    await node.run(1)
    assert node.events("Pulled") == [f'Container image "{IMAGE}" already present on machine']


async def test_latest_is_always_pulled(node: HollowNode) -> None:
    node.runtime.add_image("docker.io/library/web:latest")
    await node.create(make_pod(containers=[core_v1.Container(name="main", image="web")]))
    assert node.runtime.named("pull_image") == ["docker.io/library/web:latest"]


async def test_a_missing_image_backs_off(node: HollowNode) -> None:
    await node.create(make_pod(containers=[core_v1.Container(name="main", image="none:1")]))
    assert node.state() == "waiting: ErrImagePull"
    await node.run(2)
    assert node.state() == "waiting: ImagePullBackOff"
    assert len(node.runtime.named("pull_image")) == 1
    await node.run(9)
    assert len(node.runtime.named("pull_image")) == 2
    await node.run(15)
    assert len(node.runtime.named("pull_image")) == 2
    node.runtime.pullable.add("docker.io/library/none:1")
    await node.run(10)
    assert node.state() == "running" and node.pod().status.phase == "Running"


async def test_one_end_may_restart_all(node: HollowNode) -> None:
    codes = core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[42])
    rule = core_v1.ContainerRestartRule(action="RestartAllContainers", exitCodes=codes)
    watched = container("watched", restartPolicy="Never", restartPolicyRules=[rule])
    await node.create(make_pod(containers=[container(), watched], restartPolicy="Never"))
    address = node.pod().status.podIP
    await node.run(5)
    node.runtime.exit(node.runtime.containers("watched")[0].id, 42)
    await node.run(5)
    assert (node.state(), node.state("watched")) == ("running", "running")
    assert (node.restarts(), node.restarts("watched")) == (1, 1)
    assert (node.pod().status.phase, node.pod().status.podIP) == ("Running", address)
    node.runtime.exit(node.runtime.containers("watched")[-1].id, 0)
    node.runtime.exit(node.runtime.containers("main")[-1].id, 0)
    await node.run(5)
    assert node.pod().status.phase == "Succeeded"


async def test_never_pulled(node: HollowNode) -> None:
    await node.create(make_pod(containers=[core_v1.Container(name="main", image="none:1", imagePullPolicy="Never")]))
    assert node.state() == "waiting: ErrImageNeverPull"
    await node.run(1)
    assert node.events("ErrImageNeverPull") == ['Container image "none:1" is not present with pull policy of Never']


async def test_no_image_name(node: HollowNode) -> None:
    await node.create(make_pod(containers=[core_v1.Container(name="main", image="No Name")]))
    assert node.state() == "waiting: InvalidImageName"


# Configuration


def environment(node: HollowNode) -> dict[str, str]:
    config = node.runtime.config_of(node.runtime.containers()[-1].id)
    return {each["key"]: each["value"] for each in config["envs"]}


async def test_a_missing_config_map_is_waited_for(node: HollowNode) -> None:
    reference = core_v1.EnvVarSource(configMapKeyRef=core_v1.ConfigMapKeySelector(name="settings", key="color"))
    await node.create(make_pod(containers=[container(env=[core_v1.EnvVar(name="COLOR", valueFrom=reference)])]))
    assert node.state() == "waiting: CreateContainerConfigError"
    waiting = (node.pod().status.containerStatuses or ())[0].state.waiting  # type: ignore[union-attr]
    assert waiting is not None and waiting.message == 'configmap "settings" not found'
    meta = meta_v1.ObjectMeta(name="settings", namespace="default")
    node.api.add(core_v1.ConfigMap(metadata=meta, data={"color": "blue"}))
    await node.run()
    assert node.state() == "running" and environment(node)["COLOR"] == "blue"


async def test_a_container_knows_its_pod(node: HollowNode) -> None:
    def field(name: str, path: str) -> core_v1.EnvVar:
        return core_v1.EnvVar(
            name=name, valueFrom=core_v1.EnvVarSource(fieldRef=core_v1.ObjectFieldSelector(fieldPath=path))
        )

    variables = [field("IP", "status.podIP"), field("HOST", "status.hostIP"), field("NAME", "metadata.name")]
    limits = core_v1.ResourceRequirements(limits={"cpu": quantity.parse("1500m"), "memory": quantity.parse("64Mi")})
    reference = core_v1.EnvVarSource(resourceFieldRef=core_v1.ResourceFieldSelector(resource="limits.cpu"))
    variables.append(core_v1.EnvVar(name="CPU", valueFrom=reference))
    variables.append(core_v1.EnvVar(name="BOTH", value="$(NAME)@$(IP)"))
    await node.create(make_pod(containers=[container(env=variables, args=["--name", "$(NAME)"], resources=limits)]))
    found = environment(node)
    assert {key: found[key] for key in ("IP", "HOST", "NAME", "CPU", "BOTH")} == {
        "IP": "10.88.0.2",
        "HOST": "192.0.2.10",
        "NAME": "web",
        "CPU": "2",
        "BOTH": "web@10.88.0.2",
    }
    config = node.runtime.config_of(node.runtime.containers()[0].id)
    assert config["args"] == ["--name", "web"]
    assert config["linux"]["resources"] == {
        "cpu_period": 100_000,
        "cpu_shares": 1536,
        "cpu_quota": 150_000,
        "memory_limit_in_bytes": 64 << 20,
        "oom_score_adj": -997,
    }


async def test_root_is_refused_where_it_must_not_be(node: HollowNode) -> None:
    context = core_v1.PodSecurityContext(runAsNonRoot=True)
    created = await node.create(make_pod(securityContext=context))
    waiting = (node.pod().status.containerStatuses or ())[0].state.waiting  # type: ignore[union-attr]
    assert waiting is not None
    assert (waiting.reason, waiting.message) == (
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root "
        f'(pod: "web_default({created.metadata.uid})", container: main)',
    )


# Probes


async def test_ready_when_the_probe_says_so(node: HollowNode) -> None:
    answer(node, 1)
    await node.create(make_pod(containers=[container(readinessProbe=probe())]))
    assert (node.state(), node.condition("Ready")) == ("running", "False")
    answer(node, 0)
    await node.run(1)
    assert node.condition("Ready") == "True"
    answer(node, 1)
    await node.run(2)
    assert node.condition("Ready") == "True"
    await node.run(1)
    assert node.condition("Ready") == "False"
    assert "Readiness probe failed: so it is" in node.events("Unhealthy")


async def test_the_first_probe_is_not_waited_for(node: HollowNode) -> None:
    await node.create(make_pod(containers=[container(readinessProbe=probe(10))]))
    assert node.condition("Ready") == "True"


async def test_the_initial_delay_is_waited_for(node: HollowNode) -> None:
    await node.create(make_pod(containers=[container(readinessProbe=probe(10, initialDelaySeconds=5))]))
    await node.run(4)
    assert node.condition("Ready") == "False"
    await node.run(1)
    assert node.condition("Ready") == "True"


async def test_a_dead_container_is_restarted(node: HollowNode) -> None:
    answer(node, 1)
    await node.create(make_pod(containers=[container(livenessProbe=probe(10, 2))]))
    await node.run(9)
    assert node.restarts() == 0
    answer(node, 1)
    await node.run(2)
    assert (node.state(), node.restarts()) == ("running", 1)
    await node.run(1)
    assert node.events("Killing") == ["Container main failed liveness probe, will be restarted"]


async def test_a_probe_has_its_own_grace(node: HollowNode) -> None:
    answer(node, 1)
    node.runtime.programs["main"] = Program(stop_seconds=None)
    check = probe(1, 1, terminationGracePeriodSeconds=3)
    await node.create(make_pod(containers=[container(livenessProbe=check)]))
    await node.run(2.5)
    assert node.restarts() == 0
    await node.run(1)
    assert node.restarts() == 1


async def test_other_probes_wait_for_the_start(node: HollowNode) -> None:
    answer(node, 1)
    await node.create(
        make_pod(containers=[container(startupProbe=probe(1, 100), livenessProbe=probe(1, 1), readinessProbe=probe(1))])
    )
    await node.run(10)
    (status,) = node.pod().status.containerStatuses or ()
    assert (status.started, status.ready, status.restartCount) == (False, False, 0)
    answer(node, 0)
    await node.run(1)
    (status,) = node.pod().status.containerStatuses or ()
    assert (status.started, status.ready, status.restartCount) == (True, True, 0)


async def test_what_never_starts_is_restarted(node: HollowNode) -> None:
    answer(node, 1)
    await node.create(make_pod(containers=[container(startupProbe=probe(1, 3))]))
    await node.run(3)
    assert node.restarts() == 1


async def test_readiness_outlives_the_kubelet(node: HollowNode) -> None:
    await node.create(make_pod(containers=[container(readinessProbe=probe(10))]))
    assert node.condition("Ready") == "True"
    answer(node, 1)
    await node.restart()
    assert node.condition("Ready") == "True"
    await node.run(45)
    assert node.condition("Ready") == "False"


# Hooks


async def test_hooks_run_in_the_container(node: HollowNode) -> None:
    commands: list[str] = []

    def execute(record: ContainerRecord, command: Sequence[str]) -> ExecResult:
        commands.append(f"{record.state} {command[0]}")
        return ExecResult(exit_code=0, stdout=b"", stderr=b"")

    node.runtime.execute = execute
    hooks = core_v1.Lifecycle(
        postStart=core_v1.LifecycleHandler(exec=core_v1.ExecAction(command=["hello"])),
        preStop=core_v1.LifecycleHandler(exec=core_v1.ExecAction(command=["goodbye"])),
    )
    await node.create(make_pod(containers=[container(lifecycle=hooks)]))
    await node.delete()
    await node.run(1)
    assert commands == ["running hello", "running goodbye"] and node.gone()


async def test_sleeping_before_the_stop_uses_up_the_grace(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(stop_seconds=None)
    hooks = core_v1.Lifecycle(preStop=core_v1.LifecycleHandler(sleep=core_v1.SleepAction(seconds=20)))
    await node.create(make_pod(containers=[container(lifecycle=hooks)]))
    await node.delete()
    await node.run(19)
    assert node.runtime.named("stop_container") == []
    await node.run(10)
    assert node.runtime.named("stop_container") == ["main"] and not node.gone()
    await node.run(2)
    assert node.gone()


async def test_a_failed_start_hook_ends_the_container(node: HollowNode) -> None:
    answer(node, 1)
    hooks = core_v1.Lifecycle(postStart=core_v1.LifecycleHandler(exec=core_v1.ExecAction(command=["hello"])))
    await node.create(make_pod(containers=[container(lifecycle=hooks)]))
    await node.run(1)
    assert node.state() != "running"
    assert "PostStartHook failed: command exited with code 1: so it is" in node.events("FailedPostStartHook")

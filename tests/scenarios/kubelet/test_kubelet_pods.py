"""Pods from creation to their end, as their users see them."""

from __future__ import annotations

import pytest
from hollow_node import HollowNode, container, make_pod

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import RuntimeFailure
from tiphys.machinery import quantity
from tiphys.testing.fake_runtime import Program


async def test_a_pod_becomes_ready(node: HollowNode) -> None:
    await node.create(make_pod())
    pod = node.pod()
    assert (pod.status.phase, pod.status.podIP, pod.status.hostIP) == ("Running", "10.88.0.2", "192.0.2.10")
    assert pod.status.qosClass == "BestEffort" and pod.status.observedGeneration == pod.metadata.generation
    conditions = {each.type: (each.status, each.reason) for each in pod.status.conditions or ()}
    assert conditions == {
        "PodReadyToStartContainers": ("True", None),
        "Initialized": ("True", None),
        "Ready": ("True", None),
        "ContainersReady": ("True", None),
        "PodScheduled": ("True", None),
    }
    (status,) = pod.status.containerStatuses or ()
    assert (status.ready, status.started, status.restartCount, status.image) == (
        True,
        True,
        0,
        "docker.io/library/web:1",
    )
    assert status.containerID == f"fake://{node.runtime.containers()[0].id}"
    await node.run(1)
    assert node.events("Started") == ["Container started: main"]


async def test_a_deleted_pod_is_given_its_grace(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(stop_seconds=None)
    await node.create(make_pod())
    await node.delete()
    assert node.runtime.containers()[0].state == "running"
    await node.run(29)
    assert not node.gone()
    await node.run(1.5)
    assert node.gone()
    assert node.runtime.containers() == [] and node.runtime.sandboxes() == []
    assert await node.runtime.pods() == {}


async def test_a_shorter_grace_counts_at_once(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(stop_seconds=None)
    await node.create(make_pod())
    await node.delete()
    await node.delete(grace_seconds=1)
    await node.run(1.5)
    assert node.gone()


async def test_all_containers_are_stopped_at_the_same_time(node: HollowNode) -> None:
    for name in ("one", "two"):
        node.runtime.programs[name] = Program(stop_seconds=5)
    await node.create(make_pod(containers=[container("one"), container("two")]))
    await node.delete()
    await node.run(5.1)
    assert node.gone()


async def test_a_failing_container_backs_off(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(run_seconds=1, exit_code=2)
    created = await node.create(make_pod())
    assert node.state() == "running"
    await node.run(1.5)
    assert (node.state(), node.restarts()) == ("running", 1)  # the first restart is at once
    await node.run(1)
    assert node.state() == "waiting: CrashLoopBackOff"
    status = (node.pod().status.containerStatuses or ())[0]
    assert status.state is not None and status.state.waiting is not None
    assert status.state.waiting.message == (
        f"back-off 10s restarting failed container=main pod=web_default({created.metadata.uid})"
    )
    assert status.lastState is not None and status.lastState.terminated is not None
    assert (status.lastState.terminated.exitCode, status.lastState.terminated.reason) == (2, "Error")
    assert node.pod().status.phase == "Running" and node.condition("Ready") == "False"
    await node.run(9.5)
    assert (node.state(), node.restarts()) == ("running", 2)
    await node.run(5)
    assert node.state() == "waiting: CrashLoopBackOff" and node.restarts() == 2
    await node.run(17)
    assert node.restarts() == 3


async def test_a_job_succeeds(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(run_seconds=3)
    await node.create(make_pod(restartPolicy="Never"))
    await node.run(4)
    pod = node.pod()
    assert (pod.status.phase, node.state()) == ("Succeeded", "terminated: Completed 0")
    ready = next(each for each in pod.status.conditions or () if each.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "PodCompleted")
    assert node.runtime.sandboxes()[0].ready is False
    await node.delete()
    await node.run()
    assert node.gone() and node.runtime.sandboxes() == []


async def test_a_job_fails(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(run_seconds=3, exit_code=7, message="it broke")
    await node.create(make_pod(restartPolicy="Never"))
    await node.run(4)
    assert (node.pod().status.phase, node.state()) == ("Failed", "terminated: Error 7")
    terminated = (node.pod().status.containerStatuses or ())[0].state.terminated  # type: ignore[union-attr]
    assert terminated is not None and terminated.message == "it broke"


async def test_on_failure_runs_until_it_succeeds(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(run_seconds=1, exit_code=1)
    await node.create(make_pod(restartPolicy="OnFailure"))
    await node.run(1.5)
    assert node.restarts() == 1
    node.runtime.programs["main"] = Program(run_seconds=1)
    await node.run(15)
    assert (node.pod().status.phase, node.restarts()) == ("Succeeded", 2)


async def test_init_containers_run_one_after_the_other(node: HollowNode) -> None:
    node.runtime.programs["first"] = Program(run_seconds=2)
    node.runtime.programs["second"] = Program(run_seconds=2)
    await node.create(make_pod(initContainers=[container("first"), container("second")]))
    assert [each.name for each in node.runtime.containers()] == ["first"]
    assert (node.state("main"), node.pod().status.phase) == ("waiting: PodInitializing", "Pending")
    initialized = next(each for each in node.pod().status.conditions or () if each.type == "Initialized")
    assert (initialized.status, initialized.reason, initialized.message) == (
        "False",
        "ContainersNotInitialized",
        "containers with incomplete status: [first second]",
    )
    await node.run(2.5)
    assert [each.name for each in node.runtime.containers()] == ["first", "second"]
    await node.run(2)
    assert (node.state("main"), node.condition("Initialized")) == ("running", "True")
    assert node.state("first") == "terminated: Completed 0"


async def test_a_failed_init_container_fails_the_pod(node: HollowNode) -> None:
    node.runtime.programs["first"] = Program(run_seconds=1, exit_code=1)
    await node.create(make_pod(initContainers=[container("first")], restartPolicy="Never"))
    await node.run(2)
    assert (node.pod().status.phase, node.state("first")) == ("Failed", "terminated: Error 1")
    assert [each.name for each in node.runtime.containers()] == ["first"]


async def test_a_sidecar_starts_before_and_ends_after_the_others(node: HollowNode) -> None:
    node.runtime.programs["proxy"] = Program(stop_seconds=1)
    node.runtime.programs["main"] = Program(run_seconds=5)
    await node.create(make_pod(initContainers=[container("proxy", restartPolicy="Always")], restartPolicy="Never"))
    assert (node.state("proxy"), node.state("main")) == ("running", "running")
    await node.run(5.5)
    assert node.pod().status.phase == "Running"  # the sidecar is ending
    await node.run(1)
    assert (node.pod().status.phase, node.state("proxy")) == ("Succeeded", "terminated: Error 143")
    assert node.runtime.named("stop_container") == ["proxy"]


async def test_a_sidecar_is_restarted(node: HollowNode) -> None:
    await node.create(make_pod(initContainers=[container("proxy", restartPolicy="Always")], restartPolicy="Never"))
    node.runtime.exit(node.runtime.containers("proxy")[0].id, 1)
    await node.run()
    assert (node.state("proxy"), node.restarts("proxy"), node.state("main")) == ("running", 1, "running")


async def test_a_changed_sandbox_restarts_everything(node: HollowNode) -> None:
    await node.create(make_pod())
    await node.runtime.stop_sandbox(node.runtime.sandboxes()[0].id)
    await node.run()
    assert [each.attempt for each in node.runtime.sandboxes()] == [0, 1]
    assert (node.state(), node.restarts(), node.pod().status.podIP) == ("running", 1, "10.88.0.3")


async def test_a_new_image_restarts_one_container(node: HollowNode) -> None:
    node.runtime.add_image("docker.io/library/web:2")
    await node.create(make_pod(containers=[container("one"), container("two")]))

    def edit(pod: core_v1.Pod) -> None:
        pod.spec.containers[0].image = "web:2"

    node.change(edit)
    await node.run()
    assert (node.restarts("one"), node.restarts("two")) == (1, 0)
    assert node.runtime.config_of(node.runtime.containers("one")[-1].id)["image"]["user_specified_image"] == "web:2"
    await node.run(1)
    assert "Container one definition changed, will be restarted" in node.events("Killing")


async def test_an_ephemeral_container_is_added(node: HollowNode) -> None:
    await node.create(make_pod())
    debug = core_v1.EphemeralContainer(name="debug", image="web:1", targetContainerName="main")
    node.change(lambda pod: setattr(pod.spec, "ephemeralContainers", [debug]))
    await node.run()
    assert node.state("debug") == "running"
    record = node.runtime.containers("debug")[0]
    options = node.runtime.config_of(record.id)["linux"]["security_context"]["namespace_options"]
    assert (options["pid"], options["target_id"]) == (3, node.runtime.containers("main")[0].id)
    node.runtime.exit(record.id, 0)
    await node.run(60)
    assert node.state("debug") == "terminated: Completed 0"


async def test_a_deadline_ends_the_pod(node: HollowNode) -> None:
    await node.create(make_pod(activeDeadlineSeconds=10))
    await node.run(9)
    assert node.pod().status.phase == "Running"
    await node.run(2)
    status = node.pod().status
    assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")
    assert status.message == "Pod was active on the node longer than the specified deadline"


async def test_a_restarted_kubelet_touches_nothing(node: HollowNode) -> None:
    await node.create(make_pod())
    before = (node.runtime.containers(), node.runtime.sandboxes())
    version = node.pod().metadata.resourceVersion
    await node.restart()
    await node.run(60)
    assert (node.runtime.containers(), node.runtime.sandboxes()) == before
    assert node.pod().metadata.resourceVersion == version


async def test_what_nobody_knows_is_removed(node: HollowNode) -> None:
    await node.create(make_pod())
    await node.kubelet.stop()
    node.api.remove(core_v1.Pod, "default", "web")
    await node.restart()
    await node.run(31)
    assert node.runtime.containers() == [] and node.runtime.sandboxes() == []


async def test_a_pod_of_the_same_name_waits_for_nobody(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(stop_seconds=20)
    first = await node.create(make_pod())
    node.api.remove(core_v1.Pod, "default", "web")
    second = await node.create(make_pod())
    assert first.metadata.uid != second.metadata.uid
    assert node.state() == "running" and len(node.runtime.sandboxes()) == 2
    await node.run(21)
    assert [each.uid for each in node.runtime.sandboxes()] == [second.metadata.uid]


async def test_a_sandbox_that_cannot_be_made_is_tried_again(node: HollowNode) -> None:
    node.runtime.fail("run_sandbox", RuntimeFailure("UNKNOWN", "no network"))
    await node.create(make_pod())
    assert node.state() == "waiting: ContainerCreating"
    await node.run(6)
    assert node.state() == "running"
    assert node.events("FailedCreatePodSandBox") == ["Failed to create pod sandbox: no network"]


async def test_what_cannot_be_started_is_a_crash(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(start_error='exec: "nothing": not found')
    await node.create(make_pod())
    await node.run(5)
    assert node.state() in ("waiting: RunContainerError", "waiting: CrashLoopBackOff")
    last = (node.pod().status.containerStatuses or ())[0].lastState
    assert last is not None and last.terminated is not None
    assert (last.terminated.reason, last.terminated.exitCode) == ("StartError", 128)
    assert last.terminated.message == 'exec: "nothing": not found'


async def test_out_of_memory_is_named(node: HollowNode) -> None:
    await node.create(make_pod(restartPolicy="Never"))
    node.runtime.exit(node.runtime.containers()[0].id, 137, "OOMKilled")
    await node.run()
    assert node.state() == "terminated: OOMKilled 137"


async def test_room_is_counted(node: HollowNode) -> None:
    request = core_v1.ResourceRequirements(requests={"cpu": quantity.parse("3")})
    await node.create(make_pod("a", [container(resources=request)]))
    await node.create(make_pod("b", [container(resources=request)]))
    assert node.pod("a").status.phase == "Running"
    status = node.pod("b").status
    assert (status.phase, status.reason) == ("Failed", "OutOfcpu")
    assert status.message == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 3000, used: 3000, capacity: 4000"
    )


async def test_a_runtime_without_events_is_asked(tmp_path: pytest.TempPathFactory) -> None:
    node = HollowNode(tmp_path)  # type: ignore[arg-type]
    node.runtime._tells = False
    await node.start()
    await node.create(make_pod())
    node.runtime.exit(node.runtime.containers()[0].id, 1)
    await node.run(1.5)
    assert (node.state(), node.restarts()) == ("running", 1)
    await node.stop()


async def test_events_lost_with_the_connection_are_caught_up(node: HollowNode) -> None:
    await node.create(make_pod())
    node.runtime.break_events()
    await node.run()
    node.runtime.exit(node.runtime.containers()[0].id, 1)
    await node.run(31)
    assert node.restarts() == 1


async def test_deleted_while_the_kubelet_was_away(node: HollowNode) -> None:
    await node.create(make_pod())
    await node.kubelet.stop()
    node.api.remove(core_v1.Pod, "default", "web", meta_v1.DeleteOptions(gracePeriodSeconds=5))
    await node.restart()
    await node.run(6)
    assert node.gone() and node.runtime.sandboxes() == []


async def test_a_restarted_kubelet_keeps_the_back_off(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(run_seconds=1, exit_code=2)
    await node.create(make_pod())
    await node.run(3)
    assert (node.state(), node.restarts()) == ("waiting: CrashLoopBackOff", 1)
    await node.restart()
    await node.run(5)
    assert (node.state(), node.restarts()) == ("waiting: CrashLoopBackOff", 1)
    await node.run(6)
    assert node.restarts() == 2

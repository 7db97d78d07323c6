"""The kubelet on a real containerd: what only real processes, files and kernels can show."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from kubelet_rig import IMAGE, NODE, NodeRig, cgroup_name, new_directory, own_network, pod, running_node

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.io.pod_worker import PodWorker
from tiphys.kubelet.resources import pod_cgroup
from tiphys.machinery import quantity

pytestmark = pytest.mark.root


@pytest.fixture
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
async def rig(network: None) -> AsyncIterator[NodeRig]:
    async with running_node(new_directory()) as found:
        yield found
        assert found.failures == []


async def until(rig: NodeRig, name: str, holds: Callable[[core_v1.Pod | None], bool]) -> core_v1.Pod:
    """The pod as soon as that holds of it (None: it is gone)."""
    client = rig.api.client()

    def now() -> core_v1.Pod | None:
        return rig.api.get(core_v1.Pod, "default", name)

    watch = client.watch(core_v1.Pod, "default", field_selector=f"metadata.name={name}")
    async with asyncio.timeout(60), aclosing(cast(Any, watch)) as batches:
        if not holds(now()):
            async for _ in batches:
                if holds(now()):
                    break
    return cast(core_v1.Pod, now())


def is_ready(found: core_v1.Pod | None) -> bool:
    conditions = found.status.conditions or () if found is not None else ()
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


def phase(*wanted: str) -> Callable[[core_v1.Pod | None], bool]:
    return lambda found: found is not None and found.status.phase in wanted


def ended(found: core_v1.Pod) -> core_v1.ContainerStateTerminated:
    (status,) = found.status.containerStatuses or ()
    assert status.state is not None and status.state.terminated is not None
    return status.state.terminated


async def output(rig: NodeRig, name: str, *command: str) -> str:
    found = rig.api.get(core_v1.Pod, "default", name)
    assert found is not None
    container_id = ((found.status.containerStatuses or ())[0].containerID or "").rpartition("//")[2]
    result = await rig.kubelet._runtime.exec_sync(container_id, command, 10)
    return (result.stdout + result.stderr).decode()


def workers(rig: NodeRig) -> list[PodWorker]:
    found = rig.kubelet.workers
    assert found is not None
    return found.workers()


async def settled(rig: NodeRig, holds: Callable[[], bool]) -> None:
    """What no object in the API shows is asked for again after a short while."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def memory_limit(group: str) -> int:
    mount = Path("/sys/fs/cgroup")
    unified = (mount / "cgroup.controllers").exists()
    path = mount / group / "memory.max" if unified else mount / "memory" / group / "memory.limit_in_bytes"
    return int(path.read_text())


def leftovers(rig: NodeRig, group: str) -> list[str]:
    """Directories, logs and control groups that are still there."""
    pods = os.listdir(rig.directory / "kubelet" / "pods")
    return [*pods, *os.listdir(rig.directory / "logs"), *map(str, Path("/sys/fs/cgroup").glob(f"**/{group}"))]


def once(*command: str, **container: Any) -> core_v1.Pod:
    """A pod that runs one command to its end."""
    made = pod("web", *command, restartPolicy="Never")
    for key, value in container.items():
        setattr(made.spec.containers[0], key, value)
    return made


async def test_a_pod_runs_and_leaves_nothing(rig: NodeRig) -> None:
    limits = {"cpu": quantity.parse("500m"), "memory": quantity.parse("64Mi")}
    made = pod("web", "sleep", "1000", terminationGracePeriodSeconds=1)
    made.spec.containers[0].resources = core_v1.ResourceRequirements(limits=limits, requests=limits)
    rig.api.add(made)
    found = await until(rig, "web", is_ready)
    group = pod_cgroup(cgroup_name(rig.directory), found).strip("/")
    assert memory_limit(group) == 64 << 20
    assert found.status.podIP in await output(rig, "web", "ip", "addr")
    assert (await output(rig, "web", "hostname")).strip() == "web"
    assert "nameserver 10.96.0.10" in await output(rig, "web", "cat", "/etc/resolv.conf")
    assert f"{found.status.podIP}\tweb" in await output(rig, "web", "cat", "/etc/hosts")

    rig.api.remove(core_v1.Pod, "default", "web", meta_v1.DeleteOptions())
    await until(rig, "web", lambda each: each is None)
    await settled(rig, lambda: not workers(rig))
    assert await rig.kubelet._runtime.pods() == {}
    assert leftovers(rig, Path(group).name) == []


async def test_the_end_of_a_container_is_told(rig: NodeRig) -> None:
    script = "echo one; echo two >&2; echo -n because > /dev/termination-log; exit 4"
    rig.api.add(once("sh", "-c", script))
    found = await until(rig, "web", phase("Failed"))
    assert (ended(found).exitCode, ended(found).reason, ended(found).message) == (4, "Error", "because")
    logs = (rig.directory / "logs" / f"default_web_{found.metadata.uid}" / "main" / "0.log").read_text()
    assert {line.split(" ", 1)[1] for line in logs.splitlines()} == {"stdout F one", "stderr F two"}


async def test_the_end_of_the_log_may_be_the_message(rig: NodeRig) -> None:
    rig.api.add(once("sh", "-c", "echo it broke; exit 1", terminationMessagePolicy="FallbackToLogsOnError"))
    assert ended(await until(rig, "web", phase("Failed"))).message == "it broke\n"


async def test_what_cannot_be_executed_is_said(rig: NodeRig) -> None:
    rig.api.add(once("no-such-program"))
    found = ended(await until(rig, "web", phase("Failed")))
    assert (found.reason, found.exitCode) == ("StartError", 128)
    assert found.message is not None and "no-such-program" in found.message


async def test_memory_has_an_end(rig: NodeRig) -> None:
    limits = core_v1.ResourceRequirements(limits={"memory": quantity.parse("16Mi")})
    rig.api.add(once("sh", "-c", "x=x; while true; do x=$x$x; done", resources=limits))
    found = ended(await until(rig, "web", phase("Failed")))
    assert (found.reason, found.exitCode) == ("OOMKilled", 137)


async def test_security_contexts_hold(rig: NodeRig) -> None:
    context = core_v1.SecurityContext(
        runAsUser=1000,
        runAsGroup=2000,
        readOnlyRootFilesystem=True,
        allowPrivilegeEscalation=False,
        capabilities=core_v1.Capabilities(drop=["ALL"]),
    )
    script = "id; touch /x; grep -E 'NoNewPrivs|CapBnd' /proc/self/status"
    made = once("sh", "-c", script, securityContext=context)
    made.spec.securityContext = core_v1.PodSecurityContext(fsGroup=3000, supplementalGroups=[4000])
    rig.api.add(made)
    found = await until(rig, "web", phase("Succeeded", "Failed"))
    text = (rig.directory / "logs" / f"default_web_{found.metadata.uid}" / "main" / "0.log").read_text()
    assert "uid=1000 gid=2000 groups=2000,3000,4000" in text
    assert "touch: /x: Read-only file system" in text
    assert "NoNewPrivs:\t1" in text and "CapBnd:\t0000000000000000" in text


async def test_a_crash_is_seen_at_once(rig: NodeRig) -> None:
    rig.api.add(pod("web", "sh", "-c", "sleep 1000", terminationGracePeriodSeconds=1))
    found = await until(rig, "web", is_ready)
    await rig.kubelet._runtime.stop_container(
        ((found.status.containerStatuses or ())[0].containerID or "").rpartition("//")[2], 0
    )
    found = await until(
        rig, "web", lambda each: is_ready(each) and (cast(Any, each).status.containerStatuses[0].restartCount == 1)
    )
    last = (found.status.containerStatuses or ())[0].lastState
    assert last is not None and last.terminated is not None and last.terminated.exitCode == 137


async def test_probes_look_inside(rig: NodeRig) -> None:
    made = pod("web", terminationGracePeriodSeconds=1)
    made.spec.containers[0].readinessProbe = core_v1.Probe(
        httpGet=core_v1.HTTPGetAction(port=8080, path="/"), periodSeconds=1
    )
    made.spec.containers[0].livenessProbe = core_v1.Probe(
        exec=core_v1.ExecAction(command=["sh", "-c", "test ! -e /tmp/bad || sleep 100"]),
        periodSeconds=1,
        timeoutSeconds=1,
        failureThreshold=1,
        terminationGracePeriodSeconds=1,
    )
    rig.api.add(made)
    await until(rig, "web", is_ready)
    await output(rig, "web", "touch", "/tmp/bad")
    await until(rig, "web", lambda each: cast(Any, each).status.containerStatuses[0].restartCount == 1)
    events = [each.message for each in rig.api.list(core_v1.Event) if each.reason == "Unhealthy"]
    assert any("timed out" in (text or "") for text in events)


async def test_a_restarted_kubelet_adopts(rig: NodeRig) -> None:
    rig.api.add(pod("web", "sleep", "1000", terminationGracePeriodSeconds=1))
    before = await until(rig, "web", is_ready)
    await rig.restart()
    await settled(rig, lambda: any(each.runtime.containers for each in workers(rig)))
    after = rig.api.get(core_v1.Pod, "default", "web")
    assert after is not None and after.metadata.resourceVersion == before.metadata.resourceVersion


async def test_a_resize_reaches_the_kernel(rig: NodeRig) -> None:
    limits = {"memory": quantity.parse("64Mi")}
    made = pod("web", "sleep", "1000", terminationGracePeriodSeconds=1)
    made.spec.containers[0].resources = core_v1.ResourceRequirements(limits=limits, requests=limits)
    rig.api.add(made)
    await until(rig, "web", is_ready)
    more = {"memory": quantity.parse("96Mi")}

    def edit(each: core_v1.Pod) -> None:
        each.spec.containers[0].resources = core_v1.ResourceRequirements(limits=more, requests=more)

    rig.api.change(core_v1.Pod, "default", "web", edit)
    await until(rig, "web", lambda each: cast(Any, each).status.containerStatuses[0].resources.limits == more)
    script = "cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert str(96 << 20) in await output(rig, "web", "sh", "-c", script)


async def test_a_resize_of_the_whole_pod_reaches_the_kernel(rig: NodeRig) -> None:
    def memory(text: str) -> core_v1.ResourceRequirements:
        amounts = {"memory": quantity.parse(text)}
        return core_v1.ResourceRequirements(limits=amounts, requests=amounts)

    made = pod("web", "sleep", "1000", terminationGracePeriodSeconds=1, resources=memory("64Mi"))
    rig.api.add(made)
    await until(rig, "web", is_ready)
    rig.api.change(core_v1.Pod, "default", "web", lambda each: setattr(each.spec, "resources", memory("96Mi")))
    found = await until(rig, "web", lambda each: cast(Any, each).status.resources == memory("96Mi"))
    assert memory_limit(pod_cgroup(cgroup_name(rig.directory), found).strip("/")) == 96 << 20


async def test_variables_come_out_of_files(rig: NodeRig) -> None:
    made = pod("web", "sh", restartPolicy="Never")
    made.spec.volumes = [core_v1.Volume(name="made", emptyDir=core_v1.EmptyDirVolumeSource())]
    script = "echo \"GREETING='hello world'\" > /made/env"
    mount = core_v1.VolumeMount(name="made", mountPath="/made")
    init = core_v1.Container(name="init", image=IMAGE, command=["sh", "-c", script], volumeMounts=[mount])
    made.spec.initContainers = [init]
    selector = core_v1.FileKeySelector(volumeName="made", path="env", key="GREETING")
    main = made.spec.containers[0]
    main.env = [core_v1.EnvVar(name="GREETING", valueFrom=core_v1.EnvVarSource(fileKeyRef=selector))]
    main.args = ["-c", 'printf %s "$GREETING" > /dev/termination-log']
    rig.api.add(made)
    assert ended(await until(rig, "web", phase("Succeeded", "Failed"))).message == "hello world"


async def test_all_containers_begin_again(rig: NodeRig) -> None:
    codes = core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[42])
    rule = core_v1.ContainerRestartRule(action="RestartAllContainers", exitCodes=codes)
    script = "test -e /made/once || { touch /made/once; exit 42; }; sleep 1000"
    mount = core_v1.VolumeMount(name="made", mountPath="/made")
    made = pod("web", "sleep", "1000", terminationGracePeriodSeconds=1, restartPolicy="Never")
    watched = core_v1.Container(name="watched", image=IMAGE, command=["sh", "-c", script], volumeMounts=[mount])
    watched.restartPolicy, watched.restartPolicyRules = "Never", [rule]
    made.spec.containers.append(watched)
    made.spec.volumes = [core_v1.Volume(name="made", emptyDir=core_v1.EmptyDirVolumeSource())]
    rig.api.add(made)

    def again(each: core_v1.Pod | None) -> bool:
        statuses = each.status.containerStatuses or () if each is not None else ()
        return is_ready(each) and all(status.restartCount == 1 for status in statuses)

    assert (await until(rig, "web", again)).status.phase == "Running"


async def test_the_node_shows_its_images(rig: NodeRig) -> None:
    node = rig.api.get(core_v1.Node, "", NODE)
    assert node is not None
    assert IMAGE in [name for image in node.status.images or () for name in image.names or ()]

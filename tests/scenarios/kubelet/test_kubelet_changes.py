"""What changes in running pods: resources, files of the node's own pods, volumes; and pods that outgrow their disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hollow_node import IMAGE, NODE, HollowNode, container, make_pod

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import CONFIG_MIRROR
from tiphys.machinery import quantity

MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: own, namespace: default, labels: {{app: own}}}}
spec:
  containers: [{{name: main, image: "{IMAGE}"}}]
"""


def requests(**amounts: str) -> core_v1.ResourceRequirements:
    return core_v1.ResourceRequirements(requests={key: quantity.parse(value) for key, value in amounts.items()})


def set_resources(node: HollowNode, resources: core_v1.ResourceRequirements) -> None:
    node.change(lambda pod: setattr(pod.spec.containers[0], "resources", resources))


def reported(node: HollowNode) -> dict[str, str]:
    (status,) = node.pod().status.containerStatuses or ()
    assert status.resources is not None and status.resources.requests == status.allocatedResources
    return {key: str(value) for key, value in (status.resources.requests or {}).items()}


async def test_a_container_gets_more_without_a_restart(node: HollowNode) -> None:
    await node.create(make_pod(containers=[container(resources=requests(cpu="1"))]))
    set_resources(node, requests(cpu="2"))
    await node.run()
    assert reported(node) == {"cpu": "2"} and node.restarts() == 0
    (record,) = node.runtime.containers()
    assert node.runtime.config_of(record.id)["linux"]["resources"]["cpu_shares"] == 2048


async def test_what_runs_before_the_containers_gets_more_too(node: HollowNode) -> None:
    first = container("first", resources=requests(cpu="1"))
    await node.create(make_pod(initContainers=[first]))
    node.change(lambda pod: setattr(pod.spec.initContainers[0], "resources", requests(cpu="2")))
    await node.run()
    (status,) = node.pod().status.initContainerStatuses or ()
    assert status.resources == requests(cpu="2") and status.restartCount == 0
    (record,) = node.runtime.containers()
    assert node.runtime.config_of(record.id)["linux"]["resources"]["cpu_shares"] == 2048


async def test_the_pod_as_a_whole_gets_more(node: HollowNode) -> None:
    pod = make_pod(containers=[container()])
    pod.spec.resources = requests(cpu="1")
    await node.create(pod)
    assert node.pod().status.resources == requests(cpu="1")
    node.change(lambda pod: setattr(pod.spec, "resources", requests(cpu="9")))
    await node.run()
    assert node.pod().status.resources == requests(cpu="1")
    assert node.condition("PodResizePending") == "True"
    node.change(lambda pod: setattr(pod.spec, "resources", requests(cpu="2")))
    await node.run()
    status = node.pod().status
    assert status.resources == requests(cpu="2") and status.allocatedResources == {"cpu": quantity.parse("2")}
    assert node.restarts() == 0 and node.condition("PodResizePending") == "missing"


async def test_a_resize_policy_may_want_a_restart(node: HollowNode) -> None:
    policy = [core_v1.ContainerResizePolicy(resourceName="memory", restartPolicy="RestartContainer")]
    await node.create(make_pod(containers=[container(resources=requests(memory="1Gi"), resizePolicy=policy)]))
    set_resources(node, requests(memory="2Gi"))
    await node.run()
    assert reported(node) == {"memory": "2Gi"} and node.restarts() == 1


async def test_a_resize_that_cannot_be_is_refused(node: HollowNode) -> None:
    await node.create(make_pod(containers=[container(resources=requests(cpu="1"))]))
    set_resources(node, requests(cpu="9"))
    await node.run()
    assert reported(node) == {"cpu": "1"}
    pending = next(each for each in node.pod().status.conditions or () if each.type == "PodResizePending")
    assert (pending.status, pending.reason, pending.message) == (
        "True",
        "Infeasible",
        "Node didn't have enough capacity: cpu, requested: 9000, capacity: 4000",
    )
    set_resources(node, requests(cpu="3"))
    await node.run()
    assert reported(node) == {"cpu": "3"} and node.condition("PodResizePending") == "missing"


async def test_what_was_not_resized_is_remembered_over_a_restart(node: HollowNode) -> None:
    await node.create(make_pod(containers=[container(resources=requests(cpu="1"))]))
    await node.kubelet.stop()
    set_resources(node, requests(cpu="2"))
    await node.restart()
    await node.run()
    assert reported(node) == {"cpu": "2"} and node.runtime.named("update_resources") == ["main"]


@pytest.fixture
async def own(tmp_path: Path) -> Path:
    directory = tmp_path / "manifests"
    directory.mkdir()
    return directory


async def told(node: HollowNode) -> None:
    """The kernel's word about the directory reaches the loop in its next turns."""
    await node.run()
    await node.run(1)


async def test_a_node_runs_pods_of_its_own(own: Path, tmp_path: Path) -> None:
    (own / "own.yaml").write_text(MANIFEST)
    node = HollowNode(tmp_path, static_pod_dir=str(own))
    await node.start()
    await told(node)
    name = f"own-{NODE}"
    mirror = node.pod(name)
    assert (mirror.status.phase, mirror.metadata.labels) == ("Running", {"app": "own"})
    assert CONFIG_MIRROR in (mirror.metadata.annotations or {})
    assert [owner.kind for owner in mirror.metadata.ownerReferences or ()] == ["Node"]
    (sandbox,) = node.runtime.sandboxes()

    node.api.remove(core_v1.Pod, "default", name)
    await told(node)
    assert node.pod(name).metadata.uid != mirror.metadata.uid and node.pod(name).status.phase == "Running"
    assert node.runtime.sandboxes() == [sandbox]

    await node.restart()
    await told(node)
    assert node.runtime.sandboxes() == [sandbox]

    (own / "own.yaml").write_text(MANIFEST.replace("app: own", "app: changed"))
    await told(node)
    assert node.pod(name).metadata.labels == {"app": "changed"}
    assert [each.id for each in node.runtime.sandboxes()] != [sandbox.id]

    (own / "own.yaml").unlink()
    await told(node)
    assert node.gone(name) and node.runtime.sandboxes() == []
    await node.stop()


async def test_a_bad_file_harms_nobody(own: Path, tmp_path: Path) -> None:
    (own / "bad.yaml").write_text("apiVersion: v1\nkind: Service\n")
    (own / "worse.json").write_text("{")
    (own / "own.yaml").write_text(MANIFEST)
    node = HollowNode(tmp_path, static_pod_dir=str(own))
    await node.start()
    await told(node)
    assert node.pod(f"own-{NODE}").status.phase == "Running"
    await node.stop()


def with_volume(name: str, **source: object) -> core_v1.Pod:
    volume = core_v1.Volume(name=name, **source)  # type: ignore[arg-type]
    return make_pod(
        containers=[container(volumeMounts=[core_v1.VolumeMount(name=name, mountPath="/data")])], volumes=[volume]
    )


async def test_a_volume_that_cannot_be_made_is_waited_for(node: HollowNode) -> None:
    await node.create(with_volume("settings", configMap=core_v1.ConfigMapVolumeSource(name="settings")))
    assert node.state() == "waiting: ContainerCreating" and node.runtime.sandboxes() == []
    await node.run(1)
    assert node.events("FailedMount") == [
        'MountVolume.SetUp failed for volume "settings" : configmap "settings" not found'
    ]
    meta = meta_v1.ObjectMeta(name="settings", namespace="default")
    node.api.add(core_v1.ConfigMap(metadata=meta, data={"color": "blue"}))
    await node.run()
    assert node.state() == "running"
    config = node.runtime.config_of(node.runtime.containers()[0].id)
    path = next(each["host_path"] for each in config["mounts"] if each["container_path"] == "/data")
    assert (Path(path) / "color").read_text() == "blue"
    node.api.change(core_v1.ConfigMap, "default", "settings", lambda obj: setattr(obj, "data", {"color": "red"}))
    await node.run()
    assert (Path(path) / "color").read_text() == "red"
    await node.delete()
    await node.run(1)
    assert node.gone() and not os.path.exists(path)  # noqa: ASYNC240


async def test_a_pod_that_outgrows_its_volume_goes(node: HollowNode) -> None:
    empty = core_v1.EmptyDirVolumeSource(sizeLimit=quantity.parse("64Ki"))
    await node.create(with_volume("scratch", emptyDir=empty))
    config = node.runtime.config_of(node.runtime.containers()[0].id)
    path = next(each["host_path"] for each in config["mounts"] if each["container_path"] == "/data")
    await node.run(10)
    assert node.pod().status.phase == "Running"
    (Path(path) / "file").write_bytes(b"x" * 100_000)
    await node.run(10)
    status = node.pod().status
    assert (status.phase, status.reason) == ("Failed", "Evicted")
    assert status.message == 'Usage of EmptyDir volume "scratch" exceeds the limit "64Ki". '

"""The node itself: registration, lease, status, pressure."""

from __future__ import annotations

import asyncio
import dataclasses

from hollow_node import GIB, NODE, PLENTY, HollowNode, container, make_pod

from tiphys.kinds.types import coordination_v1, core_v1
from tiphys.kubelet.interface import RuntimeConditions
from tiphys.machinery import quantity, timestamps
from tiphys.machinery.errors import ApiError
from tiphys.testing.fake_api import Call


def found(node: HollowNode) -> core_v1.Node:
    result = node.api.get(core_v1.Node, "", NODE)
    assert result is not None
    return result


def condition(node: HollowNode, kind: str) -> tuple[str, str | None, str | None]:
    each = next(each for each in found(node).status.conditions or () if each.type == kind)
    return each.status, each.reason, each.message


async def test_a_node_registers_itself(node: HollowNode) -> None:
    obj = found(node)
    labels = obj.metadata.labels or {}
    assert {key: labels[key] for key in sorted(labels) if key.startswith("kubernetes.io/")} == {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": NODE,
        "kubernetes.io/os": "linux",
    }
    assert obj.status.capacity == {
        "cpu": "4",
        "memory": "8Gi",
        "ephemeral-storage": "100Gi",
        "pods": "110",
    }
    assert obj.status.allocatable == obj.status.capacity
    assert [(each.type, each.address) for each in obj.status.addresses or ()] == [
        ("InternalIP", "192.0.2.10"),
        ("Hostname", NODE),
    ]
    assert condition(node, "Ready") == ("True", "KubeletReady", "kubelet is posting ready status")
    assert obj.status.nodeInfo is not None
    assert obj.status.nodeInfo.containerRuntimeVersion == "fake://1.0.0"
    assert obj.status.declaredFeatures == [
        "GuaranteedQoSPodCPUResize",
        "InPlacePodLevelResourcesVerticalScaling",
        "InPlacePodVerticalScalingInitContainers",
        "RestartAllContainersOnContainerExits",
    ]
    await node.run(1)
    assert node.events("RegisteredNode") == [f"Node {NODE} has registered itself"]


async def test_the_lease_is_renewed_and_nothing_else_written(node: HollowNode) -> None:
    await node.run(20)
    before = len(node.api.calls)
    await node.run(100)
    writes = [call for call in node.api.calls[before:] if call.verb not in ("get", "list", "watch")]
    assert {(call.verb, call.resource) for call in writes} == {("update", "leases")}
    assert len(writes) == 10
    lease = node.api.get(coordination_v1.Lease, "kube-node-lease", NODE)
    assert lease is not None and lease.spec is not None and lease.spec.renewTime is not None
    assert node.clock.now() - timestamps.seconds(lease.spec.renewTime) <= 10
    assert [owner.uid for owner in lease.metadata.ownerReferences or ()] == [found(node).metadata.uid]


async def test_the_status_is_written_every_five_minutes(node: HollowNode) -> None:
    before = len(node.api.calls)
    await node.run(601)
    patches = [call for call in node.api.calls[before:] if call.resource == "nodes" and call.verb == "patch"]
    assert patches == [Call(f"system:node:{NODE}", "patch", "nodes", "", NODE, "status")] * len(patches)
    assert len(patches) == 2


async def test_a_node_without_network_is_not_ready(node: HollowNode) -> None:
    text = "NetworkReady=false reason:NetworkPluginNotReady message:no network config found"
    node.runtime.state = RuntimeConditions(ready=True, network_ready=False, network_message=text)
    await node.run(10)
    assert condition(node, "Ready") == (
        "False",
        "KubeletNotReady",
        f"container runtime network not ready: {text}",
    )
    node.runtime.state = RuntimeConditions(ready=True, network_ready=True)
    await node.run(0.2)
    assert condition(node, "Ready")[0] == "True"


async def test_what_others_say_of_the_node_is_kept(node: HollowNode) -> None:
    def edit(obj: core_v1.Node) -> None:
        assert obj.status.capacity is not None
        obj.status.capacity["example.com/gpu"] = quantity.parse("2")
        obj.status.conditions = [*(obj.status.conditions or ()), core_v1.NodeCondition(type="Custom", status="True")]

    node.api.change(core_v1.Node, "", NODE, edit)
    await node.run(301)
    capacity = found(node).status.capacity or {}
    assert capacity["example.com/gpu"] == "2" and capacity["cpu"] == "4"
    assert "Custom" in [each.type for each in found(node).status.conditions or ()]


async def test_a_removed_node_comes_back(node: HollowNode) -> None:
    node.api.remove(core_v1.Node, "", NODE)
    await node.run(12)
    assert condition(node, "Ready")[0] == "True"


async def test_a_node_that_is_there_is_taken_over(node: HollowNode) -> None:
    node.api.change(core_v1.Node, "", NODE, lambda obj: setattr(obj.spec, "unschedulable", True))
    uid = found(node).metadata.uid
    await node.restart()
    assert found(node).metadata.uid == uid and found(node).spec.unschedulable


async def test_a_pod_goes_when_memory_runs_out(node: HollowNode) -> None:
    request = core_v1.ResourceRequirements(requests={"memory": quantity.parse("1Gi")})
    await node.create(make_pod("modest", [container(resources=request)]))
    await node.create(make_pod("careless"))
    node.usage = dataclasses.replace(PLENTY, memory_available_bytes=50 << 20)
    await node.run(10)
    assert condition(node, "MemoryPressure")[:2] == ("True", "KubeletHasInsufficientMemory")
    status = node.pod("careless").status
    node.usage = PLENTY
    assert (status.phase, status.reason) == ("Failed", "Evicted")
    assert status.message == ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ")
    disruption = next(each for each in status.conditions or () if each.type == "DisruptionTarget")
    assert (disruption.status, disruption.reason) == ("True", "TerminationByKubelet")
    assert node.pod("modest").status.phase == "Running"
    await node.create(make_pod("late"))
    assert node.pod("late").status.message == "Pod was rejected: The node had condition: [MemoryPressure]. "
    await node.run(311)
    assert condition(node, "MemoryPressure")[:2] == ("False", "KubeletHasSufficientMemory")


async def test_images_go_before_pods(node: HollowNode) -> None:
    unused = node.runtime.add_image("docker.io/library/unused:1", size_bytes=GIB)
    await node.create(make_pod())
    node.usage = dataclasses.replace(PLENTY, images_available_bytes=GIB)
    await node.run(10)
    assert unused.id in node.runtime.named("remove_image")
    node.usage = PLENTY
    await node.run(10)
    assert condition(node, "DiskPressure")[0] == "True"


async def test_a_status_that_could_not_be_written_is_written_later(node: HollowNode) -> None:
    node.api.fail(ApiError(503, "ServiceUnavailable", "no"), verb="patch", resource="pods", times=3)
    await node.create(make_pod())
    assert node.pod().status.phase != "Running"
    await node.run(5)
    assert node.pod().status.phase == "Running"


async def test_the_api_may_come_later(node: HollowNode) -> None:
    await node.kubelet.stop()
    node.api.remove(core_v1.Node, "", NODE)
    node.api.fail(ApiError(0, "Unreachable", "no"), verb="create", resource="nodes", times=1)
    node.kubelet = node._make()
    starting = asyncio.ensure_future(node.kubelet.start())
    await node.run(1)
    await starting
    assert condition(node, "Ready")[0] == "True"

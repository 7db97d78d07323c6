"""What a node refuses, whom it ends, and how it shows itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet import eviction, node_status
from tiphys.kubelet.admission import admit
from tiphys.kubelet.eviction import MachineUsage, PodUse, PressureState, Thresholds
from tiphys.kubelet.interface import ImageRecord, RuntimeConditions
from tiphys.kubelet.node_status import MachineInfo, NodeObservation, Pressure
from tiphys.machinery import quantity, timestamps

GIB = 1 << 30


def pod(name: str = "p", requests: dict[str, str] | None = None, ports: Any = (), **spec: Any) -> core_v1.Pod:
    amounts = {key: quantity.parse(value) for key, value in (requests or {}).items()}
    container = core_v1.Container(
        name="c",
        ports=[core_v1.ContainerPort(containerPort=80, hostPort=port, hostIP=ip) for port, ip in ports],
        resources=core_v1.ResourceRequirements(requests=amounts or None),
    )
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, uid=name), spec=core_v1.PodSpec(containers=[container], **spec)
    )


NODE = core_v1.Node(
    metadata=meta_v1.ObjectMeta(name="n", labels={"disk": "ssd"}),
    spec=core_v1.NodeSpec(taints=[core_v1.Taint(key="gone", effect="NoExecute")]),
)
ALLOCATABLE = {"cpu": quantity.parse("2"), "memory": quantity.parse("1Gi"), "pods": quantity.parse("2")}
TOLERANT = [core_v1.Toleration(operator="Exists")]


def required(**values: str) -> core_v1.Affinity:
    expressions = [core_v1.NodeSelectorRequirement(key=k, operator="In", values=[v]) for k, v in values.items()]
    selector = core_v1.NodeSelector(nodeSelectorTerms=[core_v1.NodeSelectorTerm(matchExpressions=expressions)])
    return core_v1.Affinity(nodeAffinity=core_v1.NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=selector))


def sysctl(name: str) -> core_v1.PodSecurityContext:
    return core_v1.PodSecurityContext(sysctls=[core_v1.Sysctl(name=name, value="1")])


OTHER = pod("other", {"cpu": "1500m"}, [(8080, None)])


@pytest.mark.parametrize(
    ("of", "others", "reason"),
    [
        (pod(), [], None),
        (pod(requests={"cpu": "500m"}), [OTHER], None),
        (pod(requests={"cpu": "600m"}), [OTHER], "OutOfcpu"),
        (pod(requests={"memory": "2Gi"}), [], "OutOfmemory"),
        (pod(requests={"example.com/gpu": "1"}), [], None),
        (pod(), [OTHER, pod("third")], "OutOfpods"),
        (pod(ports=[(8080, None)]), [OTHER], "NodePorts"),
        (pod(ports=[(8080, "10.0.0.1")]), [OTHER], "NodePorts"),
        (pod(ports=[(8081, None)]), [OTHER], None),
        (pod(nodeSelector={"disk": "ssd"}), [], None),
        (pod(nodeSelector={"disk": "hdd"}), [], "NodeAffinity"),
        (pod(affinity=required(disk="ssd")), [], None),
        (pod(affinity=required(disk="hdd")), [], "NodeAffinity"),
        (pod(securityContext=sysctl("net.ipv4.tcp_syncookies")), [], None),
        (pod(securityContext=sysctl("kernel.msgmax")), [], "SysctlForbidden"),
        (pod(securityContext=sysctl("net.core.somaxconn")), [], None),
    ],
)
def test_admission(of: core_v1.Pod, others: list[core_v1.Pod], reason: str | None) -> None:
    of.spec.tolerations = TOLERANT
    verdict = admit(of, others, NODE, ALLOCATABLE, ["net.core.*"])
    assert (verdict.reason if verdict is not None else None) == reason


def test_taints_that_end_pods_are_looked_at() -> None:
    verdict = admit(pod(), [], NODE, ALLOCATABLE)
    assert verdict is not None and verdict.reason == "TaintToleration"


USAGE = MachineUsage(
    memory_available_bytes=GIB,
    root_available_bytes=50,
    root_capacity_bytes=100,
    root_inodes_free=50,
    root_inodes=100,
    images_available_bytes=50,
    images_capacity_bytes=100,
    pids=10,
    maximum_pids=100,
)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"memory_available_bytes": 100 << 20}, []),
        ({"memory_available_bytes": (100 << 20) - 1}, [("MemoryPressure", "memory")]),
        ({"root_available_bytes": 9}, [("DiskPressure", "ephemeral-storage")]),
        ({"root_inodes_free": 4}, [("DiskPressure", "inodes")]),
        ({"images_available_bytes": 14}, [("DiskPressure", "ephemeral-storage")]),
        ({"pids": 99}, []),
    ],
)
def test_shortages(change: dict[str, int], found: list[tuple[str, str]]) -> None:
    usage = dataclasses.replace(USAGE, **change)
    assert [(each.condition, each.resource) for each in eviction.shortages(usage, Thresholds())] == found


def test_pressure_stays_for_five_minutes() -> None:
    short = eviction.shortages(dataclasses.replace(USAGE, memory_available_bytes=0), Thresholds())
    state, pressure = eviction.observe(PressureState(), short, 1000)
    assert pressure == Pressure(memory=True)
    state, pressure = eviction.observe(state, (), 1299)
    assert pressure == Pressure(memory=True)
    assert eviction.observe(state, (), 1300)[1] == Pressure()


def test_who_goes_first() -> None:
    (short,) = eviction.shortages(dataclasses.replace(USAGE, memory_available_bytes=0), Thresholds())

    def use(name: str, amount: int, requested: str = "0", priority: int = 0) -> PodUse:
        return PodUse(pod=pod(name, {"memory": requested}, priority=priority), memory={"c": amount})

    within = use("within", 10, "20")
    over = use("over", 30, "20")
    far_over = use("far-over", 50, "20")
    important = use("important", 500, "20", priority=5)
    critical = use("critical", 900, priority=2_000_001_000)
    order = []
    left = [within, over, far_over, important, critical]
    while (chosen := eviction.victim(short, left)) is not None:
        order.append(chosen.pod.metadata.name)
        left.remove(chosen)
    assert order == ["far-over", "over", "important", "within"]
    assert eviction.evicted(short, use("x", 2 << 20, "1Mi")).message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 0. "
        "Container c was using 2Mi, request is 1Mi, has larger consumption of memory. "
    )


def observation(**more: Any) -> NodeObservation:
    machine = MachineInfo(
        cores=2,
        memory_bytes=4 * GIB,
        storage_bytes=10 * GIB,
        machine_id="m",
        system_uuid="s",
        boot_id="b",
        kernel_version="6",
        os_image="os",
        architecture="arm64",
        hugepages={2 << 20: 4 << 20},
    )
    fields: dict[str, Any] = {
        "machine": machine,
        "runtime_version": "containerd://1",
        "runtime": RuntimeConditions(ready=True, network_ready=True),
        "addresses": [("InternalIP", "192.0.2.1")],
        "port": 10250,
        "max_pods": 110,
        **more,
    }
    return NodeObservation(**fields)


def test_what_is_reserved_is_not_allocatable() -> None:
    seen = observation(reserved={"cpu": quantity.parse("250m"), "memory": quantity.parse("1Gi")})
    found = node_status.node_status(core_v1.NodeStatus(), seen, 0.0)
    assert found.capacity == {
        "cpu": "2",
        "memory": "4Gi",
        "ephemeral-storage": "10Gi",
        "pods": "110",
        "hugepages-2Mi": "4Mi",
    }
    assert found.allocatable == {
        "cpu": "1750m",
        "memory": "3068Mi",
        "ephemeral-storage": "10Gi",
        "pods": "110",
        "hugepages-2Mi": "4Mi",
    }


def test_heartbeats_are_no_news() -> None:
    first = node_status.node_status(core_v1.NodeStatus(), observation(), 0.0)
    second = node_status.node_status(first, observation(), 60.0)
    assert node_status.same_but_heartbeats(first, second) and first != second
    third = node_status.node_status(second, observation(not_ready=("it is shutting down",)), 90.0)
    assert not node_status.same_but_heartbeats(second, third)
    ready = next(each for each in third.conditions or () if each.type == "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", "KubeletNotReady", "it is shutting down")
    assert ready.lastTransitionTime == timestamps.time_of(90.0)


def test_images_are_shown_by_size() -> None:
    images = [
        ImageRecord(id="1", tags=("a:1",), size_bytes=1),
        ImageRecord(id="2", size_bytes=9),
        ImageRecord(id="3", tags=("b:1", "b:2"), digests=("b@sha256:1",), size_bytes=5),
    ]
    assert node_status.node_images(images) == [
        core_v1.ContainerImage(names=["b@sha256:1", "b:1", "b:2"], sizeBytes=5),
        core_v1.ContainerImage(names=["a:1"], sizeBytes=1),
    ]

from __future__ import annotations

from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import RuntimeConditions
from tiphys.kubelet.node_status import MachineInfo, NodeObservation, node_status
from tiphys.machinery.quantity import parse

MACHINE = MachineInfo(
    cores=2,
    memory_bytes=8 << 30,
    storage_bytes=100 << 30,
    machine_id="m",
    system_uuid="s",
    boot_id="b",
    kernel_version="6",
    os_image="Linux",
    architecture="amd64",
)


def test_what_others_say_the_node_has_can_be_used_by_pods() -> None:
    """An extended resource is written into the capacity; the kubelet offers it."""
    seen = NodeObservation(
        machine=MACHINE,
        runtime_version="containerd://1.6",
        runtime=RuntimeConditions(ready=True, network_ready=True),
        addresses=[("InternalIP", "10.0.0.1")],
        port=10250,
        max_pods=110,
        reserved={"cpu": parse("500m"), "memory": parse("1Gi")},
    )
    old = core_v1.NodeStatus(
        capacity={"example.com/dongle": parse("5"), "cpu": parse("64")}, allocatable={"example.com/gone": parse("1")}
    )
    status = node_status(old, seen, now=1000.0)
    assert status.capacity == {
        "cpu": "2",
        "memory": "8Gi",
        "ephemeral-storage": "100Gi",
        "pods": "110",
        "example.com/dongle": "5",
    }
    assert status.allocatable == {
        "cpu": "1500m",
        "memory": "7Gi",
        "ephemeral-storage": "100Gi",
        "pods": "110",
        "example.com/dongle": "5",
    }

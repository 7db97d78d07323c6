"""Nodes that fall silent, what happens to their pods, and the networks that nodes get."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, meta_v1

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def pod(name: str, node: str, tolerations: list[core_v1.Toleration] | None = None) -> core_v1.Pod:
    container = core_v1.Container(name="c", image="a")
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=core_v1.PodSpec(containers=[container], nodeName=node, tolerations=tolerations),
    )


def ready(cluster: Any, name: str) -> tuple[str, str]:
    node = cluster.api.get(core_v1.Node, "", name)
    return next((c.status, c.reason or "") for c in node.status.conditions if c.type == "Ready")


def taints(cluster: Any, name: str) -> list[tuple[str, str]]:
    return sorted((t.key, t.effect) for t in cluster.api.get(core_v1.Node, "", name).spec.taints or ())


async def test_a_silent_node_becomes_unknown_and_its_pods_leave_after_their_toleration(cluster: Any) -> None:
    cluster.add_node("b")
    bears = core_v1.Toleration(key=UNREACHABLE, operator="Exists", effect="NoExecute", tolerationSeconds=300)
    cluster.api.add(pod("bears", "b", [bears]))
    cluster.api.add(pod("bears-not", "b"))
    cluster.api.add(pod("stays", "b", [core_v1.Toleration(operator="Exists")]))
    await cluster.steps(2)
    cluster.live_nodes.discard("b")
    cluster.ends_pods = False
    await cluster.steps(9, seconds=5)
    assert ready(cluster, "b")[0] == "True"
    await cluster.quiet()
    await cluster.clock.advance(20)
    await cluster.quiet()
    assert ready(cluster, "b") == ("Unknown", "NodeStatusUnknown")
    assert taints(cluster, "b") == [(UNREACHABLE, "NoExecute"), (UNREACHABLE, "NoSchedule")]
    assert ("NodeNotReady", "Node b status is now: NodeNotReady") in cluster.events()
    deleted = {p.metadata.name: p.metadata.deletionTimestamp is not None for p in cluster.api.list(core_v1.Pod)}
    assert deleted == {"bears": False, "bears-not": True, "stays": False}
    not_ready = {
        p.metadata.name: [c.status for c in p.status.conditions if c.type == "Ready"]
        for p in cluster.api.list(core_v1.Pod)
    }
    assert not_ready["stays"] == ["False"]
    for _ in range(60):
        cluster.live_nodes.add("a")
        for name in cluster.live_nodes:
            cluster.api.change(core_v1.Node, "", name, cluster._reports)
        await cluster.clock.advance(5)
    deleted = {p.metadata.name: p.metadata.deletionTimestamp is not None for p in cluster.api.list(core_v1.Pod)}
    assert deleted == {"bears": True, "bears-not": True, "stays": False}


async def test_a_node_that_comes_back_loses_its_taints_and_keeps_its_patient_pods(cluster: Any) -> None:
    cluster.add_node("b")
    bears = core_v1.Toleration(key=UNREACHABLE, operator="Exists", effect="NoExecute", tolerationSeconds=300)
    cluster.api.add(pod("bears", "b", [bears]))
    await cluster.steps(2)
    cluster.live_nodes.discard("b")
    await cluster.steps(14, seconds=5)
    assert ready(cluster, "b")[0] == "Unknown"
    cluster.live_nodes.add("b")
    await cluster.steps(100, seconds=5)
    assert taints(cluster, "b") == []
    assert cluster.api.get(core_v1.Pod, "default", "bears").metadata.deletionTimestamp is None


async def test_when_no_node_reports_nobody_is_driven_off(cluster: Any) -> None:
    cluster.api.add(pod("p", "a"))
    await cluster.steps(2)
    cluster.live_nodes.clear()
    await cluster.steps(30, seconds=5)
    assert ready(cluster, "a")[0] == "Unknown"
    assert taints(cluster, "a") == [(UNREACHABLE, "NoSchedule")]
    assert cluster.api.get(core_v1.Pod, "default", "p").metadata.deletionTimestamp is None


async def test_nodes_are_driven_off_one_in_ten_seconds(cluster: Any) -> None:
    for name in "bcdefghij":
        cluster.add_node(name)
    await cluster.steps(2)
    cluster.live_nodes -= {"b", "c", "d", "e"}
    await cluster.steps(13, seconds=5)
    counts = []
    for _ in range(4):
        counts.append(sum((UNREACHABLE, "NoExecute") in taints(cluster, n) for n in "bcde"))
        await cluster.steps(2, seconds=5)
    counts.append(sum((UNREACHABLE, "NoExecute") in taints(cluster, n) for n in "bcde"))
    assert counts == [1, 2, 3, 4, 4]


async def test_conditions_and_cordons_become_taints(cluster: Any) -> None:
    def press(node: core_v1.Node) -> None:
        node.spec.unschedulable = True
        node.spec.taints = [core_v1.Taint(key="own", effect="NoSchedule")]
        node.status.conditions.append(core_v1.NodeCondition(type="DiskPressure", status="True"))

    cluster.api.change(core_v1.Node, "", "a", press)
    await cluster.quiet()
    assert taints(cluster, "a") == [
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
        ("own", "NoSchedule"),
    ]


async def test_every_node_gets_a_network_of_its_own_and_a_free_one_is_used_again(cluster: Any) -> None:
    for name in "bcd":
        cluster.add_node(name)
    await cluster.quiet()
    found = {n.metadata.name: (n.spec.podCIDR, n.spec.podCIDRs) for n in cluster.api.list(core_v1.Node)}
    assert found == {name: (f"10.244.{i}.0/24", [f"10.244.{i}.0/24"]) for i, name in enumerate("abcd")}
    cluster.api.remove(core_v1.Node, "", "b")
    cluster.live_nodes.discard("b")
    await cluster.quiet()
    cluster.add_node("e")
    await cluster.quiet()
    assert cluster.api.get(core_v1.Node, "", "e").spec.podCIDR == "10.244.4.0/24"


async def test_pods_of_a_node_that_is_gone_are_removed_after_quarantine(cluster: Any) -> None:
    cluster.add_node("b")
    cluster.api.add(pod("p", "b"))
    await cluster.steps(2)
    cluster.api.remove(core_v1.Node, "", "b")
    cluster.live_nodes.discard("b")
    await cluster.steps(4, seconds=10)
    assert cluster.api.get(core_v1.Pod, "default", "p") is not None
    await cluster.steps(5, seconds=10)
    assert cluster.api.get(core_v1.Pod, "default", "p") is None

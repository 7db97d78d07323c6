"""Columns against loops, and a batch against one pod at a time."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery.quantity import parse
from tiphys.scheduler.batch import schedule_batch
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.cycle import ShapeCycle
from tiphys.scheduler.plugins.table import DEFAULT_PLUGINS
from tiphys.scheduler.pods import PodShapes

sys.path.insert(0, str(Path(__file__).parent))
import scheduler_twin as twin

ZONE = "topology.kubernetes.io/zone"
APPS = st.sampled_from(["red", "green"])
KEYS = st.sampled_from([ZONE, twin.HOSTNAME, "disk"])


@st.composite
def nodes(draw: st.DrawFn) -> list[core_v1.Node]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        labels = {}
        if draw(st.integers(0, 5)):
            labels[twin.HOSTNAME] = f"n{number}"
        if draw(st.integers(0, 5)):
            labels[ZONE] = draw(st.sampled_from("xyz"))
        if draw(st.booleans()):
            labels["disk"] = draw(st.sampled_from(["ssd", "hdd"]))
        resources = {
            "cpu": parse(draw(st.sampled_from(["500m", "1", "2", "4"]))),
            "memory": parse(draw(st.sampled_from(["512Mi", "1Gi", "3Gi"]))),
            "pods": parse(draw(st.integers(1, 8))),
        }
        if draw(st.booleans()):
            resources["example.com/gpu"] = parse(draw(st.integers(0, 2)))
        effects = draw(st.lists(st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]), max_size=2))
        taints = [core_v1.Taint(key=draw(st.sampled_from("kl")), value="v", effect=effect) for effect in effects]
        unschedulable = draw(st.integers(0, 7)) == 0
        found.append(
            core_v1.Node(
                metadata=meta_v1.ObjectMeta(name=f"n{number}", labels=labels),
                spec=core_v1.NodeSpec(taints=taints, unschedulable=unschedulable),
                status=core_v1.NodeStatus(allocatable=resources),
            )
        )
    return found


def selector(draw: st.DrawFn) -> meta_v1.LabelSelector:
    if draw(st.booleans()):
        return meta_v1.LabelSelector(matchLabels={"app": draw(APPS)})
    return meta_v1.LabelSelector(
        matchExpressions=[meta_v1.LabelSelectorRequirement(key="app", operator="NotIn", values=[draw(APPS)])]
    )


def pod_term(draw: st.DrawFn) -> core_v1.PodAffinityTerm:
    namespaces = draw(st.sampled_from([None, None, ["default", "other"], ["other"]]))
    return core_v1.PodAffinityTerm(topologyKey=draw(KEYS), labelSelector=selector(draw), namespaces=namespaces)


def some_terms(draw: st.DrawFn) -> list[core_v1.PodAffinityTerm] | None:
    return [pod_term(draw) for _ in range(draw(st.sampled_from([0, 0, 1, 2])))] or None


def weighted_terms(draw: st.DrawFn) -> list[core_v1.WeightedPodAffinityTerm] | None:
    return [
        core_v1.WeightedPodAffinityTerm(weight=draw(st.integers(1, 100)), podAffinityTerm=pod_term(draw))
        for _ in range(draw(st.sampled_from([0, 0, 1])))
    ] or None


def node_terms(draw: st.DrawFn) -> core_v1.NodeSelectorTerm:
    operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]))
    values = ["ssd"] if operator in ("In", "NotIn") else None
    expression = core_v1.NodeSelectorRequirement(key="disk", operator=operator, values=values)
    return core_v1.NodeSelectorTerm(matchExpressions=[expression])


def affinity(draw: st.DrawFn) -> core_v1.Affinity | None:
    if draw(st.booleans()):
        return None
    required = core_v1.NodeSelector(nodeSelectorTerms=[node_terms(draw)]) if draw(st.integers(0, 3)) == 0 else None
    preferred = [
        core_v1.PreferredSchedulingTerm(weight=draw(st.integers(1, 100)), preference=node_terms(draw))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return core_v1.Affinity(
        nodeAffinity=core_v1.NodeAffinity(
            requiredDuringSchedulingIgnoredDuringExecution=required,
            preferredDuringSchedulingIgnoredDuringExecution=preferred or None,
        ),
        podAffinity=core_v1.PodAffinity(
            requiredDuringSchedulingIgnoredDuringExecution=some_terms(draw),
            preferredDuringSchedulingIgnoredDuringExecution=weighted_terms(draw),
        ),
        podAntiAffinity=core_v1.PodAntiAffinity(
            requiredDuringSchedulingIgnoredDuringExecution=some_terms(draw),
            preferredDuringSchedulingIgnoredDuringExecution=weighted_terms(draw),
        ),
    )


def constraint(draw: st.DrawFn) -> core_v1.TopologySpreadConstraint:
    hard = draw(st.booleans())
    return core_v1.TopologySpreadConstraint(
        maxSkew=draw(st.integers(1, 2)),
        topologyKey=draw(KEYS),
        whenUnsatisfiable="DoNotSchedule" if hard else "ScheduleAnyway",
        labelSelector=selector(draw),
        minDomains=draw(st.sampled_from([None, 2, 4])) if hard else None,
        nodeAffinityPolicy=draw(st.sampled_from([None, "Honor", "Ignore"])),
        nodeTaintsPolicy=draw(st.sampled_from([None, "Honor", "Ignore"])),
    )


@st.composite
def pods(draw: st.DrawFn, name: str, *, plain: bool = False) -> core_v1.Pod:
    requests = {}
    if draw(st.booleans()):
        requests["cpu"] = parse(draw(st.sampled_from(["50m", "200m", "700m", "3"])))
    if draw(st.booleans()):
        requests["memory"] = parse(draw(st.sampled_from(["64Mi", "300Mi", "2Gi"])))
    if draw(st.integers(0, 5)) == 0:
        requests["example.com/gpu"] = parse("1")
    ports = None
    if draw(st.integers(0, 4)) == 0:
        address = draw(st.sampled_from([None, "10.0.0.1", "10.0.0.2"]))
        ports = [core_v1.ContainerPort(containerPort=80, hostPort=8080, hostIP=address)]
    container = core_v1.Container(
        name="main", image="app", resources=core_v1.ResourceRequirements(requests=requests), ports=ports
    )
    tolerations = None
    if draw(st.booleans()):
        effect = draw(st.sampled_from([None, "NoSchedule", "PreferNoSchedule"]))
        tolerations = [core_v1.Toleration(key=draw(st.sampled_from("kl")), operator="Exists", effect=effect)]
    constraints = [] if plain else [constraint(draw) for _ in range(draw(st.sampled_from([0, 0, 1, 2])))]
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name=name,
            uid=name,
            namespace=draw(st.sampled_from(["default", "default", "other"])),
            labels={"app": draw(APPS)},
        ),
        spec=core_v1.PodSpec(
            containers=[container],
            tolerations=tolerations,
            nodeSelector={"disk": "ssd"} if draw(st.integers(0, 7)) == 0 else None,
            affinity=None if plain else affinity(draw),
            topologySpreadConstraints=constraints or None,
        ),
    )


def running(pod: core_v1.Pod, number: int, node_name: str) -> core_v1.Pod:
    name = f"{pod.metadata.name}-{number}"
    meta = meta_v1.ObjectMeta(name=name, uid=name, namespace=pod.metadata.namespace, labels=pod.metadata.labels)
    if number % 5 == 4:
        meta.deletionTimestamp = "2026-01-01T00:00:00Z"  # type: ignore[assignment]
    spec = core_v1.PodSpec(
        **{field: getattr(pod.spec, field) for field in pod.spec.__struct_fields__ if field != "nodeName"},
        nodeName=node_name,
    )
    return core_v1.Pod(metadata=meta, spec=spec)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[core_v1.Node], list[core_v1.Pod]]:
    found = draw(nodes())
    templates = [draw(pods(name=f"old{number}")) for number in range(draw(st.integers(0, 3)))]
    names = st.sampled_from([node.metadata.name or "" for node in found])
    placed = [
        running(template, number, draw(names)) for template in templates for number in range(draw(st.integers(0, 5)))
    ]
    return found, placed


def build(found: list[core_v1.Node], placed: list[core_v1.Pod]) -> tuple[Cluster, PodShapes]:
    """Pods before and after their nodes, one node that comes and goes: the columns must not care."""
    cluster, shapes = Cluster(), PodShapes()
    cluster.set_node(core_v1.Node(metadata=meta_v1.ObjectMeta(name="gone", labels={ZONE: "x"})))
    for pod in placed[::2]:
        cluster.set_pod(shapes.info(pod))
    for node in found[:1]:
        cluster.set_node(node)
    cluster.remove_node("gone")
    for node in found:
        cluster.set_node(node)
    for pod in placed:
        cluster.set_pod(shapes.info(pod))
    return cluster, shapes


def states_of(found: list[core_v1.Node], placed: list[core_v1.Pod]) -> list[twin.NodeState]:
    return [twin.NodeState(node, [pod for pod in placed if pod.spec.nodeName == node.metadata.name]) for node in found]


@settings(max_examples=150)
@given(clusters(), pods(name="new"))
def test_columns_decide_like_loops(world: tuple[list[core_v1.Node], list[core_v1.Pod]], pod: core_v1.Pod) -> None:
    cluster, shapes = build(*world)
    states = states_of(*world)
    found = ShapeCycle(DEFAULT_PLUGINS, shapes.shape(pod), cluster).explain()
    seen = {
        item.node: (item.rejection.plugin, sorted(item.rejection.reasons)) if item.rejection else None for item in found
    }
    expected = {state.node.metadata.name: twin.rejection(pod, state, states) for state in states}
    assert seen == expected
    feasible = [state for state in states if expected[state.node.metadata.name] is None]
    assert {item.node: item.total for item in found if item.rejection is None} == twin.totals(pod, feasible, states)


@settings(max_examples=100)
@given(clusters(), st.booleans().flatmap(lambda plain: pods(name="new", plain=plain)), st.integers(1, 25))
def test_a_batch_decides_like_one_at_a_time(
    world: tuple[list[core_v1.Node], list[core_v1.Pod]], pod: core_v1.Pod, count: int
) -> None:
    cluster, shapes = build(*world)
    other, other_shapes = build(*world)
    copies = [running(pod, number * 5, "") for number in range(count)]
    together = schedule_batch(DEFAULT_PLUGINS, [shapes.info(copy) for copy in copies], cluster, random.Random(3))
    source = random.Random(3)
    alone = []
    for copy in copies:
        result = schedule_batch(DEFAULT_PLUGINS, [other_shapes.info(copy)], other, source)
        if not result.decisions:
            assert result.diagnosis is not None and together.diagnosis is not None
            assert result.diagnosis.reasons == together.diagnosis.reasons
            break
        alone.append((copy.metadata.name, result.decisions[0].node_name))
    assert [(item.pod.name, item.node_name) for item in together.decisions] == alone


@settings(max_examples=40)
@given(st.integers(4, 30), st.integers(1, 60), st.sampled_from(["10m", "100m", "250m"]), st.booleans())
def test_rounds_on_alike_nodes_decide_like_one_at_a_time(number: int, count: int, cpu: str, soft: bool) -> None:
    """Many nodes of equal score: the case in which several pods are decided at once."""
    resources = {"cpu": parse("2"), "memory": parse("4Gi"), "pods": parse("7")}
    taints = [core_v1.Taint(key="k", effect="PreferNoSchedule")]
    found = [
        core_v1.Node(
            metadata=meta_v1.ObjectMeta(name=f"n{index}"),
            spec=core_v1.NodeSpec(taints=taints if soft and index % 3 == 0 else None),
            status=core_v1.NodeStatus(allocatable=resources),
        )
        for index in range(number)
    ]
    requests = {"cpu": parse(cpu), "memory": parse("100Mi")}
    container = core_v1.Container(name="main", resources=core_v1.ResourceRequirements(requests=requests))
    pod = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="new", namespace="default"), spec=core_v1.PodSpec(containers=[container])
    )
    cluster, shapes = build(found, [])
    other, other_shapes = build(found, [])
    copies = [running(pod, index * 5, "") for index in range(count)]
    together = schedule_batch(DEFAULT_PLUGINS, [shapes.info(copy) for copy in copies], cluster, random.Random(5))
    source = random.Random(5)
    alone = []
    for copy in copies:
        result = schedule_batch(DEFAULT_PLUGINS, [other_shapes.info(copy)], other, source)
        alone += [(item.pod.name, item.node_name) for item in result.decisions]
    assert [(item.pod.name, item.node_name) for item in together.decisions] == alone

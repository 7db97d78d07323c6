"""What the scheduler decides from what it is told: victims, promises, races with the API."""

from __future__ import annotations

import random
from typing import Any

from tiphys.kinds.types import core_v1, meta_v1, policy_v1
from tiphys.machinery.quantity import parse
from tiphys.scheduler.config import SchedulerConfig
from tiphys.scheduler.core import Bind, SchedulerCore, Wait


def node(name: str, cpu: str = "1") -> core_v1.Node:
    resources = {"cpu": parse(cpu), "memory": parse("4Gi"), "pods": parse("110")}
    return core_v1.Node(metadata=meta_v1.ObjectMeta(name=name), status=core_v1.NodeStatus(allocatable=resources))


def pod(
    name: str, cpu: str = "500m", node_name: str | None = None, start: str | None = None, **spec: Any
) -> core_v1.Pod:
    container = core_v1.Container(name="main", resources=core_v1.ResourceRequirements(requests={"cpu": parse(cpu)}))
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", uid=f"uid-{name}", labels={"app": name}),
        spec=core_v1.PodSpec(containers=[container], nodeName=node_name, **spec),
        status=core_v1.PodStatus(startTime=start),  # type: ignore[arg-type]
    )


def core(*objects: core_v1.Node | core_v1.Pod) -> SchedulerCore:
    found = SchedulerCore(SchedulerConfig(), random.Random(2))
    for item in objects:
        if isinstance(item, core_v1.Node):
            found.node_changed(None, item, 0.0)
        else:
            found.pod_changed(None, item, 0.0)
    return found


def budget(name: str, app: str, allowed: int) -> policy_v1.PodDisruptionBudget:
    return policy_v1.PodDisruptionBudget(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=policy_v1.PodDisruptionBudgetSpec(selector=meta_v1.LabelSelector(matchLabels={"app": app})),
        status=policy_v1.PodDisruptionBudgetStatus(disruptionsAllowed=allowed),
    )


def binds(found: SchedulerCore, now: float = 0.0) -> list[tuple[str, str]]:
    return [(item.pod.name, item.pod.node_name) for item in found.decide(now) if isinstance(item, Bind)]


def promised(found: SchedulerCore) -> tuple[str | None, list[str]]:
    (action,) = found.decide(0.0)
    assert isinstance(action, Wait)
    return action.nominated_node_name, [victim.name for victim in action.victims]


def test_only_as_many_victims_as_it_takes_the_least_important_first() -> None:
    found = core(
        node("a"),
        pod("p1", "400m", "a", priority=1),
        pod("p2", "300m", "a", priority=2),
        pod("p3", "300m", "a", priority=3),
        pod("new", "300m", priority=9),
    )
    assert promised(found) == ("a", ["p1"])


def test_among_equals_those_that_started_last_go() -> None:
    found = core(
        node("a"),
        pod("old", "500m", "a", "2026-01-01T00:00:00Z", priority=1),
        pod("young", "500m", "a", "2026-01-02T00:00:00Z", priority=1),
        pod("new", "500m", priority=9),
    )
    assert promised(found) == ("a", ["young"])


def test_the_node_whose_victims_matter_least_is_taken() -> None:
    found = core(
        node("a"),
        node("b"),
        node("c"),
        pod("a1", "900m", "a", priority=5),
        pod("b1", "900m", "b", priority=1),
        pod("c1", "450m", "c", priority=1),
        pod("c2", "450m", "c", priority=1),
        pod("new", "800m", priority=9),
    )
    assert promised(found) == ("b", ["b1"])


def test_a_budget_that_is_used_up_is_worse_than_a_higher_priority() -> None:
    found = core(
        node("a"),
        node("b"),
        pod("guarded", "900m", "a", priority=1),
        pod("other", "900m", "b", priority=5),
        pod("new", "800m", priority=9),
    )
    found.budget_changed(None, budget("guard", "guarded", 0), 0.0)
    assert promised(found) == ("b", ["other"])


def test_pods_of_equal_priority_are_no_victims() -> None:
    found = core(node("a"), pod("there", "900m", "a", priority=9), pod("new", "800m", priority=9))
    assert promised(found) == (None, [])


def test_the_dry_run_leaves_no_trace() -> None:
    found = core(node("a"), pod("there", "900m", "a", priority=1), pod("new", "800m", priority=9))
    table = found.cluster.nodes
    before = (table.requested.copy(), table.pod_count.copy())
    promised(found)
    assert (table.requested == before[0]).all()
    assert (table.pod_count == before[1]).all()


def test_a_promised_place_is_kept_from_pods_of_no_higher_priority() -> None:
    found = core(node("a"), pod("victim", "900m", "a", priority=1), pod("high", "800m", priority=9))
    assert promised(found) == ("a", ["victim"])
    found.pod_changed(pod("victim", "900m", "a", priority=1), None, 0.1)
    found.pod_changed(None, pod("low", "800m", priority=1), 0.2)
    (action,) = found.decide(0.2)
    assert isinstance(action, Wait)
    assert "1 Insufficient cpu" in action.message
    found.pod_changed(None, pod("higher", "800m", priority=99), 0.3)
    assert binds(found, 0.3) == [("higher", "a")]


def test_who_was_promised_a_node_gets_it() -> None:
    found = core(node("a"), pod("victim", "900m", "a", priority=1), pod("high", "800m", priority=9))
    assert promised(found) == ("a", ["victim"])
    found.node_changed(None, node("b", "16"), 0.1)
    found.pod_changed(pod("victim", "900m", "a", priority=1), None, 0.1)
    known = pod("high", "800m", priority=9)
    known.status.nominatedNodeName = "a"
    found.pod_changed(pod("high", "800m", priority=9), known, 0.1)
    assert binds(found, 1.0) == [("high", "a")]


def test_several_that_need_room_get_room_one_after_the_other() -> None:
    victims = [pod(f"victim{number}", "900m", f"n{number}", priority=1) for number in range(3)]
    found = core(
        *(node(f"n{number}") for number in range(3)), *victims, *(pod(f"new{n}", "800m", priority=9) for n in range(3))
    )
    chosen = [promised(found) for _ in range(3)]
    assert sorted(name or "" for name, _ in chosen) == ["n0", "n1", "n2"]


def test_an_assumed_pod_counts_until_its_binding_fails() -> None:
    found = core(node("a"), pod("one", "800m"))
    assert binds(found) == [("one", "a")]
    found.pod_changed(None, pod("two", "800m"), 0.0)
    assert binds(found) == []
    found.binding_failed("uid-one", 0.0, None)
    assert binds(found, 1.0) == [("two", "a")]


def test_a_binding_that_failed_is_tried_again_if_the_pod_still_waits() -> None:
    found = core(node("a"), pod("one"))
    assert binds(found) == [("one", "a")]
    found.binding_failed("uid-one", 0.0, pod("one"))
    assert binds(found, 0.5) == []
    assert binds(found, 1.0) == [("one", "a")]


def test_the_news_that_a_pod_has_its_node_may_come_before_or_after_the_answer() -> None:
    found = core(node("a"), pod("one"))
    assert binds(found) == [("one", "a")]
    found.pod_changed(pod("one"), pod("one", node_name="a"), 0.1)
    found.binding_failed("uid-one", 0.2, pod("one", node_name="a"))
    assert int(found.cluster.nodes.pod_count[0]) == 1
    assert found.next_at() is None


def test_a_pod_deleted_while_it_is_bound_frees_its_place() -> None:
    found = core(node("a"), pod("one", "800m"))
    assert binds(found) == [("one", "a")]
    found.pod_changed(pod("one", "800m"), None, 0.1)
    found.binding_failed("uid-one", 0.2, None)
    found.pod_changed(None, pod("two", "800m"), 0.2)
    assert binds(found, 0.2) == [("two", "a")]


def test_a_pod_made_anew_under_its_name_is_another_pod() -> None:
    found = core(node("a"), pod("one", "800m", "a"))
    again = pod("one", "700m")
    again.metadata.uid = "another"
    found.pod_changed(pod("one", "800m", "a"), again, 0.1)
    assert binds(found, 0.1) == [("one", "a")]


def test_pods_of_a_node_that_went_and_came_back_count_again() -> None:
    found = core(node("a"), pod("there", "800m", "a"))
    found.node_changed(node("a"), None, 0.1)
    found.node_changed(None, node("b"), 0.1)
    found.node_changed(None, node("a"), 0.2)
    found.pod_changed(None, pod("new", "800m"), 0.2)
    assert binds(found, 0.2) == [("new", "b")]


def test_a_pod_waits_until_a_kubelet_declares_what_it_counts_on() -> None:
    waiting = pod("one")
    waiting.spec.containers[0].restartPolicyRules = [core_v1.ContainerRestartRule(action="RestartAllContainers")]
    found = core(node("a"), waiting)
    assert binds(found, 0.0) == []
    upgraded = node("a")
    upgraded.status.declaredFeatures = ["RestartAllContainersOnContainerExits"]
    found.node_changed(node("a"), upgraded, 0.1)
    assert binds(found, 60.0) == [("one", "a")]


def test_a_batch_that_does_not_fit_wholly_says_why_for_the_rest() -> None:
    found = core(node("a"), *(pod(f"p{number}") for number in range(3)))
    for number in range(3):
        same = pod(f"p{number}")
        same.metadata.labels = {"app": "same"}
        found.pod_changed(pod(f"p{number}"), same, 0.0)
    actions = found.decide(0.0)
    assert [type(action).__name__ for action in actions] == ["Bind", "Bind", "Wait"]
    assert isinstance(actions[2], Wait)
    assert actions[2].message == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available:"
        " 1 No preemption victims found for incoming pod."
    )


def test_explaining_a_pod_names_each_score() -> None:
    found = core(node("a"), node("b", "200m"))
    explained = {item.node: item for item in found.explain(pod("new"))}
    rejection = explained["b"].rejection
    assert rejection is not None
    assert (rejection.plugin, rejection.reasons) == ("NodeResourcesFit", ("Insufficient cpu",))
    assert explained["a"].scores == {
        "TaintToleration": 300,
        "NodeResourcesFit": 72,
        "NodeResourcesBalancedAllocation": 75,
    }
    assert explained["a"].total == 447

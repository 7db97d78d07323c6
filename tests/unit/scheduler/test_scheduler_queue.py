"""Whose turn it is, when a pod comes back, and what wakes it."""

from __future__ import annotations

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.scheduler.framework import ClusterEvent, EventKind
from tiphys.scheduler.pods import PodInfo, PodShape, PodShapes
from tiphys.scheduler.queue import QueuedPod, SchedulingQueue

SHAPES = PodShapes()
EVENT = ClusterEvent(EventKind.NODE_ADD)


def pod(name: str, app: str = "a", **spec: object) -> PodInfo:
    return SHAPES.info(
        core_v1.Pod(
            metadata=meta_v1.ObjectMeta(name=name, namespace="default", uid=name, labels={"app": app}),
            spec=core_v1.PodSpec(**spec),  # type: ignore[arg-type]
        )
    )


def queue(helped_by: str = "Fit") -> SchedulingQueue:
    def hint(plugin: str, event: ClusterEvent, shape: PodShape) -> bool:
        return plugin == helped_by and event.kind is EventKind.NODE_ADD

    return SchedulingQueue(hint)


def names(batch: list[QueuedPod]) -> list[str]:
    return [queued.pod.name for queued in batch]


def test_priority_goes_before_age() -> None:
    waiting = queue()
    waiting.set(pod("old", app="x"), 0.0)
    waiting.set(pod("new", app="y", priority=5), 1.0)
    assert [names(waiting.take(2.0, 10)), names(waiting.take(2.0, 10)), names(waiting.take(2.0, 10))] == [
        ["new"],
        ["old"],
        [],
    ]


def test_a_batch_is_the_next_pods_of_one_shape() -> None:
    waiting = queue()
    for name, app in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
        waiting.set(pod(name, app), 0.0)
    assert names(waiting.take(0.0, 10)) == ["a1", "a2"]
    assert names(waiting.take(0.0, 10)) == ["b1"]
    assert names(waiting.take(0.0, 10)) == ["a3"]


def test_a_batch_has_a_limit() -> None:
    waiting = queue()
    for number in range(5):
        waiting.set(pod(f"p{number}"), 0.0)
    assert [names(waiting.take(0.0, 2)) for _ in range(3)] == [["p0", "p1"], ["p2", "p3"], ["p4"]]


def test_an_error_waits_one_two_four_up_to_ten_seconds() -> None:
    waiting = queue()
    waiting.set(pod("web"), 0.0)
    now, waits = 0.0, []
    for _ in range(6):
        (queued,) = waiting.take(now, 10)
        waiting.put_back(queued, now)
        at = waiting.next_at()
        assert at is not None
        waits.append(at - now)
        now = at
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_rejected_pod_waits_for_an_event_that_helps() -> None:
    waiting = queue()
    waiting.set(pod("web"), 0.0)
    waiting.put_back(waiting.take(0.0, 1)[0], 0.0, ("Fit", "Taints"))
    assert waiting.next_at() == 300.0
    waiting.on_event(ClusterEvent(EventKind.NODE_DELETE), 5.0)
    assert waiting.states() == {"active": 0, "backoff": 0, "unschedulable": 1, "gated": 0}
    waiting.on_event(EVENT, 5.0)
    assert waiting.next_at() == 0.0


def test_an_event_before_the_backoff_has_passed_waits_it_out() -> None:
    waiting = queue()
    waiting.set(pod("web"), 0.0)
    waiting.put_back(waiting.take(0.0, 1)[0], 0.0, ("Fit",))
    waiting.on_event(EVENT, 0.25)
    assert waiting.next_at() == 1.0
    assert names(waiting.take(0.5, 1)) == []
    assert names(waiting.take(1.0, 1)) == ["web"]


def test_an_event_does_not_help_what_another_plugin_rejected() -> None:
    waiting = queue()
    waiting.set(pod("web"), 0.0)
    waiting.put_back(waiting.take(0.0, 1)[0], 0.0, ("Taints",))
    waiting.on_event(EVENT, 5.0)
    assert waiting.next_at() == 300.0


def test_after_five_minutes_a_pod_is_tried_again_anyway() -> None:
    waiting = queue()
    waiting.set(pod("web"), 0.0)
    waiting.put_back(waiting.take(0.0, 1)[0], 0.0, ("Taints",))
    assert names(waiting.take(299.0, 1)) == []
    assert names(waiting.take(300.0, 1)) == ["web"]


def test_a_gated_pod_waits_until_its_gates_are_gone() -> None:
    waiting = queue()
    waiting.set(pod("web", schedulingGates=[core_v1.PodSchedulingGate(name="hold")]), 0.0)
    waiting.on_event(EVENT, 1.0)
    assert names(waiting.take(1000.0, 1)) == []
    waiting.set(pod("web"), 1000.0)
    assert names(waiting.take(1000.0, 1)) == ["web"]


def test_a_changed_shape_is_worth_a_try_and_a_changed_status_is_not() -> None:
    waiting = queue()
    waiting.set(pod("web"), 0.0)
    waiting.put_back(waiting.take(0.0, 1)[0], 0.0, ("Taints",))
    waiting.set(pod("web"), 10.0)
    assert names(waiting.take(10.0, 1)) == []
    waiting.set(pod("web", app="other"), 10.0)
    assert names(waiting.take(10.0, 1)) == ["web"]


def test_removed_pods_are_forgotten_everywhere() -> None:
    waiting = queue()
    for name in ("active", "parked", "backing-off"):
        waiting.set(pod(name, app=name), 0.0)
    batch = [waiting.take(0.0, 1)[0] for _ in range(3)]
    waiting.resume(batch[0], 0.0)
    waiting.put_back(batch[1], 0.0, ("Fit",))
    waiting.put_back(batch[2], 0.0)
    for name in ("active", "parked", "backing-off"):
        waiting.remove(name)
    waiting.on_event(EVENT, 400.0)
    assert (waiting.take(1000.0, 10), waiting.next_at(), len(waiting)) == ([], None, 0)


def test_a_pod_with_a_promised_node_comes_alone() -> None:
    waiting = queue()
    for name in ("one", "two"):
        info = pod(name)
        promised = core_v1.Pod(
            metadata=info.pod.metadata,
            spec=info.pod.spec,
            status=core_v1.PodStatus(nominatedNodeName="a" if name == "one" else None),
        )
        waiting.set(SHAPES.info(promised), 0.0)
    assert [names(waiting.take(0.0, 10)), names(waiting.take(0.0, 10))] == [["one"], ["two"]]

"""The work queue: once each, one worker a key, nothing lost."""

from __future__ import annotations

from tiphys.client.workqueue import FEW_HELD, WorkQueue


def test_a_key_waits_once_and_is_given_out_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert queue.add("a") is True
    assert queue.add("a") is False
    assert queue.add("b") is True
    assert [queue.get(), queue.get(), queue.get()] == ["a", "b", None]
    assert queue.processing == 2


def test_a_key_added_while_it_is_worked_on_comes_back_when_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.get()
    assert queue.add("a") is False
    assert queue.get() is None
    assert queue.done("a") is True
    assert queue.get() == "a"
    assert queue.done("a") is False
    assert len(queue) == queue.processing == 0


def test_delayed_keys_come_at_their_moment_and_the_earliest_moment_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_at("a", 10.0)
    queue.add_at("a", 20.0)
    queue.add_at("b", 15.0)
    queue.add_at("b", 5.0)
    assert queue.next_due() == 5.0
    assert queue.wake(4.9) == 0
    assert queue.wake(12.0) == 2
    assert [queue.get(), queue.get()] == ["b", "a"]
    assert queue.next_due() is None
    assert queue.delayed == 0


def test_retries_wait_longer_each_time_until_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue(first_retry_seconds=1.0, longest_retry_seconds=5.0)
    waits = []
    for _ in range(4):
        waits.append(queue.retry("a", 0.0))
        queue.wake(100.0)
    assert waits == [1.0, 2.0, 4.0, 5.0]
    assert queue.failures("a") == 4
    queue.forget("a")
    assert queue.retry("a", 0.0) == 1.0


def test_a_held_key_comes_when_its_rest_is_over() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.get()
    queue.add("a")
    assert queue.done("a", hold_until=10.0) is False
    assert queue.get() is None
    assert queue.add("a", now=5.0) is False
    assert queue.next_due() == 10.0
    assert queue.wake(10.0) == 1
    assert queue.get() == "a"
    queue.done("a", hold_until=20.0)
    assert queue.next_due() is None
    assert queue.add("a", now=20.0) is True


def test_holds_of_keys_that_never_come_again_are_forgotten() -> None:
    queue: WorkQueue[int] = WorkQueue(longest_hold_seconds=1.0)
    for key in range(5000):
        queue.add(key, float(key))
        assert queue.get() == key
        queue.done(key, hold_until=key + 1.0)
    assert len(queue._held) <= FEW_HELD
    assert queue.add(4999, 4999.5) is False, "the last hold still counts"
    queue.wake(5000.0)
    assert queue.get() == 4999

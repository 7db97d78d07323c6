"""Events: counted, combined, silenced."""

from __future__ import annotations

from tiphys.client.events import CountEvent, CreateEvent, EventCorrelator, Happening
from tiphys.kinds.types import core_v1

POD = core_v1.ObjectReference(apiVersion="v1", kind="Pod", namespace="n", name="p", uid="u")


def happening(message: str = "m", reason: str = "R") -> Happening:
    return Happening(regarding=POD, type="Warning", reason=reason, message=message)


def test_the_first_is_created_and_the_same_again_is_counted() -> None:
    correlator = EventCorrelator("kubelet", "node-a")
    first = correlator.correlate(happening(), 1000.0)
    assert isinstance(first, CreateEvent)
    event = first.event
    assert (event.metadata.namespace, event.count, event.firstTimestamp) == ("n", 1, "1970-01-01T00:16:40Z")
    assert event.metadata.name == f"p.{1000 * 10**9:016x}"
    assert (event.source.component, event.source.host) == ("kubelet", "node-a")
    assert (event.reportingComponent, event.type, event.reason, event.message) == ("kubelet", "Warning", "R", "m")
    second = correlator.correlate(happening(), 1010.0)
    assert isinstance(second, CountEvent)
    assert second.name == event.metadata.name
    assert second.patch == {"count": 2, "lastTimestamp": "1970-01-01T00:16:50Z", "message": "m"}
    assert second.event.firstTimestamp == "1970-01-01T00:16:40Z"


def test_names_differ_even_at_the_same_moment() -> None:
    correlator = EventCorrelator("c")
    names = {
        d.event.metadata.name
        for d in (correlator.correlate(happening(reason=f"R{i}"), 5.0) for i in range(5))
        if isinstance(d, CreateEvent)
    }
    assert len(names) == 5


def test_many_messages_of_one_reason_are_combined() -> None:
    correlator = EventCorrelator("c")
    decisions = [correlator.correlate(happening(f"m{i}"), 10.0 + i) for i in range(12)]
    assert [type(d).__name__ for d in decisions] == ["CreateEvent"] * 10 + ["CountEvent"] * 2
    last = decisions[-1]
    assert isinstance(last, CountEvent)
    assert last.patch["message"] == "(combined from similar events): m11"
    assert last.patch["count"] == 3


def test_messages_long_apart_are_not_combined() -> None:
    correlator = EventCorrelator("c")
    decisions = [correlator.correlate(happening(f"m{i}"), 700.0 * i) for i in range(12)]
    messages = [d.event.message for d in decisions if isinstance(d, CreateEvent)]
    assert messages == [f"m{i}" for i in range(12)]


def test_a_source_that_says_too_much_is_silenced_for_a_while() -> None:
    correlator = EventCorrelator("c")
    spoken = [correlator.correlate(happening(), 0.0) is not None for _ in range(30)]
    assert spoken == [True] * 25 + [False] * 5
    assert correlator.correlate(happening(), 299.0) is None
    assert correlator.correlate(happening(), 601.0) is not None


def test_an_event_that_was_created_anew_is_counted_under_its_new_name() -> None:
    correlator = EventCorrelator("c")
    correlator.correlate(happening(), 1.0)
    counted = correlator.correlate(happening(), 2.0)
    assert isinstance(counted, CountEvent)
    correlator.created(happening(), counted.event, 2.0)
    again = correlator.correlate(happening(), 3.0)
    assert isinstance(again, CountEvent)
    assert again.name == counted.event.metadata.name

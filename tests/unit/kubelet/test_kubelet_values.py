"""Small decisions: lifecycles, patches, back-offs, static pods, resizes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kinds import codec, patch_schema
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet import lifecycle
from tiphys.kubelet.interface import CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, is_mirror, is_static
from tiphys.kubelet.lifecycle import Event, Lifecycle, State
from tiphys.kubelet.pod_status import Verdict
from tiphys.kubelet.resize import changed_resources
from tiphys.kubelet.restarts import after_restart, duration_text, restart_at
from tiphys.kubelet.static_pods import mirror_of, mirrors, static_pod
from tiphys.kubelet.status_patch import node_status_patch, status_patch
from tiphys.machinery import quantity
from tiphys.machinery.patch import strategic
from tiphys.machinery.timestamps import Time

FROM_OUTSIDE = (Event.DELETE, Event.REMOVE, Event.FAIL)


def test_every_event_from_outside_is_foreseen() -> None:
    missing = [pair for pair in itertools.product(State, FROM_OUTSIDE) if pair not in lifecycle.TABLE]
    assert missing == []


def test_nothing_comes_back_to_running() -> None:
    order = list(State)
    for (state, event), handler in lifecycle.TABLE.items():
        after = handler(Lifecycle(state=state)).state
        again = (state, event) == (State.FINISHED, Event.DELETE)
        assert again or order.index(after) >= order.index(state)


@pytest.mark.parametrize(
    ("events", "after"),
    [
        ([Event.DELETE], Lifecycle(state=State.ENDING, deleted=True)),
        ([Event.COMPLETE, Event.STOPPED, Event.CLEANED], Lifecycle(state=State.FINISHED)),
        ([Event.COMPLETE, Event.STOPPED, Event.CLEANED, Event.DELETE], Lifecycle(state=State.ENDED, deleted=True)),
        (
            [Event.DELETE, Event.STOPPED, Event.REMOVE, Event.CLEANED, Event.PURGED],
            Lifecycle(state=State.GONE, deleted=True, removed=True),
        ),
        ([Event.REMOVE, Event.DELETE, Event.FAIL], Lifecycle(state=State.ENDING, deleted=True, removed=True)),
    ],
)
def test_lives(events: list[Event], after: Lifecycle) -> None:
    life = Lifecycle()
    for event in events:
        life = lifecycle.step(life, event)
    assert life == after


def test_the_first_verdict_counts() -> None:
    first, second = Verdict(reason="a", message=""), Verdict(reason="b", message="")
    life = lifecycle.step(lifecycle.step(Lifecycle(), Event.FAIL, first), Event.FAIL, second)
    assert life.verdict == first


CONDITION = st.builds(
    core_v1.PodCondition,
    type=st.sampled_from("abc"),
    status=st.sampled_from(["True", "False"]),
    reason=st.sampled_from([None, "r"]),
    lastTransitionTime=st.sampled_from([None, Time("2026-01-01T00:00:00Z")]),
)
STATUS = st.builds(
    core_v1.PodStatus,
    phase=st.sampled_from([None, "Running", "Failed"]),
    podIP=st.sampled_from([None, "10.0.0.1"]),
    podIPs=st.none()
    | st.lists(st.builds(core_v1.PodIP, ip=st.sampled_from(["10.0.0.1", "10.0.0.2"])), unique_by=lambda each: each.ip),
    conditions=st.none() | st.lists(CONDITION, unique_by=lambda each: each.type),
    containerStatuses=st.none()
    | st.lists(st.builds(core_v1.ContainerStatus, name=st.sampled_from("xy"), ready=st.booleans()), max_size=2),
)


@settings(max_examples=200)
@given(STATUS, STATUS)
def test_a_patch_makes_the_new_status(old: core_v1.PodStatus, new: core_v1.PodStatus) -> None:
    before = codec.plain(core_v1.Pod(metadata=meta_v1.ObjectMeta(uid="u"), status=old))
    patch = status_patch("u", old, new)
    after = strategic.apply(before, patch, patch_schema.of_type(core_v1.Pod)) if patch is not None else before
    found, wanted = codec.convert(after, core_v1.Pod).status, new
    assert _sorted(found) == _sorted(wanted)


def _sorted(status: core_v1.PodStatus) -> core_v1.PodStatus:
    """Merged lists keep the order of what was there, and an empty list is as good as none."""
    result = codec.copy(status)
    result.conditions = sorted(result.conditions or [], key=lambda each: each.type)
    result.podIPs = sorted(result.podIPs or [], key=lambda each: each.ip)
    result.containerStatuses = result.containerStatuses or []
    return result


def test_equal_statuses_need_no_patch() -> None:
    status = core_v1.PodStatus(phase="Running")
    assert status_patch("u", status, codec.copy(status)) is None


def test_a_node_loses_what_it_no_longer_has() -> None:
    old = core_v1.NodeStatus(capacity={"cpu": quantity.parse("1"), "hugepages-1Gi": quantity.parse("1Gi")})
    new = core_v1.NodeStatus(
        capacity={"cpu": quantity.parse("1")}, addresses=[core_v1.NodeAddress(type="Hostname", address="n")]
    )
    assert node_status_patch("u", old, new) == {
        "metadata": {"uid": "u"},
        "status": {
            "capacity": {"cpu": "1", "hugepages-1Gi": None},
            "addresses": [{"$patch": "replace"}, {"type": "Hostname", "address": "n"}],
        },
    }


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s"), (3600, "1h0m0s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_back_off_grows_and_is_forgotten() -> None:
    waits, known, now = [], None, 0.0
    for _ in range(7):
        finished = now + 1
        moment = restart_at(known, finished)
        waits.append(moment - finished)
        known, now = after_restart(known, finished, moment), moment
    assert waits == [0, 10, 20, 40, 80, 160, 300]
    assert known is not None
    late = now + 601
    assert restart_at(known, late) == late and after_restart(known, late, late).wait_seconds == 10


MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "own"},
    "spec": {"containers": [{"name": "c", "image": "web:1"}]},
}


def test_a_static_pod_follows_from_its_file() -> None:
    one, same = static_pod(MANIFEST, "N1", 0.0), static_pod(MANIFEST, "N1", 5.0)
    changed = static_pod({**MANIFEST, "metadata": {"name": "own", "labels": {"a": "b"}}}, "N1", 0.0)
    assert (one.metadata.name, one.metadata.namespace, one.spec.nodeName) == ("own-n1", "default", "N1")
    assert one.metadata.uid == same.metadata.uid != changed.metadata.uid
    assert is_static(one) and not is_mirror(one)
    annotations = one.metadata.annotations or {}
    assert annotations[CONFIG_SOURCE] == "file"
    assert annotations[CONFIG_HASH] == (one.metadata.uid or "").replace("-", "")
    mirror = mirror_of(one, core_v1.Node(metadata=meta_v1.ObjectMeta(name="N1", uid="n")))
    assert is_mirror(mirror) and mirrors(mirror, one) and not mirrors(mirror, changed)
    assert (mirror.metadata.annotations or {})[CONFIG_MIRROR] == annotations[CONFIG_HASH]
    assert mirror.metadata.uid is None


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {**MANIFEST, "kind": "Node"}, {**MANIFEST, "spec": {}}, {**MANIFEST, "spec": {"containers": 1}}],
)
def test_what_is_no_static_pod(content: object) -> None:
    with pytest.raises(ValueError, match=r"manifest|needs"):
        static_pod(content, "n", 0.0)


def test_equal_amounts_are_no_resize() -> None:
    def of(cpu: str) -> core_v1.ResourceRequirements:
        return core_v1.ResourceRequirements(limits={"cpu": quantity.parse(cpu)})

    assert changed_resources(of("1"), of("1000m")) == frozenset()
    assert changed_resources(of("1"), of("2")) == frozenset({"cpu"})
    assert changed_resources(None, of("2")) == frozenset({"cpu"})
    assert changed_resources(None, None) == frozenset()

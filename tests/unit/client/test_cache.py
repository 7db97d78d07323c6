"""The cache: what counts as newer, what stays removed, what indexes say."""

from __future__ import annotations

import pytest

from tiphys.client.cache import Cache, Change
from tiphys.client.interface import ObjectKey
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import labels


def pod(name: str, version: int, *, uid: str = "u", node: str | None = None, namespace: str = "n") -> core_v1.Pod:
    meta = meta_v1.ObjectMeta(
        name=name, namespace=namespace, uid=uid, resourceVersion=str(version), labels={"node": node or ""}
    )
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(nodeName=node))


def by_node(obj: core_v1.Pod) -> tuple[str, ...]:
    return (obj.spec.nodeName,) if obj.spec.nodeName else ()


def test_an_older_or_equal_sighting_changes_nothing() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    new = pod("a", 10)
    assert cache.apply(new) == (Change(None, new),)
    assert cache.apply(pod("a", 9)) == ()
    assert cache.apply(pod("a", 10)) == ()
    assert cache.get("n", "a") is new


def test_versions_compare_as_numbers() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    cache.apply(pod("a", 9))
    newer = pod("a", 10)
    assert len(cache.apply(newer)) == 1
    assert cache.get("n", "a") is newer


def test_a_late_older_event_does_not_bring_back_what_was_removed() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    cache.apply(pod("a", 10))
    cache.remove(ObjectKey("n", "a"), 12)
    assert cache.apply(pod("a", 11)) == ()
    assert cache.get("n", "a") is None
    assert len(cache.apply(pod("a", 13, uid="v"))) == 1


def test_an_own_delete_of_unknown_revision_outlasts_events_of_that_object() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    cache.apply(pod("a", 10))
    assert len(cache.remove_own(ObjectKey("n", "a"), 0, "u")) == 1
    assert cache.apply(pod("a", 11)) == ()
    assert cache.remove(ObjectKey("n", "a"), 12, "u") == ()
    assert len(cache.apply(pod("a", 13, uid="v"))) == 1


def test_a_removal_older_than_what_is_there_is_ignored() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    present = pod("a", 20)
    cache.apply(present)
    assert cache.remove(ObjectKey("n", "a"), 15) == ()
    assert cache.get("n", "a") is present


def test_tombstones_are_forgotten_once_the_watch_has_passed_them() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    cache.apply(pod("a", 10))
    cache.remove(ObjectKey("n", "a"), 12)
    assert cache._tombstones == {ObjectKey("n", "a"): 12}
    cache.advance("12")
    assert cache._tombstones == {}


def test_a_replaced_object_is_a_removal_and_an_addition() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    old, new = pod("a", 10), pod("a", 11, uid="v")
    cache.apply(old)
    assert cache.apply(new) == (Change(old, None), Change(None, new))


def test_a_list_removes_what_it_does_not_hold_but_not_what_was_seen_later() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    gone, kept, later = pod("gone", 5), pod("kept", 6), pod("later", 20)
    for obj in (gone, kept, later):
        cache.apply(obj)
    fresh = pod("fresh", 9)
    changes = cache.replace([kept, fresh], "10")
    assert changes == [Change(gone, None), Change(None, fresh)]
    assert sorted(o.metadata.name or "" for o in cache) == ["fresh", "kept", "later"]
    assert cache.resource_version == "10"


def test_indexes_follow_changes() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    cache.apply(pod("a", 1, node="x"))
    cache.add_index("node", by_node)
    cache.apply(pod("b", 2, node="x"))
    assert [p.metadata.name for p in cache.by_index("node", "x")] == ["a", "b"]
    cache.apply(pod("a", 3, node="y"))
    cache.remove(ObjectKey("n", "b"), 4)
    assert cache.by_index("node", "x") == []
    assert [p.metadata.name for p in cache.by_index("node", "y")] == ["a"]
    assert cache.index_values("node") == ["y"]
    cache.add_index("node", by_node)
    with pytest.raises(ValueError, match="index 'node' is there already"):
        cache.add_index("node", lambda obj: ())


def test_lists_are_by_namespace_and_selector() -> None:
    cache: Cache[core_v1.Pod] = Cache()
    for number, (name, namespace, node) in enumerate([("a", "n", "x"), ("b", "n", "y"), ("a", "m", "x")]):
        cache.apply(pod(name, number + 1, namespace=namespace, node=node))
    assert len(cache) == 3
    assert [p.metadata.name for p in cache.list("n")] == ["a", "b"]
    assert [p.metadata.namespace for p in cache.list(selector=labels.parse("node=x"))] == ["n", "m"]
    assert cache.list("nowhere") == []


def test_the_detector_names_what_was_changed() -> None:
    cache: Cache[core_v1.Pod] = Cache(detect_mutation=True)
    victim = pod("a", 1)
    cache.apply(victim)
    cache.apply(pod("b", 2))
    cache.verify()
    victim.spec.nodeName = "sneaky"
    with pytest.raises(AssertionError, match="n/a"):
        cache.verify()

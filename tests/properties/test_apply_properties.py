"""Server-side apply against naive twins: sets as sets of paths, objects as flat maps of leaves."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kinds import apply_schema, codec, field_differences
from tiphys.kinds.types import core_v1
from tiphys.machinery.patch.apply import applying, field_set, fitting, walk
from tiphys.machinery.patch.apply.field_set import FieldSet, Path
from tiphys.machinery.patch.apply.managers import APPLY, Manager

POD = apply_schema.of_type(core_v1.Pod)

elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'k:{"name":"y","port":1}', 'v:"z"', "v:1", "i:0"])
path_sets = st.sets(st.lists(elements, min_size=1, max_size=4).map(tuple), max_size=8)


def built(members: set[Path]) -> FieldSet:
    return field_set.of_paths(sorted(members))


def members(fields: FieldSet) -> set[Path]:
    found = list(field_set.paths(fields))
    assert len(found) == len(set(found))
    return set(found)


@given(path_sets, path_sets)
def test_sets_agree_with_sets_of_paths(one: set[Path], other: set[Path]) -> None:
    left, right = built(one), built(other)
    assert members(left) == one
    assert field_set.parse(field_set.serialise(left)) == left
    assert members(field_set.union(left, right)) == one | other
    assert members(field_set.intersection(left, right)) == one & other
    assert members(field_set.difference(left, right)) == one - other
    below = {path for path in one if any(path[: len(above)] == above for above in other)}
    assert members(field_set.recursive_difference(left, right)) == one - below
    assert field_set.contains(left, right) == (other <= one)


# -- objects

names = st.sampled_from("abc")
words = st.sampled_from(["1", "2"])
maps = st.dictionaries(names, words, max_size=3)
env = st.lists(st.tuples(names, words), max_size=3, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [{"name": name, "value": value} for name, value in pairs]
)
ports = st.lists(st.integers(80, 82), max_size=2, unique=True).map(
    lambda found: [{"containerPort": port, "protocol": "TCP"} for port in found]
)


def some(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


containers = st.lists(
    st.tuples(names, some(image=words, env=env, ports=ports, args=st.lists(words, max_size=2))),
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: [{"name": name, **rest} for name, rest in pairs])
configs = st.fixed_dictionaries(
    {"metadata": some(labels=maps, annotations=maps, finalizers=st.lists(words, max_size=2, unique=True))},
    optional={
        "spec": some(containers=containers, nodeName=words, nodeSelector=maps, hostNetwork=st.booleans()),
    },
)
EMPTY: dict[str, Any] = {"metadata": {}}


def me(name: str, time: str = "t") -> Manager:
    return Manager(name=name, operation=APPLY, api_version="v1", time=time)


def applied(
    live: Any, config: Any, entries: tuple[Manager, ...], name: str, time: str = "t"
) -> tuple[Any, tuple[Manager, ...]]:
    done = applying.apply(
        live, config, entries, me(name, time), POD, force=True, empty=EMPTY, difference_of=lambda *_: None
    )
    return done.obj, done.managers


ATOMIC = ("nodeSelector", "args")
KEYS = {"containers": ("name",), "env": ("name",), "ports": ("containerPort", "protocol")}


def leaves(value: Any, at: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Every leaf by its path; items by their keys, order forgotten."""
    name = at[-1] if at else ""
    if name in ATOMIC or not isinstance(value, dict | list):
        return {at: value}
    found: dict[tuple[Any, ...], Any] = {}
    if isinstance(value, dict):
        for key, member in value.items():
            found.update(leaves(member, (*at, key)))
    else:
        for item in value:
            key = item if name == "finalizers" else tuple(item[k] for k in KEYS[name])
            found.update({(*at, key): item} if name == "finalizers" else leaves(item, (*at, key)))
    return found


@settings(max_examples=200)
@given(configs, configs)
def test_merging_puts_the_leaves_of_the_configuration_over_the_live_ones(live: Any, config: Any) -> None:
    assert fitting.findings(config, POD) == []
    merged = walk.merge(live, config, POD)
    assert leaves(merged) == {**leaves(live), **leaves(config)}


@settings(max_examples=200)
@given(configs, configs)
def test_applying_twice_is_applying_once(live: Any, config: Any) -> None:
    obj, entries = applied(live, config, (), "a")
    if not entries:  # nothing was owned; who owns what is there is asked at the next apply
        obj, entries = applied(obj, config, entries, "a")
    again, entries_again = applied(obj, config, entries, "a", "later")
    assert (again, entries_again) == (obj, entries)


@settings(max_examples=200)
@given(configs, configs, configs)
def test_one_manager_has_what_it_applied_last_beside_what_is_others(other: Any, first: Any, second: Any) -> None:
    obj, entries = applied(EMPTY, other, (), "other")
    obj, entries = applied(obj, first, entries, "me")
    obj, entries = applied(obj, second, entries, "me")
    twin = {**leaves(other), **leaves(second)}
    for path, value in leaves(first).items():
        if path in leaves(other) and path not in leaves(second):
            twin[path] = value  # forced upon the other, who wanted it too, or agreed on
    mine = set(leaves(second))
    for path in set(twin) - mine:
        if twin[path] != leaves(other)[path]:
            del twin[path]  # taken from the other, then given up
    assert leaves(obj) == twin


@settings(max_examples=100)
@given(configs)
def test_a_configuration_applied_to_nothing_is_the_object(config: Any) -> None:
    obj, entries = applied(EMPTY, config, (), "a")
    assert obj == config
    if entries:
        gone, nobody = applied(obj, {"metadata": {}}, entries, "a")
        assert (leaves(gone), nobody) == ({}, ())


@settings(max_examples=200)
@given(configs, configs)
def test_differences_of_structs_are_those_of_their_json(old: Any, new: Any) -> None:
    before, after = codec.convert(old, core_v1.Pod), codec.convert(new, core_v1.Pod)
    found = field_differences.difference(before, after)
    assert found == walk.compare(codec.plain(before), codec.plain(after), POD)
    if before == after:
        assert found == walk.Difference({}, {})

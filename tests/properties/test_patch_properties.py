"""Patches against other ways to the same result: a library for RFC 6902, a naive twin for RFC 7386, a diff for
strategic merge."""

import copy

import jsonpatch
import jsonpointer
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kinds import patch_schema
from tiphys.kinds.types.core_v1 import Pod
from tiphys.machinery.patch import json as json_patch
from tiphys.machinery.patch import merge, strategic
from tiphys.machinery.patch.errors import PatchError

KEY = st.sampled_from(["a", "b", "c", "a/b", "m~n", "0", "-", ""])
# Without truth values, which the library takes for 0 and 1.
SCALAR = st.none() | st.integers(2, 5) | st.sampled_from(["", "x", "y"])
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3), max_leaves=8
)
DOCUMENT = st.dictionaries(KEY, JSON, max_size=4)


def pointers(value, prefix=""):
    """Every place in a document, and the places just beyond its lists and maps."""
    if prefix:
        yield prefix
    if isinstance(value, dict):
        for key, member in value.items():
            yield from pointers(member, f"{prefix}/{jsonpointer.escape(key)}")
        yield f"{prefix}/new"
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from pointers(member, f"{prefix}/{index}")
        yield from (f"{prefix}/{len(value)}", f"{prefix}/{len(value) + 1}", f"{prefix}/-", f"{prefix}/01")
    else:
        yield f"{prefix}/into"


@st.composite
def documents_and_patches(draw):
    document = draw(DOCUMENT)
    operations = []
    for _ in range(draw(st.integers(1, 4))):
        pointer = st.sampled_from(list(pointers(document)))
        name = draw(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]))
        operation = {"op": name, "path": draw(pointer)}
        if name in ("add", "replace"):
            operation["value"] = draw(JSON)
        elif name == "test":
            operation["value"] = draw(JSON.filter(lambda value: value is not None))
        elif name in ("move", "copy"):
            operation["from"] = draw(pointer)
        operations.append(operation)
    return document, operations


def outcome(apply):
    try:
        return apply()
    except (PatchError, jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        return "refused"


@settings(max_examples=300)
@given(documents_and_patches())
def test_json_patch_does_what_the_library_does(pair):
    document, patch = pair
    before = copy.deepcopy(pair)
    ours = outcome(lambda: json_patch.apply(document, patch))
    assert (document, patch) == before
    assert ours == outcome(lambda: jsonpatch.apply_patch(document, patch))


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value


def naive_merge(target, patch):
    """RFC 7386, section 2, word for word, and beyond it no nulls within lists but where an object was."""
    if not isinstance(target, dict):
        patch = without_nulls(patch)
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = copy.deepcopy(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = naive_merge(target.get(name), value)
        return target
    return copy.deepcopy(patch)


@settings(max_examples=200)
@given(JSON, JSON)
def test_merge_patch_is_its_naive_twin(document, patch):
    before = copy.deepcopy((document, patch))
    result = merge.apply(document, patch)
    assert result == naive_merge(document, patch)
    again = merge.apply(result, patch)
    assert without_nulls(again) == without_nulls(result)
    assert merge.apply(again, patch) == again
    assert (document, patch) == before


# Strategic merge patches, as kubectl makes them of two objects.


def diff_maps(old, new, schema):
    patch = {}
    for key in old.keys() - new.keys():
        patch[key] = None
    for key, wanted in new.items():
        field = schema.field(key)
        there = old.get(key)
        if wanted == there:
            continue
        if isinstance(wanted, dict) and isinstance(there, dict):
            patch[key] = (
                {"$patch": "replace", **wanted}
                if field.strategy == "replace"
                else diff_maps(there, wanted, field.element)
            )
        elif isinstance(wanted, list) and isinstance(there, list) and field.strategy == "merge":
            patch.update(diff_lists(key, there, wanted, field))
        else:
            patch[key] = wanted
    return patch


def diff_lists(key, old, new, field):
    if not any(isinstance(member, dict) for member in (*old, *new)):
        patch = {f"$setElementOrder/{key}": new}
        if gone := [member for member in old if member not in new]:
            patch[f"$deleteFromPrimitiveList/{key}"] = gone
        if added := [member for member in new if member not in old]:
            patch[key] = added
        return patch
    merge_key = field.merge_key
    before = {member[merge_key]: member for member in old}
    after = {member[merge_key]: member for member in new}
    members = []
    for name, member in after.items():
        if name not in before:
            members.append(member)
        elif member != before[name]:
            changes = diff_maps(before[name], member, field.element)
            retained = {"$retainKeys": sorted(member)} if key == "volumes" else {}
            members.append({**changes, **retained, merge_key: name})
    members += [{merge_key: name, "$patch": "delete"} for name in before if name not in after]
    patch = {f"$setElementOrder/{key}": [{merge_key: name} for name in after]}
    if members:
        patch[key] = members
    return patch


NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)


@st.composite
def maybe(draw, **fields):
    """A map in which each field may be missing."""
    return {name: draw(strategy) for name, strategy in fields.items() if draw(st.booleans())}


@st.composite
def named(draw, members, key="name"):
    return [{**draw(members), key: name} for name in draw(NAMES)]


TEXT = st.sampled_from(["1", "2"])
ENV = named(maybe(value=TEXT, valueFrom=st.just({"fieldRef": {"fieldPath": "status.podIP"}})))
CONTAINER = maybe(
    image=TEXT,
    args=st.lists(TEXT, max_size=2),
    env=ENV,
    resources=maybe(limits=maybe(cpu=TEXT, memory=TEXT)),
    volumeMounts=named(maybe(readOnly=st.booleans()), key="mountPath"),
)
VOLUME = maybe(emptyDir=st.just({}), hostPath=maybe(path=TEXT, type=TEXT))
METADATA = maybe(labels=maybe(a=TEXT, b=TEXT), finalizers=NAMES, ownerReferences=named(maybe(kind=TEXT), key="uid"))
SPEC = maybe(
    containers=named(CONTAINER),
    volumes=named(VOLUME),
    tolerations=st.lists(maybe(key=TEXT), max_size=2),
    nodeSelector=maybe(a=TEXT, b=TEXT),
    hostNetwork=st.booleans(),
)
POD = maybe(metadata=METADATA, spec=SPEC)
SCHEMA = patch_schema.of_type(Pod)


@settings(max_examples=300)
@given(POD, POD)
def test_a_strategic_diff_makes_the_wanted_object(old, new):
    patch = diff_maps(old, new, SCHEMA)
    before = copy.deepcopy((old, patch))
    result = strategic.apply(old, patch, SCHEMA)
    assert (old, patch) == before
    assert result == new
    assert strategic.apply(result, patch, SCHEMA) == new


@settings(max_examples=200)
@given(named(CONTAINER), named(CONTAINER), st.lists(st.tuples(st.integers(0, 8), TEXT), max_size=3))
def test_what_others_added_stays_where_it_was(old, new, added):
    """Three ways: the diff of two states, applied to a live one in which others have put containers of their own."""
    live = copy.deepcopy(old)
    for number, (place, image) in enumerate(added):
        live.insert(place, {"name": f"other-{number}", "image": image})
    patch = diff_maps({"spec": {"containers": old}}, {"spec": {"containers": new}}, SCHEMA)
    result = strategic.apply({"spec": {"containers": live}}, patch, SCHEMA)["spec"]["containers"]
    others = [member for member in live if member["name"].startswith("other-")]
    assert [member for member in result if member["name"].startswith("other-")] == others
    assert [member for member in result if not member["name"].startswith("other-")] == new


@settings(max_examples=200)
@given(POD, POD)
def test_an_object_as_its_own_patch_changes_no_value(old, patch):
    """Merged a second time, a patch without directives changes nothing."""
    once = strategic.apply(old, patch, SCHEMA)
    assert strategic.apply(once, patch, SCHEMA) == once
    assert strategic.apply(old, {}, SCHEMA) == old

import pytest

from tiphys.machinery.patch import json as json_patch
from tiphys.machinery.patch.errors import MalformedPatch, PatchNotApplicable, PatchTooLarge

DOCUMENT = {"a": {"b": [1, 2, 3], "c~/d": None}, "e": "f"}


def patched(*operations):
    return json_patch.apply(DOCUMENT, list(operations))


def test_operations():
    result = patched(
        {"op": "test", "path": "/a/b/1", "value": 2.0},
        {"op": "add", "path": "/a/b/-", "value": 4},
        {"op": "add", "path": "/a/b/0", "value": {"x": 0}},
        {"op": "remove", "path": "/a/b/1"},
        {"op": "replace", "path": "/a/c~0~1d", "value": [1]},
        {"op": "copy", "from": "/a/b", "path": "/g"},
        {"op": "move", "from": "/e", "path": "/a/b/0/y"},
    )
    assert result == {"a": {"b": [{"x": 0, "y": "f"}, 2, 3, 4], "c~/d": [1]}, "g": [{"x": 0}, 2, 3, 4]}
    assert DOCUMENT == {"a": {"b": [1, 2, 3], "c~/d": None}, "e": "f"}


def test_values_of_the_patch_stay_as_they_are():
    value = {"x": []}
    patch = [{"op": "add", "path": "/v", "value": value}, {"op": "add", "path": "/v/x/-", "value": 1}]
    assert json_patch.apply({}, patch) == {"v": {"x": [1]}}
    assert value == {"x": []}


def test_the_whole_document_can_be_meant():
    assert patched({"op": "replace", "path": "", "value": 1}) == 1
    assert patched({"op": "add", "path": "", "value": {}}) == {}
    assert patched({"op": "test", "path": "", "value": DOCUMENT}) == DOCUMENT
    assert patched({"op": "copy", "from": "", "path": "/z"})["z"] == DOCUMENT


def test_negative_indexes_count_from_the_end():
    assert patched({"op": "replace", "path": "/a/b/-1", "value": 9})["a"]["b"] == [1, 2, 9]
    assert patched({"op": "add", "path": "/a/b/-1", "value": 9})["a"]["b"] == [1, 2, 3, 9]
    assert patched({"op": "remove", "path": "/a/b/-3"})["a"]["b"] == [2, 3]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (
            {"op": "add", "path": "/x/y", "value": 1},
            'add operation does not apply: doc is missing path: "/x/y": missing value',
        ),
        (
            {"op": "add", "path": "/a/b/4", "value": 1},
            "error in add for path: '/a/b/4': Unable to access invalid index: 4: invalid index referenced",
        ),
        (
            {"op": "add", "path": "/a/b/01", "value": 1},
            "error in add for path: '/a/b/01': Unable to access invalid index: 01: invalid index referenced",
        ),
        (
            {"op": "remove", "path": "/x"},
            "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value",
        ),
        (
            {"op": "remove", "path": "/a/b/3"},
            "error in remove for path: '/a/b/3': Unable to access invalid index: 3: missing value",
        ),
        (
            {"op": "replace", "path": "/x", "value": 1},
            "replace operation does not apply: doc is missing key: /x: missing value",
        ),
        ({"op": "test", "path": "/e", "value": "g"}, "testing value /e failed: test failed"),
        ({"op": "test", "path": "/a/b/0", "value": True}, "testing value /a/b/0 failed: test failed"),
        ({"op": "test", "path": "/x", "value": 1}, "testing value /x failed: test failed"),
        (
            {"op": "move", "from": "/x", "path": "/y"},
            "move operation does not apply: doc is missing key: /x: missing value",
        ),
        (
            {"op": "copy", "from": "/e/f", "path": "/y"},
            'copy operation does not apply: doc is missing path: "/e/f": missing value',
        ),
        (
            {"op": "move", "from": "/a", "path": "/a/b"},
            "move operation does not apply: '/a' cannot be moved into itself",
        ),
    ],
)
def test_what_does_not_apply(operation, message):
    with pytest.raises(PatchNotApplicable) as raised:
        patched(operation)
    assert str(raised.value) == message


def test_a_test_for_null_passes_where_nothing_is():
    assert patched({"op": "test", "path": "/x", "value": None}) == DOCUMENT


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({}, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ([1], "operation 0 of the JSON patch is not an object"),
        ([{"op": "grow", "path": "/a"}], "Unexpected kind: grow"),
        ([{"path": "/a"}], "Unexpected kind: unknown"),
        ([{"op": "remove"}], 'operation 0 (remove) of the JSON patch has no "path"'),
        ([{"op": "add", "path": "/a"}], 'operation 0 (add) of the JSON patch has no "value"'),
        ([{"op": "move", "path": "/a"}], 'operation 0 (move) of the JSON patch has no "from"'),
    ],
)
def test_malformed_patches(patch, message):
    with pytest.raises(MalformedPatch) as raised:
        json_patch.apply(DOCUMENT, patch)
    assert str(raised.value) == message


@pytest.mark.parametrize("operation", [{"op": "remove", "path": "a"}, {"op": "copy", "from": "a", "path": "/b"}])
def test_pointers_that_lead_nowhere_are_no_mistake_of_form(operation):
    with pytest.raises(PatchNotApplicable, match="does not begin with"):
        json_patch.apply(DOCUMENT, [operation])


def test_limits():
    operation = {"op": "test", "path": "/e", "value": "f"}
    assert json_patch.apply(DOCUMENT, [operation] * 10_000) == DOCUMENT
    with pytest.raises(PatchTooLarge, match="operations in a JSON patch is 10000, got 10001"):
        json_patch.apply(DOCUMENT, [operation] * 10_001)
    doubling = [{"op": "copy", "from": "", "path": f"/z{number}"} for number in range(64)]
    with pytest.raises(PatchTooLarge, match="accumulated size increase of copy"):
        json_patch.apply(DOCUMENT, doubling)
    nesting = [{"op": "copy", "from": "", "path": "/z"}] * 5_000
    with pytest.raises(PatchTooLarge):
        json_patch.apply({}, nesting)

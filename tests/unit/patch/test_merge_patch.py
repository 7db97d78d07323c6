import pytest

from tiphys.machinery.patch import merge
from tiphys.machinery.patch.errors import PatchTooLarge


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [  # the examples of RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge(document, patch, result):
    assert merge.apply(document, patch) == result


def test_nulls_within_lists_go_but_where_an_object_was():
    patch = {"a": [{"b": None, "c": 1}, None, [{"d": None}]]}
    assert merge.apply({"a": [1]}, patch) == {"a": [{"c": 1}, None, [{}]]}
    assert merge.apply({}, patch) == {"a": [{"c": 1}, None, [{}]]}
    assert merge.apply({"a": {}}, patch) == patch


def test_arguments_stay_as_they_are():
    document, patch = {"a": {"b": 1}}, {"a": {"c": [1]}}
    result = merge.apply(document, patch)
    result["a"]["c"].append(2)
    assert (document, patch) == ({"a": {"b": 1}}, {"a": {"c": [1]}})


def test_depth_is_limited():
    patch: dict = {}
    for _ in range(5_000):
        patch = {"a": patch}
    with pytest.raises(PatchTooLarge, match="nested too deep"):
        merge.apply({}, patch)

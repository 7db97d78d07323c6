from __future__ import annotations

import re

import pytest

from tiphys.kinds.types import meta_v1
from tiphys.machinery import labels
from tiphys.machinery.labels import EVERYTHING, NOTHING, Requirement, Selector, from_object, from_set, parse


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("", ()),
        ("a=b", (Requirement("a", "In", ("b",)),)),
        ("a==b,c!=d", (Requirement("a", "In", ("b",)), Requirement("c", "NotIn", ("d",)))),
        (" a in (x, y) , !b,c", (
            Requirement("a", "In", ("x", "y")), Requirement("b", "DoesNotExist"), Requirement("c", "Exists"),
        )),
        ("a notin (x)", (Requirement("a", "NotIn", ("x",)),)),
        ("a=,b", (Requirement("a", "In", ("",)), Requirement("b", "Exists"))),
        ("example.com/role=web", (Requirement("example.com/role", "In", ("web",)),)),
        ("n>5,m<3", (Requirement("n", "Gt", ("5",)), Requirement("m", "Lt", ("3",)))),
    ],
)  # fmt: skip
def test_texts_are_parsed(text: str, requirements: tuple[Requirement, ...]) -> None:
    found = parse(text)
    assert found == Selector(requirements)
    assert parse(str(found)) == found


@pytest.mark.parametrize(
    "text", ["\x00", "-a=b", "a=-b", "a=" + "b" * 64, "a in (b,$)", "!\ufffd", "/a", "a/b/c", "A.b/C"]
)
def test_labels_that_nothing_can_have_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^unable to parse requirement: (<nil>|values\[\d\]\[a\]): Invalid value: "):
        parse(text)


@pytest.mark.parametrize("text", ["=", "a in x", "a in (x", "a b", "a=b,", "!", "a>x", ",a", "a in (x))"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"found|unable|must be an integer"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("a=b", {"a": "b"}, {"a": "c"}),
        ("a!=b", {}, {"a": "b"}),
        ("a in (b,c)", {"a": "c"}, {}),
        ("a notin (b)", {"a": "c"}, {"a": "b"}),
        ("a", {"a": ""}, {}),
        ("!a", {}, {"a": ""}),
        ("a>5", {"a": "6"}, {"a": "x"}),
        ("a<5", {"a": "4"}, {}),
        ("a=b,c=d", {"a": "b", "c": "d"}, {"a": "b"}),
    ],
)
def test_matching(text: str, matching: dict[str, str], other: dict[str, str]) -> None:
    assert parse(text).matches(matching)
    assert not parse(text).matches(other)


def test_objects_and_sets() -> None:
    expression = meta_v1.LabelSelectorRequirement(key="tier", operator="In", values=["b", "a"])
    selector = from_object(meta_v1.LabelSelector(matchLabels={"app": "web"}, matchExpressions=[expression]))
    assert str(selector) == "app=web,tier in (a,b)"
    assert from_object(None) == NOTHING
    assert from_object(meta_v1.LabelSelector()) == EVERYTHING
    assert from_set({"b": "2", "a": "1"}) == parse("a=1,b=2")
    assert EVERYTHING.matches(None)
    assert not NOTHING.matches({"a": "b"})
    with pytest.raises(ValueError, match='"Near" is not a valid label selector operator'):
        bad = meta_v1.LabelSelectorRequirement(key="a", operator="Near")
        labels.from_object(meta_v1.LabelSelector(matchExpressions=[bad]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("l=a b", "found 'b', expected: ',' or 'end of string'"),
        ("l,", "found '', expected: identifier after ','"),
        ("l,,k", "found ',', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("l in", "unable to parse requirement: found '' expected: '('"),
        ("l in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"),
        (
            "l>x",
            'unable to parse requirement: values[0]: Invalid value: "x": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "l=" + "x" * 64,
            f'unable to parse requirement: values[0][l]: Invalid value: "{"x" * 64}": must be no more than 63 bytes',
        ),
    ],
)
def test_what_is_wrong_with_a_selector(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        labels.parse(text)


def test_selectors_name_keys_and_values_that_labels_can_have() -> None:
    with pytest.raises(ValueError, match=r'^unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label'):
        labels.parse("a/b/c")
    assert labels.parse("l in ()") == labels.Selector((labels.Requirement("l", "In", ("",)),))


def test_objects_are_shown_by_key() -> None:
    expressions = [
        meta_v1.LabelSelectorRequirement(key=key, operator=operator, values=values)
        for key, operator, values in (
            ("c", "In", ["y", "x"]),
            ("aa", "In", ["q"]),
            ("d", "NotIn", ["x"]),
            ("e", "Exists", None),
            ("f", "DoesNotExist", None),
        )
    ]
    shown = meta_v1.LabelSelector(matchLabels={"b": "1", "a": "2"}, matchExpressions=expressions)
    assert labels.text_of(shown) == "a=2,aa in (q),b=1,c in (x,y),d notin (x),e,!f"
    assert [labels.text_of(each) for each in (None, meta_v1.LabelSelector())] == ["", ""]
    with pytest.raises(ValueError, match="not a valid label selector operator"):
        labels.text_of(
            meta_v1.LabelSelector(matchExpressions=[meta_v1.LabelSelectorRequirement(key="a", operator="Is")])
        )

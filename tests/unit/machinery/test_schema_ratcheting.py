"""What a change of a value is to blame for, where the schema has become stricter."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.machinery.schema.ratcheting import Ratchet

OK = {"type": "string", "enum": ["ok"]}
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {"type": "object", "properties": {"name": {"type": "string"}, "v": OK}},
}
SCHEMA = {
    "type": "object",
    "required": ["gone"],
    "properties": {
        "text": OK,
        "words": {"type": "array", "items": OK},
        "keyed": KEYED,
        "free": {"type": "object", "additionalProperties": OK},
        "choice": {
            "type": "object",
            "properties": {"p": OK, "q": {"type": "integer"}},
            "allOf": [{"properties": {"q": {"minimum": 5}}}],
        },
        "any": {"x-kubernetes-preserve-unknown-fields": True, "enum": ["ok"]},
    },
}
OLD: dict[str, Any] = {
    "text": "bad",
    "words": ["bad", "ok"],
    "keyed": [{"name": "a", "v": "bad"}, {"name": "b"}],
    "free": {"k": "bad"},
    "choice": {"p": "bad", "q": 1},
    "any": 1,
}
GONE = "gone: Required value"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, []),
        ({"text": "bad2"}, ["text", "gone"]),
        ({"text": "ok"}, ["gone"]),
        ({"words": ["bad"]}, ["words[0]", "gone"]),
        ({"words": ["ok", "bad"]}, ["words[1]", "gone"]),
        ({"keyed": [{"name": "b"}, {"name": "a", "v": "bad"}]}, []),
        ({"keyed": [{"name": "c", "v": "bad"}, {"name": "a", "v": "bad"}]}, ["keyed[0].v", "gone"]),
        ({"keyed": [{"name": "a", "v": "bad"}, {"name": "a", "v": "bad"}]}, ["gone"]),
        ({"free": {"k": "bad", "l": "bad"}}, ["free.l", "gone"]),
        ({"choice": {"p": "bad", "q": 2}}, ["choice.q", "<nil>", "gone"]),
        ({"choice": {"p": "ok", "q": 1}}, ["choice.q", "<nil>", "gone"]),
        ({"any": True}, ["any", "gone"]),
        ({"any": {"a": 1}}, ["any", "gone"]),
    ],
)
def test_only_what_changed_counts(change: dict[str, Any], wanted: list[str]) -> None:
    found: list[Any] = []
    Ratchet(SCHEMA).check({**OLD, **change}, OLD, None, found)
    assert sorted(error.field for error in found) == sorted(wanted)


def test_what_was_not_there_is_checked_as_a_whole() -> None:
    found: list[Any] = []
    Ratchet(SCHEMA).check({"keyed": [{"name": "a", "v": "bad"}]}, {}, None, found)
    assert [str(error) for error in found] == [
        GONE, 'keyed[0].v: Unsupported value: "bad": supported values: "ok"'
    ]  # fmt: skip

"""Values against schemas: findings with Kubernetes' words, pruning, defaults, formats, patterns."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tiphys.machinery.json_path import compile_path, field_names, names_of
from tiphys.machinery.schema.formats import FORMATS
from tiphys.machinery.schema.patterns import compile_pattern
from tiphys.machinery.schema.pruning import compile_default, compile_prune
from tiphys.machinery.schema.repeats import compile_repeats
from tiphys.machinery.schema.validation import compile_check


def findings(schema: dict[str, Any], value: Any) -> list[str]:
    found: list[Any] = []
    compile_check({"type": "object", "properties": {"a": schema}})({"a": value}, None, found)
    return [str(finding) for finding in found]


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        ({"type": "integer"}, "x", ['a: Invalid value: "string": a in body must be of type integer: "string"']),
        ({"type": "integer"}, 1.0, []),
        (
            {"type": "integer"},
            1.5,
            [
                'a: Invalid value: "number": a in body must be of type integer: "number"',
                '<nil>: Invalid value: "": Checked value must be of type integer (default format) in a',
            ],
        ),
        (
            {"type": "integer", "format": "int32"},
            2**31,
            ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in a'],
        ),
        (
            {"type": "integer", "format": "int64"},
            2**63,
            [
                'a: Invalid value: "float64": a in body must be of type int64: "float64"',
                '<nil>: Invalid value: "": Checked value must be of type integer with format int64 in a',
            ],
        ),
        (
            {"type": "number", "format": "float"},
            1e39,
            ['<nil>: Invalid value: "": Checked value must be of type number with format float in a'],
        ),
        (
            {"type": "number", "multipleOf": 0.5, "maximum": 2.5},
            3,
            [
                "a: Invalid value: 0: factor MultipleOf declared for a must be positive: 0",
                "a: Invalid value: 3: a in body should be less than or equal to 2",
            ],
        ),
        (
            {"type": "number", "maximum": 2.5},
            3.5,
            ["a: Invalid value: 3.5: a in body should be less than or equal to 2.5"],
        ),
        (
            {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            True,
            [
                'a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"',
                '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
                'a: Invalid value: "boolean": a in body must be of type integer: "boolean"',
            ],
        ),
        (
            {"type": "object", "required": ["x"], "minProperties": 1, "properties": {"x": {}}},
            {},
            ["a: Invalid value: 0: a in body should have at least 1 properties", "a.x: Required value"],
        ),
        ({"type": "object", "maxProperties": 1}, {"x": 1, "y": 1}, ["a: Too many: 2: must have at most 1 item"]),
        (
            {"type": "object", "additionalProperties": False},
            {"x": 1},
            ['a: Invalid value: "x": a.x in body is a forbidden property'],
        ),
        ({"type": "integer"}, True, ['a: Invalid value: "boolean": a in body must be of type integer: "boolean"']),
        ({"type": "string"}, None, ['a: Invalid value: "null": a in body must be of type string: "null"']),
        ({"type": "string", "nullable": True}, None, []),
        ({"x-kubernetes-int-or-string": True}, "80", []),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            ['a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"'],
        ),
        ({"type": "string", "maxLength": 2}, "abc", ["a: Too long: may not be more than 2 bytes"]),
        ({"type": "string", "minLength": 2}, "a", ['a: Invalid value: "a": a in body should be at least 2 chars long']),
        ({"type": "string", "pattern": "^a+$"}, "ab", ["a: Invalid value: \"ab\": a in body should match '^a+$'"]),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            1,
            ["a: Invalid value: 1: a in body should be greater than 1"],
        ),
        ({"type": "number", "multipleOf": 0.1}, 0.3, []),
        ({"type": "integer", "multipleOf": 2}, 3, ["a: Invalid value: 3: a in body should be a multiple of 2"]),
        (
            {"type": "string", "format": "date-time"},
            "soon",
            ['a: Invalid value: "soon": a in body must be of type date-time: "soon"'],
        ),
        ({"type": "array", "maxItems": 1, "items": {}}, [1, 2], ["a: Too many: 2: must have at most 1 item"]),
        (
            {"type": "array", "minItems": 1, "items": {}},
            [],
            ["a: Invalid value: 0: a in body should have at least 1 items"],
        ),
        (
            {"type": "string", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
            "ab",
            ['<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
        ),
        (
            {"type": "string", "not": {"enum": ["x"]}},
            "x",
            ['<nil>: Invalid value: "": "a" must not validate the schema (not)'],
        ),
        (
            {"type": "string", "anyOf": [{"minLength": 3}, {"enum": ["y"]}]},
            "x",
            [
                '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
                'a: Invalid value: "x": a in body should be at least 3 chars long',
            ],
        ),
        ({"type": "string", "not": {}}, "x", ['<nil>: Invalid value: "": "a" must not validate the schema (not)']),
        (
            {"x-kubernetes-int-or-string": True},
            2**63,
            ['a: Invalid value: "number": a in body must be of type integer,string: "number"'],
        ),
        (
            {"type": "string", "nullable": True, "enum": ["x"]},
            None,
            ['a: Unsupported value: null: supported values: "x"'],
        ),
    ],
)
def test_findings(schema: dict[str, Any], value: Any, wanted: list[str]) -> None:
    assert findings(schema, value) == wanted


def test_items_of_sets_and_keys_of_maps_stand_there_once() -> None:
    words = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}
    port = {"type": "object", "properties": {"name": {"type": "string", "default": "http"}, "words": words}}
    ports = {
        "type": "array",
        "items": port,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    check = compile_repeats({"properties": {"words": words, "by": {"additionalProperties": ports}}})
    assert check is not None
    found: list[Any] = []
    by = {"a": [{}, {"name": "http", "words": ["x", "x"]}, 1]}
    check({"words": ["x", "y", "x", "x"], "by": by}, None, found)
    assert [str(finding) for finding in found] == [
        'words[2]: Duplicate value: "x"',
        "by[a][2]: Invalid value: 1: must be an object for an array of list-type map",
        'by[a][1]: Duplicate value: {"name":"http"}',
        'by[a][1].words[1]: Duplicate value: "x"',
    ]
    assert compile_repeats({"properties": {"words": {"type": "array", "items": {"type": "string"}}}}) is None


def test_pruning_keeps_what_is_specified_or_preserved() -> None:
    schema = {
        "type": "object",
        "properties": {
            "known": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "free": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"inner": {"type": "object"}},
            },
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
            "embedded": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {}}},
            "word": {"type": "string"},
            "anything": {"type": "object", "additionalProperties": True},
        },
    }
    value = {
        "metadata": {"name": "x"},
        "known": {"a": 1, "b": 2},
        "free": {"any": {"thing": 1}, "inner": {"b": 1}},
        "map": {"k": {"a": 1, "b": 1}},
        "list": [{"a": 1}, {"b": 1}],
        "embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "b": 1},
        "word": [{"b": 1}, [{"b": 1}]],
        "anything": {"a": 1, "b": {"c": 1}},
        "more": 1,
    }
    dropped: list[str] = []
    compile_prune(schema, is_object=True)(value, None, dropped)
    assert value == {
        "metadata": {"name": "x"},
        "known": {"a": 1},
        "free": {"any": {"thing": 1}, "inner": {}},
        "map": {"k": {"a": 1}},
        "list": [{"a": 1}, {}],
        "embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
        "word": [{}, [{}]],
        "anything": {"a": 1, "b": {}},
    }
    assert dropped == [
        "known.b",
        "free.inner.b",
        "map.k.b",
        "list[1].b",
        "embedded.b",
        "word[0].b",
        "word[1][0].b",
        "anything.b.c",
        "more",
    ]


def test_defaults_fill_in_what_is_missing_or_wrongly_null() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "x"},
            "b": {"type": "string", "nullable": True, "default": "y"},
            "c": {"type": "string"},
            "d": {"type": "object", "default": {}, "properties": {"e": {"type": "integer", "default": 1}}},
            "f": {"type": "array", "items": {"type": "object", "properties": {"g": {"default": True}}}},
            "h": {"type": "object", "additionalProperties": {"type": "string"}},
            "i": {"type": "object", "additionalProperties": {"type": "string", "nullable": True}},
        },
    }
    value: dict[str, Any] = {"a": None, "b": None, "c": None, "f": [{}, {"g": False}]}
    value |= {"h": {"x": None, "y": "z"}, "i": {"x": None}}
    compile_default(schema)(value)
    nulls = {"h": {"y": "z"}, "i": {"x": None}}
    assert value == {"a": "x", "b": None, "d": {"e": 1}, "f": [{"g": True}, {"g": False}], **nulls}
    value["d"]["e"] = 2
    other: dict[str, Any] = {}
    compile_default(schema)(other)
    assert other == {"a": "x", "b": "y", "d": {"e": 1}}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2024-01-02T03:04:05.678+01:00", "2024-13-02T03:04:05Z"),
        ("date", "2024-02-29", "2023-02-29"),
        ("duration", "1h30m", "soon"),
        ("duration", "2 Weeks", "1 month"),
        ("duration", "P1DT2H", "P1Y"),
        ("duration", "0", "1.5"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv4", "010.0.0.1", "10.0.1"),
        ("ipv6", "fe80::1", "10.0.0.1"),
        ("ipv6", "::ffff:1.2.3.4", "fe80::1%eth0"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uri", "https://example.com/x", "no uri"),
        ("email", "a@example.com", "a@"),
        ("hostname", "a.example.com", "a_b"),
        ("hostname", "m-y", "my-host"),
        ("hostname", "my-host.example", "a.b"),
        ("uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810"),
        ("uuid4", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("byte", "YWJj", "a!"),
        ("byte", "YQ==", ""),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("hexcolor", "#fff", "#ffff"),
        ("rgbcolor", "rgb(0, 10, 255)", "rgb(0, 10, 256)"),
        ("creditcard", "4111111111111111", "4111111111111112"),
        ("isbn10", "0-306-40615-2", "0-306-40615-3"),
        ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
        ("ssn", "123-45-6789", "12-345"),
        ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
        ("k8s-short-name", "a-b", "a.b"),
        ("k8s-long-name", "a.b", "A"),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    assert FORMATS[name](good)
    assert not FORMATS[name](bad)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^a$", "a", "a\n"),
        ("^[[:alpha:]]+$", "ab", "a1"),
        ("^[^[:space:]]*$", "ab", "a b"),
        (r"^\d+\z", "12", "１２"),
        ("^[$]$", "$", "x"),
        ("^[]a]$", "]", "b"),
    ],
)
def test_patterns_mean_what_re2_means(pattern: str, good: str, bad: str) -> None:
    assert compile_pattern(pattern).search(good)
    assert not compile_pattern(pattern).search(bad)


def test_patterns_that_cannot_be_read_are_refused() -> None:
    for pattern in ("(", "(?=a)", "[[:nothing:]]"):
        with pytest.raises(ValueError, match="error parsing regexp"):
            compile_pattern(pattern)


OBJECT = {
    "metadata": {"labels": {"a.b/c": "d"}},
    "list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}],
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (".metadata.labels['a.b/c']", ["d"]),
        (r".metadata.labels.a\.b/c", ["d"]),
        (".list[0].name", ["x"]),
        (".list[-1].name", ["y"]),
        (".list[*].n", [1, 2]),
        (".list[0:1].n", [1]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".list[?(@.n > 1)].name", ["y"]),
        (".list[?(@.missing)].name", []),
        (".nothing.at.all", []),
        ("{.list[5]}", []),
    ],
)
def test_paths(path: str, wanted: list[Any]) -> None:
    assert compile_path(path)(OBJECT) == wanted


def test_paths_that_cannot_be_read_are_refused() -> None:
    for path in (".a[", ".a b", "[x]", ".a[?(@.b==c)]"):
        with pytest.raises(ValueError, match=r"."):
            compile_path(path)


def test_simple_paths() -> None:
    assert names_of(".spec.replicas") == field_names(".spec.replicas") == ("spec", "replicas")
    assert names_of("") == ()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("spec.a", "expected [ or . but got: spec"),
        (".spec.a[0]", "array notation is not allowed"),
        (".spec['a']", "array notation is not allowed"),
        ("{.a}", "expected [ or . but got: {"),
        (".spec.", "unexpected end of JSON path"),
    ],
)
def test_selectable_fields_are_named(path: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        field_names(path)


def test_no_pattern_takes_for_ever() -> None:
    """An expression that a backtracking engine would need the age of the universe for."""
    assert compile_pattern("^(a+)+$").search("a" * 5000 + "b") is None
    assert compile_pattern(r"^\p{L}+$").search("wörter") is not None
    assert compile_pattern("^a$").search("a\n") is None

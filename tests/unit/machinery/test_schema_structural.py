"""Which schemas are structural, and how those that are not are told."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds import embedded_objects
from tiphys.machinery.field_errors import Path
from tiphys.machinery.schema import structural

ROOT = Path("schema")


def findings(schema: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in structural.findings(schema, ROOT, embedded_objects.findings_in)]


def spec(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": schema}}


AT = "schema.properties[spec]"


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({}, ["schema.type: Required value: must not be empty at the root"]),
        (
            {"type": "array"},
            [
                "schema.items: Required value: must be specified",
                'schema.type: Invalid value: "array": must be object at the root',
            ],
        ),
        (
            {"type": "object", "nullable": True, "additionalProperties": {"type": "string"}},
            [
                "schema.nullable: Forbidden: nullable cannot be true at the root",
                "schema.additionalProperties: Forbidden: must not be used at the root",
            ],
        ),
        (
            {"type": "object", "default": {}},
            ["schema.default.apiVersion: Required value", "schema.default.kind: Required value"],
        ),
        (
            {"type": "object", "properties": {"apiVersion": {"type": "integer"}, "kind": {"type": "string"}}},
            ['schema.properties[apiVersion].type: Invalid value: "integer": must be string'],
        ),
        (
            {"type": "object", "anyOf": [{"properties": {"a": {"minLength": 2}}}]},
            ["schema.properties[a]: Required value: because it is defined in schema.anyOf[0].properties[a]"],
        ),
        (
            {
                "type": "object",
                "properties": {"metadata": {"type": "object"}},
                "oneOf": [{"properties": {"metadata": {"properties": {"name": {"minLength": 3}}}}}],
            },
            [
                "schema.oneOf[0].properties[metadata]: Forbidden: must not be specified in a nested context",
                "schema.properties[metadata].properties[name]: Required value: because it is defined in "
                "schema.oneOf[0].properties[metadata].properties[name]",
            ],
        ),
        (
            {
                "type": "object",
                "properties": {
                    "metadata": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}
                },
            },
            ["schema.properties[metadata].properties[name].default: Forbidden: must not be set in top-level metadata"],
        ),
        (spec(**{"$ref": "#/x"}), [f"{AT}.$ref: Forbidden: $ref is not supported"]),
        (
            spec(type="string", pattern="(?!a"),
            [
                f'{AT}.pattern: Invalid value: "(?!a": must be a valid regular expression, but isn\'t: '
                "error parsing regexp: invalid or unsupported Perl syntax: `(?!`"
            ],
        ),
        (
            spec(type="string", **{"x-kubernetes-map-type": "atomic"}),
            [f'{AT}.type: Invalid value: "string": must be object if x-kubernetes-map-type is specified'],
        ),
        (
            spec(**{"x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-list-type": "set"}),
            [f"{AT}.type: Required value: must be array if x-kubernetes-list-type is specified"],
        ),
        (
            spec(type="array", items={"type": "object"}, **{"x-kubernetes-list-type": "set"}),
            [
                f"{AT}.items.x-kubernetes-map-type: Invalid value: null: "
                "must be atomic as item of a list with x-kubernetes-list-type=set"
            ],
        ),
        (
            spec(
                type="array",
                items={
                    "type": "object",
                    "nullable": True,
                    "required": ["x"],
                    "properties": {"x": {"type": "string", "nullable": True}},
                },
                **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["x", "x"]},
            ),
            [
                f"{AT}.items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map",
                f'{AT}.x-kubernetes-list-map-keys: Invalid value: ["x","x"]: must not contain duplicate entries',
                *[
                    f"{AT}.items.properties[x].nullable: Forbidden: "
                    "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
                ]
                * 2,
            ],
        ),
        (
            spec(type="object", anyOf=[{"nullable": True, "title": "t", "default": {}}]),
            [
                f"{AT}.anyOf[0].default: Forbidden: must be undefined to be structural",
                f"{AT}.anyOf[0].nullable: Forbidden: must be false to be structural",
                f"{AT}.anyOf[0].title: Forbidden: must be empty to be structural",
            ],
        ),
        (spec(), [f"{AT}.type: Required value: must not be empty for specified object fields"]),
        (
            spec(type="array", items={}),
            [f"{AT}.items.type: Required value: must not be empty for specified array items"],
        ),
        (
            spec(type="thing"),
            [
                f'{AT}.type: Unsupported value: "thing": supported values: "array", "boolean", "integer", "number", '
                '"object", "string"'
            ],
        ),
        (
            spec(type="object", properties={"a": {"type": "string"}}, additionalProperties={"type": "string"}),
            [f"{AT}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"],
        ),
        (
            spec(type="array", uniqueItems=True, items={"type": "string"}),
            [
                f"{AT}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes "
                "quadratic"
            ],
        ),
        (
            spec(type="object", anyOf=[{"properties": {"a": {"type": "string"}}}]),
            [f"{AT}.anyOf[0].properties[a].type: Forbidden: must be empty to be structural"],
        ),
        (
            spec(type="string", **{"not": {"type": "string"}}),
            [f"{AT}.not.type: Forbidden: must be empty to be structural"],
        ),
        (
            {"type": "object", "properties": {"metadata": {"type": "object", "required": ["labels"]}}},
            [
                "schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, "
                "but metadata is implicitly specified"
            ],
        ),
        (
            spec(type="array", items={"type": "object"}, **{"x-kubernetes-list-type": "map"}),
            [f"{AT}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"],
        ),
        (
            spec(type="integer", default="a"),
            [f'{AT}.default: Invalid value: "string":  in body must be of type integer: "string"'],
        ),
        (spec(type="object", additionalProperties={"type": "integer", "default": "a"}), []),
        (
            {"type": "object", "properties": {"kind": {"type": "string", "default": "K"}}},
            ["schema.properties[kind].default: Forbidden: must not be set in top-level kind"],
        ),
        (
            spec(
                **{
                    "x-kubernetes-int-or-string": True,
                    "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}], "nullable": True}],
                }
            ),
            [f"{AT}.allOf[0].nullable: Forbidden: must be false to be structural"],
        ),
        (
            {"type": "object", "id": "x", "properties": {"a": {}}},
            ["schema.id: Forbidden: id is not supported"],
        ),
        (
            spec(
                type="string",
                **{"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True},
            ),
            [
                f"{AT}.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
                "x-kubernetes-int-or-string is true"
            ],
        ),
        (
            spec(type="string", anyOf=[{"not": {"properties": {"metadata": {}}}}]),
            [f"{AT}.anyOf[0].not.properties[metadata]: Forbidden: must not be specified in a nested context"],
        ),
        (
            spec(
                type="object",
                additionalProperties={"type": "string"},
                **{"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            ),
            [f"{AT}.additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set"],
        ),
        (
            spec(type="string", pattern="[b-a]", default="a"),
            [
                f'{AT}.pattern: Invalid value: "[b-a]": must be a valid regular expression, but isn\'t: '
                "error parsing regexp: invalid character class range: `b-a`"
            ],
        ),
        (
            spec(type="string", uniqueItems=True, default=1),
            [
                f"{AT}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes "
                "quadratic",
                f'{AT}.default: Invalid value: "integer":  in body must be of type string: "integer"',
            ],
        ),
        (
            spec(type="object", default={"a": 1, "b": 2}, properties={"a": {"type": "integer"}}),
            [f'{AT}.default: Invalid value: {{"a":1,"b":2}}: must not have unknown fields'],
        ),
    ],
)
def test_each_violation_has_its_words(schema: dict[str, Any], wanted: list[str]) -> None:
    assert findings(schema) == wanted


def test_what_the_documentation_shows_is_structural() -> None:
    schema = spec(
        type="object",
        properties={
            "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "raw": {"x-kubernetes-preserve-unknown-fields": True},
            "pod": {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "command": {"type": "string", "pattern": "^[[:alpha:]]+$", "nullable": True},
            "words": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "ports": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {
                    "type": "object",
                    "required": ["port"],
                    "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}},
                },
            },
        },
        oneOf=[{"required": ["raw"]}, {"required": ["pod"]}],
        anyOf=[{"properties": {"command": {"pattern": "a"}}}],
    )
    assert findings(schema) == []


def test_formats_that_are_not_checked() -> None:
    numbers = {"type": "array", "items": {"type": "integer", "format": "int8"}}
    known = {"a": {"type": "string", "format": "date"}, "b": {"type": "number", "format": "double"}}
    schema = spec(type="object", properties={**known, "c": numbers, "d": {"type": "string", "format": "int64"}})
    assert structural.unrecognized_formats(schema) == ["int8", "int64"]

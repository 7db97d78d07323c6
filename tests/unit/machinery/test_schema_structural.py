"""Which schemas are structural, and how those that are not are told."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.machinery.field_errors import Path
from tiphys.machinery.schema import structural

ROOT = Path("schema")


def findings(schema: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in structural.findings(schema, ROOT)]


def spec(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": schema}}


AT = "schema.properties[spec]"


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({}, ["schema.type: Required value: must not be empty at the root"]),
        ({"type": "array"}, ['schema.type: Invalid value: "array": must be object at the root']),
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
            [f"{AT}.properties[a]: Required value: because it is defined in {AT}.anyOf[0].properties[a]"],
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

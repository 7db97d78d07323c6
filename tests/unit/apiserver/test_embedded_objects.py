"""Objects within custom objects: their metadata is that of every object."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World
from test_custom_resources import MERGE, WIDGETS, define, definition, version

TEMPLATE = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"template": TEMPLATE}}}}


@pytest.fixture
async def world_of_templates(world: World) -> World:
    await define(world, definition(versions=[version(schema={"openAPIV3Schema": SCHEMA}, selectableFields=[])]))
    return world


def widget(root: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    template = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"anything": [1]}}
    head = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", **(root or {})}}
    return {**head, "spec": {"template": template}}


async def test_unknown_metadata_is_told_of_and_dropped(world_of_templates: World) -> None:
    http = world_of_templates.http
    body = widget(root={"odd": 1}, labels={"a": "b"}, unknown="x", creationTimestamp=None)
    strict = await http("POST", f"{WIDGETS}?fieldValidation=Strict", body)
    words = 'unknown field "metadata.odd", unknown field "spec.template.metadata.unknown"'
    assert (strict.code, words in strict.body["message"]) == (400, True)
    made = await http("POST", WIDGETS, body)
    assert made.code == 201
    assert made.body["spec"]["template"] == {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {"anything": [1]}
    }  # fmt: skip
    assert 'unknown field \\"spec.template.metadata.unknown\\"' in made.headers["Warning"]
    patch = {"spec": {"template": {"metadata": {"other": 1}}}}
    patched = await http("PATCH", f"{WIDGETS}/w?fieldValidation=Ignore", patch, media=MERGE)
    assert patched.body["spec"] == made.body["spec"]


@pytest.mark.parametrize(
    ("metadata", "field", "reason"),
    [
        ({"labels": {"a b": "c"}}, "spec.template.metadata.labels", "FieldValueInvalid"),
        ({"name": "a/b"}, "spec.template.metadata.name", "FieldValueInvalid"),
        ({"namespace": "A"}, "spec.template.metadata.namespace", "FieldValueInvalid"),
        ({"ownerReferences": [{"kind": "Pod"}]}, "spec.template.metadata.ownerReferences.name", "FieldValueInvalid"),
    ],
)
async def test_metadata_is_valid(world_of_templates: World, metadata: dict[str, Any], field: str, reason: str) -> None:
    refused = await world_of_templates.http("POST", WIDGETS, widget(**metadata))
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert (field, reason) in [(cause["field"], cause["reason"]) for cause in refused.body["details"]["causes"]]


async def test_a_name_is_not_asked_for(world_of_templates: World) -> None:
    assert (await world_of_templates.http("POST", WIDGETS, widget(annotations={"a": "b"}))).code == 201


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (
            {"metadata": 1},
            ".metadata: Invalid value: 1: json: cannot unmarshal number into Go value of type v1.ObjectMeta",
        ),
        (
            {"metadata": {"name": "a", "labels": {"b": 1}}},
            '.metadata: Invalid value: {"labels":{"b":1},"name":"a"}: '
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string",
        ),
        (
            {"metadata": {"creationTimestamp": True}},
            '.metadata: Invalid value: {"creationTimestamp":true}: '
            "json: cannot unmarshal bool into Go struct field ObjectMeta.creationTimestamp of type string",
        ),
        ({"kind": 1}, ".kind: Invalid value: 1: must be a string"),
    ],
)
async def test_what_is_no_metadata_cannot_be_read(world_of_templates: World, template: Any, words: str) -> None:
    http = world_of_templates.http
    body = {**widget(), "spec": {"template": {"apiVersion": "v1", "kind": "Pod", **template}}}
    refused = await http("POST", WIDGETS, body)
    assert (refused.code, refused.body["reason"], refused.body["message"]) == (
        400, "BadRequest", f'Widget in version "v1" cannot be handled as a Widget: spec.template{words}'
    )  # fmt: skip
    assert (await http("POST", WIDGETS, widget())).code == 201
    patched = await http("PATCH", f"{WIDGETS}/w", {"spec": body["spec"]}, media=MERGE)
    (cause,) = patched.body["details"]["causes"]
    assert (patched.code, cause["field"], cause["message"].endswith(f": spec.template{words}")) == (422, "patch", True)


async def test_what_means_nothing_in_metadata_is_dropped(world_of_templates: World) -> None:
    body = widget(root={"labels": {}}, labels={"a": None}, annotations={}, finalizers=[], creationTimestamp=None)
    body["spec"]["kept"] = None
    made = await world_of_templates.http("POST", WIDGETS, body)
    assert made.body["spec"]["template"]["metadata"] == {"labels": {"a": ""}}
    assert "labels" not in made.body["metadata"]
    del body["spec"]["template"]["metadata"]
    body["metadata"]["name"] = "w2"
    assert (await world_of_templates.http("POST", WIDGETS, body)).body["spec"]["template"] == body["spec"]["template"]


async def test_a_group_and_version_have_one_slash(world_of_templates: World) -> None:
    body = widget()
    body["spec"]["template"]["apiVersion"] = "a/b/c"
    refused = await world_of_templates.http("POST", WIDGETS, body)
    assert (refused.code, refused.body["details"]["causes"]) == (
        422,
        [
            {
                "reason": "FieldValueInvalid",
                "field": "spec.template.apiVersion",
                "message": 'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
            }
        ],
    )

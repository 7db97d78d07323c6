"""/scale of custom resources: the numbers that it shows are validated wherever they are written."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World
from test_custom_resources import CRDS, MERGE, WIDGETS, define, definition, version

APPLY = "application/apply-patch+yaml"
NOT_NEGATIVE = "should be a non-negative integer"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
    },
}


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def scale(name: str, replicas: int) -> dict[str, Any]:
    head = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}}
    return {**head, "spec": {"replicas": replicas}}


@pytest.fixture
async def widgets(world: World) -> World:
    await define(world, definition(versions=[version(schema={"openAPIV3Schema": SCHEMA}, selectableFields=[])]))
    assert (await world.http("POST", WIDGETS, widget("w", replicas=1))).code == 201
    assert (await world.http("POST", WIDGETS, widget("none"))).code == 201
    return world


@pytest.mark.parametrize(
    ("method", "path", "body", "media", "field", "value", "detail"),
    [
        ("POST", "", widget("new", replicas=-3), "", ".spec.replicas", -3, NOT_NEGATIVE),
        ("POST", "", widget("new", replicas=1 << 40), "", ".spec.replicas", 1 << 40,
         "should be less than or equal to 2147483647"),
        ("PATCH", "/w", {"spec": {"replicas": -1}}, MERGE, ".spec.replicas", -1, NOT_NEGATIVE),
        ("PATCH", "/w/scale", {"spec": {"replicas": -1}}, MERGE, ".spec.replicas", -1, NOT_NEGATIVE),
        ("PUT", "/w/scale", scale("w", -1), "", ".spec.replicas", -1, NOT_NEGATIVE),
        ("PATCH", "/w/status", {"status": {"replicas": -1}}, MERGE, ".status.replicas", -1, NOT_NEGATIVE),
    ],
)  # fmt: skip
async def test_counts_are_32_bits_and_not_negative(
    widgets: World, method: str, path: str, body: Any, media: str, field: str, value: int, detail: str
) -> None:
    answer = await widgets.http(method, WIDGETS + path, body, media=media or "application/json")
    name = "new" if method == "POST" else "w"
    words = f'Widget.example.com "{name}" is invalid: {field}: Invalid value: {value}: {detail}'
    assert (answer.code, answer.body["message"]) == (422, words)


async def test_what_is_no_count_is_told_of_twice(widgets: World) -> None:
    answer = await widgets.http("PATCH", f"{WIDGETS}/w/status", {"status": {"replicas": "x"}}, media=MERGE)
    assert [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]] == [
        ("status.replicas", 'Invalid value: "string": replicas in body must be of type integer: "string"'),
        (
            ".status.replicas",
            "Invalid value: 0: .status.replicas accessor error: x is of the type string, expected int64",
        ),
    ]


async def test_a_count_that_is_not_there_cannot_be_shown_but_set(widgets: World) -> None:
    missing = await widgets.http("GET", f"{WIDGETS}/none/scale")
    assert (missing.code, missing.body["message"]) == (
        500, 'Internal error occurred: the spec replicas field ".spec.replicas" does not exist'
    )  # fmt: skip
    patch = {"spec": {"replicas": 2}}
    patched = await widgets.http("PATCH", f"{WIDGETS}/none/scale?dryRun=All", patch, media=MERGE)
    assert (patched.code, patched.body["spec"]) == (200, {"replicas": 2})
    put = await widgets.http("PUT", f"{WIDGETS}/none/scale", scale("none", 3))
    assert (put.code, put.body["spec"]) == (200, {"replicas": 3})


async def test_what_a_scale_must_say_and_which_verbs_there_are(widgets: World) -> None:
    nameless = await widgets.http("PUT", f"{WIDGETS}/w/scale", {"spec": {"replicas": 4}})
    assert (nameless.code, "was undeterminable" in nameless.body["message"]) == (400, True)
    config = {"apiVersion": "autoscaling/v1", "kind": "Widget"}
    other = await widgets.http("PATCH", f"{WIDGETS}/w/scale?fieldManager=a", config, media=APPLY)
    assert (other.code, other.body["message"]) == (400, "invalid object type: autoscaling/v1, Kind=Widget")
    deleted = await widgets.http("DELETE", f"{WIDGETS}/w/scale")
    assert (deleted.code, deleted.body["message"], deleted.body["details"]) == (
        405,
        'delete is not supported on resources of kind "widgets.example.com"',
        {"group": "example.com", "kind": "widgets"},
    )


async def test_the_status_of_a_definition_is_the_servers(widgets: World) -> None:
    found = await widgets.http("GET", f"{CRDS}/widgets.example.com")
    (mine,) = [entry for entry in found.body["metadata"]["managedFields"] if entry.get("subresource") == "status"]
    assert (mine["manager"], mine["operation"]) == ("kube-apiserver", "Update")
    status = mine["fieldsV1"]["f:status"]
    assert sorted(status) == ["f:acceptedNames", "f:conditions"]
    assert sorted(status["f:conditions"]) == ['k:{"type":"Established"}', 'k:{"type":"NamesAccepted"}']

"""Changes of custom objects that were good once, under a schema that has become stricter."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World
from test_custom_resources import CRDS, MERGE, WIDGETS, define, definition, version, widget

LOOSE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXT = {"type": "string", "enum": ["ok"]}
SET = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
SPEC = {
    "type": "object",
    "required": ["must"],
    "properties": {
        "a": TEXT,
        "b": TEXT,
        "set": SET,
        "object": EMBEDDED,
        "part": {"type": "object", "required": ["x"]},
    },
}
STATUS = {"type": "object", "required": ["must"], "properties": {"a": TEXT, "b": {"type": "integer"}}}


def served(spec: Any, status: Any) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}
    return version(schema=schema, subresources={"status": {}}, selectableFields=[], additionalPrinterColumns=[])


@pytest.fixture
async def stricter(world: World) -> World:
    await define(world, definition(versions=[served(LOOSE, LOOSE)]))
    old = {"a": "bad", "set": ["x", "x"], "object": {"kind": "K"}, "part": {}}
    await world.http("POST", WIDGETS, {**widget(), "spec": old})
    await world.http("PATCH", f"{WIDGETS}/w/status", {"status": {"a": "bad"}}, media=MERGE)
    patch = {"spec": {"versions": [served(SPEC, STATUS)]}}
    assert (await world.http("PATCH", f"{CRDS}/widgets.example.com", patch, media=MERGE)).code == 200
    return world


async def fields(world: World, patch: dict[str, Any], path: str = f"{WIDGETS}/w") -> list[tuple[str, str]]:
    answer = await world.http("PATCH", f"{path}?dryRun=All", patch, media=MERGE)
    return [(c["field"], c["reason"]) for c in answer.body.get("details", {}).get("causes", ())]


async def test_what_a_change_leaves_alone_may_stay_wrong(stricter: World) -> None:
    object_of_kind = ("spec.object.apiVersion", "FieldValueRequired")  # asked for at every change
    assert await fields(stricter, {"metadata": {"labels": {"a": "b"}}}) == [object_of_kind]
    whole = {"spec": {"object": None}}
    assert await fields(stricter, whole) == [("spec.must", "FieldValueRequired")]
    assert await fields(stricter, {"spec": {"b": "bad", **whole["spec"]}}) == [
        ("spec.must", "FieldValueRequired"), ("spec.b", "FieldValueNotSupported")
    ]  # fmt: skip


async def test_who_has_something_twice_may_have_more_of_it(stricter: World) -> None:
    more = {"spec": {"set": ["y", "y"], "object": {"apiVersion": "v1"}}}
    assert await fields(stricter, more) == [("spec.must", "FieldValueRequired")]
    new = {**widget("x"), "spec": {"must": 1, "set": ["y", "y"]}}
    refused = await stricter.http("POST", WIDGETS, new)
    assert {cause["field"] for cause in refused.body["details"]["causes"]} == {"spec.must", "spec.set[1]"}


async def test_a_status_is_looked_at_alone(stricter: World) -> None:
    path = f"{WIDGETS}/w/status"
    assert await fields(stricter, {"metadata": {"labels": {"a": "b"}}}, path) == []
    assert await fields(stricter, {"status": {"b": 1}}, path) == [("status.must", "FieldValueRequired")]


@pytest.mark.parametrize("kind", ["Bad Kind", "Bad_Kind", "9x", "K" * 64])
async def test_kinds_of_objects_within_objects_are_names(stricter: World, kind: str) -> None:
    new = {**widget("x"), "spec": {"object": {"apiVersion": "v1", "kind": kind}}}
    causes = (await stricter.http("POST", WIDGETS, new)).body["details"]["causes"]
    assert ("spec.object.kind", "FieldValueInvalid") in [(cause["field"], cause["reason"]) for cause in causes]


async def test_defaults_and_choices_are_compared_as_numbers(world: World) -> None:
    spec = {"type": "object", "properties": {"n": {"type": "number", "enum": [3.0], "default": 3}}}
    await define(world, definition(versions=[served(spec, LOOSE)]))
    assert (await world.http("POST", WIDGETS, {**widget(), "spec": {}})).body["spec"] == {"n": 3}


async def test_a_default_of_free_keys_takes_the_place_of_null(world: World) -> None:
    spec = {"type": "object", "additionalProperties": {"type": "string", "default": "x"}}
    await define(world, definition(versions=[served(spec, LOOSE)]))
    made = await world.http("POST", WIDGETS, {**widget(), "spec": {"a": None, "b": "y"}})
    assert made.body["spec"] == {"a": "x", "b": "y"}


async def test_formats_are_warned_of_once(world: World) -> None:
    def of(name: str) -> Any:
        return served({"type": "object", "properties": {"a": {"type": "string", "format": name}}}, LOOSE)

    made = await world.http("POST", CRDS, definition(versions=[of("odd")]))
    assert made.headers["Warning"] == '299 - "unrecognized format \\"odd\\""'
    for name, warned in (("odd", False), ("even", True)):
        patch = {"metadata": {"labels": {"a": name}}, "spec": {"versions": [of(name)]}}
        changed = await world.http("PATCH", f"{CRDS}/widgets.example.com", patch, media=MERGE)
        assert (changed.code, "Warning" in changed.headers) == (200, warned)


async def test_fields_of_the_metadata_are_not_selectable(world: World) -> None:
    head = {"type": "object", "properties": {"name": {"type": "string"}}}
    one = served(LOOSE, LOOSE)
    one["schema"]["openAPIV3Schema"]["properties"]["metadata"] = head
    one["selectableFields"] = [{"jsonPath": ".metadata.name"}]
    refused = await world.http("POST", CRDS, definition(versions=[one]))
    (cause,) = refused.body["details"]["causes"]
    assert cause["message"] == 'Invalid value: ".metadata.name": must not point to fields in metadata'


async def test_parts_of_schemas_that_are_none_are_told_of(world: World) -> None:
    spec = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 1.5}}
    refused = await world.http("POST", CRDS, definition(versions=[served(spec, LOOSE)]))
    (cause,) = refused.body["details"]["causes"]
    assert cause["field"].endswith(".properties[spec].additionalProperties")
    assert "cannot unmarshal number 1.5" in cause["message"]


async def test_before_the_first_apply_a_part_is_owned_where_it_is_written(world: World) -> None:
    await define(world, definition(versions=[served(LOOSE, LOOSE)]))
    await world.http("POST", WIDGETS, {**widget(), "spec": {"a": 1}})
    await world.http("PATCH", f"{WIDGETS}/w/status", {"status": {"b": 1}}, media=MERGE)
    await world.http("PATCH", f"{WIDGETS}/w", {"metadata": {"managedFields": [{}]}}, media=MERGE)
    head = {name: value for name, value in widget().items() if name != "spec"}
    for path, part, owned in (("", "spec", "f:spec"), ("/status", "status", "f:status")):
        config = {**head, part: {"c": 1}}
        url = f"{WIDGETS}/w{path}?fieldManager=me&dryRun=All"
        done = await world.http("PATCH", url, config, media="application/apply-patch+yaml")
        entries = {entry["manager"]: entry["fieldsV1"] for entry in done.body["metadata"]["managedFields"]}
        assert list(entries["before-first-apply"]) == [owned]


async def test_a_configuration_may_name_the_revision_of_what_is_gone(world: World) -> None:
    await define(world, definition(versions=[served(LOOSE, LOOSE)]))
    config = {**widget(), "metadata": {"name": "w", "resourceVersion": "1"}}
    made = await world.http("PATCH", f"{WIDGETS}/w?fieldManager=me", config, media="application/apply-patch+yaml")
    assert (made.code, made.body["metadata"]["resourceVersion"] != "1") == (201, True)


async def test_defaults_of_a_status_are_nobodys(world: World) -> None:
    status = {"type": "object", "default": {}, "properties": {"phase": {"type": "string", "default": "new"}}}
    await define(world, definition(versions=[served(LOOSE, status)]))
    made = await world.http("POST", WIDGETS, widget())
    assert made.body["status"] == {"phase": "new"}
    changed = await world.http("PATCH", f"{WIDGETS}/w", {"spec": {"size": 1}}, media=MERGE)
    for answer in (made, changed):
        (entry,) = answer.body["metadata"]["managedFields"]
        assert list(entry["fieldsV1"]) == ["f:spec"]

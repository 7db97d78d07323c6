"""Bodies that are of another kind than their URL: which of their faults is told first."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World
from test_custom_resources import MERGE, WIDGETS, define, definition

APPLY = "application/apply-patch+yaml"
UNRECOGNIZED = "the object provided is unrecognized (must be of type Widget): "
MISMATCH = "the API version in the data ({}) does not match the expected API version (example.com/v1)"
UNDETERMINABLE = "the name of the object ({} based on URL) was undeterminable: name must be provided"


def widget(**changes: Any) -> dict[str, Any]:
    head = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"color": "red"}}
    return {**head, **changes}


@pytest.fixture
async def one_widget(world: World) -> World:
    await define(world, definition())
    assert (await world.http("POST", WIDGETS, widget())).code == 201
    return world


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"apiVersion": "example.com/v1", "kind": 1},
            UNRECOGNIZED + "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct "
            'field .kind of type string ({"apiVersion":"example.com/v1" ...)',
        ),
        (
            {"apiVersion": "a/b/c", "kind": "Widget"},
            UNRECOGNIZED + 'unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c","kind":" ...)',
        ),
        ({"apiVersion": "example.com/v2", "kind": "Widget"}, MISMATCH.format("example.com/v2")),
        ({"apiVersion": "example.com/v1", "kind": "Gadget"}, UNDETERMINABLE.format("none")),
        (widget(), "the name of the object (w) does not match the name on the URL (none)"),
    ],
)
async def test_faults_of_a_body_come_before_that_the_object_is_not_there(
    one_widget: World, body: Any, message: str
) -> None:
    answer = await one_widget.http("PUT", f"{WIDGETS}/none", body)
    assert (answer.code, answer.body["message"]) == (400, message)


async def test_another_kind_is_all_that_is_wrong(one_widget: World) -> None:
    for method, path, body, media in (
        ("POST", WIDGETS, widget(kind="Gadget", spec=1), "application/json"),
        ("PATCH", f"{WIDGETS}/w", {"kind": "Gadget", "spec": 1}, MERGE),
    ):
        answer = await one_widget.http(method, path, body, media=media)
        assert (answer.code, answer.body["message"]) == (
            422, 'Gadget.example.com "w" is invalid: kind: Invalid value: "Gadget": must be Widget'
        )  # fmt: skip
    both = await one_widget.http("PATCH", f"{WIDGETS}/w", {"apiVersion": "v1", "kind": "Status"}, media=MERGE)
    assert (both.code, both.body["message"]) == (
        422,
        'Status "w" is invalid: [kind: Invalid value: "Status": must be Widget, '
        'apiVersion: Invalid value: "v1": must be example.com/v1]',
    )


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        ({"apiVersion": "example.com/v2", "kind": "Widget"}, "example.com/v2, Kind=Widget"),
        ({"apiVersion": "v1", "kind": "Status"}, "/v1, Kind=Status"),
        ({"apiVersion": 1, "kind": "Widget"}, "/, Kind=Widget"),
        ({"apiVersion": "a/b/c", "kind": "Widget"}, "/, Kind="),
        ({"apiVersion": "example.com/v1", "kind": 1}, "example.com/v1, Kind="),
    ],
)
async def test_configurations_are_of_the_kind_of_their_url(one_widget: World, head: Any, shown: str) -> None:
    answer = await one_widget.http("PATCH", f"{WIDGETS}/w?fieldManager=a", head, media=APPLY)
    assert (answer.code, answer.body["message"]) == (400, f"invalid object type: {shown}")


@pytest.mark.parametrize("spec", [1, "x", [], True, {"ports": {}}, {"ports": [1]}])
async def test_values_of_another_shape_are_invalid(one_widget: World, spec: Any) -> None:
    for method, media in (("PATCH", MERGE), ("PUT", "application/json")):
        body = {**(await one_widget.http("GET", f"{WIDGETS}/w")).body, "spec": spec}
        answer = await one_widget.http(method, f"{WIDGETS}/w", body, media=media)
        assert (answer.code, answer.body["reason"]) == (422, "Invalid")


async def test_a_patched_object_is_shown_with_its_managers(one_widget: World) -> None:
    answer = await one_widget.http("PATCH", f"{WIDGETS}/w", {"kind": None}, media=MERGE)
    (cause,) = answer.body["details"]["causes"]
    assert "Object 'Kind' is missing in '{" in cause["message"]
    assert cause["message"].count("managedFields") == 2, "once in the value, once in the words"


@pytest.mark.parametrize("media", [MERGE, "application/json"])
async def test_numbers_that_are_too_large_are_refused(one_widget: World, media: str) -> None:
    body = b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"status":{"a":1e400}}'
    answer = await one_widget.http("PATCH" if media == MERGE else "PUT", f"{WIDGETS}/w", body, media=media)
    begin = "error decoding patch: " if media == MERGE else 'Widget in version "v1" cannot be handled as a Widget: '
    words = "json: cannot unmarshal number 1e400 into Go value of type float64"
    assert (answer.code, answer.body["message"]) == (400, begin + words)

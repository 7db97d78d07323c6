"""What a request about custom resources must say, and how it is refused when it does not: as the Go server does it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_world import World
from test_custom_resources import CRDS, MERGE, WIDGETS, define, definition, version, widget

MOMENT = "2020-01-01T00:00:00Z"
REVISION = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"


@pytest.fixture
async def widgets(world: World) -> World:
    await define(world, definition())
    return world


async def test_updates_name_the_revision_they_are_of(widgets: World) -> None:
    made = (await widgets.http("POST", WIDGETS, widget())).body
    for path in (f"{WIDGETS}/w", f"{WIDGETS}/w/status"):
        refused = await widgets.http("PUT", path, widget(color="blue"))
        assert (refused.code, refused.body["reason"]) == (422, "Invalid")
        assert refused.body["message"] == f'widgets.example.com "w" is invalid: {REVISION}'
        assert refused.body["details"]["kind"] == "widgets"
    made["spec"]["color"] = "blue"
    assert (await widgets.http("PUT", f"{WIDGETS}/w", made)).body["spec"]["color"] == "blue"
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 2}}
    assert (await widgets.http("PUT", f"{WIDGETS}/w/scale", scale)).code == 200


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"kind": None},
            400,
            "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in "
            '\'{"apiVersion":"example.com/v1","metadata":{"name":"w"},"spec":{"color":"red"}}\' '
            '({"apiVersion":"example.com/v1" ...)',
        ),
        (
            {"apiVersion": None},
            400,
            "the API version in the data () does not match the expected API version (example.com/v1)",
        ),
        ({"kind": "Other"}, 422, 'Other.example.com "w" is invalid: kind: Invalid value: "Other": must be Widget'),
    ],
)
async def test_custom_objects_say_what_they_are(
    widgets: World, changes: dict[str, Any], code: int, message: str
) -> None:
    body = {name: value for name, value in {**widget(), **changes}.items() if value is not None}
    refused = await widgets.http("POST", WIDGETS, json.dumps(body, separators=(",", ":")).encode())
    assert (refused.code, refused.body["message"]) == (code, message)


async def test_refused_writes_are_warned_of_too(widgets: World) -> None:
    refused = await widgets.http("POST", WIDGETS, widget(color="green", size=1))
    assert (refused.code, refused.headers["Warning"]) == (422, '299 - "unknown field \\"spec.size\\""')
    await widgets.http("POST", WIDGETS, widget())
    patch = {"spec": {"color": "green", "size": 1}}
    refused = await widgets.http("PATCH", f"{WIDGETS}/w", patch, media=MERGE)
    assert (refused.code, refused.headers["Warning"]) == (422, '299 - "unknown field \\"spec.size\\""')


async def test_finalizers_without_a_domain_are_taken_and_warned_of(widgets: World) -> None:
    body = widget()
    body["metadata"]["finalizers"] = ["plain"]
    made = await widgets.http("POST", WIDGETS, body)
    assert made.headers["Warning"] == (
        '299 - "metadata.finalizers: \\"plain\\": prefer a domain-qualified finalizer name to avoid accidental '
        'conflicts with other finalizer writers"'
    )
    assert made.code == 201


async def test_patches_that_leave_no_object_of_the_kind(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    for patch, ending in (
        ({"kind": None}, "Object 'Kind' is missing in"),
        ({"metadata": {"uid": "other"}}, 'metadata.uid: Invalid value: "other": field is immutable'),
    ):
        refused = await widgets.http("PATCH", f"{WIDGETS}/w", patch, media=MERGE)
        assert refused.code == 422
        assert ending in refused.body["message"]
    refused = await widgets.http("PATCH", f"{WIDGETS}/w", {"metadata": {"labels": {"a": 1}}}, media=MERGE)
    assert refused.code == 422
    assert "labels" in refused.body["message"]
    assert "labels" not in (await widgets.http("GET", f"{WIDGETS}/w")).body["metadata"]


async def test_media_types_of_patches(widgets: World) -> None:
    for media in ("application/json", "application/apply-patch+cbor", "application/strategic-merge-patch+json"):
        refused = await widgets.http("PATCH", f"{WIDGETS}/w", {}, media=media)
        assert (refused.code, refused.body["message"]) == (
            415,
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )
    unreadable = await widgets.http("PATCH", f"{WIDGETS}/w", b"spec: {}", media=MERGE)
    assert unreadable.body["message"].startswith("error decoding patch: ")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_writes_of_one_object_name_it(widgets: World, method: str) -> None:
    refused = await widgets.http(method, WIDGETS, {}, media=MERGE if method == "PATCH" else "application/json")
    assert (refused.code, refused.body["message"]) == (400, "name must be provided")
    await widgets.http("POST", WIDGETS, widget())
    body = {**widget(), "metadata": {}} if method == "PUT" else {"metadata": None}
    media = MERGE if method == "PATCH" else "application/json"
    refused = await widgets.http(method, f"{WIDGETS}/w", body, media=media)
    detail = "the name of the object (w based on URL) was undeterminable: name must be provided"
    assert (refused.code, refused.body["message"]) == (400, detail)


async def test_options_are_refused_with_their_kind(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    for method, kind, media in (
        ("POST", "CreateOptions", "application/json"),
        ("PUT", "UpdateOptions", "application/json"),
        ("PATCH", "PatchOptions", MERGE),
    ):
        path = WIDGETS if method == "POST" else f"{WIDGETS}/w"
        refused = await widgets.http(method, f"{path}?dryRun=Some&fieldValidation=x", widget(), media=media)
        assert (refused.code, refused.body["details"]["kind"]) == (422, kind)
        assert [cause["message"] for cause in refused.body["details"]["causes"]] == [
            'Unsupported value: ["Some"]: supported values: "All"',
            'Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn"',
        ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("limit=99999999999999999999", 'strconv.ParseInt: parsing "99999999999999999999": value out of range'),
        ("limit=", 'strconv.ParseInt: parsing "": invalid syntax'),
        ("watch=true&limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("timeoutSeconds=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "resourceVersion=x",
            'invalid resource version: resourceVersion: Invalid value: "x": '
            'strconv.ParseUint: parsing "x": invalid syntax',
        ),
        ("continue=x", "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"),
        ("continue=abcde", "invalid continue token: continue key is not valid: illegal base64 data at input byte 4"),
        (
            "continue=ab.d&resourceVersion=1",
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 2",
        ),
        (
            "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAsInN0YXJ0IjoiYSJ9&resourceVersion=1",
            "specifying resource version is not allowed when using continue",
        ),
        (
            "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAsInN0YXJ0IjoiLi4vYSJ9",
            "invalid continue token: continue key is not valid: ../a",
        ),
    ],
)
async def test_lists_that_mean_nothing(widgets: World, query: str, message: str) -> None:
    refused = await widgets.http("GET", f"{WIDGETS}?{query}")
    assert (refused.code, refused.body["message"]) == (400, message)


async def test_managers_whose_names_cannot_be_shown(widgets: World) -> None:
    refused = await widgets.http("POST", f"{WIDGETS}?fieldManager=%C3%A9%01", widget())
    assert refused.code == 422
    assert [cause["message"].rpartition(": ")[2] for cause in refused.body["details"]["causes"]] == [
        "invalid character U+0001 (at position 2)"
    ]


async def test_exports_are_no_more(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    for word, code in (("true", 400), ("", 400), ("false", 200)):
        assert (await widgets.http("GET", f"{WIDGETS}/w?export={word}")).code == code


async def test_the_old_way_to_watch_one_object(widgets: World) -> None:
    for name in ("v", "w"):
        await widgets.http("POST", WIDGETS, widget(name))
    path = "/apis/example.com/v1/watch/namespaces/default/widgets/w"
    session = widgets.http.session
    async with session.get(f"{widgets.http.base}{path}", headers={"Accept": "application/json"}) as stream:
        first = json.loads(await stream.content.readline())
        await widgets.http("DELETE", f"{WIDGETS}/v")
        await widgets.http("DELETE", f"{WIDGETS}/w")
        second = json.loads(await stream.content.readline())
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in (first, second)] == [
        ("ADDED", "w"),
        ("DELETED", "w"),
    ]


async def test_apply_of_a_status_owns_nothing_else(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    config = {**widget(), "status": {"selector": "a=b"}}
    config["metadata"] = {"name": "w", "labels": {"a": "b"}}
    applied = await widgets.http(
        "PATCH", f"{WIDGETS}/w/status?fieldManager=m", config, media="application/apply-patch+yaml"
    )
    entry = next(entry for entry in applied.body["metadata"]["managedFields"] if entry["manager"] == "m")
    assert (entry["fieldsV1"], entry["subresource"]) == ({"f:status": {"f:selector": {}}}, "status")
    wrong = {**config, "kind": "Other"}
    refused = await widgets.http("PATCH", f"{WIDGETS}/w?fieldManager=m", wrong, media="application/apply-patch+yaml")
    assert (refused.code, refused.body["message"]) == (400, "invalid object type: example.com/v1, Kind=Other")


async def test_what_is_of_another_type_is_refused_by_the_schema(widgets: World) -> None:
    for spec in ("text", ["list"]):
        refused = await widgets.http("POST", WIDGETS, {**widget(), "spec": spec})
        assert (refused.code, refused.body["reason"]) == (422, "Invalid")


async def test_definitions_say_what_is_wrong_where_the_versions_agree(world: World) -> None:
    column = {"name": "A", "type": "thing", "jsonPath": "a"}
    alike = [
        version(additionalPrinterColumns=[column]),
        version("v2", storage=False, additionalPrinterColumns=[column]),
    ]
    refused = await world.http("POST", CRDS, definition(versions=alike))
    fields = [cause["field"] for cause in refused.body["details"]["causes"]]
    assert fields == ["spec.additionalPrinterColumns[0].type", "spec.additionalPrinterColumns[0].JSONPath"]
    alike[1]["additionalPrinterColumns"] = []
    refused = await world.http("POST", CRDS, definition(versions=alike))
    fields = [cause["field"] for cause in refused.body["details"]["causes"]]
    at = "spec.versions[0].additionalPrinterColumns[0]"
    assert fields == [f"{at}.type", f"{at}.JSONPath"]


async def test_deleting_many_answers_with_what_was_deleted(widgets: World) -> None:
    for name in ("a", "b", "c"):
        await widgets.http("POST", WIDGETS, widget(name))
    first = await widgets.http("DELETE", f"{WIDGETS}?limit=1")
    assert (first.code, first.body["kind"]) == (200, "WidgetList")
    assert [item["metadata"]["name"] for item in first.body["items"]] == ["a"]
    assert first.body["metadata"]["remainingItemCount"] == 2
    dry = await widgets.http("DELETE", f"{WIDGETS}?dryRun=All")
    rest = await widgets.http("DELETE", f"{WIDGETS}?fieldSelector=metadata.name!=c")
    assert [[item["metadata"]["name"] for item in answer.body["items"]] for answer in (dry, rest)] == [
        ["b", "c"],
        ["b"],
    ]
    left = await widgets.http("GET", WIDGETS)
    assert [item["metadata"]["name"] for item in left.body["items"]] == ["c"]
    for query in ("dryRun=Some", "propagationPolicy=Bad", "labelSelector=="):
        assert (await widgets.http("DELETE", f"{WIDGETS}?{query}")).code in (400, 422)
    assert len((await widgets.http("GET", WIDGETS)).body["items"]) == 1


async def test_what_updates_say_of_the_servers_own_fields(widgets: World) -> None:
    made = (await widgets.http("POST", WIDGETS, widget())).body["metadata"]
    kept = await widgets.http("PATCH", f"{WIDGETS}/w", {"metadata": {"creationTimestamp": MOMENT}}, media=MERGE)
    assert (kept.code, kept.body["metadata"]["creationTimestamp"]) == (200, made["creationTimestamp"])
    for field, value in (("deletionTimestamp", MOMENT), ("deletionGracePeriodSeconds", 5)):
        refused = await widgets.http("PATCH", f"{WIDGETS}/w", {"metadata": {field: value}}, media=MERGE)
        assert (refused.code, refused.body["details"]["causes"][0]["field"]) == (422, f"metadata.{field}")
    for entries, owned in (([], made["managedFields"]), ([{}], None)):
        patched = await widgets.http("PATCH", f"{WIDGETS}/w", {"metadata": {"managedFields": entries}}, media=MERGE)
        assert patched.body["metadata"].get("managedFields") == owned


async def test_owners_that_stand_there_twice_count_once(widgets: World) -> None:
    owner = {"apiVersion": "v1", "kind": "P", "name": "n", "uid": "u"}
    body = widget()
    body["metadata"]["ownerReferences"] = [owner, owner]
    made = await widgets.http("POST", WIDGETS, body)
    assert made.body["metadata"]["ownerReferences"] == [owner]
    assert "duplicate entries; API server dedups" in made.headers["Warning"]
    patch = {"metadata": {"ownerReferences": [owner, owner]}}
    patched = await widgets.http("PATCH", f"{WIDGETS}/w", patch, media=MERGE)
    assert patched.body["metadata"]["ownerReferences"] == [owner]
    assert "duplicate entries after mutating admission happens; API" in patched.headers["Warning"]


async def test_whole_numbers_are_kept_whole(widgets: World) -> None:
    body = json.dumps(widget()).replace('"red"', '"red", "replicas": 2.0').encode()
    assert '"replicas":2}' in (await widgets.http("POST", WIDGETS, body)).text
    patched = await widgets.http("PATCH", f"{WIDGETS}/w", b'{"spec":{"replicas":3e0},"status":{}}', media=MERGE)
    assert '"replicas":3}' in patched.text
    applied = await widgets.http("PATCH", f"{WIDGETS}/w/status", b'{"status":{"load":0.5,"count":10.0}}', media=MERGE)
    assert applied.body["status"] == {"load": 0.5, "count": 10}

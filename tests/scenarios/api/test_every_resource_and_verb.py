"""Every resource of the registry answers every verb that it serves, the way clients rely on."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from api_site import Site
from minimal_objects import ANSWERED, OBJECTS, Minimal
from resource_case import (
    ALL,
    APPLY,
    BACKGROUND,
    JSON_PATCH,
    MERGE,
    NUMBERS,
    OTHER,
    STORED,
    STRATEGIC,
    WITH_STATUS,
    WRITE,
    Case,
    key,
    name_of,
    refused,
)

from tiphys.aio.clock import settle
from tiphys.kinds.resource import Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What their status says is never taken back.
STATUS_LASTS = ("resourceclaims", "jobs", "certificatesigningrequests", "podcertificaterequests")
WITH_SCALE = [found for found in STORED if "scale" in found.subresources]
AS_META = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
AS_META_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

each = pytest.mark.parametrize("resource", ALL, ids=str)
each_stored = pytest.mark.parametrize("resource", STORED, ids=str)
each_with_status = pytest.mark.parametrize("resource", WITH_STATUS, ids=str)
each_with_scale = pytest.mark.parametrize("resource", WITH_SCALE, ids=str)


async def test_the_table_has_every_resource_and_nothing_else() -> None:
    stored = {key(found) for found in STORED}
    answered = {key(found) for found in ALL if not found.storage and found.verbs == ("create",)}
    assert set(OBJECTS) == stored
    assert set(ANSWERED) == answered - {("", "v1", "bindings")}
    lacking = [str(found) for found in WITH_STATUS if not OBJECTS[key(found)].status]
    assert lacking == [] or lacking == ["csinodes.v1.storage.k8s.io"]


# -- verbs


@each_stored
async def test_create_get_and_list(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    document = case.document(labels={"made": "here"})
    made = (await site("POST", case.collection(), document)).body
    name, meta = name_of(made), made["metadata"]
    assert (made["apiVersion"], made["kind"]) == (resource.api_version, resource.kind)
    assert meta["uid"] and meta["resourceVersion"] and meta["creationTimestamp"]
    assert meta.get("namespace", "") == (WRITE if resource.namespaced else "")
    if resource.plural == "customresourcedefinitions":  # the server adds its names to the status
        await settle(100)
        made = await case.get(name)
    assert await case.get(name) == made
    assert name in await case.names(case.collection())
    assert name in await case.names(case.everywhere)
    assert await case.names(case.collection(), f"?fieldSelector=metadata.name%3D{name}") == [name]
    assert name in await case.names(case.collection(), "?labelSelector=made%3Dhere")
    assert name not in await case.names(case.collection(), "?labelSelector=made%21%3Dhere")
    if resource.namespaced:
        assert name not in await case.names(case.collection(OTHER))
        assert name in await case.names(case.everywhere, f"?fieldSelector=metadata.namespace%3D{WRITE}")
    refused(await site("POST", case.collection(), document), 409, "AlreadyExists", name)


@each_stored
async def test_watch_sees_everything_in_order(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    document = case.document()
    name = name_of(document)
    start = (await site("GET", case.collection() + "?limit=1")).body["metadata"]["resourceVersion"]
    selector = f"fieldSelector=metadata.name%3D{name}&timeoutSeconds=20"
    async with site.watch(f"{case.collection()}?watch=1&resourceVersion={start}&{selector}") as lines:
        await site("POST", case.collection(), document)
        for value in ("a", "b"):
            await site("PATCH", case.path(name), {"metadata": {"labels": {"step": value}}}, media=MERGE)
        await case.gone(name)
        events = []
        while not events or events[-1]["type"] != "DELETED":
            events.append(json.loads(await asyncio.wait_for(lines.readline(), 10)))
    types = [event["type"] for event in events]
    assert types == ["ADDED", *["MODIFIED"] * (len(events) - 2), "DELETED"]
    steps = [event["object"]["metadata"].get("labels", {}).get("step", "") for event in events]
    assert [step for step, _ in itertools.groupby(steps)] == ["", "a", "b"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert {event["object"]["kind"] for event in events} == {resource.kind}


@each_stored
async def test_update_conflict_and_no_change(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    made = await case.made()
    path = case.path(name_of(made))
    changed = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
    updated = await site("PUT", path, changed)
    assert updated.code == 200, updated.body
    assert updated.body["metadata"]["labels"]["a"] == "b"
    assert {k: v for k, v in updated.body.items() if k != "metadata"} == {
        k: v for k, v in made.items() if k != "metadata"
    }
    refused(await site("PUT", path, changed), 409, "Conflict", "the object has been modified")
    again = await site("PUT", path, updated.body)
    assert again.body["metadata"]["resourceVersion"] == updated.body["metadata"]["resourceVersion"]
    wrong_uid = {**updated.body, "metadata": {**updated.body["metadata"], "uid": "other"}}
    assert (await site("PUT", path, wrong_uid)).code in (409, 422)
    wrong_name = {**updated.body, "metadata": {**updated.body["metadata"], "name": "other"}}
    refused(await site("PUT", path, wrong_name), 400, "BadRequest", "does not match the name on the URL")
    assert await case.get(name_of(made)) == again.body


@each_stored
async def test_patches(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    made = await case.made(annotations={"kept": "yes"})
    path = case.path(name_of(made))
    step = [{"op": "add", "path": "/metadata/annotations/json", "value": "1"}]
    for media, patch in (
        (JSON_PATCH, step),
        (MERGE, {"metadata": {"annotations": {"merge": "1"}}}),
        (STRATEGIC, {"metadata": {"annotations": {"strategic": "1"}}}),
    ):
        answer = await site("PATCH", path, patch, media=media)
        assert answer.code == 200, answer.body
    assert (await case.get(name_of(made)))["metadata"]["annotations"].items() >= {
        ("kept", "yes"), ("json", "1"), ("merge", "1"), ("strategic", "1")
    }  # fmt: skip
    await site("PATCH", path, {"metadata": {"annotations": {"kept": None}}}, media=MERGE)
    after = await case.get(name_of(made))
    assert "kept" not in after["metadata"]["annotations"]
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "labels": {"a": "b"}}}
    refused(await site("PATCH", path, stale, media=MERGE), 409, "Conflict")
    failed_test = [{"op": "test", "path": "/kind", "value": "Wombat"}]
    refused(await site("PATCH", path, failed_test, media=JSON_PATCH), 422, "Invalid")
    for media in ("application/json", "application/vnd.kubernetes.protobuf"):
        refused(await site("PATCH", path, {"a": 1}, media=media), 415, "UnsupportedMediaType")
    refused(await site("PATCH", path, b"{", media=MERGE), 400, "BadRequest")
    assert await case.get(name_of(made)) == after


@each_stored
async def test_apply_creates_and_changes(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    document = case.document(labels={"a": "1"})
    path = case.path(name_of(document))
    made = await site("PATCH", f"{path}?fieldManager=one", document, media=APPLY)
    assert made.code == 201, made.body
    managers = [(entry["manager"], entry["operation"]) for entry in made.body["metadata"]["managedFields"]]
    assert managers == [("one", "Apply")]
    document["metadata"]["labels"] = {"a": "2"}
    assert (await site("PATCH", f"{path}?fieldManager=one", document, media=APPLY)).code == 200
    document["metadata"]["labels"] = {"a": "3"}
    refused(await site("PATCH", f"{path}?fieldManager=two", document, media=APPLY), 409, "Conflict", ".metadata.labels")
    forced = await site("PATCH", f"{path}?fieldManager=two&force=true", document, media=APPLY)
    assert (forced.code, forced.body["metadata"]["labels"]["a"]) == (200, "3")


@each_stored
async def test_delete(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    made = await case.made()
    path = case.path(name_of(made))
    refused(await site("DELETE", path, {"preconditions": {"uid": "other"}}), 409, "Conflict", "UID")
    await case.gone(name_of(made))
    answer = await site("DELETE", path)
    refused(answer, 404, "NotFound", f'"{name_of(made)}" not found')
    details = {"name": name_of(made), "kind": resource.plural, "group": resource.group}
    assert answer.body["details"] == {k: v for k, v in details.items() if v}
    for method, body, media in (("PUT", made, "application/json"), ("PATCH", {}, MERGE)):
        if method == "PUT" and resource.strategy.allow_create_on_update:
            continue
        if method == "PUT":
            body = {**made, "metadata": {**made["metadata"]}}
        refused(await site(method, path, body, media=media), 404, "NotFound")


@each_stored
async def test_finalizers_hold_an_object(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    made = await case.made(finalizers=["example.com/hold"])
    answer = await site("DELETE", case.path(name_of(made)))
    assert answer.code == 200, answer.body
    held = await case.get(name_of(made))
    assert held["metadata"]["deletionTimestamp"]
    assert "example.com/hold" in held["metadata"]["finalizers"]
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    released = await site("PATCH", case.path(name_of(made)), patch, media=JSON_PATCH)
    assert released.code == 200, released.body
    if resource.plural != "namespaces":
        refused(await site("GET", case.path(name_of(made))), 404, "NotFound")


@each_stored
async def test_delete_collection_by_label(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    batch = f"batch-{next(NUMBERS)}"
    doomed = [name_of(await case.made(labels={"batch": batch})) for _ in range(2)]
    kept = name_of(await case.made(labels={"batch": "kept"}))
    answer = await site("DELETE", f"{case.collection()}?labelSelector=batch%3D{batch}", BACKGROUND)
    if "deletecollection" not in resource.verbs:
        refused(answer, 405, "MethodNotAllowed")
        return
    assert answer.code == 200, answer.body
    assert answer.body["kind"] == resource.list_kind
    assert sorted(item["metadata"]["name"] for item in answer.body["items"]) == sorted(doomed)
    await settle(300)  # definitions go once their objects have
    for name in doomed:
        await case.released(name)
    left = await case.names(case.collection())
    assert kept in left
    assert not {*doomed} & {*left}


# -- options


@each_stored
async def test_dry_run_changes_nothing(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    document = case.document()
    dry = await site("POST", f"{case.collection()}?dryRun=All", document)
    assert (dry.code, name_of(dry.body)) == (201, name_of(document))
    refused(await site("GET", case.path(name_of(document))), 404, "NotFound")
    made = await case.made()
    path, revision = case.path(name_of(made)), site.server.caches.revision
    changed = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
    for method, body, media in (
        ("PUT", changed, "application/json"),
        ("PATCH", {"metadata": {"labels": {"a": "b"}}}, MERGE),
    ):
        answer = await site(method, f"{path}?dryRun=All", body, media=media)
        assert (answer.code, answer.body["metadata"]["labels"]["a"]) == (200, "b")
    assert (await site("DELETE", f"{path}?dryRun=All")).code == 200
    assert (await site("DELETE", path, {"dryRun": ["All"]})).code == 200
    assert (await case.get(name_of(made)), site.server.caches.revision) == (made, revision)
    refused(await site("POST", f"{case.collection()}?dryRun=Some", case.document()), 422, "Invalid", "dryRun")


@each_stored
async def test_tables_and_metadata_only(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    made = await case.made()
    name = name_of(made)
    for path in (case.path(name), case.collection() + f"?fieldSelector=metadata.name%3D{name}"):
        table = (await site("GET", path, accept=AS_TABLE)).body
        assert (table["apiVersion"], table["kind"]) == ("meta.k8s.io/v1", "Table")
        columns = table["columnDefinitions"]
        assert any(column["name"] == "Name" for column in columns) or resource.plural == "events"
        assert [len(row["cells"]) for row in table["rows"]] == [len(columns)]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    meta = (await site("GET", case.path(name), accept=AS_META)).body
    assert (meta["kind"], meta["metadata"]) == ("PartialObjectMetadata", made["metadata"])
    listed = (await site("GET", case.collection(), accept=AS_META_LIST)).body
    assert listed["kind"] == "PartialObjectMetadataList"
    assert name in [name_of(item) for item in listed["items"]]


@each_stored
async def test_unknown_fields(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    odd = {**case.document(), "nonsense": 1}
    strict = await site("POST", f"{case.collection()}?fieldValidation=Strict&dryRun=All", odd)
    refused(strict, 400, "BadRequest", 'unknown field "nonsense"')
    for query, warned in (("", True), ("&fieldValidation=Warn", True), ("&fieldValidation=Ignore", False)):
        answer = await site("POST", f"{case.collection()}?dryRun=All{query}", odd)
        assert answer.code == 201, answer.body
        assert "nonsense" not in answer.body
        assert ('unknown field \\"nonsense\\"' in answer.headers.get("Warning", "")) == warned
    refused(await site("POST", f"{case.collection()}?fieldValidation=Odd&dryRun=All", odd), 422, "Invalid")


@each_stored
async def test_bodies_that_belong_elsewhere(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    where = case.collection()
    refused(await site("POST", where, {**case.document(), "kind": "Wombat"}), 400, "BadRequest")
    refused(await site("POST", where, {**case.document(), "apiVersion": "example.com/v1"}), 400, "BadRequest")
    refused(await site("POST", where, b"[]"), 400, "BadRequest")
    refused(await site("POST", where, b""), 400, "BadRequest")
    refused(await site("POST", where, case.document(), media="text/html"), 415, "UnsupportedMediaType")
    elsewhere = case.document()
    elsewhere["metadata"]["namespace"] = OTHER if resource.namespaced else WRITE
    if resource.namespaced:
        refused(await site("POST", where, elsewhere), 400, "BadRequest", "namespace of the provided object")
        refused(await site("POST", case.everywhere, case.document()), 405, "MethodNotAllowed")
    else:
        answer = await site("POST", f"{where}?dryRun=All", elsewhere)
        assert answer.code == 201, answer.body
        assert "namespace" not in answer.body["metadata"]


@each_stored
async def test_names(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    nameless = case.document()
    del nameless["metadata"]["name"]
    answer = await site("POST", case.collection(), nameless)
    refused(answer, 422, "Invalid", "metadata.name")
    bad = case.document()
    bad["metadata"]["name"] = "a/b%"
    answer = await site("POST", case.collection(), bad)
    refused(answer, 422, "Invalid", "metadata.name")
    assert "metadata.name" in [cause["field"] for cause in answer.body["details"]["causes"]]
    generated = {**nameless, "metadata": {**nameless["metadata"], "generateName": "made-"}}
    answer = await site("POST", case.collection(), generated)
    if not case.minimal.generates:
        refused(answer, 422, "Invalid", "metadata.name")
        return
    assert answer.code == 201, answer.body
    assert name_of(answer.body).startswith("made-")
    assert len(name_of(answer.body)) == len("made-") + 5


# -- subresources


@each_with_status
async def test_status(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    made = await case.made()
    name, change = name_of(made), case.minimal.status
    path = case.path(name, "status")
    assert (await site("GET", path)).body == made
    if not change:
        return
    through_main = await site("PATCH", case.path(name), {"status": change}, media=MERGE)
    assert through_main.code == 200, through_main.body
    assert (await case.get(name)).get("status") == made.get("status")
    patched = await site("PATCH", path, {"status": change}, media=MERGE)
    assert patched.code == 200, patched.body
    assert patched.body["status"].items() >= change.items()
    assert patched.body.get("spec") == made.get("spec")
    assert patched.body["metadata"].get("generation") == made["metadata"].get("generation")
    cleared = {**patched.body, "status": made.get("status", {})}
    answer = await site("PUT", path, cleared)
    if resource.plural not in STATUS_LASTS:
        assert answer.code == 200, answer.body
        assert answer.body.get("status", {}) == made.get("status", {})
    refused(await site("PUT", path, patched.body), 409, "Conflict") if answer.code == 200 else None
    refused(await site("POST", path, made), 405, "MethodNotAllowed")
    refused(await site("DELETE", path), 405, "MethodNotAllowed")


@each_with_scale
async def test_scale(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    name = name_of(await case.made())
    path = case.path(name, "scale")
    found = (await site("GET", path)).body
    assert (found["apiVersion"], found["kind"], found["spec"]["replicas"]) == ("autoscaling/v1", "Scale", 1)
    found["spec"]["replicas"] = 3
    assert (await site("PUT", path, found)).body["spec"]["replicas"] == 3
    refused(await site("PUT", path, found), 409, "Conflict")
    assert (await site("PATCH", path, {"spec": {"replicas": 4}}, media=MERGE)).body["spec"]["replicas"] == 4
    assert (await case.get(name))["spec"]["replicas"] == 4
    refused(await site("PATCH", path, {"spec": {"replicas": -1}}, media=MERGE), 422, "Invalid", "spec.replicas")
    refused(await site("PATCH", path, {"spec": {}}, media="application/json"), 415, "UnsupportedMediaType")
    refused(await site("GET", case.path("none", "scale")), 404, "NotFound")


SERVED_BY_NODES = ("attach", "exec", "log", "portforward", "proxy")


@each
async def test_every_subresource_answers_for_what_is_not_there(site: Site, resource: Resource) -> None:
    case = Case(site, resource)
    for name, subresource in resource.subresources.items():
        path = case.path("none", name)
        for verb in subresource.verbs:
            method = {"get": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}[verb]
            body = {"kind": subresource.kind, "apiVersion": f"{subresource.group}/{subresource.version}".lstrip("/")}
            body = {**body, "metadata": {"name": "none"}, "target": {"kind": "Node", "name": "node"}}
            media = MERGE if verb == "patch" else "application/json"
            sent = None if name in SERVED_BY_NODES or verb in ("get", "delete") else body
            answer = await site(method, path, sent, media=media)
            assert answer.outcome == (404, "NotFound"), (method, path, answer.body)


# -- what is not served, and what stores nothing


@each
async def test_verbs_that_are_not_served(site: Site, resource: Resource) -> None:
    """405 where there is another verb at the path, 404 where there is none."""
    case = Case(site, resource)
    is_object = bool({"get", "update", "patch", "delete"} & set(resource.verbs))
    lacking = (405, "MethodNotAllowed") if is_object else (404, "NotFound")
    refused(await site("POST", case.path("thing"), {}), *lacking)
    for verb, method, path in (
        ("list", "GET", case.collection()),
        ("get", "GET", case.path("thing")),
        ("update", "PUT", case.path("thing")),
        ("patch", "PATCH", case.path("thing")),
        ("delete", "DELETE", case.path("thing")),
        ("deletecollection", "DELETE", case.collection()),
        ("create", "POST", case.collection()),
    ):
        if verb not in resource.verbs:
            expected = (405, "MethodNotAllowed") if path == case.collection() else lacking
            refused(await site(method, path, None if method == "GET" else {}), *expected)
    refused(await site("GET", case.path("thing", "wombat")), 404, "NotFound")


@pytest.mark.parametrize("resource", [found for found in ALL if key(found) in ANSWERED], ids=str)
async def test_reviews_answer_and_store_nothing(site: Site, resource: Resource) -> None:
    case, revision = Case(site, resource), site.server.caches.revision
    document = Minimal(ANSWERED[key(resource)]).document(resource, 1, WRITE)
    document["metadata"].pop("name")
    answer = await site("POST", case.collection(), document)
    assert answer.code == 201, answer.body
    assert (answer.body["apiVersion"], answer.body["kind"]) == (resource.api_version, resource.kind)
    assert "status" in answer.body
    assert site.server.caches.revision == revision
    refused(await site("POST", case.collection(), {**document, "kind": "Wombat"}), 400, "BadRequest")


async def test_component_statuses_are_listed(site: Site) -> None:
    answer = await site("GET", "/api/v1/componentstatuses")
    assert (answer.code, answer.body["kind"]) == (200, "ComponentStatusList")
    refused(await site("GET", "/api/v1/componentstatuses/none"), 404, "NotFound")


async def test_binding_by_body(site: Site) -> None:
    pod = await Case(site, next(found for found in STORED if found.plural == "pods")).made()
    body = {"metadata": {"name": name_of(pod)}, "target": {"kind": "Node", "name": "node-1"}}
    answer = await site("POST", f"/api/v1/namespaces/{WRITE}/bindings", body)
    assert (answer.code, answer.body["status"]) == (201, "Success")
    bound = await site("GET", f"/api/v1/namespaces/{WRITE}/pods/{name_of(pod)}")
    assert bound.body["spec"]["nodeName"] == "node-1"
    again = await site("POST", f"/api/v1/namespaces/{WRITE}/bindings", body)
    refused(again, 409, "Conflict", "already assigned to node")

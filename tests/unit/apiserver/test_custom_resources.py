"""Custom resources from their definition to their removal, over HTTP as clients see them."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from api_world import World

from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.kinds.apiextensions.conditions import CLEANUP_FINALIZER

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

SPEC_SCHEMA = {
    "type": "object",
    "required": ["color"],
    "properties": {
        "color": {"type": "string", "enum": ["red", "blue"]},
        "replicas": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "port": {"x-kubernetes-int-or-string": True}},
            },
        },
    },
}
STATUS_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def version(name: str = "v1", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "selectableFields": [{"jsonPath": ".spec.color"}],
        "additionalPrinterColumns": [
            {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": copy.deepcopy(SPEC_SCHEMA), "status": copy.deepcopy(STATUS_SCHEMA)},
            }
        },
    }
    return {**found, **changes}


def definition(plural: str = "widgets", kind: str = "Widget", versions: Any = None, **names: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": versions or [version()],
        },
    }


def widget(name: str = "w", api_version: str = "example.com/v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"color": "red", **spec},
    }


async def condition(world: World, name: str, kind: str) -> dict[str, Any]:
    """The condition of a definition, once it is there."""
    for _ in range(200):
        answer = await world.http("GET", f"{CRDS}/{name}")
        found = [c for c in answer.body.get("status", {}).get("conditions", ()) if c["type"] == kind]
        if found:
            return dict(found[0])
        await asyncio.sleep(0)
    raise AssertionError(f"{name} has no condition {kind}")


async def define(world: World, body: dict[str, Any]) -> None:
    answer = await world.http("POST", CRDS, body)
    assert answer.code == 201, answer.text
    assert (await condition(world, body["metadata"]["name"], "Established"))["status"] == "True"


@pytest.fixture
async def widgets(world: World) -> World:
    await define(world, definition(shortNames=["wd"], categories=["all"]))
    return world


async def test_a_definition_gets_its_names_and_is_established(widgets: World) -> None:
    found = (await widgets.http("GET", f"{CRDS}/widgets.example.com")).body
    assert found["spec"]["names"] == {
        "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
        "shortNames": ["wd"], "categories": ["all"],
    }  # fmt: skip
    assert found["status"]["acceptedNames"] == found["spec"]["names"]
    assert found["status"]["storedVersions"] == ["v1"]
    assert [(c["type"], c["status"], c["reason"]) for c in found["status"]["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts"),
        ("Established", "True", "InitialNamesAccepted"),
    ]


async def test_create_get_and_list_with_defaults(widgets: World) -> None:
    created = await widgets.http("POST", WIDGETS, widget(ports=[{"name": "a", "port": "http"}]))
    assert created.code == 201
    assert created.body["spec"] == {"color": "red", "replicas": 1, "ports": [{"name": "a", "port": "http"}]}
    assert created.body["metadata"]["generation"] == 1
    assert (await widgets.http("GET", f"{WIDGETS}/w")).body == created.body
    listed = (await widgets.http("GET", WIDGETS)).body
    assert (listed["kind"], listed["apiVersion"], listed["items"]) == ("WidgetList", "example.com/v1", [created.body])


async def test_bad_objects_are_refused_with_every_finding(widgets: World) -> None:
    bad = widget(replicas=11, ports=[{"name": "a"}, {"name": "a"}, {}])
    bad["spec"]["color"] = "green"
    answer = await widgets.http("POST", WIDGETS, bad)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert [(c["field"], c["message"]) for c in answer.body["details"]["causes"]] == [
        ("spec.color", 'Unsupported value: "green": supported values: "red", "blue"'),
        ("spec.replicas", "Invalid value: 11: spec.replicas in body should be less than or equal to 10"),
        ("spec.ports[2].name", "Required value"),
        ("spec.ports[1]", 'Duplicate value: {"name":"a"}'),
    ]


async def test_unknown_fields_are_pruned_warned_of_or_refused(widgets: World) -> None:
    answer = await widgets.http("POST", WIDGETS, {**widget(size=3), "extra": 1})
    assert "size" not in answer.body["spec"]
    assert "extra" not in answer.body
    assert "spec.size" in answer.headers["Warning"]
    strict = await widgets.http("POST", f"{WIDGETS}?fieldValidation=Strict", widget("x", size=3))
    assert strict.code == 400
    assert strict.body["message"].endswith('strict decoding error: unknown field "spec.size"')


async def test_status_and_generation_go_their_own_ways(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, {**widget(), "status": {"replicas": 9}})
    spec = await widgets.http(
        "PATCH", f"{WIDGETS}/w", {"spec": {"color": "blue"}, "status": {"replicas": 9}}, media=MERGE
    )
    assert (spec.body["metadata"]["generation"], "status" in spec.body) == (2, False)
    status = await widgets.http(
        "PATCH", f"{WIDGETS}/w/status", {"spec": {"color": "red"}, "status": {"replicas": 4}}, media=MERGE
    )
    assert status.code == 200
    assert (status.body["spec"]["color"], status.body["status"]) == ("blue", {"replicas": 4})
    assert status.body["metadata"]["generation"] == 2


async def test_scale(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    await widgets.http("PATCH", f"{WIDGETS}/w/status", {"status": {"replicas": 4, "selector": "a=b"}}, media=MERGE)
    scale = (await widgets.http("GET", f"{WIDGETS}/w/scale")).body
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 4, "selector": "a=b"})
    answer = await widgets.http("PATCH", f"{WIDGETS}/w/scale", {"spec": {"replicas": 7}}, media=MERGE)
    assert answer.body["spec"] == {"replicas": 7}
    assert (await widgets.http("GET", f"{WIDGETS}/w")).body["spec"]["replicas"] == 7


async def test_tables_and_selectable_fields(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget("a"))
    await widgets.http("POST", WIDGETS, {**widget("b"), "spec": {"color": "blue", "replicas": 5}})
    table = (await widgets.http("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dblue", accept=TABLE)).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Color", "Replicas", "Age"]
    assert [row["cells"] for row in table["rows"]] == [["b", "blue", 5, "0s"]]
    assert (await widgets.http("GET", f"{WIDGETS}?fieldSelector=spec.size%3D1")).code == 400


def cells_and_objects(table: Any) -> tuple[list[Any], list[Any], list[Any]]:
    columns = [(column["name"], column["type"]) for column in table["columnDefinitions"]]
    return (
        columns,
        [row["cells"] for row in table["rows"]],
        [(row["object"] or {}).get("kind") for row in table["rows"]],
    )


async def test_shapes_of_what_rows_carry(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget("a"))
    for included, kind in (("", "PartialObjectMetadata"), ("None", None), ("Object", "Widget")):
        table = (await widgets.http("GET", f"{WIDGETS}?includeObject={included}", accept=TABLE)).body
        assert cells_and_objects(table)[1:] == ([["a", "red", 1, "0s"]], [kind])
    refused = await widgets.http("GET", f"{WIDGETS}?includeObject=x", accept=TABLE)
    assert refused.body["message"] == (
        "Unable to convert to Table as requested: includeObject: "
        "Invalid value: \"x\": must be 'Metadata', 'Object', 'None', or empty"
    )


async def test_what_no_schema_has_is_left_out_everywhere(world: World) -> None:
    """Deeper parts are read only when they are used, so even a strict request does not tell of it."""
    inner = {"type": "object", "foo": 1, "properties": {"a": {"type": "string", "bar": 2}}}
    known = {"type": "object", "properties": {"a": {"type": "string"}}}
    parts = {"l": {"type": "array", "items": inner}, "m": {"type": "object", "additionalProperties": inner}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": parts}}
    plain = {"name": "v1", "served": True, "storage": True, "schema": schema}
    made = await world.http("POST", f"{CRDS}?fieldValidation=Strict", definition("sails", "Sail", [plain]))
    assert made.code == 201
    assert made.body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] == {
        "l": {"type": "array", "items": known},
        "m": {"type": "object", "additionalProperties": known},
    }


async def test_limits_are_shown_as_they_were_written(world: World) -> None:
    area = {"type": "number", "minimum": 0, "maximum": 9, "multipleOf": 0.5}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"area": area}}}
    plain = {"name": "v1", "served": True, "storage": True, "schema": schema}
    await define(world, definition("sails", "Sail", [plain]))
    shown = await world.http("GET", f"{CRDS}/sails.example.com")
    assert '"maximum":9,"minimum":0,"multipleOf":0.5' in shown.text


async def test_a_definition_without_columns_shows_name_and_age(widgets: World) -> None:
    await define(widgets, definition("gadgets", "Gadget", [version(additionalPrinterColumns=[])]))
    path = "/apis/example.com/v1/namespaces/default/gadgets"
    await widgets.http("POST", path, {**widget("a"), "kind": "Gadget"})
    table = (await widgets.http("GET", path, accept=TABLE)).body
    assert cells_and_objects(table)[:2] == ([("Name", "string"), ("Age", "date")], [["a", "0s"]])


async def test_shapes_of_a_scale(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, {**widget("a"), "spec": {"color": "red", "replicas": 5}})
    path = f"{WIDGETS}/a/scale"
    columns = [("Name", "string"), ("Desired", "integer"), ("Available", "integer"), ("Age", "date")]
    for included, kind in (("", "PartialObjectMetadata"), ("None", None), ("Object", "Scale")):
        table = (await widgets.http("GET", f"{path}?includeObject={included}", accept=TABLE)).body
        assert cells_and_objects(table) == (columns, [["a", 5, 0, "0s"]], [kind])
    partial = (await widgets.http("GET", path, accept=TABLE.replace("Table", "PartialObjectMetadata"))).body
    deleted = await widgets.http("DELETE", f"{WIDGETS}/a", accept=TABLE)
    assert (deleted.code, deleted.body["kind"], deleted.body["status"]) == (200, "Status", "Success")
    assert (partial["kind"], partial["metadata"]["name"], "spec" in partial) == ("PartialObjectMetadata", "a", False)


@pytest.mark.parametrize(
    ("path", "shape", "message"),
    [
        (WIDGETS, "PartialObjectMetadata",
         "you requested PartialObjectMetadata, but the requested object is a list (*unstructured.UnstructuredList)"),
        (f"{WIDGETS}/a", "PartialObjectMetadataList",
         "you requested PartialObjectMetadataList, but the requested object is not a list "
         "(*unstructured.Unstructured)"),
        ("/api/v1/nodes", "PartialObjectMetadata",
         "you requested PartialObjectMetadata, but the requested object is a list (*core.NodeList)"),
    ],
)  # fmt: skip
async def test_lists_and_objects_have_metadata_of_their_own(
    widgets: World, path: str, shape: str, message: str
) -> None:
    await widgets.http("POST", WIDGETS, widget("a"))
    refused = await widgets.http("GET", path, accept=TABLE.replace("Table", shape))
    assert (refused.code, refused.body["message"]) == (406, message)


async def test_strategic_patches_are_refused(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    media = "application/strategic-merge-patch+json"
    assert (await widgets.http("PATCH", f"{WIDGETS}/w", {"spec": {"replicas": 2}}, media=media)).code == 415
    encoded = await widgets.http("POST", WIDGETS, b"k8s\x00", media="application/vnd.kubernetes.protobuf")
    assert (encoded.code, encoded.body["message"].partition("include: ")[2]) == (
        415,
        "application/json, application/yaml",
    )


async def test_what_was_wrong_before_may_stay(widgets: World) -> None:
    await widgets.http("POST", WIDGETS, widget())
    tighter = copy.deepcopy(SPEC_SCHEMA)
    tighter["properties"]["color"]["enum"] = ["blue"]  # type: ignore[index]
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": tighter, "status": STATUS_SCHEMA}}}
    await widgets.http(
        "PATCH", f"{CRDS}/widgets.example.com", {"spec": {"versions": [version(schema=schema)]}}, media=MERGE
    )
    kept = await widgets.http("PATCH", f"{WIDGETS}/w", {"spec": {"replicas": 2}}, media=MERGE)
    assert kept.code == 200, kept.text
    assert (await widgets.http("POST", WIDGETS, widget("x"))).code == 422


async def test_a_newer_schema_shows_what_is_stored_in_its_own_way(widgets: World) -> None:
    before = (await widgets.http("POST", WIDGETS, widget(ports=[{"name": "a"}]))).body
    newer = copy.deepcopy(SPEC_SCHEMA)
    del newer["properties"]["ports"]  # type: ignore[attr-defined]
    newer["properties"]["mode"] = {"type": "string", "default": "slow"}  # type: ignore[index]
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": newer, "status": STATUS_SCHEMA}}}
    patch = {"spec": {"versions": [version(schema=schema)]}}
    assert (await widgets.http("PATCH", f"{CRDS}/widgets.example.com", patch, media=MERGE)).code == 200
    shown = (await widgets.http("GET", f"{WIDGETS}/w")).body
    assert shown["spec"] == {"color": "red", "replicas": 1, "mode": "slow"}
    assert shown["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    back = {"spec": {"versions": [version()]}}
    await widgets.http("PATCH", f"{CRDS}/widgets.example.com", back, media=MERGE)
    assert (await widgets.http("GET", f"{WIDGETS}/w")).body == before


async def test_discovery_and_openapi_follow(widgets: World) -> None:
    group = (await widgets.http("GET", "/apis/example.com/v1")).body
    assert [(r["name"], r["kind"], r.get("shortNames")) for r in group["resources"]] == [
        ("widgets", "Widget", ["wd"]),
        ("widgets/status", "Widget", None),
        ("widgets/scale", "Scale", None),
    ]
    verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    assert group["resources"][0]["verbs"] == verbs
    document = (await widgets.http("GET", "/openapi/v3/apis/example.com/v1")).body
    schema = document["components"]["schemas"]["com.example.v1.Widget"]
    assert schema["properties"]["spec"]["properties"]["color"]["enum"] == ["red", "blue"]
    assert (await widgets.http("GET", "/apis/example.com/v2")).code == 404


async def test_aggregated_discovery_follows(widgets: World) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    async def found() -> tuple[str, Any]:
        answer = await widgets.http("GET", "/apis", accept=accept)
        return answer.headers["Etag"], [group for group in answer.body["items"] if "." in group["metadata"]["name"]][-1]

    kind = {"group": "example.com", "version": "v1", "kind": "Widget"}
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    changing = ["get", "patch", "update"]
    first, group = await found()
    assert group == {
        "metadata": {"name": "example.com"},
        "versions": [
            {
                "version": "v1",
                "freshness": "Current",
                "resources": [
                    {
                        "resource": "widgets",
                        "responseKind": kind,
                        "scope": "Namespaced",
                        "singularResource": "widget",
                        "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
                        "shortNames": ["wd"],
                        "categories": ["all"],
                        "subresources": [
                            {"subresource": "status", "responseKind": kind, "verbs": changing},
                            {"subresource": "scale", "responseKind": scale, "verbs": changing},
                        ],
                    }
                ],
            }
        ],
    }
    assert (await found())[0] == first
    await define(widgets, definition("gadgets", "Gadget"))
    second, group = await found()
    assert second != first
    assert [resource["resource"] for resource in group["versions"][0]["resources"]] == ["gadgets", "widgets"]
    await widgets.http("DELETE", f"{CRDS}/gadgets.example.com")
    for _ in range(500):
        if (await widgets.http("GET", f"{CRDS}/gadgets.example.com")).code == 404:
            break
        await widgets.clock.advance(1.0)
    assert (await found())[0] == first


async def test_names_that_are_taken_wait_until_they_are_free(widgets: World) -> None:
    await widgets.http("POST", CRDS, definition("gadgets", "Widget"))
    refused = await condition(widgets, "gadgets.example.com", "NamesAccepted")
    assert (refused["status"], refused["reason"]) == ("False", "ListKindConflict")
    assert (await condition(widgets, "gadgets.example.com", "Established"))["status"] == "False"
    assert (await widgets.http("GET", "/apis/example.com/v1/namespaces/default/gadgets")).code == 404
    await widgets.http("DELETE", f"{CRDS}/widgets.example.com")
    for _ in range(200):
        if (await condition(widgets, "gadgets.example.com", "Established"))["status"] == "True":
            break
        await asyncio.sleep(0)
    assert (await widgets.http("GET", "/apis/example.com/v1/namespaces/default/gadgets")).code == 200


async def test_deleting_a_definition_deletes_its_instances_first(widgets: World) -> None:
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await widgets.http("POST", WIDGETS, held)
    await widgets.http("POST", WIDGETS, widget("free"))
    marked = await widgets.http("DELETE", f"{CRDS}/widgets.example.com")
    assert marked.body["metadata"]["finalizers"] == [CLEANUP_FINALIZER]
    for _ in range(200):
        terminating = await condition(widgets, "widgets.example.com", "Terminating")
        if terminating["reason"] == "InstanceDeletionInProgress":
            break
        await asyncio.sleep(0)
    assert [item["metadata"]["name"] for item in (await widgets.http("GET", WIDGETS)).body["items"]] == ["held"]
    refused = await widgets.http("POST", WIDGETS, widget("late"))
    assert (refused.code, refused.body["message"]) == (
        403,
        'widgets.example.com "late" is forbidden: create not allowed while custom resource definition is terminating',
    )
    definition_now = (await widgets.http("GET", f"{CRDS}/widgets.example.com")).body
    assert definition_now["metadata"]["generation"] == 1
    assert "deletionGracePeriodSeconds" not in definition_now["metadata"]
    await widgets.http("PATCH", f"{WIDGETS}/held", {"metadata": {"finalizers": None}}, media=MERGE)
    for _ in range(500):
        if (await widgets.http("GET", f"{CRDS}/widgets.example.com")).code == 404:
            break
        await widgets.clock.advance(1.0)
    assert (await widgets.http("GET", WIDGETS)).code == 404


async def test_everything_is_there_again_after_a_restart(widgets: World) -> None:
    created = (await widgets.http("POST", WIDGETS, widget())).body
    again = ApiServer(ApiServerConfig(authorize=False), widgets.store, widgets.clock)
    await again.start()
    try:
        transport = again.transport("admin", ("system:masters",))
        from tiphys.client.interface import ApiRequest

        request = ApiRequest(
            verb="get", group="example.com", version="v1", resource="widgets", namespace="default", name="w"
        )
        found = await transport.call(request)
        assert (found.kind, found.content["spec"]) == ("Widget", created["spec"])
        assert found.metadata.uid == created["metadata"]["uid"]
    finally:
        await again.stop()


async def test_versions_without_conversion(world: World) -> None:
    old = version("v1", deprecated=True)
    new = version("v2", storage=False)
    await define(world, definition(versions=[old, new]))
    await world.http("POST", WIDGETS, widget())
    v2 = WIDGETS.replace("/v1/", "/v2/")
    shown = await world.http("GET", f"{v2}/w")
    assert (shown.body["apiVersion"], shown.body["spec"]) == ("example.com/v2", {"color": "red", "replicas": 1})
    warned = await world.http("GET", f"{WIDGETS}/w")
    assert warned.headers["Warning"] == '299 - "example.com/v1 Widget is deprecated; use example.com/v2 Widget"'
    assert "Warning" not in (await world.http("GET", f"{v2}/w")).headers
    loose = await world.http("PATCH", f"{v2}/w", {"metadata": {"finalizers": ["mine", "orphan"]}}, media=MERGE)
    assert loose.code == 200, loose.text
    assert loose.headers["Warning"].startswith(
        r'299 - "metadata.finalizers: \"mine\": prefer a domain-qualified finalizer name'
    )
    await world.http("PATCH", f"{v2}/w", {"metadata": {"finalizers": None}}, media=MERGE)
    flipped = [{**old, "storage": False}, {**new, "storage": True}]
    await world.http("PATCH", f"{CRDS}/widgets.example.com", {"spec": {"versions": flipped}}, media=MERGE)
    for path, api_version in ((WIDGETS, "example.com/v1"), (v2, "example.com/v2")):
        assert (await world.http("GET", f"{path}/w")).body["apiVersion"] == api_version
        assert [i["apiVersion"] for i in (await world.http("GET", path)).body["items"]] == [api_version]
    stored = (await world.http("GET", f"{CRDS}/widgets.example.com")).body["status"]["storedVersions"]
    assert stored == ["v1", "v2"]
    kept = await world.store.get("/registry/example.com/widgets/default/w")
    assert kept is not None
    assert kept.value.startswith(b'{"apiVersion":"example.com/v1"')
    assert (await world.http("PUT", f"{v2}/w", (await world.http("GET", f"{v2}/w")).body)).code == 200
    kept = await world.store.get("/registry/example.com/widgets/default/w")
    assert kept is not None
    assert kept.value.startswith(b'{"apiVersion":"example.com/v2"')


async def test_rules_in_cel_are_refused_clearly(world: World) -> None:
    body = definition()
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "self.replicas > 1"}]
    answer = await world.http("POST", CRDS, body)
    assert answer.code == 422
    assert [(c["reason"], c["field"]) for c in answer.body["details"]["causes"]] == [
        (
            "FieldValueForbidden",
            "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations",
        )
    ]


APPLY = "application/apply-patch+yaml"


async def test_nulls_are_left_out_of_bodies_and_looked_at_in_configurations(widgets: World) -> None:
    body = {**widget("n"), "spec": {"color": "red", "ports": None, "replicas": None}}
    created = await widgets.http("POST", WIDGETS, body)
    assert (created.code, created.body["spec"]) == (201, {"color": "red", "replicas": 1})
    applied = await widgets.http("PATCH", f"{WIDGETS}/n?fieldManager=me&force=true", body, media=APPLY)
    assert (applied.code, applied.body["details"]["causes"]) == (
        422,
        [
            {
                "reason": "FieldValueTypeInvalid",
                "field": "spec.ports",
                "message": 'Invalid value: "null": spec.ports in body must be of type array: "null"',
            }
        ],
    )
    del body["spec"]["ports"], body["spec"]["replicas"]
    applied = await widgets.http("PATCH", f"{WIDGETS}/n?fieldManager=me", body, media=APPLY)
    assert (applied.code, applied.body["spec"]) == (200, {"color": "red", "replicas": 1})
    mine = {entry["manager"]: "time" in entry for entry in applied.body["metadata"]["managedFields"]}
    assert mine["me"] is False, "it changed nothing but who owns what"


async def test_apply_merges_by_the_keys_of_the_schema_and_tells_of_conflicts(widgets: World) -> None:
    mine = await widgets.http(
        "PATCH", f"{WIDGETS}/w?fieldManager=me", widget(ports=[{"name": "a", "port": 1}]), media=APPLY
    )
    assert mine.code == 201, mine.text
    theirs = widget(ports=[{"name": "b", "port": 2}])
    del theirs["spec"]["color"]
    merged = await widgets.http("PATCH", f"{WIDGETS}/w?fieldManager=you", theirs, media=APPLY)
    assert merged.code == 200, merged.text
    assert merged.body["spec"]["ports"] == [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    owned = {entry["manager"]: entry["fieldsV1"]["f:spec"] for entry in merged.body["metadata"]["managedFields"]}
    assert owned == {
        "me": {"f:color": {}, "f:ports": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:port": {}}}},
        "you": {"f:ports": {'k:{"name":"b"}': {".": {}, "f:name": {}, "f:port": {}}}},
    }
    conflict = await widgets.http(
        "PATCH", f"{WIDGETS}/w?fieldManager=you", {**theirs, "spec": {"color": "blue"}}, media=APPLY
    )
    assert (conflict.code, conflict.body["details"]["causes"][0]["field"]) == (409, ".spec.color")
    unknown = await widgets.http("PATCH", f"{WIDGETS}/w?fieldManager=me", widget(size=1), media=APPLY)
    assert (unknown.code, "field not declared in schema" in unknown.body["message"]) == (400, True)

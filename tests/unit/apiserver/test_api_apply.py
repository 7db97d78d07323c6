"""Server-side apply and managedFields over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_world import Answer, World

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
MAP = "/api/v1/namespaces/default/configmaps/m"
MAPS = "/api/v1/namespaces/default/configmaps"
WEB = "/apis/apps/v1/namespaces/default/deployments/web"
NOW = "2023-11-14T22:13:20Z"


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def whole(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return deployment(selector={"matchLabels": {"a": "b"}}, template=template, **spec)


async def apply(world: World, path: str, config: Any, options: str) -> Answer:
    return await world.http("PATCH", f"{path}?{options}", config, media=APPLY)


def owners(answer: Answer) -> list[tuple[str, str, str]]:
    found = answer.body["metadata"].get("managedFields", [])
    return [(entry["manager"], entry["operation"], entry.get("subresource", "")) for entry in found]


async def test_apply_creates_then_changes_then_does_nothing(world: World) -> None:
    created = await apply(world, MAP, config_map(a="1", b="1"), "fieldManager=one")
    assert created.code == 201
    assert created.body["metadata"]["managedFields"] == [
        {
            "manager": "one",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}},
        }
    ]
    changed = await apply(world, MAP, b"apiVersion: v1\nkind: ConfigMap\ndata:\n  a: '2'\n", "fieldManager=one")
    assert (changed.code, changed.body["data"]) == (200, {"a": "2"})
    same = await apply(world, MAP, config_map(a="2"), "fieldManager=one")
    assert same.body == changed.body
    missing = await apply(world, f"{WEB}/status", deployment(), "fieldManager=one")
    assert missing.code == 404


async def test_a_dry_run_applies_nothing(world: World) -> None:
    created = await apply(world, MAP, config_map(a="1"), "fieldManager=one&dryRun=All")
    assert (created.code, created.body["data"]) == (201, {"a": "1"})
    assert (await world.http("GET", MAP)).code == 404


@pytest.mark.parametrize(
    ("options", "body", "code", "message"),
    [
        (
            "",
            config_map(),
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        ),
        (
            f"fieldManager={'x' * 129}",
            config_map(),
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
        ),
        (
            "fieldManager=a",
            b"[]",
            400,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            "fieldManager=a",
            b"a: b: c",
            400,
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
        (
            "fieldManager=a",
            {"apiVersion": "v2", "kind": "ConfigMap"},
            400,
            "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1",
        ),
        (
            "fieldManager=a",
            {**config_map(), "metadata": {"managedFields": []}},
            400,
            "metadata.managedFields must be nil",
        ),
        (
            "fieldManager=a",
            {**config_map(), "dada": {}},
            400,
            "failed to create typed patch object (/m; v1, Kind=ConfigMap): .dada: field not declared in schema",
        ),
        (
            "fieldManager=a",
            {**config_map(), "metadata": {"name": "x"}},
            400,
            "the name of the object (x) does not match the name on the URL (m)",
        ),
    ],
)
async def test_requests_that_say_it_wrong(world: World, options: str, body: Any, code: int, message: str) -> None:
    answer = await apply(world, MAP, body, options)
    assert (answer.code, answer.body["message"]) == (code, message)
    assert (await world.http("GET", MAP)).code == 404


async def test_force_is_for_apply_alone(world: World) -> None:
    answer = await world.http("PATCH", f"{MAP}?force=true", {}, media=MERGE)
    assert (answer.code, answer.body["message"]) == (
        422,
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    )


async def test_conflicts_are_answered_with_their_causes(world: World) -> None:
    await apply(world, WEB, whole(replicas=1), "fieldManager=one")
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
    assert (await world.http("PUT", f"{WEB}/scale?fieldManager=hpa", scale)).code == 200
    answer = await apply(world, WEB, whole(replicas=2), "fieldManager=one")
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using apps/v1: '
        ".spec.replicas",
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "hpa" with subresource "scale" using apps/v1',
                    "field": ".spec.replicas",
                }
            ]
        },
        "code": 409,
    }
    forced = await apply(world, WEB, whole(replicas=2), "fieldManager=one&force=true")
    assert (forced.code, forced.body["spec"]["replicas"], owners(forced)) == (200, 2, [("one", "Apply", "")])


async def test_each_subresource_takes_its_own_part(world: World) -> None:
    await apply(world, WEB, {**whole(replicas=1), "status": {"replicas": 7}}, "fieldManager=one")
    status = {**deployment(replicas=9), "status": {"replicas": 2, "readyReplicas": 1}}
    answer = await apply(world, f"{WEB}/status", status, "fieldManager=two")
    assert (answer.body["spec"]["replicas"], answer.body["status"]) == (1, {"replicas": 2, "readyReplicas": 1})
    assert answer.body["metadata"]["managedFields"][1] == {
        "manager": "two",
        "operation": "Apply",
        "subresource": "status",
        "apiVersion": "apps/v1",
        "time": NOW,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:status": {"f:readyReplicas": {}, "f:replicas": {}}},
    }
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 3}}
    scaled = await apply(world, f"{WEB}/scale", scale, "fieldManager=three&force=true")
    assert (scaled.body["kind"], scaled.body["spec"]) == ("Scale", {"replicas": 3})
    found = await world.http("GET", WEB)
    assert owners(found) == [("one", "Apply", ""), ("three", "Apply", "scale"), ("two", "Apply", "status")]


async def test_every_write_is_somebodys(world: World) -> None:
    created = await world.http("POST", f"{MAPS}?fieldManager=creator", config_map(a="1"))
    assert owners(created) == [("creator", "Update", "")]
    patched = await world.http("PATCH", f"{MAP}?fieldManager=patcher", {"data": {"a": "2", "b": "2"}}, media=MERGE)
    found = {entry["manager"]: entry["fieldsV1"] for entry in patched.body["metadata"]["managedFields"]}
    assert found == {"creator": {"f:data": {}}, "patcher": {"f:data": {"f:a": {}, "f:b": {}}}}
    body = {**patched.body, "data": {"b": "2"}}
    updated = await world.http("PUT", f"{MAP}?fieldManager=creator", body)
    found = {entry["manager"]: entry["fieldsV1"] for entry in updated.body["metadata"]["managedFields"]}
    assert found == {"creator": {"f:data": {}}, "patcher": {"f:data": {"f:b": {}}}}
    refused = await world.http("POST", f"{MAPS}?fieldManager={'x' * 129}", config_map())
    assert (refused.code, refused.body["message"]) == (
        422,
        'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
    )


async def test_entries_can_be_removed_and_come_back_with_apply(world: World) -> None:
    await world.http("POST", MAPS, config_map(a="1"))
    removed = await world.http("PATCH", MAP, {"metadata": {"managedFields": [{}]}}, media=MERGE)
    assert "managedFields" not in removed.body["metadata"]
    untracked = await world.http("PATCH", MAP, {"data": {"a": "2"}}, media=MERGE)
    assert "managedFields" not in untracked.body["metadata"]
    applied = await apply(world, MAP, config_map(a="2"), "fieldManager=one")
    assert owners(applied) == [("one", "Apply", ""), ("before-first-apply", "Update", "")]


async def test_entries_that_a_client_rewrites_are_kept(world: World) -> None:
    created = (await world.http("POST", f"{MAPS}?fieldManager=old", config_map(a="1"))).body
    entries = [{**created["metadata"]["managedFields"][0], "manager": "new", "operation": "Apply"}]
    steps = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
    patched = await world.http("PATCH", MAP, steps, media="application/json-patch+json")
    assert patched.body["metadata"]["managedFields"] == entries
    nonsense = [{"op": "replace", "path": "/metadata/managedFields", "value": [{"manager": "x", "operation": "Eat"}]}]
    kept = await world.http("PATCH", MAP, nonsense, media="application/json-patch+json")
    assert kept.body["metadata"]["managedFields"] == entries


async def test_an_update_that_changes_nothing_writes_nothing(world: World) -> None:
    created = await apply(world, MAP, config_map(a="1", b="2"), "fieldManager=one")
    spaced = json.dumps(created.body, indent=1, sort_keys=True).encode()
    again = await world.http("PUT", f"{MAP}?fieldManager=two", spaced)
    assert again.body == created.body


async def test_configurations_of_any_shape_are_answered(world: World) -> None:
    await apply(world, MAP, config_map(a="1"), "fieldManager=one")
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    for change in (
        {"data": []},
        {"data": {"a": {}}},
        {"metadata": {"labels": 1}},
        {"metadata": 1},
        {"metadata": {"x": deep}},
        {"kind": "Pod"},
    ):
        answer = await apply(world, MAP, {**config_map(), **change}, "fieldManager=one")
        assert (answer.code, answer.body["reason"]) == (400, "BadRequest"), change
    revision = await apply(world, MAP, {**config_map(a="3"), "metadata": {"resourceVersion": "1"}}, "fieldManager=one")
    assert (revision.code, revision.body["reason"]) == (409, "Conflict")


async def test_versions_of_one_object_share_its_managers(world: World) -> None:
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    config = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}}
    created = await apply(
        world, path, {**config, "spec": {"scaleTargetRef": target, "maxReplicas": 3}}, "fieldManager=one"
    )
    assert created.code == 201
    older = {**config, "apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 4}}
    clash = await apply(world, path.replace("v2", "v1"), older, "fieldManager=two")
    assert clash.body["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.maxReplicas'
    forced = await apply(world, path.replace("v2", "v1"), older, "fieldManager=two&force=true")
    assert forced.body["spec"]["maxReplicas"] == 4
    found = {entry["manager"]: entry["fieldsV1"] for entry in forced.body["metadata"]["managedFields"]}
    reference = {"f:apiVersion": {}, "f:kind": {}, "f:name": {}}
    assert found == {"one": {"f:spec": {"f:scaleTargetRef": reference}}, "two": {"f:spec": {"f:maxReplicas": {}}}}

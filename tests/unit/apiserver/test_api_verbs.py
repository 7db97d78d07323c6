"""The verbs over loopback HTTP: what clients send and what they match on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from api_world import World

TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "a"}]}}
OTHER_TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "b"}]}}
HOOK = {
    "name": "hook.example.com",
    "clientConfig": {"url": "https://192.0.2.1/hook"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


async def test_create_fills_in_what_the_server_knows(world: World) -> None:
    answer = await world.http("POST", MAPS, config_map("a", x="y"))
    created = answer.body
    assert answer.code == 201
    assert created["metadata"].pop("managedFields") == [
        {
            "manager": "Python",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2023-11-14T22:13:20Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:x": {}}},
        }
    ]
    assert created == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "resourceVersion": "6",
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "name": "a",
            "namespace": "default",
            "uid": answer.body["metadata"]["uid"],
        },
        "data": {"x": "y"},
    }
    again = await world.http("GET", f"{MAPS}/a")
    assert (again.code, again.body) == (200, answer.body)


async def test_a_name_that_is_taken_is_a_conflict(world: World) -> None:
    await world.http("POST", MAPS, config_map("a"))
    answer = await world.http("POST", MAPS, config_map("a"))
    assert answer.code == 409
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "a" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 409,
    }


async def test_generated_names_begin_with_the_prefix(world: World) -> None:
    names = set()
    for _ in range(5):
        answer = await world.http("POST", MAPS, {"metadata": {"generateName": "job-"}})
        assert answer.code == 201
        names.add(answer.body["metadata"]["name"])
    assert len(names) == 5
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


async def test_every_finding_comes_at_once(world: World) -> None:
    bad = {"metadata": {"name": "A_"}, "spec": {"containers": [{"name": "c"}], "restartPolicy": "Sometimes"}}
    answer = await world.http("POST", PODS, bad)
    assert answer.code == 422
    assert answer.body["reason"] == "Invalid"
    fields = {cause["field"] for cause in answer.body["details"]["causes"]}
    assert {"metadata.name", "spec.containers[0].image", "spec.restartPolicy"} <= fields


WRONG_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
NO_KIND = 'Pod in version "v1" cannot be handled as a ConfigMap: no kind "Pod" is registered for version "v1"'
NO_TEXT = (
    'Pod in version "v1" cannot be handled as a Pod: '
    "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string"
)

UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
NO_VERSION = (
    f"{UNRECOGNIZED}json parse error: json: cannot unmarshal number into Go struct field .apiVersion of type string"
    ' ({"apiVersion":5})'
)
NO_END = UNRECOGNIZED + 'json parse error: unexpected end of JSON input ({"data":)'


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (MAPS, {"metadata": {"name": "a", "namespace": "other"}}, 400, WRONG_NAMESPACE),
        (
            MAPS,
            {"metadata": {"name": "a", "resourceVersion": "5"}},
            400,
            "resourceVersion should not be set on objects to be created",
        ),
        ("/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "a"}}, 404, 'namespaces "nowhere" not found'),
        (
            "/api/v1/configmaps",
            {"metadata": {"name": "a"}},
            405,
            "the server does not allow this method on the requested resource",
        ),
        (MAPS, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}, 400, NO_KIND),
        (PODS, {"spec": {"containers": [{"name": 3}]}}, 400, NO_TEXT),
        (MAPS, {"apiVersion": 5}, 400, NO_VERSION),
        (MAPS, b'{"data":', 400, NO_END),
    ],
)
async def test_what_cannot_be_created(world: World, path: str, body: Any, code: int, message: str) -> None:
    answer = await world.http("POST", path, body)
    assert (answer.code, answer.body["message"]) == (code, message)


async def test_unknown_fields_warn_or_refuse(world: World) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"x":"1"},"data":{"x":"2"},"spec":{"y":1}}'
    answer = await world.http("POST", MAPS + "?fieldValidation=Strict", body)
    assert answer.code == 400
    assert answer.body["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'unknown field "spec", duplicate field "data"'
    )
    answer = await world.http("POST", MAPS + "?fieldValidation=Ignore&dryRun=All", body)
    assert (answer.code, answer.headers.get("Warning")) == (201, None)
    answer = await world.http("POST", MAPS, body)
    assert answer.code == 201
    assert "Warning" in answer.headers


async def test_dry_run_writes_nothing(world: World) -> None:
    answer = await world.http("POST", MAPS + "?dryRun=All", config_map("a"))
    assert answer.code == 201
    assert "resourceVersion" not in answer.body["metadata"]
    assert (await world.http("GET", f"{MAPS}/a")).code == 404
    answer = await world.http("POST", MAPS + "?dryRun=Some", config_map("a"))
    assert answer.code == 422


async def test_yaml_goes_in_and_out(world: World) -> None:
    text = b"metadata: {name: a, annotations: {when: 12:30, day: 2020-01-01}}\ndata: {x: 'y'}\n"
    answer = await world.http("POST", MAPS, text, media="application/yaml", accept="application/yaml")
    assert answer.code == 201
    assert answer.headers["Content-Type"] == "application/yaml"
    assert "kind: ConfigMap\n" in answer.text
    stored = await world.http("GET", f"{MAPS}/a")
    assert stored.body["metadata"]["annotations"] == {"when": "12:30", "day": "2020-01-01"}


async def test_update_is_guarded_by_the_revision(world: World) -> None:
    created = (await world.http("POST", MAPS, config_map("a", x="1"))).body
    created["data"]["x"] = "2"
    updated = await world.http("PUT", f"{MAPS}/a", created)
    assert updated.code == 200
    assert updated.body["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
    stale = await world.http("PUT", f"{MAPS}/a", created)
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")
    assert stale.body["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to'
        " the latest version and try again"
    )
    unconditional = await world.http("PUT", f"{MAPS}/a", config_map("a", x="3"))
    assert (unconditional.code, unconditional.body["data"]) == (200, {"x": "3"})
    assert unconditional.body["metadata"]["uid"] == created["metadata"]["uid"]
    assert unconditional.body["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]


async def test_an_update_that_changes_nothing_writes_nothing(world: World) -> None:
    created = (await world.http("POST", MAPS, config_map("a", x="1"))).body
    before = world.store.revision
    answer = await world.http("PUT", f"{MAPS}/a", created)
    assert (answer.code, answer.body, world.store.revision) == (200, created, before)


async def test_owners_can_be_set_through_the_status(world: World) -> None:
    claims = "/api/v1/namespaces/default/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = (await world.http("POST", claims, {"metadata": {"name": "a"}, "spec": spec})).body
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}
    changed = {**made, "metadata": {**made["metadata"], "ownerReferences": [owner]}}
    answer = await world.http("PUT", f"{claims}/a/status", changed)
    assert (answer.code, answer.body["metadata"]["ownerReferences"]) == (200, [owner])


@pytest.mark.parametrize(
    ("path", "body", "change"),
    [
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            {"addressType": "IPv4", "endpoints": []},
            {"endpoints": [{"addresses": ["192.0.2.1"]}]},
        ),
        ("/api/v1/namespaces/default/podtemplates", {"template": TEMPLATE}, {"template": OTHER_TEMPLATE}),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            {"webhooks": []},
            {"webhooks": [HOOK]},
        ),
    ],
)
async def test_kinds_without_a_spec_count_generations_too(
    world: World, path: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    made = (await world.http("POST", path, {"metadata": {"name": "a"}, **body})).body
    annotated = {**made, "metadata": {**made["metadata"], "annotations": {"a": "b"}}}
    same = (await world.http("PUT", f"{path}/a", annotated)).body
    changed = (await world.http("PUT", f"{path}/a", {**same, **change})).body
    assert [found["metadata"].get("generation") for found in (made, same, changed)] == [1, 1, 2]


async def test_what_one_client_writes_as_zero_another_may_leave_out(world: World) -> None:
    spoken = pod("a")
    spoken["spec"] |= {"hostNetwork": False, "nodeName": ""}
    made = (await world.http("POST", PODS, spoken)).body
    assert "hostNetwork" not in made["spec"]
    assert "nodeName" not in made["spec"]
    again = {**made, "spec": {**made["spec"], "hostNetwork": False}}
    answer = await world.http("PUT", f"{PODS}/a", again)
    assert (answer.code, answer.body) == (200, made), "nothing changed"


async def test_priority_classes_have_one_generation(world: World) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    made = (await world.http("POST", path, {"metadata": {"name": "a"}, "value": 5})).body
    changed = (await world.http("PUT", f"{path}/a", {**made, "description": "new"})).body
    assert [found["metadata"]["generation"] for found in (made, changed)] == [1, 1]


async def test_updates_of_other_objects_are_refused(world: World) -> None:
    await world.http("POST", MAPS, config_map("a"))
    wrong_name = await world.http("PUT", f"{MAPS}/a", config_map("b"))
    assert (wrong_name.code, wrong_name.body["message"]) == (
        400,
        "the name of the object (b) does not match the name on the URL (a)",
    )
    nameless = await world.http("PUT", f"{MAPS}/a", {"data": {}})
    assert (nameless.code, nameless.body["message"]) == (
        400,
        "the name of the object (a based on URL) was undeterminable: name must be provided",
    )
    other = config_map("a")
    other["metadata"]["uid"] = "not-it"
    wrong_uid = await world.http("PUT", f"{MAPS}/a", other)
    assert wrong_uid.code == 409
    assert "Precondition failed: UID in precondition: not-it" in wrong_uid.body["message"]


async def test_generation_counts_changes_of_the_spec(world: World) -> None:
    created = (await world.http("POST", DEPLOYMENTS, deployment("d"))).body
    assert created["metadata"]["generation"] == 1
    labelled = await world.http(
        "PATCH", f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"x": "y"}}}, media="application/merge-patch+json"
    )
    assert labelled.body["metadata"]["generation"] == 1
    scaled = await world.http(
        "PATCH", f"{DEPLOYMENTS}/d", {"spec": {"replicas": 4}}, media="application/merge-patch+json"
    )
    assert scaled.body["metadata"]["generation"] == 2


async def test_status_is_written_through_its_subresource_alone(world: World) -> None:
    created = (await world.http("POST", DEPLOYMENTS, {**deployment("d"), "status": {"replicas": 9}})).body
    assert "replicas" not in created["status"]
    patch = {"spec": {"replicas": 7}, "status": {"replicas": 3}}
    merge = "application/merge-patch+json"
    through_spec = (await world.http("PATCH", f"{DEPLOYMENTS}/d", patch, media=merge)).body
    assert (through_spec["spec"]["replicas"], through_spec["status"]) == (7, {})
    patch["spec"]["replicas"] = 8
    through_status = (await world.http("PATCH", f"{DEPLOYMENTS}/d/status", patch, media=merge)).body
    assert (through_status["spec"]["replicas"], through_status["status"]["replicas"]) == (7, 3)
    assert through_status["metadata"]["generation"] == 2


async def test_the_three_patches(world: World) -> None:
    await world.http("POST", DEPLOYMENTS, deployment("d"))
    containers = {
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "new"}, {"name": "d", "image": "d"}]}}}
    }
    strategic = await world.http(
        "PATCH", f"{DEPLOYMENTS}/d", containers, media="application/strategic-merge-patch+json"
    )
    found = strategic.body["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in found} == {"c": "new", "d": "d"}
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    by_json = await world.http("PATCH", f"{DEPLOYMENTS}/d", operations, media="application/json-patch+json")
    assert by_json.body["spec"]["replicas"] == 5
    missing = await world.http(
        "PATCH", f"{DEPLOYMENTS}/d", [{"op": "remove", "path": "/nope"}], media="application/json-patch+json"
    )
    assert missing.code == 422
    strange = await world.http("PATCH", f"{DEPLOYMENTS}/d", {}, media="text/plain")
    assert strange.code == 415


async def test_a_patch_that_names_a_revision_is_guarded(world: World) -> None:
    await world.http("POST", MAPS, config_map("a"))
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}}
    answer = await world.http("PATCH", f"{MAPS}/a", patch, media="application/merge-patch+json")
    assert answer.code == 409


async def test_pods_go_after_their_grace_period(world: World) -> None:
    await world.http("POST", PODS, pod("p"))
    bound = await world.http("POST", f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "n"}})
    assert (bound.code, bound.body["status"]) == (201, "Success")
    first = await world.http("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 10})
    assert first.code == 200
    assert first.body["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:30Z"
    assert first.body["metadata"]["deletionGracePeriodSeconds"] == 10
    longer = await world.http("DELETE", f"{PODS}/p?gracePeriodSeconds=60")
    assert longer.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]
    shorter = await world.http("DELETE", f"{PODS}/p?gracePeriodSeconds=5")
    assert shorter.body["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:25Z"
    await world.http("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
    assert (await world.http("GET", f"{PODS}/p")).code == 404


async def test_a_pod_is_bound_once(world: World) -> None:
    await world.http("POST", PODS, pod("p"))
    target = {"target": {"kind": "Node", "name": "n"}}
    await world.http("POST", f"{PODS}/p/binding", target)
    again = await world.http("POST", f"{PODS}/p/binding", target)
    assert (again.code, again.body["reason"]) == (409, "Conflict")
    assert 'pod p is already assigned to node "n"' in again.body["message"]
    shown = (await world.http("GET", f"{PODS}/p")).body
    assert shown["spec"]["nodeName"] == "n"
    assert [(c["type"], c["status"]) for c in shown["status"]["conditions"]] == [("PodScheduled", "True")]


async def test_finalizers_keep_an_object_until_the_last_is_gone(world: World) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/wait"]
    await world.http("POST", MAPS, body)
    deleted = await world.http("DELETE", f"{MAPS}/a")
    assert deleted.body["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    added = {"metadata": {"finalizers": ["example.com/wait", "example.com/more"]}}
    refused = await world.http("PATCH", f"{MAPS}/a", added, media="application/merge-patch+json")
    assert refused.code == 422
    freed = {"metadata": {"finalizers": None}}
    last = await world.http("PATCH", f"{MAPS}/a", freed, media="application/merge-patch+json")
    assert last.code == 200
    assert (await world.http("GET", f"{MAPS}/a")).code == 404


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
    ],
)
async def test_propagation_is_asked_for_by_finalizers(world: World, options: Any, finalizers: list[str]) -> None:
    await world.http("POST", DEPLOYMENTS, deployment("d"))
    answer = await world.http("DELETE", f"{DEPLOYMENTS}/d", options)
    assert answer.body["metadata"]["finalizers"] == finalizers


async def test_background_deletes_at_once_and_says_so(world: World) -> None:
    created = (await world.http("POST", DEPLOYMENTS, deployment("d"))).body
    answer = await world.http("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": "Background"})
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "d", "group": "apps", "kind": "deployments", "uid": created["metadata"]["uid"]},
    }


async def test_delete_preconditions(world: World) -> None:
    await world.http("POST", MAPS, config_map("a"))
    answer = await world.http("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "x"}})
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    answer = await world.http("DELETE", f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
    assert answer.code == 409
    answer = await world.http("DELETE", f"{MAPS}/a?dryRun=All")
    assert answer.code == 200
    assert (await world.http("GET", f"{MAPS}/a")).code == 200


async def test_delete_collection_takes_what_is_selected(world: World) -> None:
    for name in ("a", "b", "c"):
        body = config_map(name)
        body["metadata"]["labels"] = {"keep": "yes" if name == "b" else "no"}
        await world.http("POST", MAPS, body)
    answer = await world.http("DELETE", f"{MAPS}?labelSelector=keep%3Dno")
    assert (answer.code, answer.body["kind"]) == (200, "ConfigMapList")
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a", "c"]
    left = (await world.http("GET", MAPS)).body["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


async def test_a_namespace_waits_for_its_finalizer(world: World) -> None:
    first = await world.http("DELETE", "/api/v1/namespaces/other")
    assert (first.code, first.body["status"]["phase"]) == (200, "Terminating")
    refused = await world.http("POST", "/api/v1/namespaces/other/configmaps", config_map("a"))
    assert refused.code == 403
    assert refused.body["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace other is being terminated",
            "field": "metadata.namespace",
        }
    ]
    body = (await world.http("GET", "/api/v1/namespaces/other")).body
    body["spec"]["finalizers"] = []
    done = await world.http("PUT", "/api/v1/namespaces/other/finalize", body)
    assert done.code == 200
    assert (await world.http("GET", "/api/v1/namespaces/other")).code == 404
    immortal = await world.http("DELETE", "/api/v1/namespaces/default")
    assert immortal.code == 403


async def test_scale(world: World) -> None:
    await world.http("POST", DEPLOYMENTS, deployment("d", 3))
    scale = (await world.http("GET", f"{DEPLOYMENTS}/d/scale")).body
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 0, "selector": "a=b"},
    )
    scale["spec"]["replicas"] = 5
    assert (await world.http("PUT", f"{DEPLOYMENTS}/d/scale", scale)).body["spec"] == {"replicas": 5}
    stale = await world.http("PUT", f"{DEPLOYMENTS}/d/scale", scale)
    assert stale.code == 409
    patched = await world.http(
        "PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 0}}, media="application/merge-patch+json"
    )
    assert (patched.code, patched.body["spec"]) == (200, {})
    assert (await world.http("GET", f"{DEPLOYMENTS}/d")).body["spec"]["replicas"] == 0


async def test_a_scale_is_shown_in_whatever_form_is_asked_for(world: World) -> None:
    await world.http("POST", DEPLOYMENTS, deployment("d", 3))
    table = await world.http("GET", f"{DEPLOYMENTS}/d/scale", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [column["name"] for column in table.body["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    (row,) = table.body["rows"]
    assert row["cells"][:3] == ["d", 3, 0]
    named = (await world.http("GET", f"{DEPLOYMENTS}/d")).body["metadata"]
    assert row["object"]["metadata"]["resourceVersion"] == named["resourceVersion"]
    partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    known = (await world.http("GET", f"{DEPLOYMENTS}/d/scale", accept=partial)).body
    assert (known["kind"], known["metadata"]["uid"], "spec" in known) == ("PartialObjectMetadata", named["uid"], False)
    body = {"metadata": {"name": "d"}, "spec": {"replicas": 4}}
    dry = (await world.http("PUT", f"{DEPLOYMENTS}/d/scale?dryRun=All", body)).body
    assert (dry["kind"], dry["spec"], dry["metadata"]["name"]) == ("Scale", {"replicas": 4}, "d")


async def test_scales_that_name_no_revision_take_what_is_there(world: World) -> None:
    await world.http("POST", DEPLOYMENTS, deployment("d", 3))
    scales = [{"metadata": {"name": "d"}, "spec": {"replicas": replicas}} for replicas in (4, 5, 6, 7)]
    answers = await asyncio.gather(*(world.http("PUT", f"{DEPLOYMENTS}/d/scale", scale) for scale in scales))
    assert [answer.code for answer in answers] == [200] * 4
    assert sorted(answer.body["spec"]["replicas"] for answer in answers) == [4, 5, 6, 7]


async def test_eviction_asks_the_budget(world: World) -> None:
    body = pod("p")
    body["metadata"]["labels"] = {"app": "x"}
    await world.http("POST", PODS, body)
    await world.http("POST", f"{PODS}/p/binding", {"target": {"name": "n"}})
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    merge = "application/merge-patch+json"
    await world.http("PATCH", f"{PODS}/p/status", running, media=merge)
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}}
    assert (await world.http("POST", budgets, budget)).code == 201
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    early = await world.http("POST", f"{PODS}/p/eviction", eviction)
    assert (early.code, early.headers["Retry-After"]) == (429, "10")
    state = {
        "status": {
            "observedGeneration": 1,
            "currentHealthy": 1,
            "desiredHealthy": 1,
            "disruptionsAllowed": 0,
            "expectedPods": 1,
        }
    }
    await world.http("PATCH", f"{budgets}/b/status", state, media=merge)
    refused = await world.http("POST", f"{PODS}/p/eviction", eviction)
    assert (refused.code, refused.body["reason"]) == (429, "TooManyRequests")
    assert refused.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert (
        refused.body["details"]["causes"][0]["message"]
        == "The disruption budget b needs 1 healthy pods and has 1 currently"
    )
    await world.http("PATCH", f"{budgets}/b/status", {"status": {"disruptionsAllowed": 1}}, media=merge)
    dry = await world.http("POST", f"{PODS}/p/eviction", {**eviction, "deleteOptions": {"dryRun": ["All"]}})
    assert dry.code == 201
    assert (await world.http("GET", f"{budgets}/b")).body["status"]["disruptionsAllowed"] == 1
    here = (await world.http("GET", f"{PODS}/p")).body
    assert [c["type"] for c in here["status"]["conditions"]] == ["Ready"]
    other = {"preconditions": {"resourceVersion": "1"}}
    assert (await world.http("POST", f"{PODS}/p/eviction", {**eviction, "deleteOptions": other})).code == 409
    await world.http("PATCH", f"{budgets}/b/status", {"status": {"disruptionsAllowed": 1}}, media=merge)
    this = {"preconditions": {"resourceVersion": here["metadata"]["resourceVersion"]}}
    done = await world.http("POST", f"{PODS}/p/eviction", {**eviction, "deleteOptions": this})
    assert (done.code, done.body["status"]) == (201, "Success")
    assert (await world.http("GET", f"{budgets}/b")).body["status"]["disruptionsAllowed"] == 0
    gone = (await world.http("GET", f"{PODS}/p")).body
    assert "deletionTimestamp" in gone["metadata"]
    target = gone["status"]["conditions"][-1]
    assert (target["type"], target["status"], target["reason"], target["message"]) == (
        "DisruptionTarget",
        "True",
        "EvictionByEvictionAPI",
        "Eviction API: evicting",
    )


async def test_services_get_and_return_addresses(world: World) -> None:
    services = "/api/v1/namespaces/default/services"
    body = {"metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]}}
    assert (await world.http("POST", services, body)).code == 201
    body["metadata"]["name"] = "b"
    taken = await world.http("POST", services, body)
    assert taken.code == 422
    assert "provided IP is already allocated" in taken.body["message"]
    await world.http("DELETE", f"{services}/a")
    assert (await world.http("POST", services, body)).code == 201
    node_port = {"metadata": {"name": "c"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}}
    made = await world.http("POST", services, node_port)
    assert made.body["spec"]["clusterIP"].startswith("10.96.0.")
    node_port["metadata"]["name"] = "d"
    refused = await world.http("POST", services, node_port)
    assert refused.code == 422
    assert "provided port is already allocated" in refused.body["message"]


async def test_paths_that_are_not_there(world: World) -> None:
    for path in (
        "/nope",
        "/api/v1/foos",
        "/apis/apps/v2/deployments",
        f"{PODS}/p/nope",
        "/api/v1/namespaces/default/nodes/x",
    ):
        answer = await world.http("GET", path)
        assert (answer.code, answer.body["message"]) == (404, "the server could not find the requested resource"), path


async def test_reviews_store_nothing(world: World) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    answer = await world.http("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert (answer.code, answer.body["status"]["allowed"]) == (201, True)


async def test_nodes_are_registered_with_their_status(world: World) -> None:
    body = {"metadata": {"name": "n"}, "status": {"capacity": {"memory": "1Gi"}}}
    made = (await world.http("POST", "/api/v1/nodes", body)).body
    assert made["status"]["capacity"] == {"memory": "1Gi"}
    assert "managedFields" not in made["metadata"]  # a status is owned once it is written by itself
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"reason": "R"}}
    assert "reason" not in (await world.http("POST", PODS, pod)).body["status"]


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/namespaces"])
async def test_who_has_no_namespace_is_not_selected_by_it(world: World, path: str) -> None:
    refused = await world.http("GET", f"{path}?fieldSelector=metadata.namespace%3Da")
    assert (refused.code, refused.body["message"]) == (400, "field label not supported: metadata.namespace")
    assert (await world.http("GET", f"{path}?fieldSelector=metadata.name%3Da")).code == 200
    everyone = await world.http("GET", "/api/v1/persistentvolumes?fieldSelector=metadata.namespace%3Da")
    assert (everyone.code, everyone.body["items"]) == (200, [])


async def test_some_kinds_take_finalizers_without_a_domain(world: World) -> None:
    for path, body in (
        ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"spec": {"minAvailable": 1}}),
        ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {"spec": {}}),
    ):
        made = await world.http("POST", path, {"metadata": {"name": "a", "finalizers": ["mine"]}, **body})
        assert (made.code, made.body["metadata"]["finalizers"]) == (201, ["mine"])
    refused = await world.http("POST", MAPS, {"metadata": {"name": "a", "finalizers": ["mine"]}})
    assert refused.code == 422

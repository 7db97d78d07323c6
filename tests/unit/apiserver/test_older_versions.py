"""Objects in a version that the schema has dropped and older clients still ask for, beside the version after it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from api_world import Answer, World

from tiphys.kinds import protobuf, protobuf_encoding

PODS = "/api/v1/namespaces/default/pods"
OLD_SLICES = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
OLD_BUDGETS = "/apis/policy/v1beta1/namespaces/default/poddisruptionbudgets"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


def endpoint_slice(version: str, **endpoint: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"discovery.k8s.io/{version}",
        "kind": "EndpointSlice",
        "metadata": {"name": "s"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"], **endpoint}],
    }


def budget(version: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"policy/{version}", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec}


@pytest.mark.parametrize("group", ["policy", "discovery.k8s.io"])
async def test_the_newer_version_is_preferred(world: World, group: str) -> None:
    found = (await world.http("GET", f"/apis/{group}")).body
    assert [each["version"] for each in found["versions"]] == ["v1", "v1beta1"]
    assert found["preferredVersion"]["version"] == "v1"
    hashes = []
    for version in ("v1", "v1beta1"):
        resources = (await world.http("GET", f"/apis/{group}/{version}")).body["resources"]
        hashes.append([each.get("storageVersionHash") for each in resources])
    assert hashes[0] == hashes[1]


async def test_one_slice_in_both_versions(world: World) -> None:
    topology = {HOSTNAME: "n", ZONE: "z", "example.com/rack": "7"}
    made = await world.http("POST", OLD_SLICES, endpoint_slice("v1beta1", nodeName="n", topology=topology))
    assert (made.code, made.body["endpoints"][0]["topology"]) == (201, topology)
    assert made.body["metadata"]["generation"] == 1
    new = (await world.http("GET", f"{SLICES}/s")).body
    assert new["endpoints"] == [
        {
            "addresses": ["192.0.2.1"],
            "nodeName": "n",
            "zone": "z",
            "deprecatedTopology": {"example.com/rack": "7"},
        }
    ]
    labelled = await world.http("PATCH", f"{SLICES}/s", {"metadata": {"labels": {"a": "b"}}}, media=MERGE)
    assert labelled.body["endpoints"] == new["endpoints"]
    assert labelled.body["metadata"]["generation"] == 2
    again = (await world.http("GET", OLD_SLICES)).body["items"][0]
    assert (again["apiVersion"], again["endpoints"][0]["topology"]) == ("discovery.k8s.io/v1beta1", topology)


async def test_labels_of_a_place_cannot_be_written_in_the_newer_version(world: World) -> None:
    made = await world.http("POST", SLICES, endpoint_slice("v1", zone="z", deprecatedTopology={"a": "b"}))
    assert made.body["endpoints"] == [{"addresses": ["192.0.2.1"], "zone": "z"}]
    await world.http("PUT", f"{OLD_SLICES}/s", endpoint_slice("v1beta1", topology={HOSTNAME: "n"}))
    new = (await world.http("GET", f"{SLICES}/s")).body
    assert new["endpoints"][0]["deprecatedTopology"] == {HOSTNAME: "n"}
    new["endpoints"][0]["addresses"] = ["192.0.2.2"]
    changed = await world.http("PUT", f"{SLICES}/s", new)
    assert changed.body["endpoints"] == [{"addresses": ["192.0.2.2"], "nodeName": "n"}]


async def test_findings_name_the_fields_of_the_stored_version(world: World) -> None:
    many = {f"example.com/{number}": "x" for number in range(17)}
    refused = await world.http("POST", OLD_SLICES, endpoint_slice("v1beta1", topology=many))
    assert refused.code == 422
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == ["endpoints[0].deprecatedTopology"]


async def test_an_empty_selector_in_both_versions(world: World) -> None:
    nothing = {
        "matchExpressions": [{"key": "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match", "operator": "Exists"}]
    }
    await world.http("POST", OLD_BUDGETS, budget("v1beta1", minAvailable=1, selector={}))
    assert (await world.http("GET", f"{BUDGETS}/b")).body["spec"]["selector"] == nothing
    assert (await world.http("GET", f"{OLD_BUDGETS}/b")).body["spec"]["selector"] == {}
    await world.http("PUT", f"{BUDGETS}/b", budget("v1", minAvailable=1, selector={}))
    everything = (await world.http("GET", f"{OLD_BUDGETS}/b")).body["spec"]["selector"]
    assert everything["matchExpressions"][0]["operator"] == "DoesNotExist"
    assert (await world.http("PUT", f"{OLD_BUDGETS}/b", budget("v1beta1", selector=everything))).code == 200
    assert (await world.http("GET", f"{BUDGETS}/b")).body["spec"]["selector"] == {}


async def test_a_watch_shows_the_version_it_asked_for(world: World) -> None:
    events = []
    async with world.http.session.get(f"{world.http.base}{OLD_SLICES}?watch=1") as stream:
        await world.http("POST", SLICES, endpoint_slice("v1", zone="z"))
        await world.http("DELETE", f"{SLICES}/s")
        for _ in range(2):
            events.append(json.loads(await asyncio.wait_for(stream.content.readline(), 5)))
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]
    assert [event["object"]["endpoints"][0]["topology"] for event in events] == [{ZONE: "z"}] * 2


async def test_owners_are_recorded_in_their_version(world: World) -> None:
    old = {**endpoint_slice("v1beta1", topology={ZONE: "z"})}
    await world.http("PATCH", f"{OLD_SLICES}/s?fieldManager=old", old, media=APPLY)
    new = endpoint_slice("v1", zone="other")
    conflict = await world.http("PATCH", f"{SLICES}/s?fieldManager=new", new, media=APPLY)
    assert (conflict.code, [each["field"] for each in conflict.body["details"]["causes"]]) == (409, [".endpoints"])
    forced = await world.http("PATCH", f"{SLICES}/s?fieldManager=new&force=true", new, media=APPLY)
    owned = {each["manager"]: each["apiVersion"] for each in forced.body["metadata"]["managedFields"]}
    assert owned == {"old": "discovery.k8s.io/v1beta1", "new": "discovery.k8s.io/v1"}


async def test_a_collection_is_deleted_in_either_version(world: World) -> None:
    await world.http("POST", BUDGETS, budget("v1", minAvailable=1))
    assert (await world.http("DELETE", OLD_BUDGETS)).code == 200
    assert (await world.http("GET", BUDGETS)).body["items"] == []


@pytest.mark.parametrize("encoded", [False, True])
async def test_evictions_of_the_older_version(world: World, encoded: bool) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await world.http("POST", PODS, pod)
    eviction = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "p"}}
    body: Any = protobuf_encoding.encode(eviction) if encoded else eviction
    media = protobuf.MEDIA_TYPE if encoded else "application/json"
    done = await world.http("POST", f"{PODS}/p/eviction", body, media=media)
    assert (done.code, done.body["status"]) == (201, "Success")
    other = await world.http("POST", f"{PODS}/p/eviction", {**eviction, "apiVersion": "policy/v1alpha1"})
    assert other.code == 400


async def test_slices_of_the_older_version_in_protobuf(world: World) -> None:
    wanted = endpoint_slice("v1beta1", topology={ZONE: "z"}, conditions={"ready": True})
    made = await world.http("POST", OLD_SLICES, protobuf_encoding.encode(wanted), media=protobuf.MEDIA_TYPE)
    assert made.body["endpoints"] == wanted["endpoints"]
    headers = {"Accept": protobuf.MEDIA_TYPE}
    async with world.http.session.get(f"{world.http.base}{OLD_SLICES}/s", headers=headers) as answer:
        assert protobuf.decode(await answer.read())["endpoints"] == wanted["endpoints"]


async def test_the_older_version_is_described(world: World) -> None:
    schemas = (await world.http("GET", "/openapi/v3/apis/policy/v1beta1")).body["components"]["schemas"]
    selector = schemas["io.k8s.api.policy.v1beta1.PodDisruptionBudgetSpec"]["properties"]["selector"]
    assert "policy/v1 selects all pods" in selector["description"]
    assert "x-kubernetes-patch-strategy" not in selector
    assert "like" not in str(schemas["io.k8s.api.policy.v1beta1.PodDisruptionBudget"].keys())


def warnings_of(answer: Answer) -> str:
    return answer.headers.get("Warning", "")


async def test_clients_are_told_what_is_deprecated(world: World) -> None:
    old = (
        '299 - "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+;'
        ' use policy/v1 PodDisruptionBudget"'
    )
    path = f"{OLD_BUDGETS}/b"
    body = budget("v1beta1", minAvailable=1)
    for method, where, sent in (
        ("POST", OLD_BUDGETS, body),
        ("GET", OLD_BUDGETS, None),
        ("GET", path, None),
        ("GET", f"{path}/status", None),
        ("GET", f"{OLD_BUDGETS}?watch=1&timeoutSeconds=0&resourceVersion=99999999", None),
        ("POST", OLD_BUDGETS, {**body, "spec": {"minAvailable": -1}}),
        ("DELETE", path, None),
        ("GET", path, None),
    ):
        assert warnings_of(await world.http(method, where, sent)) == old, (method, where)
    assert warnings_of(await world.http("GET", BUDGETS)) == ""
    told = warnings_of(await world.http("GET", "/api/v1/endpoints"))
    assert told == '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    told = warnings_of(await world.http("GET", "/api/v1/componentstatuses"))
    assert told == '299 - "v1 ComponentStatus is deprecated in v1.19+"'


async def test_what_was_asked_for_is_counted(world: World) -> None:
    name = "apiserver_requested_deprecated_apis"
    assert name not in (await world.http("GET", "/metrics")).text
    for path in (f"{OLD_BUDGETS}/b/status", OLD_BUDGETS, OLD_BUDGETS, "/api/v1/endpoints", BUDGETS):
        await world.http("GET", path)
    lines = [line for line in (await world.http("GET", "/metrics")).text.splitlines() if line.startswith(name)]
    budgets = 'group="policy",version="v1beta1",resource="poddisruptionbudgets"'
    assert lines == [
        f'{name}{{group="",version="v1",resource="endpoints",subresource="",removed_release=""}} 1',
        f'{name}{{{budgets},subresource="",removed_release="1.25"}} 1',
        f'{name}{{{budgets},subresource="status",removed_release="1.25"}} 1',
    ]


async def test_a_status_is_written_without_advice(world: World) -> None:
    spec = {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    told = warnings_of(await world.http("POST", path, {"metadata": {"name": "h"}, "spec": spec}))
    assert "no controller of this cluster scales by metrics yet" in told
    written = await world.http("PATCH", f"{path}/h/status", {"status": {"desiredReplicas": 2}}, media=MERGE)
    assert (written.code, warnings_of(written)) == (200, "")


async def test_advice_goes_to_the_writer_of_a_pod(world: World) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pod["spec"]["nodeSelector"] = {"beta.kubernetes.io/os": "linux"}  # type: ignore[assignment]
    told = warnings_of(await world.http("POST", PODS, pod))
    assert told.startswith('299 - "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14')
    labelled = await world.http("PATCH", f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}}, media=MERGE)
    assert (labelled.code, warnings_of(labelled)) == (200, "")

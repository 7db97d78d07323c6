"""Devices over HTTP: what the server fills in, refuses and tells of on the way."""

from __future__ import annotations

from typing import Any

from api_world import World

API = "/apis/resource.k8s.io/v1"
CLAIMS = f"{API}/namespaces/default/resourceclaims"


def claim(name: str, **request: Any) -> dict[str, Any]:
    spec = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com", **request}}]}}
    return {"metadata": {"name": name}, "spec": spec}


async def test_a_claim_is_defaulted_stored_and_allocated(world: World) -> None:
    created = await world.http("POST", CLAIMS, claim("a"))
    assert created.code == 201
    assert created.headers["Warning"] == (
        '299 - "no scheduler of this cluster allocates devices yet: the object is stored, but has no effect"'
    )
    request = created.body["spec"]["devices"]["requests"][0]["exactly"]
    assert request == {"allocationMode": "ExactCount", "count": 1, "deviceClassName": "gpu.example.com"}
    device = {"driver": "gpu.example.com", "pool": "p", "device": "d"}
    status = {
        "allocation": {"devices": {"results": [{"request": "gpu", "tolerations": [{"key": "k"}], **device}]}},
        "devices": [{**device, "data": {"a": 1}}],
    }
    answer = await world.http("PUT", f"{CLAIMS}/a/status", {**created.body, "status": status})
    assert answer.code == 200
    allocated = answer.body
    result = allocated["status"]["allocation"]["devices"]["results"][0]
    assert result["tolerations"] == [{"key": "k", "operator": "Equal"}]
    result["device"] = "e"
    refused = await world.http("PUT", f"{CLAIMS}/a/status", allocated)
    assert refused.code == 422
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == ["status.allocation"]


async def test_administrative_access_needs_a_label(world: World) -> None:
    refused = await world.http("POST", CLAIMS, claim("b", adminAccess=True))
    assert (refused.code, refused.body["details"]["causes"][0]["field"]) == (
        422,
        "spec.devices.requests[0].adminAccess",
    )
    label = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
    await world.http("PATCH", "/api/v1/namespaces/default", label, media="application/merge-patch+json")
    assert (await world.http("POST", CLAIMS, claim("b", adminAccess=True))).code == 201


async def test_taints_begin_when_they_are_written(world: World) -> None:
    rule = {"metadata": {"name": "r"}, "spec": {"taint": {"key": "k", "effect": "NoSchedule"}}}
    created = (await world.http("POST", f"{API}/devicetaintrules", rule)).body
    began = created["spec"]["taint"]["timeAdded"]
    await world.clock.advance(60)
    changed = {**created, "spec": {"taint": {**created["spec"]["taint"], "effect": "NoExecute"}}}
    answer = (await world.http("PUT", f"{API}/devicetaintrules/r", changed)).body
    assert answer["spec"]["taint"]["timeAdded"] > began
    assert (created["metadata"]["generation"], answer["metadata"]["generation"]) == (1, 2)
    del answer["metadata"]["resourceVersion"]
    assert (await world.http("PUT", f"{API}/devicetaintrules/r", answer)).code == 422


async def test_slices_are_found_by_their_pool(world: World) -> None:
    for name in ("a", "b"):
        pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": "gpu.example.com", "allNodes": True, "pool": pool, "devices": [{"name": "d"}]}
        await world.http("POST", f"{API}/resourceslices", {"metadata": {"name": name}, "spec": spec})
    listed = await world.http("GET", f"{API}/resourceslices?fieldSelector=spec.pool.name=b")
    assert [found["metadata"]["name"] for found in listed.body["items"]] == ["b"]

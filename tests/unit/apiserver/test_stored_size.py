"""How large one object may become by many requests that are each small enough."""

from __future__ import annotations

import msgspec
import pytest
from api_world import World

from tiphys.apiserver.io import writes

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
MAPS = "/api/v1/namespaces/default/configmaps"
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"


async def test_no_patch_makes_an_object_larger_than_a_body_may_be(world: World) -> None:
    rule = {"apiGroups": [""], "resources": ["x" * 700_000], "verbs": ["get"]}
    await world.http("POST", ROLES, {"metadata": {"name": "a"}, "rules": []})
    patch = [{"op": "add", "path": "/rules/-", "value": rule}]
    codes = [(await world.http("PATCH", f"{ROLES}/a", patch, media=JSON_PATCH)).code for _ in range(5)]
    assert codes == [200, 200, 200, 200, 413]
    refused = await world.http("PATCH", f"{ROLES}/a", patch, media=JSON_PATCH)
    assert (refused.body["reason"], refused.body["message"]) == (
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    )
    assert len((await world.http("GET", f"{ROLES}/a")).body["rules"]) == 4


async def test_an_object_that_is_too_large_can_still_be_deleted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"metadata": {"name": "a", "finalizers": ["example.com/x"]}, "data": {"k": "x" * 3000}}
    await world.http("POST", MAPS, made)
    monkeypatch.setattr(writes, "STORED_BYTES_LIMIT", 2000)
    assert (await world.http("PATCH", f"{MAPS}/a", {"data": {"l": "x" * 1000}}, media=MERGE)).code == 413
    assert (await world.http("DELETE", f"{MAPS}/a")).code == 200
    gone = {"metadata": {"finalizers": None}}
    assert (await world.http("PATCH", f"{MAPS}/a", gone, media=MERGE)).code == 200
    assert (await world.http("GET", f"{MAPS}/a")).code == 404


async def test_who_owns_what_is_forgotten_before_a_write_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {f"k{number}": "x" for number in range(40)}
    made = (await world.http("POST", MAPS, {"metadata": {"name": "a"}, "data": data})).body
    assert made["metadata"]["managedFields"]
    monkeypatch.setattr(writes, "STORED_BYTES_LIMIT", len(msgspec.json.encode(made)) - 200)
    second = await world.http("POST", MAPS, {"metadata": {"name": "b"}, "data": data})
    assert second.code == 201
    assert "managedFields" not in second.body["metadata"]
    assert second.body["data"] == data

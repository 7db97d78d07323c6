"""Numbers that do not fit into the fields that they are for, in every form in which they can come."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World

from tiphys.kinds import protobuf, protobuf_encoding

WEBS = "/apis/apps/v1/namespaces/default/deployments"
WEB = f"{WEBS}/web"
MERGE, JSON_PATCH, APPLY = "application/merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml"
LARGEST = 2**31 - 1


def deployment(replicas: int) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


async def test_the_largest_number_fits_and_the_next_is_refused(world: World) -> None:
    refused = await world.http("POST", WEBS, deployment(LARGEST + 1))
    assert (refused.code, refused.body["reason"]) == (400, "BadRequest")
    assert "spec.replicas" in refused.body["message"]
    encoded = protobuf_encoding.encode(deployment(LARGEST + 1))
    assert (await world.http("POST", WEBS, encoded, media=protobuf.MEDIA_TYPE)).code == 400
    assert (await world.http("POST", WEBS, deployment(LARGEST))).code == 201


@pytest.mark.parametrize(
    ("method", "path", "media", "body"),
    [
        ("PUT", WEB, "application/json", deployment(-(2**31) - 1)),
        ("PATCH", WEB, MERGE, {"spec": {"replicas": LARGEST + 1}}),
        ("PATCH", WEB, MERGE, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 2**63}}}}),
        ("PATCH", WEB, JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": LARGEST + 1}]),
        ("PATCH", f"{WEB}?fieldManager=me&force=true", APPLY, deployment(LARGEST + 1)),
        ("PATCH", f"{WEB}/scale", MERGE, {"spec": {"replicas": LARGEST + 1}}),
        ("PATCH", WEB, MERGE, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": LARGEST + 1}}}}),
    ],
)
async def test_no_way_leads_around_it(world: World, method: str, path: str, media: str, body: Any) -> None:
    made = await world.http("POST", WEBS, deployment(1))
    refused = await world.http(method, path, body, media=media)
    patched = media in (MERGE, JSON_PATCH)
    assert (refused.code, refused.body["reason"]) == ((422, "Invalid") if patched else (400, "BadRequest"))
    assert (await world.http("GET", WEB)).body == made.body

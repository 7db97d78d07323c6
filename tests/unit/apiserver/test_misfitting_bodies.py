"""Bodies and patches that make no object of their kind, and those that do although they are a little off."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("media", "patch", "cause"),
    [
        (
            "application/strategic-merge-patch+json",
            {"metadata": {"labels": "x"}},
            'Invalid value: "map[metadata:map[labels:x]]": cannot restore map from string',
        ),
        (
            "application/merge-patch+json",
            {"metadata": {"labels": "x"}},
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            "application/json-patch+json",
            [{"op": "add", "path": "/data", "value": 5}],
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string",
        ),
    ],
)
async def test_patches_that_make_no_object(world: World, media: str, patch: Any, cause: str) -> None:
    made = (await world.http("POST", MAPS, {"metadata": {"name": "a"}})).body
    answer = await world.http("PATCH", f"{MAPS}/a", patch, media=media)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    (found,) = answer.body["details"]["causes"]
    assert (found["field"], found["message"].endswith(cause)) == ("patch", True)
    assert answer.body["message"].startswith(' "" is invalid: patch: Invalid value: ')
    assert (await world.http("GET", f"{MAPS}/a")).body == made


async def test_base64_may_have_line_breaks(world: World) -> None:
    body = {"metadata": {"name": "a"}, "data": {"a": "aGVs\nbG8=\n", "b": "aGVsbG8="}}
    made = await world.http("POST", "/api/v1/namespaces/default/secrets", body)
    assert (made.code, made.body["data"]) == (201, {"a": "aGVsbG8=", "b": "aGVsbG8="})
    config = {"metadata": {"name": "a"}, "binaryData": {"a": "aGVsbG8"}}
    wrong = await world.http("POST", MAPS, config)
    assert (wrong.code, wrong.body["message"].partition("as a ConfigMap: ")[2]) == (
        400,
        "illegal base64 data at input byte 7",
    )

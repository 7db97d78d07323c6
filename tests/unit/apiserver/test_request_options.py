"""Options of requests that this server does not support are refused or warned of."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import Answer, World

MAPS = "/api/v1/namespaces/default/configmaps"
UNREADABLE = "ignoreStoreReadErrorWithClusterBreakingPotential"


def told(answer: Answer) -> str:
    return answer.headers.get("Warning", "")


async def test_shards_are_not_kept_to(world: World) -> None:
    shard = "shardSelector=shardRange(object.metadata.uid,'0x0','0x8')"
    words = '299 - "shardSelector is not supported by this server: the answer is not limited to a shard"'
    assert told(await world.http("GET", f"{MAPS}?{shard}")) == words
    assert told(await world.http("GET", f"{MAPS}?watch=1&timeoutSeconds=0&resourceVersion=99999999&{shard}")) == words
    answer = await world.http("GET", f"{MAPS}?shardSelector=")
    assert told(answer) == ""
    assert "shardInfo" not in answer.body["metadata"]


@pytest.mark.parametrize("query", [True, False])
async def test_nothing_here_is_unreadable(world: World, query: bool) -> None:
    await world.http("POST", MAPS, {"metadata": {"name": "a"}})
    where, body = (f"{MAPS}/a?{UNREADABLE}=true", None) if query else (f"{MAPS}/a", {UNREADABLE: True})
    answer = await world.http("DELETE", where, body)
    assert (answer.code, told(answer)) == (
        200,
        f'299 - "{UNREADABLE} is not supported by this server: the object is deleted like any other"',
    )
    assert told(await world.http("DELETE", f"{MAPS}?{UNREADABLE}=false")) == ""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"dryRun": ["All"], "gracePeriodSeconds": 0}, ["dryRun", "gracePeriodSeconds"]),
        ({"propagationPolicy": "Orphan", "preconditions": {"uid": "u"}}, ["propagationPolicy", "preconditions"]),
        ({"orphanDependents": False}, ["orphanDependents"]),
    ],
)
async def test_what_cannot_be_read_has_no_other_options(world: World, options: Any, names: list[str]) -> None:
    answer = await world.http("DELETE", f"{MAPS}/a", {**options, UNREADABLE: True})
    assert answer.code == 422
    assert [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]] == [
        (UNREADABLE, f"Invalid value: true: cannot be set together with .{name}") for name in names
    ]

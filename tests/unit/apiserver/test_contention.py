"""Many clients write to one object at once: whoever named no revision gets what they asked for."""

from __future__ import annotations

import asyncio

from api_world import Answer, World

MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
CLIENTS = 20


async def test_unconditional_patches_all_arrive(world: World) -> None:
    await world.http("POST", MAPS, {"metadata": {"name": "a"}})

    async def patched(number: int) -> int:
        return (await world.http("PATCH", f"{MAPS}/a", {"data": {f"k{number}": "x"}}, media=MERGE)).code

    assert await asyncio.gather(*(patched(number) for number in range(CLIENTS))) == [200] * CLIENTS
    found = (await world.http("GET", f"{MAPS}/a")).body
    assert found["data"] == {f"k{number}": "x" for number in range(CLIENTS)}


async def test_unconditional_replacements_all_arrive(world: World) -> None:
    await world.http("POST", MAPS, {"metadata": {"name": "a"}})

    async def replaced(number: int) -> int:
        return (await world.http("PUT", f"{MAPS}/a", {"metadata": {"name": "a"}, "data": {"by": str(number)}})).code

    before = world.store.revision
    assert await asyncio.gather(*(replaced(number) for number in range(CLIENTS))) == [200] * CLIENTS
    assert world.store.revision == before + CLIENTS


async def test_one_of_many_conditional_replacements_arrives(world: World) -> None:
    made = (await world.http("POST", MAPS, {"metadata": {"name": "a"}})).body

    async def replaced(number: int) -> int:
        return (await world.http("PUT", f"{MAPS}/a", {**made, "data": {"by": str(number)}})).code

    codes = await asyncio.gather(*(replaced(number) for number in range(CLIENTS)))
    assert sorted(codes) == [200] + [409] * (CLIENTS - 1)


async def test_what_is_applied_is_there_whoever_deletes_it_meanwhile(world: World) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "x"}}

    async def applied() -> Answer:
        return await world.http("PATCH", f"{MAPS}/a?fieldManager=m", body, media=APPLY)

    for _ in range(CLIENTS):
        _, *answers = await asyncio.gather(world.http("DELETE", f"{MAPS}/a"), applied(), applied())
        assert {answer.code for answer in answers} <= {200, 201}
        assert all(answer.body["data"] == {"k": "x"} for answer in answers)


async def test_an_update_that_may_create_does_so_whoever_deletes_meanwhile(world: World) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}}
    for _ in range(CLIENTS):
        _, answer = await asyncio.gather(world.http("DELETE", f"{LEASES}/a"), world.http("PUT", f"{LEASES}/a", body))
        assert answer.code in (200, 201)

"""A client that takes nothing but protobuf: objects, lists, watches, refusals."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from api_world import World

from tiphys.kinds import codec, protobuf, protobuf_encoding
from tiphys.kinds.types import core_v1, meta_v1

MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = protobuf.MEDIA_TYPE
AS_METADATA = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def sent(
    world: World, method: str, path: str, accept: str = PROTOBUF, body: bytes | None = None
) -> tuple[int, str, Any]:
    """(code, media type, decoded answer)."""
    headers = {"Accept": accept, **({"Content-Type": PROTOBUF} if body is not None else {})}
    async with world.http.session.request(method, world.http.base + path, data=body, headers=headers) as response:
        data = await response.read()
        media = response.headers["Content-Type"]
        return response.status, media, protobuf.decode(data) if media == PROTOBUF else msgspec.json.decode(data)


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"b": "2", "a": "1"}}


async def test_objects_and_lists(world: World) -> None:
    body = protobuf_encoding.encode(config_map("m"))
    code, media, made = await sent(world, "POST", MAPS, body=body)
    plain = codec.plain(await world.client.get(core_v1.ConfigMap, "default", "m"))
    assert (code, media, made) == (201, PROTOBUF, plain)
    assert await sent(world, "GET", f"{MAPS}/m") == (200, PROTOBUF, plain)
    await sent(world, "POST", MAPS, body=protobuf_encoding.encode(config_map("n")))
    _, _, found = await sent(world, "GET", f"{MAPS}?limit=1")
    assert (found["kind"], found["apiVersion"], found["metadata"]["remainingItemCount"]) == ("ConfigMapList", "v1", 1)
    assert found["items"] == [{key: value for key, value in plain.items() if key not in ("apiVersion", "kind")}]
    token = found["metadata"]["continue"]
    _, _, rest = await sent(world, "GET", f"{MAPS}?limit=1&continue={token}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["n"]


async def test_json_goes_before_where_it_is_taken(world: World) -> None:
    code, media, _ = await sent(world, "GET", MAPS, f"{PROTOBUF},application/json")
    assert (code, media) == (200, "application/json")


async def test_metadata_alone(world: World) -> None:
    await world.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="m", namespace="default")))
    _, media, one = await sent(world, "GET", f"{MAPS}/m", PROTOBUF + AS_METADATA)
    assert (media, one["kind"], one["apiVersion"]) == (PROTOBUF, "PartialObjectMetadata", "meta.k8s.io/v1")
    assert one["metadata"]["name"] == "m"
    _, _, many = await sent(world, "GET", MAPS, PROTOBUF + AS_METADATA.replace(";g=", "List;g="))
    assert many["kind"] == "PartialObjectMetadataList"
    assert many["items"] == [{"metadata": one["metadata"]}]


async def test_refusals(world: World) -> None:
    code, media, status = await sent(world, "GET", f"{MAPS}/none")
    assert (code, media) == (404, PROTOBUF)
    assert status == {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": 'configmaps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "kind": "configmaps"},
        "code": 404,
    }
    table = ";as=Table;g=meta.k8s.io;v=v1"
    code, media, status = await sent(world, "GET", MAPS, PROTOBUF + table)
    assert (code, status["reason"]) == (406, "NotAcceptable")
    assert "*v1.Table does not implement the protobuf marshalling interface" in status["message"]
    assert (await sent(world, "GET", MAPS, "text/html"))[:2] == (406, "application/json")


async def test_other_objects(world: World) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body["spec"] = {"resourceAttributes": {"verb": "get", "resource": "pods"}}  # type: ignore[assignment]
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    code, media, answer = await sent(world, "POST", path, body=protobuf_encoding.encode(body))
    assert (code, media, answer["status"]["allowed"]) == (201, PROTOBUF, True)


class Frames:
    """A watch, event by event."""

    def __init__(self, response: Any) -> None:
        self.content = response.content

    async def next(self) -> tuple[str, Any]:
        length = int.from_bytes(await asyncio.wait_for(self.content.readexactly(4), 5))
        event = protobuf._numbers(memoryview(await asyncio.wait_for(self.content.readexactly(length), 5)))
        return bytes(event[1]).decode(), protobuf.decode(bytes(protobuf._numbers(event[2])[1]))


async def test_watches(world: World) -> None:
    first = await world.client.create(
        core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="default"), data={"k": "v"})
    )
    headers = {"Accept": f"{PROTOBUF};stream=watch"}
    query = "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with world.http.session.get(world.http.base + MAPS + query, headers=headers) as response:
        assert response.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
        frames = Frames(response)
        assert await frames.next() == ("ADDED", codec.plain(first))
        event_type, bookmark = await frames.next()
        assert (event_type, bookmark["kind"]) == ("BOOKMARK", "ConfigMap")
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await world.client.delete(core_v1.ConfigMap, "default", "a")
        event_type, gone = await frames.next()
        assert (event_type, gone["data"]) == ("DELETED", {"k": "v"})


async def test_a_watch_that_fails_says_so(world: World) -> None:
    headers = {"Accept": PROTOBUF + AS_METADATA}
    await world.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="default")))
    async with world.http.session.get(f"{world.http.base}{MAPS}?watch=1", headers=headers) as response:
        event_type, obj = await Frames(response).next()
        assert (event_type, obj["kind"], obj["metadata"]["name"]) == ("ADDED", "PartialObjectMetadata", "a")
    async with world.http.session.get(
        f"{world.http.base}{MAPS}?watch=1", headers={"Accept": "application/yaml"}
    ) as response:
        assert response.status == 406

"""Lists and watches, over HTTP and in process."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from api_world import World

from tiphys.aio.clock import settle
from tiphys.client.interface import ApiRequest, WatchEvent
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery.errors import ApiError

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **labels: str) -> core_v1.ConfigMap:
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels=labels or None))


class Watch:
    """One HTTP watch, read event by event."""

    def __init__(self, world: World, query: str) -> None:
        self.world = world
        self.query = query
        self.response: Any = None

    async def __aenter__(self) -> Watch:
        self.response = await self.world.http.session.get(f"{self.world.http.base}{self.query}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.response.close()

    async def next(self) -> tuple[str, Any]:
        line = await asyncio.wait_for(self.response.content.readline(), 5)
        assert line, "the watch has ended"
        event = msgspec.json.decode(line)
        return event["type"], event["object"]

    async def named(self) -> tuple[str, str]:
        event_type, obj = await self.next()
        return event_type, obj["metadata"]["name"]

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.response.content.read(), 5) == b""


async def test_a_watch_begins_with_what_is_there(world: World) -> None:
    await world.client.create(config_map("a"))
    async with Watch(world, f"{MAPS}?watch=1") as watch:
        assert await watch.named() == ("ADDED", "a")
        await world.client.create(config_map("b"))
        assert await watch.named() == ("ADDED", "b")
        changed = codec.copy(await world.client.get(core_v1.ConfigMap, "default", "a"))
        changed.data = {"x": "y"}
        await world.client.update(changed)
        event_type, obj = await watch.next()
        assert (event_type, obj["data"]) == ("MODIFIED", {"x": "y"})
        await world.client.delete(core_v1.ConfigMap, "default", "b")
        event_type, obj = await watch.next()
        assert (event_type, obj["metadata"]["name"]) == ("DELETED", "b")
        assert obj["metadata"]["resourceVersion"] == str(world.store.revision)


async def test_a_watch_goes_on_from_a_revision(world: World) -> None:
    await world.client.create(config_map("a"))
    revision = world.store.revision
    await world.client.create(config_map("b"))
    async with Watch(world, f"{MAPS}?watch=true&resourceVersion={revision}") as watch:
        assert await watch.named() == ("ADDED", "b")


async def test_a_watch_from_a_revision_that_is_gone_ends_with_410(world: World) -> None:
    collection = world.server.caches.collection(next(iter(_resource("configmaps"))))
    collection.window_start = 10**6
    answer = await world.http("GET", f"{MAPS}?watch=1&resourceVersion=1")
    assert (answer.code, answer.body["type"]) == (200, "ERROR")
    status = answer.body["object"]
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"] == "too old resource version: 1 (1000000)"


def _resource(plural: str) -> Any:
    from tiphys.kinds import registry

    return [resource for resource in registry.all_resources() if resource.plural == plural]


async def test_objects_enter_and_leave_a_selection(world: World) -> None:
    await world.client.create(config_map("a", app="x"))
    async with Watch(world, f"{MAPS}?watch=1&labelSelector=app%3Dx") as watch:
        assert await watch.named() == ("ADDED", "a")
        other = codec.copy(await world.client.get(core_v1.ConfigMap, "default", "a"))
        other.metadata.labels = {"app": "y"}
        await world.client.update(other)
        event_type, obj = await watch.next()
        assert (event_type, obj["metadata"]["labels"]) == ("DELETED", {"app": "x"})
        assert obj["metadata"]["resourceVersion"] == str(world.store.revision)
        back = codec.copy(await world.client.get(core_v1.ConfigMap, "default", "a"))
        back.metadata.labels = {"app": "x"}
        await world.client.update(back)
        assert await watch.named() == ("ADDED", "a")


async def test_one_object_by_field_selector(world: World) -> None:
    async with Watch(world, f"{MAPS}?watch=1&fieldSelector=metadata.name%3Db") as watch:
        await world.client.create(config_map("a"))
        await world.client.create(config_map("b"))
        assert await watch.named() == ("ADDED", "b")


@pytest.mark.parametrize(
    "query", ["sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "resourceVersion=0", "resourceVersion="]
)
async def test_lists_are_streamed_with_a_bookmark_at_their_end(world: World, query: str) -> None:
    await world.client.create(config_map("a"))
    async with Watch(world, f"{MAPS}?watch=1&allowWatchBookmarks=true&{query}") as watch:
        assert await watch.named() == ("ADDED", "a")
        event_type, obj = await watch.next()
        assert event_type == "BOOKMARK"
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert obj["metadata"]["resourceVersion"] == str(world.store.revision)


async def test_bookmarks_come_once_a_minute(world: World) -> None:
    async with Watch(world, f"{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion=5") as watch:
        await settle(500)
        assert len(world.server.hub) == 1
        await world.clock.advance(61)
        event_type, obj = await watch.next()
        assert (event_type, obj["metadata"]["resourceVersion"]) == ("BOOKMARK", str(world.store.revision))


async def test_a_stop_ends_watches_and_answers_what_is_under_way(world: World) -> None:
    async with Watch(world, f"{MAPS}?watch=1") as watch:
        await world.client.create(config_map("a"))
        assert await watch.named() == ("ADDED", "a")
        await world.server.stop()
        assert await watch.ended()


async def test_tables_are_watched_too(world: World) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with world.http.session.get(f"{world.http.base}{MAPS}?watch=1", headers={"Accept": accept}) as response:
        await world.client.create(config_map("a"))
        event = msgspec.json.decode(await response.content.readline())
        assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
        assert event["object"]["rows"][0]["cells"] == ["a", 0, "0s"]
        assert event["object"]["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_pages_show_one_state(world: World) -> None:
    for name in ("a", "b", "c", "d"):
        await world.client.create(config_map(name))
    first = (await world.http("GET", f"{MAPS}?limit=2")).body
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 2
    await world.client.delete(core_v1.ConfigMap, "default", "c")
    await world.client.create(config_map("bb"))
    token = first["metadata"]["continue"]
    second = (await world.http("GET", f"{MAPS}?limit=2&continue={token}")).body
    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


async def test_pages_older_than_the_window_come_from_the_store(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.client.create(config_map(name))
    first = (await world.http("GET", f"{MAPS}?limit=1")).body
    await world.client.delete(core_v1.ConfigMap, "default", "b")
    collection = world.server.caches.collection(_resource("configmaps")[0])
    collection.window_start = world.store.revision
    token = first["metadata"]["continue"]
    second = (await world.http("GET", f"{MAPS}?limit=1&continue={token}")).body
    assert [item["metadata"]["name"] for item in second["items"]] == ["b"]
    await world.store.compact(world.store.revision)
    gone = await world.http("GET", f"{MAPS}?limit=1&continue={token}")
    assert (gone.code, gone.body["reason"]) == (410, "Expired")
    going_on = gone.body["metadata"]["continue"]
    rest = (await world.http("GET", f"{MAPS}?limit=5&continue={going_on}")).body
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c"]


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ("resourceVersion=x", 400, "BadRequest"),
        ("limit=x", 400, "BadRequest"),
        ("continue=%21", 400, "BadRequest"),
        ("labelSelector=a%3D%3D%3Db", 400, "BadRequest"),
        ("fieldSelector=spec.color%3Dred", 400, "BadRequest"),
        ("resourceVersionMatch=Exact", 422, "Invalid"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "Invalid"),
        ("sendInitialEvents=true", 422, "Invalid"),
        ("watch=1&sendInitialEvents=true", 422, "Invalid"),
    ],
)
async def test_queries_that_make_no_sense(world: World, query: str, code: int, reason: str) -> None:
    answer = await world.http("GET", f"{MAPS}?{query}")
    assert (answer.code, answer.body["reason"]) == (code, reason)


async def test_forms_of_a_list(world: World) -> None:
    await world.client.create(config_map("a"))
    table = await world.http("GET", MAPS, accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert [column["name"] for column in table.body["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table.body["rows"][0]["cells"] == ["a", 0, "0s"]
    metadata = await world.http(
        "GET", MAPS, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    )
    assert metadata.body["kind"] == "PartialObjectMetadataList"
    assert set(metadata.body["items"][0]) == {"kind", "apiVersion", "metadata"}
    refused = await world.http("GET", MAPS, accept="text/html")
    assert (refused.code, refused.body["reason"]) == (406, "NotAcceptable")
    both = await world.http("GET", MAPS, accept="application/vnd.kubernetes.protobuf,application/json")
    assert both.body["kind"] == "ConfigMapList"


async def test_in_process_watches_share_snapshots(world: World) -> None:
    batches: list[WatchEvent] = []

    async def follow() -> None:
        async for batch in world.client.watch(core_v1.ConfigMap, "default"):
            batches.extend(batch)

    tasks = [asyncio.create_task(follow()) for _ in range(2)]
    await settle()
    created = await world.client.create(config_map("a"))
    await settle()
    assert [(event.type, event.object.metadata.name) for event in batches] == [("ADDED", "a")] * 2
    assert all(event.object is created for event in batches)
    assert await world.client.get(core_v1.ConfigMap, "default", "a") is created
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(world.server.hub) == 0


async def test_what_the_caller_keeps_is_not_touched(world: World) -> None:
    mine = config_map("a")
    await world.client.create(mine)
    assert mine == config_map("a")


async def test_failures_in_process_are_the_same_errors(world: World) -> None:
    with pytest.raises(ApiError) as caught:
        await world.client.get(core_v1.ConfigMap, "default", "nope")
    assert (caught.value.code, caught.value.message) == (404, 'configmaps "nope" not found')
    with pytest.raises(ApiError) as caught:
        await world.client.transport.call(ApiRequest(verb="get", group="", version="v1", resource="foos", name="x"))
    assert caught.value.code == 404
    with pytest.raises(ApiError) as caught:
        await world.client.transport.call(
            ApiRequest(verb="create", group="", version="v1", resource="configmaps", body=config_map("a"))
        )
    assert caught.value.code == 405


async def test_other_versions_of_the_same_objects(world: World) -> None:
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        "reason": "Because",
        "message": "text",
        "type": "Normal",
    }
    made = await world.http("POST", "/api/v1/namespaces/default/events", event)
    assert made.code == 201, made.text
    other = await world.http("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (other.body["apiVersion"], other.body["note"], other.body["regarding"]["name"]) == (
        "events.k8s.io/v1",
        "text",
        "p",
    )
    listed = await world.http("GET", "/apis/events.k8s.io/v1/events")
    assert [item["apiVersion"] for item in listed.body["items"]] == ["events.k8s.io/v1"]

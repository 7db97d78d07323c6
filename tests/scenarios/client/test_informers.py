"""Informers on the fake API: first lists, gaps, lost history, own writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tiphys.aio.clock import VirtualClock, settle
from tiphys.aio.tasks import TaskOwner
from tiphys.client.interface import ObjectKey
from tiphys.client.io.reflector import InformerSet
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery.errors import ApiError
from tiphys.testing.fake_api import FakeApi


def config_map(name: str, value: str = "1") -> core_v1.ConfigMap:
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), data={"v": value})


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(self.clock)
        self.owner = TaskOwner("test")
        self.informers = InformerSet(self.api.client(), self.clock, self.owner, detect_mutation=True)
        self.heard: list[tuple[str | None, str | None]] = []

    def hear(self, old: core_v1.ConfigMap | None, new: core_v1.ConfigMap | None) -> None:
        def word(obj: core_v1.ConfigMap | None) -> str | None:
            return f"{obj.metadata.name}={(obj.data or {})['v']}" if obj is not None else None

        self.heard.append((word(old), word(new)))

    def set(self, name: str, value: str) -> Any:
        def edit(obj: core_v1.ConfigMap) -> None:
            obj.data = {"v": value}

        return self.api.change(core_v1.ConfigMap, "default", name, edit)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.informers.stop()
    made.informers.verify()
    await made.owner.close()


async def test_what_is_there_is_told_first_and_then_each_change(world: World) -> None:
    world.api.add(config_map("a"))
    informer = world.informers.informer(core_v1.ConfigMap)
    informer.add_handler(world.hear)
    world.informers.start()
    await informer.synced()
    world.set("a", "2")
    world.api.add(config_map("b"))
    world.api.remove(core_v1.ConfigMap, "default", "a")
    await settle()
    assert world.heard == [(None, "a=1"), ("a=1", "a=2"), (None, "b=1"), ("a=2", None)]
    late: list[Any] = []
    informer.add_handler(lambda old, new: late.append(new.metadata.name))
    assert late == ["b"]


async def test_the_same_selection_is_followed_once_and_others_apart(world: World) -> None:
    world.informers.start()
    informer = world.informers.informer(core_v1.ConfigMap, field_selector="metadata.name=a")
    assert informer is world.informers.informer(core_v1.ConfigMap, field_selector="metadata.name=a")
    world.api.add(config_map("a"))
    world.api.add(config_map("b"))
    await informer.synced()
    await settle()
    assert [o.metadata.name for o in informer.cache] == ["a"]
    assert len([c for c in world.api.calls if c.verb == "watch"]) == 1
    await world.informers.discard(informer)
    world.set("a", "2")
    await settle()
    assert informer.cache.get("default", "a").data == {"v": "1"}  # type: ignore[union-attr]


async def test_a_broken_watch_resumes_where_it_was(world: World) -> None:
    informer = world.informers.informer(core_v1.ConfigMap)
    informer.add_handler(world.hear)
    world.informers.start()
    await informer.synced()
    world.api.break_watches()
    await settle()
    world.api.add(config_map("a"))
    await settle()
    assert world.heard == []
    await world.clock.advance(1)
    assert world.heard == [(None, "a=1")]
    assert [c.verb for c in world.api.calls] == ["watch", "watch"]


async def test_lost_history_means_a_new_list_and_the_difference_is_told(world: World) -> None:
    world.api.add(config_map("gone"))
    world.api.add(config_map("kept"))
    world.api.add(config_map("changed"))
    informer = world.informers.informer(core_v1.ConfigMap)
    world.informers.start()
    await informer.synced()
    world.api.break_watches()
    await settle()
    world.api.remove(core_v1.ConfigMap, "default", "gone")
    world.set("changed", "2")
    world.api.add(config_map("new"))
    world.api.compact()
    world.heard.clear()
    informer.add_handler(world.hear)
    world.heard.clear()
    await world.clock.advance(1)
    assert sorted(world.heard, key=str) == [("changed=1", "changed=2"), ("gone=1", None), (None, "new=1")]


async def test_a_server_that_cannot_stream_lists_is_listed(world: World) -> None:
    world.api.streams_lists = False
    world.api.add(config_map("a"))
    informer = world.informers.informer(core_v1.ConfigMap)
    world.informers.start()
    await informer.synced()
    world.set("a", "2")
    await settle()
    assert informer.cache.get("default", "a").data == {"v": "2"}  # type: ignore[union-attr]
    assert [c.verb for c in world.api.calls] == ["watch", "list", "watch"]


async def test_a_server_that_is_away_is_tried_with_growing_waits(world: World) -> None:
    world.api.fail(ApiError(0, "Unreachable", "away"), times=5)
    informer = world.informers.informer(core_v1.ConfigMap)
    world.informers.start()
    for seconds, calls in ((0.0, 1), (0.11, 2), (0.1, 2), (0.11, 3), (0.4, 4), (0.8, 5), (1.6, 6)):
        await world.clock.advance(seconds)
        await settle()
        assert len(world.api.calls) == calls
    assert informer.has_synced


async def test_own_writes_are_seen_at_once_and_told_once(world: World) -> None:
    informer = world.informers.informer(core_v1.ConfigMap)
    informer.add_handler(world.hear)
    world.informers.start()
    await informer.synced()
    created = world.api.add(config_map("a"))
    informer.observe_write(created)
    assert informer.cache.get("default", "a") is created
    world.api.remove(core_v1.ConfigMap, "default", "a")
    informer.observe_delete(ObjectKey("default", "a"), 0, created.metadata.uid or "")
    assert informer.cache.get("default", "a") is None
    await settle()
    assert world.heard == [(None, "a=1"), ("a=1", None)]

"""A watch whose client does not read costs bounded memory, holds nobody up, and ends cleanly or catches up."""

from __future__ import annotations

import asyncio

import msgspec
from api_world import World

from tiphys.apiserver.io.streams import OUTSTANDING_BYTES_LIMIT
from tiphys.client.interface import WatchEvent
from tiphys.kinds.types import core_v1, meta_v1

MAPS = "/api/v1/namespaces/default/configmaps"
BIG = "x" * 900_000


def config_map(name: str, filling: str = BIG) -> core_v1.ConfigMap:
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), data={"k": filling})


class RawWatch:
    """A watch whose bytes wait in the server until they are read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, world: World) -> RawWatch:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.ports[0], limit=2**12)
        writer.write(f"GET {MAPS}?watch=1&resourceVersion={world.store.revision} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def lines(self, count: int) -> list[tuple[str, str]]:
        """(type, name or status reason) of the next events, at most `count`; fewer when the stream ends."""
        data, found = b"", []
        while len(found) < count:
            size = int((await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 10)).strip(), 16)
            if not size:
                break
            data += (await self.reader.readexactly(size + 2))[:-2]
            *whole, data = data.split(b"\n")
            for line in whole:
                event = msgspec.json.decode(line)
                found.append((event["type"], event["object"].get("reason") or event["object"]["metadata"]["name"]))
        return found


async def fill(world: World, first: int, last: int) -> None:
    for number in range(first, last):
        await world.client.create(config_map(f"m-{number:02}"))


def outstanding(world: World) -> int:
    assert world.server._server is not None
    connections = world.server._server.state.connections
    return max(connection.outstanding_bytes for connection in connections if connection.busy)


async def test_a_client_that_comes_back_in_time_misses_nothing(world: World) -> None:
    slow = await RawWatch.open(world)
    await fill(world, 0, 14)
    assert outstanding(world) < OUTSTANDING_BYTES_LIMIT + 2 * len(BIG)
    assert await slow.lines(14) == [("ADDED", f"m-{number:02}") for number in range(14)]
    await world.client.create(config_map("last", "small"))
    assert await slow.lines(1) == [("ADDED", "last")]
    slow.writer.transport.abort()


async def test_a_client_that_comes_back_too_late_is_told_so(world: World) -> None:
    slow = await RawWatch.open(world)
    batches: list[WatchEvent] = []

    async def follow() -> None:
        async for batch in world.client.watch(core_v1.ConfigMap, "default"):
            batches.extend(batch)

    fast = asyncio.create_task(follow())
    await fill(world, 0, 40)
    await asyncio.sleep(0)
    assert [event.object.metadata.name for event in batches] == [f"m-{number:02}" for number in range(40)]
    assert outstanding(world) < OUTSTANDING_BYTES_LIMIT + 2 * len(BIG)
    seen = await slow.lines(100)
    assert seen[-1] == ("ERROR", "Expired")
    assert seen[:-1] == [("ADDED", f"m-{number:02}") for number in range(len(seen) - 1)]
    fast.cancel()
    await asyncio.gather(fast, return_exceptions=True)
    slow.writer.transport.abort()

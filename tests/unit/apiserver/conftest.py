"""The API server that the tests here talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from api_world import Http, World

from tiphys.aio.clock import VirtualClock
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.store.drivers.memory import MemoryStore


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    await store.start()
    config = ApiServerConfig(
        addresses=(("127.0.0.1", 0),), authorize=False, service_cidrs=("10.96.0.0/24",), seed=7, stop_grace_seconds=0.0
    )
    server = ApiServer(config, store, clock)
    await server.start()
    client = Client(server.transport("admin", ("system:masters",)))
    for name in ("default", "other"):
        await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace=name))
        await client.create(account)
    async with aiohttp.ClientSession() as session:
        yield World(server, store, clock, client, Http(session, f"http://127.0.0.1:{server.ports[0]}"))
    await server.stop()
    await store.close()

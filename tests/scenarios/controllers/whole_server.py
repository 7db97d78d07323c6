"""A whole API server on a memory store with some of the controllers in the same process, under one virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tiphys.aio.clock import VirtualClock, settle
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.client.interface import ApiRequest
from tiphys.controllers.component import ControllerManager
from tiphys.controllers.config import ControllersConfig
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.store.drivers.memory import MemoryStore


class Whole:
    """An API server and controllers under one clock."""

    def __init__(self, client: Client, clock: VirtualClock, manager: ControllerManager, store: MemoryStore) -> None:
        self.client = client
        self.clock = clock
        self.manager = manager
        self.store = store

    async def quiet(self) -> None:
        """Until the controllers have nothing more to do now."""
        calm = 0
        for _ in range(400):
            await settle(20)
            calm = calm + 1 if self.manager.idle else 0
            if calm == 3:
                return
        raise AssertionError("busy for ever")

    async def later(self, seconds: float) -> None:
        await self.quiet()
        await self.clock.advance(seconds)
        await self.quiet()

    async def names(self, kind: Any, namespace: str = "team") -> list[str]:
        return [item.metadata.name for item in (await self.client.list(kind, namespace)).items]

    async def delete(self, resource: str, name: str, namespace: str = "team", **options: Any) -> Any:
        body = meta_v1.DeleteOptions(**options)
        request = ApiRequest(
            verb="delete", group="", version="v1", resource=resource, namespace=namespace, name=name, body=body
        )
        return await self.client.transport.call(request)


@asynccontextmanager
async def whole_server(*controllers: str) -> AsyncIterator[Whole]:
    """With a namespace `team` in which pods can be created."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    await store.start()
    config = ApiServerConfig(authorize=False, service_cidrs=("10.96.0.0/24",), stop_grace_seconds=0.0)
    server = ApiServer(config, store, clock)
    await server.start()
    faults: list[tuple[str, BaseException]] = []
    manager = ControllerManager(
        server.transport,
        clock,
        ControllersConfig(controllers=controllers, root_ca_pem="CA"),
        lambda name, error: faults.append((name, error)),
        on_fault=lambda name, error: faults.append((name, error)),
    )
    client = Client(server.transport("admin", ("system:masters",)))
    await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))
    await client.create(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="team")))
    await manager.start()
    made = Whole(client, clock, manager, store)
    await made.quiet()
    yield made
    await manager.stop()
    await server.stop()
    await store.close()
    assert faults == []

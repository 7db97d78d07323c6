"""Owners, dependents and namespaces of custom resources: the controllers on the real API server, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tiphys.aio.clock import VirtualClock, settle
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.client.interface import ApiRequest
from tiphys.controllers.component import ControllerManager
from tiphys.controllers.config import ControllersConfig
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.store.drivers.memory import MemoryStore

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "oars.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "oars", "kind": "Oar"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
            }
        ],
    },
}


def request(verb: Any, **rest: Any) -> ApiRequest:
    return ApiRequest(verb=verb, group="example.com", version="v1", resource="oars", **rest)


async def until(clock: VirtualClock, holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        await settle(50)
        if await holds():
            return
        await clock.advance(1.0)
    raise AssertionError("it does not come to that")


async def test_dependents_and_namespaces_take_custom_resources_along() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    await store.start()
    server = ApiServer(ApiServerConfig(authorize=False), store, clock)
    await server.start()
    manager = ControllerManager(lambda user, groups: server.transport(user, groups), clock, ControllersConfig())
    await manager.start()
    transport = server.transport("admin", ("system:masters",))
    client = Client(transport)
    for name in ("kept", "gone"):
        await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
    group = "apiextensions.k8s.io"
    await transport.call(
        ApiRequest(verb="create", group=group, version="v1", resource="customresourcedefinitions", body=DEFINITION)
    )

    async def served() -> bool:
        found = server.caches.collections
        return any(collection.resource.plural == "oars" for collection in found)

    await until(clock, served)
    head = {"apiVersion": "example.com/v1", "kind": "Oar"}
    for namespace in ("kept", "gone"):
        owner = await transport.call(
            request("create", namespace=namespace, body={**head, "metadata": {"name": "owner"}})
        )
        reference = meta_v1.OwnerReference(**head, name="owner", uid=owner.metadata.uid)
        meta = meta_v1.ObjectMeta(name="dependent", namespace=namespace, ownerReferences=[reference])
        await client.create(core_v1.ConfigMap(metadata=meta))
        child = {"name": "child", "ownerReferences": [{**head, "name": "owner", "uid": owner.metadata.uid}]}
        await transport.call(request("create", namespace=namespace, body={**head, "metadata": child}))
    await transport.call(request("delete", namespace="kept", name="owner"))
    await client.delete(core_v1.Namespace, "", "gone")

    async def all_gone() -> bool:
        left = (await transport.call(request("list"))).items
        maps = [m for m in (await client.list(core_v1.ConfigMap)).items if m.metadata.name == "dependent"]
        namespaces = [n.metadata.name for n in (await client.list(core_v1.Namespace)).items]
        return not left and not maps and namespaces == ["kept"]

    await until(clock, all_gone)
    await manager.stop()
    await server.stop()
    await store.close()

"""Unmodified kubectl with custom resources, against the API server alone."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tiphys.aio.clock import VirtualClock
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.store.drivers.memory import MemoryStore

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat", "shortNames": ["bt"], "categories": ["all"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.oars", "statusReplicasPath": ".status.oars"},
                },
                "additionalPrinterColumns": [
                    {"name": "Oars", "type": "integer", "jsonPath": ".spec.oars"},
                    {"name": "Afloat", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Afloat")].status'},
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "description": "How the boat should be.",
                                "properties": {"oars": {"type": "integer", "default": 2, "maximum": 50}},
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}
BOAT = {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "argo"}, "spec": {}}

Kubectl = Callable[..., Awaitable[str]]


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    await store.start()
    server = ApiServer(ApiServerConfig(addresses=(("127.0.0.1", 0),), authorize=False), store, clock)
    await server.start()
    client = Client(server.transport("admin", ("system:masters",)))
    await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="default")))
    address = f"http://127.0.0.1:{server.ports[0]}"

    async def run(*words: str, stdin: object = None) -> str:
        assert KUBECTL is not None
        arguments = ["--server", address, "--cache-dir", str(tmp_path / "cache"), *words]
        process = await asyncio.create_subprocess_exec(
            KUBECTL, *arguments, stdin=-1, stdout=-1, stderr=-1, env={"HOME": str(tmp_path)}
        )
        data = json.dumps(stdin).encode() if stdin is not None else None
        out, err = await process.communicate(data)
        return (out + err).decode()

    yield run
    await server.stop()
    await store.close()


async def test_the_life_of_a_custom_resource(kubectl: Kubectl) -> None:
    assert "boats.example.com created" in await kubectl("apply", "-f", "-", stdin=DEFINITION)
    await kubectl("wait", "--for=condition=Established", "crd/boats.example.com", "--timeout=10s")
    assert "boat.example.com/argo created" in await kubectl("apply", "-f", "-", stdin=BOAT)
    assert (await kubectl("get", "bt")).split() == ["NAME", "OARS", "AFLOAT", "argo", "2"]
    assert "scaled" in await kubectl("scale", "boat", "argo", "--replicas=50")
    status = '{"status":{"conditions":[{"type":"Afloat","status":"True"}]}}'
    assert "patched" in await kubectl("patch", "boat", "argo", "--subresource=status", "--type=merge", "-p", status)
    assert (await kubectl("get", "all", "--no-headers")).split() == ["boat.example.com/argo", "50", "True"]
    refused = await kubectl("patch", "boat", "argo", "--type=merge", "-p", '{"spec":{"oars":51}}')
    assert "spec.oars: Invalid value: 51: spec.oars in body should be less than or equal to 50" in refused
    assert "How the boat should be." in await kubectl("explain", "boat.spec")
    applied = await kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin={**BOAT, "spec": {"oars": 4}}
    )
    assert "serverside-applied" in applied
    assert "deleted" in await kubectl("delete", "crd", "boats.example.com", "--timeout=20s")
    assert "could not find the requested resource" in await kubectl("get", "boats")

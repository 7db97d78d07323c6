"""One resource and objects of it that no other test uses, over a running server."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

from api_site import Answer, Site
from minimal_objects import OBJECTS, Minimal

from tiphys.aio.clock import settle
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource

ALL = registry.all_resources()
STORED = [found for found in ALL if found.storage]
# The status of definitions is the server's own to write: tests/unit/apiserver/test_custom_resources.py.
WITH_STATUS = [f for f in STORED if "status" in f.subresources and f.plural != "customresourcedefinitions"]
# Some kinds keep what depends on them unless told otherwise, which takes a controller.
BACKGROUND = {"propagationPolicy": "Background"}
NUMBERS = itertools.count(20)
WRITE, OTHER = "one", "two"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


def key(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural


@dataclass
class Case:
    """One resource, and objects of it that no other test uses."""

    site: Site
    resource: Resource
    special: Minimal | None = None

    @property
    def minimal(self) -> Minimal:
        return self.special or OBJECTS[key(self.resource)]

    @property
    def root(self) -> str:
        return f"/apis/{self.resource.api_version}" if self.resource.group else "/api/v1"

    @property
    def everywhere(self) -> str:
        return f"{self.root}/{self.resource.plural}"

    def collection(self, namespace: str = WRITE) -> str:
        if not self.resource.namespaced:
            return self.everywhere
        return f"{self.root}/namespaces/{namespace}/{self.resource.plural}"

    def path(self, name: str, subresource: str = "") -> str:
        return f"{self.collection()}/{name}" + (f"/{subresource}" if subresource else "")

    def document(self, namespace: str = WRITE, **metadata: Any) -> dict[str, Any]:
        return self.minimal.document(self.resource, next(NUMBERS), namespace, **metadata)

    def filled(self, change: dict[str, Any]) -> dict[str, Any]:
        """A change that the table gives, for an object of this case."""
        found: dict[str, Any] = json.loads(json.dumps(change).replace("$NAMESPACE", WRITE))
        return found

    async def made(self, namespace: str = WRITE, **metadata: Any) -> dict[str, Any]:
        answer = await self.site("POST", self.collection(namespace), self.document(namespace, **metadata))
        assert answer.code == 201, answer.body
        found: dict[str, Any] = answer.body
        if self.resource.plural == "customresourcedefinitions":  # the server accepts its names
            await settle(100)
            found = await self.get(name_of(found))
        return found

    async def get(self, name: str) -> dict[str, Any]:
        answer = await self.site("GET", self.path(name))
        assert answer.code == 200, answer.body
        found: dict[str, Any] = answer.body
        return found

    async def names(self, path: str, query: str = "") -> list[str]:
        answer = await self.site("GET", path + query)
        assert answer.code == 200, answer.body
        assert answer.body["kind"] == self.resource.list_kind
        assert answer.body["apiVersion"] == self.resource.api_version
        return [item["metadata"]["name"] for item in answer.body["items"]]

    async def gone(self, name: str) -> None:
        """Delete it; what only ends when somebody finalizes it is finalized."""
        answer = await self.site("DELETE", self.path(name), BACKGROUND)
        assert answer.code == 200, answer.body
        if self.resource.plural == "customresourcedefinitions":  # the server removes its objects first
            await settle(100)
        if self.resource.plural == "namespaces":
            assert (await self.get(name))["status"]["phase"] == "Terminating"
            found = await self.get(name)
            found["spec"]["finalizers"] = []
            finalized = await self.site("PUT", self.path(name, "finalize"), found)
            assert finalized.code == 200, finalized.body
        await self.released(name)
        assert (await self.site("GET", self.path(name))).outcome == (404, "NotFound")

    async def released(self, name: str) -> None:
        """What is protected while it is used waits for a controller, which does this when it is not."""
        if self.resource.plural not in ("persistentvolumes", "persistentvolumeclaims"):
            return
        held = await self.get(name)
        assert held["metadata"]["deletionTimestamp"]
        patch = [{"op": "remove", "path": "/metadata/finalizers"}]
        released = await self.site("PATCH", self.path(name), patch, media=JSON_PATCH)
        assert released.code == 200, released.body


def name_of(found: dict[str, Any]) -> str:
    name: str = found["metadata"]["name"]
    return name


def refused(answer: Answer, code: int, reason: str, words: str = "") -> None:
    """It is a whole Status that says so."""
    body = answer.body
    assert (answer.code, body.get("kind"), body.get("reason")) == (code, "Status", reason), body
    assert (body["apiVersion"], body["status"], body["code"]) == ("v1", "Failure", code)
    assert words in body["message"]

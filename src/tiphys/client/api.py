"""The typed face of a `Transport`: calls by Struct type, `await client.get(core_v1.Pod, "default", "web-0")`.

Nothing is cached here; see `cache.py` and `io/reflector.py` for informers. All methods raise
`machinery.errors.ApiError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

from tiphys.client.interface import ApiRequest, ListResult, PatchType, Transport, Verb, WatchEvent
from tiphys.kinds import registry
from tiphys.kinds.types import meta_v1

T = TypeVar("T")


class Client:
    """Calls with the identity of its transport. Namespaces are "" for cluster-scoped kinds."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def _request(self, verb: Verb, kind: type[Any], namespace: str = "", name: str = "", **rest: Any) -> ApiRequest:
        resource = registry.resource_of(kind)
        return ApiRequest(
            verb=verb,
            group=resource.group,
            version=resource.version,
            resource=resource.plural,
            namespace=namespace,
            name=name,
            **rest,
        )

    async def get(self, kind: type[T], namespace: str, name: str) -> T:
        found: T = await self.transport.call(self._request("get", kind, namespace, name))
        return found

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        options: Mapping[str, str] | None = None,
    ) -> ListResult:
        """One namespace, or all with ""."""
        request = self._request(
            "list",
            kind,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            options=options or {},
        )
        result: ListResult = await self.transport.call(request)
        return result

    def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        options: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        merged = {**(options or {})}
        if resource_version:
            merged["resourceVersion"] = resource_version
        request = self._request(
            "watch",
            kind,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            options=merged,
        )
        return self.transport.watch(request)

    async def create(self, obj: T) -> T:
        """Create an object in its metadata.namespace; generateName is the server's business."""
        request = self._request("create", type(obj), obj.metadata.namespace or "", body=obj)  # type: ignore[attr-defined]
        created: T = await self.transport.call(request)
        return created

    async def create_subresource(self, kind: type[Any], namespace: str, name: str, subresource: str, body: Any) -> Any:
        """binding, eviction, token, ..."""
        return await self.transport.call(
            self._request("create", kind, namespace, name, subresource=subresource, body=body)
        )

    async def update(self, obj: T, subresource: str = "") -> T:
        """Replace an object; its metadata.resourceVersion guards against lost updates."""
        meta: meta_v1.ObjectMeta = obj.metadata  # type: ignore[attr-defined]
        request = self._request(
            "update", type(obj), meta.namespace or "", meta.name or "", subresource=subresource, body=obj
        )
        updated: T = await self.transport.call(request)
        return updated

    async def update_status(self, obj: T) -> T:
        return await self.update(obj, "status")

    async def patch(
        self,
        kind: type[T],
        namespace: str,
        name: str,
        patch: Any,
        patch_type: PatchType = PatchType.STRATEGIC,
        subresource: str = "",
    ) -> T:
        """`patch` is plain JSON (a dict, or a list of operations for PatchType.JSON)."""
        request = self._request(
            "patch", kind, namespace, name, subresource=subresource, patch_type=patch_type, body=patch
        )
        patched: T = await self.transport.call(request)
        return patched

    async def delete(
        self, kind: type[Any], namespace: str, name: str, options: meta_v1.DeleteOptions | None = None
    ) -> Any:
        """Preconditions, grace period and propagation are in `options`."""
        return await self.transport.call(self._request("delete", kind, namespace, name, body=options))

    async def close(self) -> None:
        await self.transport.close()

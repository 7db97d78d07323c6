"""What REST bodies mean: paths of requests, Structs of answers, lines of watches. Pure; sockets are `io/rest.py`'s
business.

Objects of kinds that the registry does not know come as plain JSON values (dicts).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from tiphys.client.interface import ApiRequest, ListResult, WatchEvent
from tiphys.kinds import codec, registry
from tiphys.kinds.types import meta_v1
from tiphys.machinery import errors

METHODS = {
    "get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETE",
}  # fmt: skip


class TypeMeta(msgspec.Struct):
    apiVersion: str = ""
    kind: str = ""


class _RawEvent(msgspec.Struct):
    type: str
    object: msgspec.Raw


def path_of(request: ApiRequest) -> str:
    """`/apis/apps/v1/namespaces/default/deployments/web/scale`."""
    parts = ["/apis", request.group, request.version] if request.group else ["/api", request.version]
    if request.namespace and request.resource != "namespaces":
        parts += ["namespaces", quote(request.namespace, safe="")]
    parts.append(request.resource)
    if request.name:
        parts.append(quote(request.name, safe=""))
    if request.subresource:
        parts.append(request.subresource)
    return "/".join(parts)


def query_of(request: ApiRequest) -> dict[str, str]:
    """The query parameters under their wire names."""
    query = dict(request.options)
    if request.label_selector:
        query["labelSelector"] = request.label_selector
    if request.field_selector:
        query["fieldSelector"] = request.field_selector
    if request.verb == "watch":
        query["watch"] = "true"
    return query


def body_of(request: ApiRequest) -> tuple[bytes | None, str]:
    """The body and its content type."""
    if request.body is None:
        return None, ""
    content_type = request.patch_type.value if request.patch_type is not None else "application/json"
    return codec.encode(request.body), content_type


@functools.cache
def struct_of(api_version: str, kind: str) -> type[Any] | None:
    """The Struct of an apiVersion and kind, also of those that are no resource themselves (Scale, Status, TokenRequest,
    ...)."""
    group, _, version = api_version.rpartition("/")
    if api_version == "v1" and hasattr(meta_v1, kind):
        return getattr(meta_v1, kind)  # type: ignore[no-any-return]
    label = group.split(".")[0] if group != "internal.apiserver.k8s.io" else "apiserverinternal"
    try:
        module = importlib.import_module(f"tiphys.kinds.types.{label or 'core'}_{version}")
    except ModuleNotFoundError:
        return None
    return getattr(module, kind, None)


def served_type(request: ApiRequest) -> type[Any] | None:
    """The Struct of the objects that a request is about (not of its subresources)."""
    resource = registry.find(request.group, request.version, request.resource)
    return resource.type if resource is not None else None


@functools.cache
def _list_decoder(item: Any) -> msgspec.json.Decoder[Any]:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("metadata", meta_v1.ListMeta),
        ("items", list[item] | None, None),
    ]
    return codec.decoder(msgspec.defstruct("ObjectList", fields))


@functools.cache
def _event_decoder(item: Any) -> msgspec.json.Decoder[Any]:
    return codec.decoder(msgspec.defstruct("ObjectEvent", [("type", str), ("object", item)]))


def decode_answer(request: ApiRequest, data: bytes) -> Any:
    """What a successful call answered: a ListResult, a Struct, or plain values for unknown kinds. ApiError for a broken
    body."""
    try:
        wanted: Any = served_type(request)
        if request.verb == "list":
            found = _list_decoder(wanted or dict[str, Any]).decode(data)
            for item in found.items or ():
                _let_go_of(item)
            meta = found.metadata
            return ListResult(
                items=found.items or [],
                resource_version=meta.resourceVersion or "",
                continue_token=meta.continue_ or "",
                remaining=meta.remainingItemCount or 0,
            )
        head = codec.decode(data, TypeMeta)
        return codec.decode(data, struct_of(head.apiVersion, head.kind) or dict[str, Any])
    except msgspec.MsgspecError as error:
        raise errors.internal(f"the server's answer cannot be read: {error}") from error


def _let_go_of(thing: Any) -> None:
    """Copy what an object has not read of the bytes it came in, which it would keep alive as long as itself."""
    metadata = getattr(thing, "metadata", None)
    for entry in getattr(metadata, "managedFields", None) or ():
        entry.fieldsV1 = entry.fieldsV1.copy()


def decode_failure(code: int, data: bytes) -> errors.ApiError:
    """The error of an unsuccessful call; servers before the API (proxies) may answer with plain text."""
    try:
        status = codec.decode(data, dict[str, Any])
    except msgspec.MsgspecError:
        return errors.ApiError(code, "", data[:1024].decode("utf-8", "replace").strip() or f"HTTP {code}")
    return errors.from_status(status, code)


def decode_events(wanted: type[Any] | None, lines: bytes) -> Sequence[WatchEvent]:
    """The events of complete lines. An ERROR event is raised as ApiError once the events before it were decoded
    alone."""
    kind: Any = wanted or dict[str, Any]
    try:
        found = _event_decoder(kind).decode_lines(lines)
        if not any(event.type == "ERROR" for event in found):
            for event in found:
                _let_go_of(event.object)
            return [WatchEvent(type=event.type, object=event.object) for event in found]
    except msgspec.ValidationError:
        pass
    return _decode_one_by_one(kind, lines)


def _decode_one_by_one(kind: Any, lines: bytes) -> Sequence[WatchEvent]:
    """The events up to an ERROR; with nothing before it, the ERROR."""
    events: list[WatchEvent] = []
    try:
        for raw in codec.decoder(_RawEvent).decode_lines(lines):
            if raw.type == "ERROR":
                if events:
                    return events  # the connection ends here anyway; the next one gives the error again
                raise errors.from_status(codec.decode(bytes(raw.object), dict[str, Any]))
            events.append(WatchEvent(type=raw.type, object=codec.decode(bytes(raw.object), kind)))
    except msgspec.MsgspecError as error:
        raise errors.internal(f"unable to decode an event from the watch stream: {error}") from error
    return events

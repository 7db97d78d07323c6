"""How a component talks to the API, whichever way it is connected.

A call is one frozen `ApiRequest`; a `Transport` carries it out: over HTTPS (`client/io/rest.py`), or straight into the
API server in the same process (handed in by `launch`; no TLS, HTTP or JSON, but the same authorization, with the
component's own identity). Objects are the Structs of `kinds.types`; what a call returns is a read-only snapshot that
others may share: never change it, copy first (`kinds.codec.copy`). Every failure is a `machinery.errors.ApiError`; a
broken connection has code 0 and reason "Unreachable".
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]


class PatchType(enum.Enum):
    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class ObjectKey(NamedTuple):
    """Names an object of one kind; `namespace` is "" for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One API call. `options` holds the remaining query parameters under their wire names (resourceVersion, limit,
    dryRun, fieldManager, gracePeriodSeconds, sendInitialEvents, ...). `body` is a Struct (or plain JSON for a
    patch)."""

    verb: Verb
    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    label_selector: str = ""
    field_selector: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    patch_type: PatchType | None = None
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResult:
    """The items of a list call and the resourceVersion to watch from. `remaining` is how many are left after a page
    (0 as well when the server does not say, as with selectors)."""

    items: Sequence[Any]
    resource_version: str
    continue_token: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK. ERROR events are raised as ApiError and end the watch.
    A BOOKMARK's object has nothing but metadata.resourceVersion (and the k8s.io/initial-events-end annotation)."""

    type: str
    object: Any


class Transport(Protocol):
    """Carries out calls with one identity."""

    async def call(self, request: ApiRequest) -> Any:
        """A Struct, or a ListResult for list. Raises ApiError. For `delete`, the object or Status that the server
        answers."""
        ...

    def watch(self, request: ApiRequest) -> AsyncIterator[Sequence[WatchEvent]]:
        """Events in order, in batches, until the server or the caller (by closing the iterator) ends it. Raises
        ApiError."""
        ...

    async def close(self) -> None: ...

"""What a controller can want done: frozen values that `runner.py` carries out in order.

Neighbours of one type in an action list do not depend on each other and are carried out at the same time (creates in
batches that grow from one, so that a refusal costs one call); a change of type waits for what came before. The first
failure ends the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.client.events import reference_of
from tiphys.client.interface import ApiRequest, PatchType
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery.errors import ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Report an Event about an object. `type` is Normal or Warning. As `succeeded` or `failed` of another action its
    message may hold {name} (of the object written) and {error}."""

    regarding: core_v1.ObjectReference
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create an object in its metadata.namespace. With `tolerate_existing`, AlreadyExists is no failure."""

    object: Any
    tolerate_existing: bool = False
    succeeded: Record | None = None
    failed: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Replace an object at the resourceVersion it carries; a subresource too (status, finalize)."""

    object: Any
    subresource: str = ""
    succeeded: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStatus:
    """Replace an object's status at the resourceVersion it carries."""

    object: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Patch with plain JSON. With `tolerate_missing`, NotFound (or an object of another uid) is no failure."""

    kind: type[Any]
    namespace: str
    name: str
    patch: Any
    patch_type: PatchType = PatchType.MERGE
    subresource: str = ""
    tolerate_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete the object of this uid; that it is gone already (NotFound, another uid) is no failure.
    `propagation` is Background, Foreground, Orphan or "" for the kind's default."""

    kind: type[Any]
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    propagation: str = ""
    grace_seconds: int | None = None
    succeeded: Record | None = None
    failed: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evict:
    """Delete a pod through its eviction subresource, so that disruption budgets have their say."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequeueAfter:
    """Reconcile the same key again after this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Any call, for objects of kinds without a Struct. With `tolerate_missing`, NotFound (or another uid) is no
    failure."""

    request: ApiRequest
    tolerate_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Call the API, all calls at the same time, and hand the answers to the controller's `answered` for its next
    actions. Always the last action of a list."""

    requests: tuple[ApiRequest, ...]
    memo: Any = None


Action = Create | Update | UpdateStatus | Patch | Delete | Evict | Call | Record | RequeueAfter | Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one asked call: `result`, or the `error`."""

    request: ApiRequest
    result: Any = None
    error: ApiError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An action that could not be carried out."""

    action: Action
    error: ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one action list. `skipped`: actions that were not tried because of a failure before them."""

    failures: Sequence[Failure] = field(default_factory=tuple)
    skipped: int = 0


def delete_of(
    obj: Any,
    *,
    propagation: str = "",
    grace_seconds: int | None = None,
    succeeded: Record | None = None,
    failed: Record | None = None,
) -> Delete:
    """Delete exactly this object (by uid)."""
    meta: meta_v1.ObjectMeta = obj.metadata
    return Delete(
        kind=type(obj),
        namespace=meta.namespace or "",
        name=meta.name or "",
        uid=meta.uid or "",
        propagation=propagation,
        grace_seconds=grace_seconds,
        succeeded=succeeded,
        failed=failed,
    )


def record(obj: Any, event_type: str, reason: str, message: str) -> Record:
    """An Event about an object at hand."""
    return Record(regarding=reference_of(obj), type=event_type, reason=reason, message=message)

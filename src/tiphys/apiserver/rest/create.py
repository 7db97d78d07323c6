"""Creating an object: what the server fills in, and every finding against it. Specified in the API conventions."""

from __future__ import annotations

import functools
from typing import Any

from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds import codec
from tiphys.kinds.object_meta import validate_object_meta
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors, field_errors, timestamps
from tiphys.machinery.field_errors import FieldError, Path
from tiphys.machinery.repetition import repeated

GENERATED_BASE_LIMIT = 58
GENERATE_ATTEMPTS = 8

NAMESPACE_MISMATCH = "the namespace of the provided object does not match the namespace sent on the request"


def prepare(context: WriteContext, obj: Any) -> None:
    """Fill in metadata and defaults, in place. ApiError 400 for an object that does not fit its URL."""
    meta, resource = obj.metadata, context.resource
    if meta.resourceVersion not in (None, "", "0"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    place(context, meta)
    if not meta.name and meta.generateName:
        meta.name = meta.generateName[:GENERATED_BASE_LIMIT] + context.new_suffix()
    meta.resourceVersion = None
    meta.selfLink = None
    meta.deletionTimestamp = None
    meta.deletionGracePeriodSeconds = None
    meta.uid = context.new_uid()
    meta.creationTimestamp = _moment(int(context.now))
    strategy = resource.strategy
    meta.generation = 1 if strategy.has_generation else None
    if strategy.has_status and not strategy.begins_with_status and hasattr(obj, "status"):
        reset_status(obj)
    strategy.prepare_for_create(obj)
    context.fill_in(obj)


@functools.lru_cache(maxsize=8)
def _moment(second: int) -> timestamps.Time:
    return timestamps.time_of(second)


def place(context: WriteContext, meta: Any) -> None:
    """The namespace is the URL's; an object may leave it out but not contradict it."""
    if not context.resource.namespaced:
        if meta.namespace:
            meta.namespace = None
        return
    if not meta.namespace:
        meta.namespace = context.namespace
    elif meta.namespace != context.namespace:
        raise errors.bad_request(NAMESPACE_MISMATCH)


def merge_repeated_owners(meta: Any, when: str = "") -> list[str]:
    """Keep each owner once, in place; what to warn of when one stood there again. `when` is part of the warning."""
    owners = meta.ownerReferences or ()
    again = repeated(codec.encode(owner) for owner in owners) if len(owners) > 1 else ()
    if not again:
        return []
    uids = dict.fromkeys(owners[position].uid for position in sorted(again))
    meta.ownerReferences = [owner for position, owner in enumerate(owners) if position not in again]
    return [
        f".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, "
        "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
        + ", ".join(uids)
    ]


def reset_status(obj: Any) -> None:
    """An object begins without a status."""
    obj.status = type(obj)().status


def findings(context: WriteContext, obj: Any) -> list[FieldError]:
    """Everything that is wrong with a new object."""
    resource = context.resource
    wrong = type_findings(resource, obj)
    return wrong or metadata_findings(resource, obj.metadata) + resource.strategy.validate(obj)


def type_findings(resource: Resource, obj: Any) -> list[FieldError]:
    """An object of another kind; nothing else is said of it. (Only custom objects can get as far as here.)"""
    named = (("kind", obj.kind, resource.kind), ("apiVersion", obj.apiVersion, resource.api_version))
    return [field_errors.invalid(Path(name), is_, f"must be {must}") for name, is_, must in named if is_ != must]


def metadata_findings(resource: Resource, metadata: Any) -> list[FieldError]:
    strategy = resource.strategy
    return validate_object_meta(
        metadata, resource.namespaced, strategy.name_findings, qualified_finalizers=strategy.qualified_finalizers
    )


def refuse(context: WriteContext, obj: Any, found: list[FieldError]) -> None:
    """ApiError 422 when there are findings."""
    if found:
        group = obj.apiVersion.rpartition("/")[0]
        raise errors.invalid(obj.kind, group, obj.metadata.name or "", found)


def name_taken(context: WriteContext, obj: Any, generated: bool) -> errors.ApiError:
    """409 for a name that is taken; a generated one says so and may be tried again."""
    error = errors.already_exists(context.resource.plural, context.resource.group, obj.metadata.name)
    if generated:
        error.message = f"{error.message}, the server was not able to generate a unique name for the object"
        error.retry_after_seconds = 1
    return error


def name_required() -> FieldError:
    return field_errors.required(Path("metadata.name"), "name or generateName is required")

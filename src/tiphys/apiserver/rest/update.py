"""Changing an object: what the server keeps of the old one, when that is a conflict, and every finding against the
change.

Updates, patches and subresource writes end here. Specified in the API conventions ("Concurrency control and
consistency", "Metadata") and "API concepts".
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any, cast

import msgspec

from tiphys.apiserver.rest import create
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds.object_meta import validate_object_meta_update
from tiphys.machinery import errors
from tiphys.machinery.digits import is_number
from tiphys.machinery.errors import MODIFIED_DETAIL
from tiphys.machinery.field_errors import FieldError, Path, invalid


@functools.cache
def _content_fields(struct: Hashable) -> tuple[str, ...]:
    """Everything that is neither metadata nor status nor type."""
    return tuple(
        f for f in cast(Any, struct).__struct_fields__ if f not in ("apiVersion", "kind", "metadata", "status")
    )


def check_identity(context: WriteContext, new: Any, old: Any) -> None:
    """The body is about the object of the URL, and about its current revision. ApiError 400 or 409."""
    meta = new.metadata
    check_name(context, meta)
    if context.resource.namespaced:
        if not meta.namespace:
            meta.namespace = context.namespace
        elif meta.namespace != context.namespace:
            raise errors.bad_request(create.NAMESPACE_MISMATCH)
    else:
        meta.namespace = None
    check_uid(context, meta.uid, old)
    check_revision(context, meta, old)


def check_name(context: WriteContext, meta: Any) -> None:
    """The body has the name of the URL. ApiError 400."""
    if not meta.name:
        raise name_undeterminable(context)
    if meta.name != context.name:
        text = f"the name of the object ({meta.name}) does not match the name on the URL ({context.name})"
        raise errors.bad_request(text)


def name_undeterminable(context: WriteContext) -> errors.ApiError:
    return errors.bad_request(
        f"the name of the object ({context.name} based on URL) was undeterminable: name must be provided"
    )


def check_uid(context: WriteContext, uid: str | None, old: Any) -> None:
    if uid and uid != old.metadata.uid:
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.metadata.uid}"
        raise context.conflict(detail)


def check_revision(context: WriteContext, meta: Any, old: Any) -> None:
    """No resourceVersion (or 0) means: whatever is there now, for kinds that allow it."""
    version, resource = meta.resourceVersion, context.resource
    if not version or version == "0":
        if not resource.strategy.allow_unconditional_update and context.subresource != "scale":
            wrong = invalid(Path("metadata.resourceVersion"), 0, "must be specified for an update")
            raise errors.invalid(resource.plural, resource.group, context.name, [wrong])
        meta.resourceVersion = old.metadata.resourceVersion
    elif version != old.metadata.resourceVersion:
        if not is_number(version):
            raise errors.bad_request(
                f'invalid resource version "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
            )
        raise context.conflict(MODIFIED_DETAIL)


def keep_metadata(new: Any, old: Any) -> None:
    """What a client may leave out and can never change."""
    meta, before = new.metadata, old.metadata
    meta.selfLink = None
    meta.generation = before.generation
    meta.uid = meta.uid or before.uid
    meta.creationTimestamp = before.creationTimestamp
    meta.deletionTimestamp = meta.deletionTimestamp or before.deletionTimestamp
    if meta.deletionGracePeriodSeconds is None:
        meta.deletionGracePeriodSeconds = before.deletionGracePeriodSeconds


def prepare(context: WriteContext, new: Any, old: Any) -> None:
    """A write of the object itself, in place: it keeps the stored status."""
    check_identity(context, new, old)
    keep_metadata(new, old)
    strategy = context.resource.strategy
    context.fill_in(new)
    if strategy.has_status and hasattr(new, "status"):
        new.status = old.status
    strategy.prepare_for_update(new, old)
    count_generation(context, new, old)


def prepare_status(context: WriteContext, new: Any, old: Any) -> None:
    """A write of /status, in place: everything but status (and metadata that the kind lets through) stays as stored."""
    check_identity(context, new, old)
    keep_metadata(new, old)
    strategy = context.resource.strategy
    context.fill_in(new)  # before it shares parts with the old object, which must not change
    for field in _content_fields(cast(Hashable, type(new))):
        setattr(new, field, getattr(old, field))
    strategy.prepare_for_status_update(new, old)


def count_generation(context: WriteContext, new: Any, old: Any) -> None:
    """One more generation when anything but metadata and status changed."""
    if not context.resource.strategy.has_generation:
        return
    if any(getattr(new, field) != getattr(old, field) for field in _content_fields(cast(Hashable, type(new)))):
        new.metadata.generation = (old.metadata.generation or 0) + 1


def findings(context: WriteContext, new: Any, old: Any) -> list[FieldError]:
    """Everything that is wrong with the changed object or with the change."""
    wrong = create.type_findings(context.resource, new)
    if wrong:
        return wrong
    found = _meta_findings(context, new, old)
    strategy = context.resource.strategy
    whole = strategy.validate(new) if strategy.validate_changed is None else strategy.validate_changed(new, old)
    return found + whole + strategy.validate_update(new, old)


def status_findings(context: WriteContext, new: Any, old: Any) -> list[FieldError]:
    wrong = create.type_findings(context.resource, new)
    return wrong or _meta_findings(context, new, old) + context.resource.strategy.validate_status_update(new, old)


def subresource_findings(context: WriteContext, new: Any, old: Any) -> list[FieldError]:
    """The kind's own validation of a subresource that writes the object (resize, ephemeralcontainers)."""
    validator = context.resource.strategy.subresource_validators.get(context.subresource)
    found = _meta_findings(context, new, old)
    return found + (validator(new, old) if validator is not None else context.resource.strategy.validate(new))


def _meta_findings(context: WriteContext, new: Any, old: Any) -> list[FieldError]:
    found = create.metadata_findings(context.resource, new.metadata)
    return found + validate_object_meta_update(new.metadata, old.metadata)


def shallow(obj: Any) -> Any:
    """A copy of an object whose metadata may be changed too (not what is below)."""
    return obj.__replace__(metadata=msgspec.structs.replace(obj.metadata))


def pending_finalizers(obj: Any) -> list[str]:
    """What still has to happen before a deleted object may go: metadata.finalizers, and spec.finalizers where the
    kind has them."""
    spec = getattr(obj, "spec", None)
    return [*(obj.metadata.finalizers or ()), *(getattr(spec, "finalizers", None) or ())]


def finished(new: Any, old: Any) -> bool:
    """Whether a write removed the last thing that kept a deleted object."""
    meta = old.metadata
    return bool(meta.deletionTimestamp) and not meta.deletionGracePeriodSeconds and not pending_finalizers(new)

"""Deleting an object: at once, after a grace period, or once its finalizers are done; and what becomes of its
dependents.

Specified in "Object deletion" of the API conventions, "Finalizers" and "Garbage Collection".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.request import flag, integer
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.rest.update import pending_finalizers, shallow
from tiphys.kinds.strategy import NO_DEPENDENTS
from tiphys.kinds.types import meta_v1
from tiphys.machinery import errors, field_errors, timestamps
from tiphys.machinery.field_errors import Path

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
POLICIES = ("Orphan", "Background", "Foreground")
# The option to delete what cannot be read, what may not be said along with it, and what it comes to here.
UNREADABLE = "ignoreStoreReadErrorWithClusterBreakingPotential"
NOT_WITH_UNREADABLE = ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions")
UNREADABLE_WARNING = f"{UNREADABLE} is not supported by this server: the object is deleted like any other"

# Kinds whose removal answers with the object rather than a Status.
ANSWERS_OBJECT = frozenset(
    {
        "pods",
        "services",
        "serviceaccounts",
        "podtemplates",
        "persistentvolumes",
        "persistentvolumeclaims",
        "resourcequotas",
        "storageclasses",
        "csidrivers",
        "csinodes",
        "volumeattachments",
    }
)


@dataclass(frozen=True, slots=True)
class Remove:
    """The object goes now."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The object is written like this and goes later."""

    obj: Any


@dataclass(frozen=True, slots=True)
class Wait:
    """The object is being deleted already; nothing changes."""


def options_from_query(options: meta_v1.DeleteOptions, query: Mapping[str, str]) -> meta_v1.DeleteOptions:
    """Query parameters count where the body says nothing. ApiError 400."""
    found = meta_v1.DeleteOptions(
        dryRun=options.dryRun,
        gracePeriodSeconds=options.gracePeriodSeconds,
        ignoreStoreReadErrorWithClusterBreakingPotential=options.ignoreStoreReadErrorWithClusterBreakingPotential,
        orphanDependents=options.orphanDependents,
        preconditions=options.preconditions,
        propagationPolicy=options.propagationPolicy,
    )
    grace = query.get("gracePeriodSeconds")
    if grace and found.gracePeriodSeconds is None:
        found.gracePeriodSeconds = integer(grace)
    found.propagationPolicy = found.propagationPolicy or query.get("propagationPolicy")
    for name in ("orphanDependents", UNREADABLE):
        if getattr(found, name) is None and name in query:
            setattr(found, name, flag(query, name))
    if query.get("dryRun") and not found.dryRun:
        found.dryRun = [query["dryRun"]]
    return found


def check_options(options: meta_v1.DeleteOptions) -> None:
    """ApiError 422 for options that contradict each other or mean nothing."""
    found = []
    policy = options.propagationPolicy
    if policy is not None and options.orphanDependents is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        found.append(field_errors.invalid(Path("propagationPolicy"), policy, detail))
    if policy is not None and policy not in POLICIES:
        found.append(
            field_errors.not_supported(Path("propagationPolicy"), policy, ["Foreground", "Background", "Orphan", "nil"])
        )
    if options.gracePeriodSeconds is not None and options.gracePeriodSeconds < 0:
        options.gracePeriodSeconds = 1  # as the API has it: a negative period means the shortest one
    if set(options.dryRun or ()) > {"All"} or (options.dryRun and "All" not in options.dryRun):
        found.append(field_errors.not_supported(Path("dryRun"), options.dryRun, ["All"]))
    if options.ignoreStoreReadErrorWithClusterBreakingPotential:
        given = [name for name in NOT_WITH_UNREADABLE if getattr(options, name) not in (None, [])]
        found += [field_errors.invalid(Path(UNREADABLE), True, f"cannot be set together with .{n}") for n in given]
    if found:
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", found)


def warnings(options: meta_v1.DeleteOptions) -> list[str]:
    return [UNREADABLE_WARNING] if options.ignoreStoreReadErrorWithClusterBreakingPotential else []


def check_preconditions(context: WriteContext, obj: Any, options: meta_v1.DeleteOptions) -> None:
    """ApiError 409 when the object is not the one meant."""
    wanted, meta = options.preconditions, obj.metadata
    if wanted is None:
        return
    if wanted.uid is not None and wanted.uid != meta.uid:
        raise context.conflict(
            f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {meta.uid}"
        )
    if wanted.resourceVersion is not None and wanted.resourceVersion != meta.resourceVersion:
        raise context.conflict(
            "Precondition failed: ResourceVersion in precondition: "
            f"{wanted.resourceVersion}, ResourceVersion in object meta: {meta.resourceVersion}"
        )


def decide(
    context: WriteContext, obj: Any, options: meta_v1.DeleteOptions, on_mark: Callable[[Any], None] | None = None
) -> Remove | Mark | Wait:
    """What a delete call does to an object. `on_mark` lets a kind record in its status that it is terminating."""
    finalizers = _finalizers(context, obj, options)
    meta = obj.metadata
    changed = finalizers != list(meta.finalizers or ())
    deadline = _deadline(context, obj, options)
    if deadline is None and not changed:
        return Wait()
    marked = shallow(obj)
    marked.metadata.finalizers = finalizers or None
    if deadline is not None:
        grace_seconds, at = deadline
        if not grace_seconds and not pending_finalizers(marked):
            return Remove()
        if not meta.deletionTimestamp and (meta.generation or 0) > 0:
            marked.metadata.generation = meta.generation + 1
        marked.metadata.deletionTimestamp = at
        marked.metadata.deletionGracePeriodSeconds = grace_seconds
        if on_mark is not None:
            on_mark(marked)
    elif not pending_finalizers(marked) and not meta.deletionGracePeriodSeconds:
        return Remove()
    return Mark(marked)


def _deadline(context: WriteContext, obj: Any, options: meta_v1.DeleteOptions) -> tuple[int, timestamps.Time] | None:
    """(grace period, when it ends); None when an earlier call has settled it and this one does not shorten it."""
    meta, strategy = obj.metadata, context.resource.strategy
    requested = options.gracePeriodSeconds
    if not meta.deletionTimestamp:
        grace = strategy.grace_seconds(obj, requested) if strategy.grace_seconds is not None else 0
        return grace, timestamps.time_of(context.now + grace)
    current = meta.deletionGracePeriodSeconds or 0
    if strategy.grace_seconds is None or not current:
        return None if pending_finalizers(obj) else (0, meta.deletionTimestamp)
    if requested is None:
        return None
    grace = strategy.grace_seconds(obj, requested)
    if grace >= current:
        return None
    began = timestamps.seconds(meta.deletionTimestamp) - current
    return grace, timestamps.time_of(began + grace)


def _finalizers(context: WriteContext, obj: Any, options: meta_v1.DeleteOptions) -> list[str]:
    """The finalizers with those of garbage collection set as the propagation policy wants it."""
    current = list(obj.metadata.finalizers or ())
    if not obj.metadata.deletionTimestamp:
        needed = context.resource.strategy.deletion_finalizers
        current += [finalizer for finalizer in needed if finalizer not in current]
    has_dependents = context.resource.strategy.default_propagation != NO_DEPENDENTS
    orphan = has_dependents and _orphans(context, current, options)
    foreground = has_dependents and _foreground(current, options)
    kept = [word for word in current if word not in (ORPHAN, FOREGROUND)]
    if orphan:
        kept.append(ORPHAN)
    elif foreground:
        kept.append(FOREGROUND)
    before = [word for word in current if word in (ORPHAN, FOREGROUND)]
    after = [word for word in kept if word in (ORPHAN, FOREGROUND)]
    return current if before == after else kept


def _orphans(context: WriteContext, current: list[str], options: meta_v1.DeleteOptions) -> bool:
    if options.orphanDependents is not None:
        return options.orphanDependents
    if options.propagationPolicy is not None:
        return options.propagationPolicy == "Orphan"
    if ORPHAN in current or FOREGROUND in current:
        return ORPHAN in current
    return context.resource.strategy.default_propagation == "Orphan"


def _foreground(current: list[str], options: meta_v1.DeleteOptions) -> bool:
    if options.orphanDependents is not None:
        return False
    if options.propagationPolicy is not None:
        return options.propagationPolicy == "Foreground"
    return FOREGROUND in current


def success(context: WriteContext, obj: Any) -> dict[str, Any]:
    """The Status that answers the removal of an object."""
    resource = context.resource
    details: dict[str, Any] = {"name": obj.metadata.name}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "uid": obj.metadata.uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

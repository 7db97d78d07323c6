"""How an action list is cut into steps and which outcome of a call is a failure. Pure; calls are `runner.py`'s
business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.client.interface import ApiRequest
from tiphys.controllers.actions import Action, Call, Create, Delete, Evict, Patch, Update, UpdateStatus
from tiphys.kinds import registry
from tiphys.kinds.types import meta_v1, policy_v1
from tiphys.machinery.errors import ApiError

# No more calls of one key at a time than this.
WIDEST_STEP = 100


def steps(actions: Sequence[Action]) -> list[list[Action]]:
    """The list in groups that are carried out one after the other, each group's actions at the same time."""
    groups: list[list[Action]] = []
    width, limit = 0, 0
    for action in actions:
        neighbours = bool(groups) and type(groups[-1][0]) is type(action)
        if neighbours and width < limit:
            groups[-1].append(action)
            width += 1
            continue
        slow_start = isinstance(action, Create)
        limit = min(limit * 2, WIDEST_STEP) if neighbours and slow_start else 1 if slow_start else WIDEST_STEP
        groups.append([action])
        width = 1
    return groups


def request_of(action: Action) -> ApiRequest:
    """The call that carries an action out (not for Record, RequeueAfter and Ask)."""
    if isinstance(action, Create):
        return _request("create", type(action.object), action.object.metadata.namespace or "", body=action.object)
    if isinstance(action, Update | UpdateStatus):
        meta = action.object.metadata
        part = "status" if isinstance(action, UpdateStatus) else action.subresource
        names = (meta.namespace or "", meta.name or "")
        return _request("update", type(action.object), *names, subresource=part, body=action.object)
    if isinstance(action, Patch):
        return _request(
            "patch",
            action.kind,
            action.namespace,
            action.name,
            subresource=action.subresource,
            patch_type=action.patch_type,
            body=action.patch,
        )
    if isinstance(action, Delete):
        return _request("delete", action.kind, action.namespace, action.name, body=delete_options(action))
    if isinstance(action, Call):
        return action.request
    assert isinstance(action, Evict), f"{type(action).__name__} is no call"
    return _eviction(action)


def _request(verb: Any, kind: type[Any], namespace: str, name: str = "", **rest: Any) -> ApiRequest:
    resource = registry.resource_of(kind)
    group, version, plural = resource.group, resource.version, resource.plural
    return ApiRequest(verb=verb, group=group, version=version, resource=plural, namespace=namespace, name=name, **rest)


def delete_options(action: Delete) -> meta_v1.DeleteOptions:
    preconditions = None
    if action.uid or action.resource_version:
        preconditions = meta_v1.Preconditions(uid=action.uid or None, resourceVersion=action.resource_version or None)
    return meta_v1.DeleteOptions(
        preconditions=preconditions,
        propagationPolicy=action.propagation or None,
        gracePeriodSeconds=action.grace_seconds,
    )


def _eviction(action: Evict) -> ApiRequest:
    options = meta_v1.DeleteOptions(preconditions=meta_v1.Preconditions(uid=action.uid))
    meta = meta_v1.ObjectMeta(namespace=action.namespace, name=action.name)
    body = policy_v1.Eviction(metadata=meta, deleteOptions=options)
    return ApiRequest(
        verb="create", group="", version="v1", resource="pods", namespace=action.namespace, name=action.name,
        subresource="eviction", body=body,
    )  # fmt: skip


def is_settled(action: Action, error: ApiError) -> bool:
    """True when a failed call leaves what the action wanted."""
    if isinstance(action, Create):
        return action.tolerate_existing and error.reason == "AlreadyExists"
    if isinstance(action, Delete):
        return error.code == 404 or (bool(action.uid) and not action.resource_version and error.code == 409)
    if isinstance(action, Evict):
        return error.code == 404
    if isinstance(action, Patch | Call):
        return action.tolerate_missing and (error.code == 404 or is_uid_conflict(error))
    return False


def is_uid_conflict(error: ApiError) -> bool:
    """A write named the uid of an object that was replaced."""
    if error.code == 409:
        return "UID" in error.message
    return error.code == 422 and any(cause.field == "metadata.uid" for cause in error.causes)


def is_quiet(error: ApiError) -> bool:
    """Failures of the usual course of things: somebody else was faster, or the server is away."""
    return error.code in (0, 409) or is_namespace_ending(error)


def is_namespace_ending(error: ApiError) -> bool:
    """A create was refused because the namespace is being deleted (or gone): trying again is no use."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)


def still_there(answer: Any) -> bool:
    """Whether a delete's answer shows an object that is still ending (finalizers, grace), not one that is gone."""
    meta = getattr(answer, "metadata", None)
    if not isinstance(meta, meta_v1.ObjectMeta) or meta.deletionTimestamp is None:
        return False
    if getattr(getattr(answer, "spec", None), "finalizers", None):
        return True
    return bool(meta.finalizers) or bool(meta.deletionGracePeriodSeconds)

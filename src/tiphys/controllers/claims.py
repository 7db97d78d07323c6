"""Which objects belong to a controller: by owner reference and selector; strays that match are adopted, owned ones that
do not are let go.

Before adopting, the owner is read from the server once more: a cache may not know yet that it was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tiphys.client.interface import ApiRequest, ObjectKey
from tiphys.controllers.actions import Action, Answer, Ask, Patch
from tiphys.controllers.controller import KeyFunction, View, controller_of, controller_reference, group_of
from tiphys.kinds import codec, registry
from tiphys.kinds.types import meta_v1
from tiphys.machinery import labels

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`owned` are the controller's objects that match; `actions` let others go or begin to adopt."""

    owned: Sequence[Any]
    actions: Sequence[Action]


def selector_of(owner: Any) -> labels.Selector:
    """The selector of a workload: a LabelSelector, or the plain map of a ReplicationController."""
    selector = owner.spec.selector
    if isinstance(selector, dict):
        return labels.from_set(selector) if selector else labels.NOTHING
    return labels.from_object(selector)


def claim(view: View, owner: Any, kind: type[T], *, adopts: Callable[[T], bool] = lambda _: True) -> Claim:
    """What of a kind belongs to the owner, in the owner's namespace (needs `controller_index` on the kind). Only strays
    for which `adopts` holds are taken."""
    selector = selector_of(owner)
    meta: meta_v1.ObjectMeta = owner.metadata
    owned: list[T] = []
    actions: list[Action] = []
    for obj in view.controlled_by(kind, meta.uid or ""):
        if selector.matches(obj.metadata.labels):  # type: ignore[attr-defined]
            owned.append(obj)
        elif obj.metadata.deletionTimestamp is None and meta.deletionTimestamp is None:  # type: ignore[attr-defined]
            actions.append(_release(owner, obj))
    if meta.deletionTimestamp is None and not selector.empty:
        strays = [
            obj
            for obj in view.orphans(kind, meta.namespace or "")
            if selector.matches(obj.metadata.labels)  # type: ignore[attr-defined]
            and obj.metadata.deletionTimestamp is None  # type: ignore[attr-defined]
            and adopts(obj)
        ]
        if strays:
            request = live_request(owner)
            actions.append(Ask(requests=(request,), memo=tuple(_adopt(owner, obj) for obj in strays)))
    return Claim(owned=owned, actions=actions)


def live_request(owner: Any) -> ApiRequest:
    """Read the owner from the server."""
    resource = registry.resource_of(type(owner))
    meta = owner.metadata
    return ApiRequest(
        verb="get", group=resource.group, version=resource.version, resource=resource.plural,
        namespace=meta.namespace or "", name=meta.name,
    )  # fmt: skip


def adopt_if_alive(kind: type[Any]) -> Any:
    """An `answered` for controllers that claim: adopts when the owner is still the one that we know."""

    def answered(view: View, key: ObjectKey, now: float, answers: Sequence[Answer], memo: Any) -> Sequence[Action]:
        known, live = view.get(kind, key.namespace, key.name), answers[0].result
        if known is None or live is None or live.metadata.uid != known.metadata.uid:
            return []
        return [] if live.metadata.deletionTimestamp else list(memo)

    return answered


def _adopt(owner: Any, obj: Any) -> Patch:
    return _references(obj, [*(obj.metadata.ownerReferences or ()), controller_reference(owner)])


def _release(owner: Any, obj: Any) -> Patch:
    return _references(obj, [r for r in obj.metadata.ownerReferences or () if r.uid != owner.metadata.uid])


def _references(obj: Any, references: Sequence[meta_v1.OwnerReference]) -> Patch:
    meta = obj.metadata
    changed = {
        "uid": meta.uid,
        "resourceVersion": meta.resourceVersion,
        "ownerReferences": codec.plain(list(references)) or None,
    }
    return Patch(
        kind=type(obj),
        namespace=meta.namespace or "",
        name=meta.name,
        patch={"metadata": changed},
        tolerate_missing=True,
    )


def claimant_keys(owner_kind: type[Any]) -> KeyFunction:
    """Keys for a changed object: its controlling owners before and after, and for an orphan every owner that would
    select it."""
    resource = registry.resource_of(owner_kind)

    def keys(view: View, old: Any, new: Any) -> set[ObjectKey]:
        found: set[ObjectKey] = set()
        for obj in (old, new):
            reference = controller_of(obj) if obj is not None else None
            if reference is not None and (reference.kind, group_of(reference.apiVersion)) == (
                resource.kind,
                resource.group,
            ):
                found.add(ObjectKey(obj.metadata.namespace or "", reference.name))
        if new is not None and controller_of(new) is None and new.metadata.labels:
            found.update(selecting(view, owner_kind, new))
        return found

    return keys


def selecting(view: View, owner_kind: type[Any], obj: Any) -> list[ObjectKey]:
    """The owners in the object's namespace whose selector matches it."""
    namespace = obj.metadata.namespace or ""
    found = []
    for owner in view.list(owner_kind, namespace):
        selector = selector_of(owner)
        if not selector.empty and selector.matches(obj.metadata.labels):
            found.append(ObjectKey(namespace, owner.metadata.name))
    return found

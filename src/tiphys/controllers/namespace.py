"""Namespaces that are being deleted: everything in them goes, pods first, then the finalizer that holds the namespace.

A deletion is a dialogue with the server (lists are read live, a cache might miss what was created last):
look at all pods; delete them; once none is left look at everything else; delete it; once nothing is left finalize.
What keeps it from ending is told in the namespace's conditions. Specified in "Namespaces" and in the API's
NamespaceStatus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.client.interface import ApiRequest, ObjectKey, Verb
from tiphys.controllers.actions import Action, Answer, Ask, RequeueAfter, Update, UpdateStatus
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.controllers.namespaced_resources import Collection, collections
from tiphys.kinds import codec
from tiphys.kinds.types import apiextensions_v1, core_v1, meta_v1
from tiphys.machinery import timestamps

FINALIZER = "kubernetes"
# When to look again for what has finalizers of others, or pods that end slowly (their removal is also watched).
LOOK_AGAIN_SECONDS = 4.0


PODS = Collection("", "v1", "pods")


@dataclass(frozen=True, slots=True)
class _Step:
    """The memo of a question: what was asked about which collections."""

    name: str
    collections: tuple[Collection, ...]
    failures: tuple[str, ...] = ()


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    namespace = view.get(core_v1.Namespace, "", key.name)
    if namespace is None or namespace.metadata.deletionTimestamp is None:
        return []
    if FINALIZER not in (namespace.spec.finalizers or ()):
        return []
    if namespace.status.phase != "Terminating":
        changed = codec.copy(namespace)
        changed.status.phase = "Terminating"
        return [UpdateStatus(object=changed)]
    return [_ask("list", "look", key.name, (PODS,))]


def _ask(verb: Verb, name: str, namespace: str, about: tuple[Collection, ...], failures: tuple[str, ...] = ()) -> Ask:
    body = meta_v1.DeleteOptions(propagationPolicy="Background") if verb == "deletecollection" else None
    requests = tuple(collection.request(verb, namespace, body=body) for collection in about)
    return Ask(requests=requests, memo=_Step(name, about, failures))


def answered(view: View, key: ObjectKey, now: float, answers: Sequence[Answer], memo: _Step) -> list[Action]:
    """The next step after what the server answered."""
    namespace = view.get(core_v1.Namespace, "", key.name)
    if namespace is None:
        return []
    failures = (*memo.failures, *_failures(answers))
    if memo.name == "delete":
        return [_ask("list", "look again", key.name, memo.collections, failures)]
    present = [
        (c, a.result.items) for c, a in zip(memo.collections, answers, strict=True) if a.result and a.result.items
    ]
    if memo.name == "look again" and (present or failures):
        return _remaining(namespace, present, failures, now)
    if present:
        return [_delete(key.name, present, failures)]
    if failures:
        return _remaining(namespace, [], failures, now)
    if PODS in memo.collections:
        return [_ask("list", "look", key.name, tuple(c for c in collections(view) if c != PODS))]
    return _finalize(namespace, now)


def _delete(name: str, present: Sequence[tuple[Collection, Sequence[Any]]], failures: tuple[str, ...]) -> Ask:
    about = tuple(collection for collection, _ in present)
    if all(collection.deletes_collections for collection in about):
        return _ask("deletecollection", "delete", name, about, failures)
    body = meta_v1.DeleteOptions(propagationPolicy="Background")
    requests: list[ApiRequest] = []
    for collection, items in present:
        if collection.deletes_collections:
            requests.append(collection.request("deletecollection", name, body=body))
        else:
            requests += [collection.request("delete", name, metadata_of(item)[0], body) for item in items]
    return Ask(requests=tuple(requests), memo=_Step("delete", about, failures))


def metadata_of(obj: Any) -> tuple[str, Sequence[str]]:
    """Name and finalizers of a Struct or of plain JSON values."""
    if isinstance(obj, dict):
        meta = obj.get("metadata") or {}
        return meta.get("name", ""), meta.get("finalizers") or ()
    return obj.metadata.name or "", obj.metadata.finalizers or ()


def _failures(answers: Sequence[Answer]) -> tuple[str, ...]:
    """What went wrong, without what is simply gone or not served (any more)."""
    return tuple(
        f"{a.request.resource}.{a.request.group}: {a.error}"
        for a in answers
        if a.error is not None and a.error.code not in (404, 405)
    )


def _finalize(namespace: core_v1.Namespace, now: float) -> list[Action]:
    if _has_trouble(namespace):
        return _set_conditions(namespace, _conditions({}, Counter(), ()), now)
    changed = codec.copy(namespace)
    changed.spec.finalizers = [f for f in changed.spec.finalizers or () if f != FINALIZER] or None
    return [Update(object=changed, subresource="finalize")]


def _has_trouble(namespace: core_v1.Namespace) -> bool:
    """A condition still tells of something that has been solved, while other finalizers will keep the namespace."""
    kept = set(namespace.spec.finalizers or ()) - {FINALIZER} or namespace.metadata.finalizers
    return bool(kept) and any(c.status == "True" for c in namespace.status.conditions or ())


def _remaining(
    namespace: core_v1.Namespace,
    present: Sequence[tuple[Collection, Sequence[Any]]],
    failures: Sequence[str],
    now: float,
) -> list[Action]:
    counts = {str(collection): len(items) for collection, items in present}
    finalizers = Counter(f for _, items in present for item in items for f in metadata_of(item)[1])
    actions = _set_conditions(namespace, _conditions(counts, finalizers, failures), now)
    return [*actions, RequeueAfter(seconds=LOOK_AGAIN_SECONDS)]


def _conditions(
    counts: dict[str, int], finalizers: Counter[str], failures: Sequence[str]
) -> list[tuple[str, str, str, str]]:
    """(type, status, reason, message) of all conditions."""
    found = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
    ]  # fmt: skip
    content = "All content successfully deleted, may be waiting on finalization"
    found.append(("NamespaceDeletionContentFailure", "False", "ContentDeleted", content))
    if failures:
        text = f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(sorted(failures))}"
        found[-1] = ("NamespaceDeletionContentFailure", "True", "ContentDeletionFailed", text)
    if counts:
        parts = [f"{name} has {count} resource instances" for name, count in sorted(counts.items())]
        text = f"Some resources are remaining: {', '.join(parts)}"
        found.append(("NamespaceContentRemaining", "True", "SomeResourcesRemain", text))
    else:
        found.append(("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"))
    if finalizers:
        parts = [f"{name} in {count} resource instances" for name, count in sorted(finalizers.items())]
        text = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
        found.append(("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", text))
    else:
        text = "All content-preserving finalizers finished"
        found.append(("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", text))
    return found


def _set_conditions(
    namespace: core_v1.Namespace, wanted: Sequence[tuple[str, str, str, str]], now: float
) -> list[Action]:
    known = {c.type: c for c in namespace.status.conditions or ()}
    conditions = dict(known)
    for kind, status, reason, message in wanted:
        old = known.get(kind)
        if old is None or (old.status, old.reason, old.message) != (status, reason, message):
            kept = old is not None and old.status == status
            moment = old.lastTransitionTime if kept and old is not None else timestamps.time_of(now)
            conditions[kind] = core_v1.NamespaceCondition(
                type=kind, status=status, reason=reason, message=message, lastTransitionTime=moment
            )
    if conditions == known:
        return []
    changed = codec.copy(namespace)
    changed.status.conditions = list(conditions.values())
    return [UpdateStatus(object=changed)]


def _pod_gone(view: View, old: core_v1.Pod | None, new: core_v1.Pod | None) -> list[ObjectKey]:
    """The last pods of a namespace that is being deleted have ended."""
    if new is not None or old is None:
        return []
    namespace = view.get(core_v1.Namespace, "", old.metadata.namespace or "")
    if namespace is None or namespace.metadata.deletionTimestamp is None:
        return []
    return [ObjectKey("", old.metadata.namespace or "")]


CONTROLLER = Controller(
    name="namespace",
    reconcile=reconcile,
    answered=answered,
    watches=(Watch(kind=core_v1.Namespace, keys=own_key), Watch(kind=core_v1.Pod, keys=_pod_gone)),
    reads=(apiextensions_v1.CustomResourceDefinition,),
)

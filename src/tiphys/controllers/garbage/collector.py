"""What becomes of an object whose owners change: kept, freed from dead owners, deleted, or finally let go itself.

The graph says what to suspect; before anything is deleted the server is asked about the object and about every owner
that is not known to be alive. Rules: one living owner keeps an object; an owner that waits for its dependents takes the
object along; deletion follows the object's own finalizers (foreground, orphan) and is in the background else. Specified
in "Garbage Collection".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.client.cache import metadata_of
from tiphys.client.interface import ApiRequest, PatchType
from tiphys.controllers.actions import Action, Answer, Ask, Call, Delete, Patch
from tiphys.controllers.controller import Controller, View
from tiphys.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Identity, Node, Reference
from tiphys.kinds import codec, registry
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import meta_v1

Resolve = Callable[[str, str], Resource | None]


def built_in(api_version: str, kind: str) -> Resource | None:
    """The built-in resource of an apiVersion and kind."""
    group, _, version = api_version.rpartition("/")
    return registry.by_kind(group, version, kind)


@dataclass(frozen=True, slots=True)
class _Question:
    """The memo of an Ask: which owners the answers after the first are about; or the dependents to let go."""

    purpose: str
    owners: tuple[Reference, ...] = ()
    dependents: tuple[Identity, ...] = ()


@dataclass(slots=True)
class Collector:
    """Decides over one graph; `resolve(api_version, kind)` finds resources, `affected(uids)` is told of more that need
    a decision."""

    graph: Graph
    resolve: Resolve
    affected: Callable[[Sequence[str]], None]

    def reconcile(self, view: View, uid: str, now: float) -> list[Action]:
        node = self.graph.get(uid)
        if node is None:
            return []
        if node.orphans:
            return self._orphan(node)
        if node.deleting and not node.waits:
            return []  # it goes already; what holds it is somebody else's finalizer
        item = self._get(node.identity)
        if item is None:
            return []
        if not node.verified or node.waits:
            return [Ask(requests=(item,), memo=_Question("self"))]
        suspects = [o for o in node.owners if not self._is_alive(o)]
        if not suspects:
            return []
        asked = [(o, r) for o in suspects if (r := self._get_owner(node, o)) is not None]
        owners = tuple(owner for owner, _ in asked)
        return [Ask(requests=(item, *(request for _, request in asked)), memo=_Question("owners", owners))]

    def answered(self, view: View, uid: str, now: float, answers: Sequence[Answer], memo: _Question) -> list[Action]:
        if memo.purpose == "orphan":
            return self._orphaned(uid, answers, memo)
        node, item = self.graph.get(uid), answers[0]
        if node is None:
            return []
        failed = next((a.error for a in answers if a.error is not None and a.error.code != 404), None)
        if failed is not None:
            raise failed
        if item.error is not None or metadata_of(item.result).uid != uid:
            self.affected(self.graph.remove(uid))
            return []
        meta = metadata_of(item.result)
        self.affected(self.graph.confirm(uid, meta))
        node = self.graph.get(uid)
        if node is None:
            return []
        if node.waits:
            return self._waiting(node, meta)
        if memo.purpose == "self":
            return []
        return self._judge(node, meta, answers[1:], memo.owners)

    def _is_alive(self, owner: Reference) -> bool:
        known = self.graph.get(owner.uid)
        return known is not None and known.verified and not known.waits

    def _get(self, identity: Identity) -> ApiRequest | None:
        resource = self.resolve(identity.api_version, identity.kind)
        return _request("get", resource, identity) if resource is not None else None

    def _get_owner(self, node: Node, owner: Reference) -> ApiRequest | None:
        """None for an owner that cannot be looked up: of an unknown kind, or namespaced where the object is not."""
        resource = self.resolve(owner.api_version, owner.kind)
        namespace = node.identity.namespace
        if resource is None or (resource.namespaced and not namespace):
            return None
        return _request("get", resource, Identity(owner.api_version, owner.kind, namespace, owner.name, owner.uid))

    def _judge(
        self, node: Node, meta: meta_v1.ObjectMeta, answers: Sequence[Answer], asked: Sequence[Reference]
    ) -> list[Action]:
        """The object is there, as the server says; which of its owners are?"""
        gone, waiting = set(), set()
        for owner, answer in zip(asked, answers, strict=True):
            live = metadata_of(answer.result) if answer.result is not None else None
            if live is None or live.uid != owner.uid:
                gone.add(owner.uid)
            elif live.deletionTimestamp is not None and FOREGROUND in (live.finalizers or ()):
                waiting.add(owner.uid)
        references = meta.ownerReferences or []
        bad = [r for r in references if r.uid in gone or r.uid in waiting]
        if not bad or meta.deletionTimestamp is not None:
            return []
        solid = [r for r in references if r not in bad]
        if solid:
            return [self._patch(node.identity, meta, {"ownerReferences": codec.plain(solid)})]
        return self._delete(node, meta, has_waiting_owner=any(r.uid in waiting for r in bad))

    def _delete(self, node: Node, meta: meta_v1.ObjectMeta, *, has_waiting_owner: bool) -> list[Action]:
        actions: list[Action] = []
        finalizers = meta.finalizers or ()
        dependents = self.graph.dependents(node.identity.uid)
        if has_waiting_owner and dependents:
            policy = "Foreground"
            if any(dependent.waits for dependent in dependents):  # a circle: it must not wait for itself
                freed = [codec.copy(r) for r in meta.ownerReferences or ()]
                for reference in freed:
                    reference.blockOwnerDeletion = False
                actions.append(self._patch(node.identity, meta, {"ownerReferences": codec.plain(freed)}))
        elif ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers:
            policy = "Foreground"
        else:
            policy = "Background"
        return [*actions, self._delete_action(node.identity, policy)]

    def _waiting(self, node: Node, meta: meta_v1.ObjectMeta) -> list[Action]:
        """In the foreground: dependents that block go first, then the finalizer."""
        uid = node.identity.uid
        dependents = self.graph.dependents(uid)
        blocking = [d for d in dependents if any(o.uid == uid and o.blocks for o in d.owners)]
        self.affected([d.identity.uid for d in dependents if not d.deleting])
        if blocking:
            return []
        rest = [f for f in meta.finalizers or () if f != FOREGROUND]
        return [self._patch(node.identity, meta, {"finalizers": rest or None})]

    def _orphan(self, node: Node) -> list[Action]:
        """The dependents forget this owner, then its finalizer goes."""
        found = [(d.identity, r) for d in self.graph.dependents(node.identity.uid) if (r := self._get(d.identity))]
        item = self._get(node.identity)
        if item is None:
            return []
        requests = (item, *(request for _, request in found))
        return [Ask(requests=requests, memo=_Question("orphan", dependents=tuple(i for i, _ in found)))]

    def _orphaned(self, uid: str, answers: Sequence[Answer], memo: _Question) -> list[Action]:
        failed = next((a.error for a in answers if a.error is not None and a.error.code != 404), None)
        if failed is not None:
            raise failed
        actions: list[Action] = []
        for identity, answer in zip(memo.dependents, answers[1:], strict=True):
            meta = metadata_of(answer.result) if answer.result is not None else None
            if meta is None or meta.uid != identity.uid:
                continue
            kept = [r for r in meta.ownerReferences or () if r.uid != uid]
            if len(kept) != len(meta.ownerReferences or ()):
                actions.append(self._patch(identity, meta, {"ownerReferences": codec.plain(kept) or None}))
        node, item = self.graph.get(uid), answers[0]
        if item.result is None or node is None or metadata_of(item.result).uid != uid:
            self.affected(self.graph.remove(uid))
            return actions
        return [*actions, *self._release(node, item)]

    def _release(self, node: Node, item: Answer) -> list[Action]:
        meta = metadata_of(item.result)
        rest = [f for f in meta.finalizers or () if f != ORPHAN]
        return [self._patch(node.identity, meta, {"finalizers": rest or None})]

    def _patch(self, identity: Identity, meta: meta_v1.ObjectMeta, change: dict[str, Any]) -> Action:
        """Change metadata of exactly what was read."""
        patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion, **change}}
        resource = self.resolve(identity.api_version, identity.kind)
        assert resource is not None
        if resource.module:
            return Patch(
                kind=resource.type,
                namespace=identity.namespace if resource.namespaced else "",
                name=identity.name,
                patch=patch,
            )
        request = _request("patch", resource, identity, body=patch, patch_type=PatchType.MERGE)
        return Call(request=request, tolerate_missing=True)

    def _delete_action(self, identity: Identity, policy: str) -> Action:
        resource = self.resolve(identity.api_version, identity.kind)
        assert resource is not None
        if resource.module:
            return Delete(
                kind=resource.type,
                namespace=identity.namespace if resource.namespaced else "",
                name=identity.name,
                uid=identity.uid,
                propagation=policy,
            )
        options = meta_v1.DeleteOptions(preconditions=meta_v1.Preconditions(uid=identity.uid), propagationPolicy=policy)
        return Call(request=_request("delete", resource, identity, body=options), tolerate_missing=True)


def _request(verb: Any, resource: Resource, identity: Identity, **rest: Any) -> ApiRequest:
    return ApiRequest(
        verb=verb,
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=identity.namespace if resource.namespaced else "",
        name=identity.name,
        **rest,
    )


def controller(collector: Collector) -> Controller:
    """The declaration; its keys (uids) come from the feeds of the graph, not from watches."""
    return Controller(
        name="garbage-collector",
        identity="system:serviceaccount:kube-system:generic-garbage-collector",
        source="garbage-collector-controller",
        reconcile=collector.reconcile,
        answered=collector.answered,
        watches=(),
        concurrency=20,
    )

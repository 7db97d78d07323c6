"""Who owns whom: the graph of owner references over all objects, kept by uid.

Only what matters is kept: objects with owners, objects that others name as their owner, and objects that wait for their
dependents; of each no more than its names and references. An owner that was named but never seen is `verified=False`
until the server was asked. `observe` and `remove` return the uids that need a decision now; decisions are
`collector.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tiphys.kinds.types import meta_v1

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Reference(NamedTuple):
    """An owner reference; `blocks`: the owner's deletion in the foreground waits for this object."""

    uid: str
    api_version: str
    kind: str
    name: str
    blocks: bool


class Identity(NamedTuple):
    """Names one object for ever."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class Node:
    """One object. `deleting`: it has a deletion time; `waits`: in the foreground, for its dependents; `orphans`: it
    lets them go."""

    identity: Identity
    owners: tuple[Reference, ...] = ()
    dependents: set[str] = field(default_factory=set)
    verified: bool = True
    deleting: bool = False
    waits: bool = False
    orphans: bool = False

    @property
    def matters(self) -> bool:
        return bool(self.owners or self.dependents or self.waits or self.orphans)


class Graph:
    """See the module docstring."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def uids_of(self, api_version: str, kind: str) -> list[str]:
        """Every object of a kind that was seen itself."""
        return [
            uid
            for uid, node in self._nodes.items()
            if node.verified and (node.identity.api_version, node.identity.kind) == (api_version, kind)
        ]

    def dependents(self, uid: str) -> list[Node]:
        """The objects that name this one as an owner."""
        node = self._nodes.get(uid)
        return [self._nodes[d] for d in sorted(node.dependents) if d in self._nodes] if node is not None else []

    def observe(self, api_version: str, kind: str, meta: meta_v1.ObjectMeta) -> list[str]:
        """An object as it is now. The uids that need a decision."""
        uid = meta.uid or ""
        node = self._nodes.get(uid)
        finalizers = meta.finalizers or ()
        deleting = meta.deletionTimestamp is not None
        waits, orphans = deleting and FOREGROUND in finalizers, deleting and ORPHAN in finalizers
        if node is None and not meta.ownerReferences and not waits and not orphans:
            return []
        identity = Identity(api_version, kind, meta.namespace or "", meta.name or "", uid)
        if node is None:
            node = self._nodes[uid] = Node(identity)
        node.identity, node.verified = identity, True
        affected = self._set_owners(node, _references(meta.ownerReferences or ()))
        if waits and not node.waits:
            affected += [uid, *sorted(node.dependents)]
        if orphans and not node.orphans:
            affected.append(uid)
        node.deleting, node.waits, node.orphans = deleting, waits, orphans
        self._drop_if_idle(node)
        return affected

    def _set_owners(self, node: Node, owners: tuple[Reference, ...]) -> list[str]:
        if owners == node.owners:
            return []
        uid, affected = node.identity.uid, []
        before, after = {o.uid for o in node.owners}, {o.uid for o in owners}
        blocked_before = {o.uid for o in node.owners if o.blocks}
        node.owners = owners
        for gone in sorted(before - after):
            self._detach(uid, gone)
        for owner in owners:
            if owner.uid in before:
                continue
            parent = self._nodes.get(owner.uid)
            if parent is None:
                namespace = node.identity.namespace
                identity = Identity(owner.api_version, owner.kind, namespace, owner.name, owner.uid)
                parent = self._nodes[owner.uid] = Node(identity, verified=False)
            parent.dependents.add(uid)
            if not parent.verified:
                affected.append(owner.uid)
            elif parent.waits:
                affected.append(uid)
        freed = (before - after) | (blocked_before - {o.uid for o in owners if o.blocks})
        affected += [o for o in sorted(freed) if (parent := self._nodes.get(o)) is not None and parent.waits]
        return affected

    def remove(self, uid: str) -> list[str]:
        """An object is gone. The uids that need a decision: its dependents, and owners that waited for it."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return []
        affected = sorted(node.dependents)
        for owner in node.owners:
            parent = self._nodes.get(owner.uid)
            if parent is not None:
                parent.dependents.discard(uid)
                if parent.waits:
                    affected.append(owner.uid)
                self._drop_if_idle(parent)
        return affected

    def confirm(self, uid: str, meta: meta_v1.ObjectMeta) -> list[str]:
        """The server was asked about an owner that was named: it exists, like this."""
        node = self._nodes.get(uid)
        return self.observe(node.identity.api_version, node.identity.kind, meta) if node is not None else []

    def _detach(self, uid: str, owner_uid: str) -> None:
        parent = self._nodes.get(owner_uid)
        if parent is not None:
            parent.dependents.discard(uid)
            self._drop_if_idle(parent)

    def _drop_if_idle(self, node: Node) -> None:
        if not node.matters:
            self._nodes.pop(node.identity.uid, None)


def _references(references: Iterable[meta_v1.OwnerReference]) -> tuple[Reference, ...]:
    return tuple(Reference(r.uid, r.apiVersion, r.kind, r.name, bool(r.blockOwnerDeletion)) for r in references)


def missing_after_list(graph: Graph, api_version: str, kind: str, present: Sequence[str]) -> list[str]:
    """The known objects of a kind that a complete list does not hold any more."""
    seen = set(present)
    return [uid for uid in graph.uids_of(api_version, kind) if uid not in seen]

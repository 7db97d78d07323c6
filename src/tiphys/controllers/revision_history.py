"""ControllerRevisions: the remembered templates of DaemonSets and StatefulSets, by which they tell old pods from new
ones.

A revision holds the template as plain JSON (what `kubectl rollout undo` patches back). The same template is the same
revision: going back to an old one only raises that revision's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tiphys.controllers.actions import Action, Create, Update, delete_of
from tiphys.controllers.controller import controller_reference
from tiphys.controllers.hashing import fnv32a, safe_encoded
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1

HASH_LABEL = "controller-revision-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The revision of the current template, the others oldest first, and what to write for that (empty when all is in
    order)."""

    update: apps_v1.ControllerRevision
    others: Sequence[apps_v1.ControllerRevision]
    actions: Sequence[Action]


def data_of(owner: Any) -> dict[str, Any]:
    """What a revision remembers: a patch that puts the template in place. Keys are in order: clients compare bytes."""
    template = {**codec.plain(owner.spec.template), "$patch": "replace"}
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode({"spec": {"template": template}}, order="sorted"))
    return found


def template_of(revision: apps_v1.ControllerRevision) -> core_v1.PodTemplateSpec | None:
    """The template that a revision remembers."""
    data = revision.data if isinstance(revision.data, dict) else codec.plain(revision.data)
    template = ((data or {}).get("spec") or {}).get("template")
    if not isinstance(template, dict):
        return None
    return codec.convert({k: v for k, v in template.items() if k != "$patch"}, core_v1.PodTemplateSpec)


def hash_of(revision: apps_v1.ControllerRevision) -> str:
    """What pods of this revision carry as their label."""
    return (revision.metadata.labels or {}).get(HASH_LABEL, "") or revision.metadata.name or ""


def history(owner: Any, revisions: Sequence[apps_v1.ControllerRevision], labels: dict[str, str] | None) -> History:
    """The owner's history with its current template as the newest revision. `labels` are those of its revisions."""
    data = data_of(owner)
    ordered = sorted(
        revisions, key=lambda r: (r.revision or 0, r.metadata.creationTimestamp or "", r.metadata.name or "")
    )
    newest = (ordered[-1].revision or 0) if ordered else 0
    equal = [r for r in ordered if r.data == data]
    if not equal:
        fresh = _fresh(owner, data, newest + 1, labels)
        return History(update=fresh, others=ordered, actions=[Create(object=fresh)])
    found = equal[-1]
    others = [r for r in ordered if r is not found]
    if found.revision == newest:
        return History(update=found, others=others, actions=[])
    raised = codec.copy(found)
    raised.revision = newest + 1
    return History(update=raised, others=others, actions=[Update(object=raised)])


def _fresh(owner: Any, data: dict[str, Any], number: int, labels: dict[str, str] | None) -> apps_v1.ControllerRevision:
    content = codec.encode(data)
    collisions = owner.status.collisionCount if owner.status is not None else None
    if collisions:
        content += collisions.to_bytes(8, "little")
    hashed = safe_encoded(str(fnv32a(content)))
    return apps_v1.ControllerRevision(
        metadata=meta_v1.ObjectMeta(
            name=f"{owner.metadata.name}-{hashed}",
            namespace=owner.metadata.namespace,
            labels={**(labels or {}), HASH_LABEL: hashed},
            annotations=dict(owner.metadata.annotations or {}) or None,  # `kubectl rollout history` shows their cause
            ownerReferences=[controller_reference(owner)],
        ),
        data=data,
        revision=number,
    )


def surplus(found: History, live_hashes: set[str], limit: int | None) -> list[Action]:
    """The oldest revisions beyond the limit that no pod is of; a negative limit keeps them all."""
    if limit is not None and limit < 0:
        return []
    unused = [r for r in found.others if hash_of(r) not in live_hashes and r.metadata.name not in live_hashes]
    excess = len(unused) - (10 if limit is None else limit)
    return [delete_of(revision) for revision in unused[: max(excess, 0)]]

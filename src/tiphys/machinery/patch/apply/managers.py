"""The entries of metadata.managedFields: who owns what, how a write changes that, and how many entries are kept.

An entry keeps its field set as text, as it is stored; the set is read when it is needed, and text that did not change
is not written anew. `now` is the text of a Time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from tiphys.machinery.patch.apply import field_set
from tiphys.machinery.patch.apply.field_set import FieldSet
from tiphys.machinery.patch.apply.walk import Difference

APPLY = "Apply"
UPDATE = "Update"
UPDATE_MANAGERS_LIMIT = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"

# What nobody owns: it says which object this is, or is the server's alone.
_UNOWNED = frozenset({"f:apiVersion", "f:kind", "f:metadata"})
_UNOWNED_METADATA = frozenset({
    field_set.OWN, "f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:clusterName",
    "f:generation", "f:managedFields", "f:resourceVersion",
})  # fmt: skip

# How two states of the object differ in a version of it; None for a version that is not served (any more).
DifferenceIn = Callable[[str], Difference | None]


class Manager(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry. `fields` is FieldsV1 text; `time` may be "" (not known)."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""
    time: str = ""
    fields: bytes = b"{}"

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Entries with the same identity are one: an applier keeps its entry when it goes over to another version."""
        version = self.api_version if self.operation == UPDATE else ""
        return self.name, self.operation, version, self.subresource

    @property
    def owned(self) -> FieldSet:
        return field_set.parse(self.fields)


def readable(managers: Sequence[Manager]) -> bool:
    """Whether every entry can be understood."""
    try:
        return all(manager.operation in (APPLY, UPDATE) and manager.owned is not None for manager in managers)
    except (ValueError, RecursionError):
        return False


def canonical(managers: Sequence[Manager]) -> tuple[Manager, ...]:
    """Entries as a client sent them, their sets in the form that is stored, in the order that is stored."""
    return sorted_entries(with_fields(manager, manager.owned, manager.time) for manager in managers)


def ownable(fields: FieldSet) -> FieldSet:
    """Without what nobody owns; a new set, free to change at its top."""
    result = {key: node for key, node in fields.items() if key not in _UNOWNED}
    metadata = fields.get("f:metadata")
    if metadata:
        metadata = {key: node for key, node in metadata.items() if key not in _UNOWNED_METADATA}
        if metadata:
            result["f:metadata"] = metadata
    return result


def with_fields(manager: Manager, fields: FieldSet, time: str) -> Manager:
    return replace(manager, fields=field_set.serialise(fields), time=time)


def without(managers: Iterable[Manager], difference_in: DifferenceIn) -> list[Manager]:
    """What the managers still own after others touched fields: neither what is gone nor what has another value."""
    kept = []
    for manager in managers:
        difference = difference_in(manager.api_version)
        if difference is None:
            continue
        touched = difference.touched
        owned = manager.owned
        if not field_set.intersection(owned, touched):
            kept.append(manager)
            continue
        rest = field_set.difference(owned, touched)
        if rest:
            kept.append(with_fields(manager, rest, manager.time))
    return kept


def after_update(managers: Sequence[Manager], me: Manager, difference_in: DifferenceIn) -> tuple[Manager, ...]:
    """The entries after a write that is no apply. `me` names who writes, and when; it owns what it changed.

    An object without entries stays without them (somebody removed them, or its writers were never recorded) until it is
    applied."""
    if not managers:
        return ()
    difference = difference_in(me.api_version)
    assert difference is not None, "the version of a request is served"
    changed = ownable(difference.changed)
    if not changed and not difference.removed:
        return tuple(managers)
    mine = next((manager for manager in managers if manager.identity == me.identity), None)
    others = without([manager for manager in managers if manager is not mine], difference_in)
    if mine is not None:
        mine = _grown(mine, changed, difference.removed, me.time)
    elif changed:
        mine = with_fields(me, changed, me.time)
    if mine is not None:
        others.append(mine)
    return sorted_entries(capped(others))


def _grown(mine: Manager, changed: FieldSet, removed: FieldSet, time: str) -> Manager | None:
    """The writer's own entry: also with what it changed, without what is gone."""
    owned = mine.owned
    if not field_set.intersection(owned, removed) and field_set.contains(owned, changed):
        return replace(mine, time=time) if changed else mine
    fields = field_set.union(field_set.difference(owned, removed), changed)
    return with_fields(mine, fields, time if changed else mine.time) if fields else None


def capped(managers: Sequence[Manager]) -> list[Manager]:
    """At most ten updaters: the oldest of each version become one entry."""
    updaters = sorted((m for m in managers if m.operation == UPDATE), key=lambda m: (m.time, m.identity))
    if len(updaters) <= UPDATE_MANAGERS_LIMIT:
        return list(managers)
    kept = {manager.identity: manager for manager in managers}
    count = len(updaters)
    first: dict[str, Manager] = {}
    for manager in updaters:
        if count <= UPDATE_MANAGERS_LIMIT:
            break
        version = manager.api_version
        if version not in first:
            first[version] = manager
            continue
        bucket = Manager(name=ANCIENT, operation=UPDATE, api_version=version)
        before = kept.get(bucket.identity) or kept.pop(first[version].identity)
        del kept[manager.identity]
        fields = field_set.union(before.owned, manager.owned)
        kept[bucket.identity] = with_fields(bucket, fields, manager.time)
        count -= 1
    return list(kept.values())


def sorted_entries(managers: Iterable[Manager]) -> tuple[Manager, ...]:
    """As clients see them: appliers first, then by time, name, version and subresource."""
    return tuple(sorted(managers, key=lambda m: (m.operation, m.time, m.name, m.api_version, m.subresource)))

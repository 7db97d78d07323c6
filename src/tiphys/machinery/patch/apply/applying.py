"""One apply: the configuration merged into the object, what was given up removed, conflicts found, ownership kept.

Objects and configurations are plain JSON without metadata.managedFields and without what a write of this resource or
subresource cannot change. The order of the steps is that of "Server-Side Apply": merge, prune, compare, conflicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from tiphys.machinery.patch.apply import field_set, fitting, managers, walk
from tiphys.machinery.patch.apply.field_set import FieldSet, Path
from tiphys.machinery.patch.apply.managers import BEFORE_FIRST_APPLY, UPDATE, Manager
from tiphys.machinery.patch.apply.prune import prune
from tiphys.machinery.patch.apply.schema import ValueSchema
from tiphys.machinery.patch.apply.walk import Difference

# kubectl's name when it applies on the server's side; it takes over what kubectl applied on the client's side.
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LAST_APPLIED_LIMIT_BYTES = 256 * 1024

# How two plain states differ in another version of the object; None when that is not served.
DifferenceOf = Callable[[str, Any, Any], Difference | None]


class Applied(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`obj` is the plain object after the apply."""

    obj: Any
    managers: tuple[Manager, ...]


class Conflict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    manager: Manager
    path: Path


class Conflicts(Exception):
    """Others own what the configuration changes. Every conflict is in `found`."""

    def __init__(self, found: Sequence[Conflict]) -> None:
        super().__init__(message(found))
        self.found = tuple(found)


def manager_text(manager: Manager) -> str:
    """How a message names an entry."""
    text = field_set.quoted(manager.name)
    if manager.subresource:
        text += f" with subresource {field_set.quoted(manager.subresource)}"
    return f"{text} using {manager.api_version}" if manager.operation == UPDATE else text


def message(found: Sequence[Conflict]) -> str:
    """The words that kubectl's users know."""
    if len(found) == 1:
        only = found[0]
        path = field_set.path_text(only.path)
        return f"Apply failed with 1 conflict: conflict with {manager_text(only.manager)}: {path}"
    by_manager: dict[str, list[str]] = {}
    for conflict in found:
        by_manager.setdefault(manager_text(conflict.manager), []).append(field_set.path_text(conflict.path))
    lines = []
    for manager, texts in sorted(by_manager.items()):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {text}" for text in texts]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def apply(
    live: Any,
    config: Any,
    entries: Sequence[Manager],
    me: Manager,
    schema: ValueSchema,
    *,
    force: bool = False,
    empty: Any,
    difference_of: DifferenceOf,
    written: Callable[[FieldSet], FieldSet] = lambda fields: fields,
) -> Applied:
    """The object after `me` applied `config`. `empty` is an object of the kind with nothing in it (also the live one
    when there is none yet); `written` are those of some fields that such a write can change. Conflicts."""
    if not entries and live is not empty:
        owned = written(managers.ownable(walk.compare(empty, live, schema).changed))
        before = replace(me, name=BEFORE_FIRST_APPLY, operation=UPDATE)
        entries = [managers.with_fields(before, owned, me.time)] if owned else []
    try:
        done = _applied(live, config, entries, me, schema, force, difference_of)
    except Conflicts as conflicts:
        if me.name != KUBECTL:
            raise
        remaining = _not_taken_over(conflicts.found, live, schema)
        if remaining:
            raise Conflicts(remaining) from None
        done = _applied(live, config, entries, me, schema, True, difference_of)
    if me.name == KUBECTL and _last_applied(done.obj) is not None:
        return replace(done, obj=_with_last_applied(done.obj, config))
    return done


def _applied(
    live: Any,
    config: Any,
    entries: Sequence[Manager],
    me: Manager,
    schema: ValueSchema,
    force: bool,
    difference_of: DifferenceOf,
) -> Applied:
    given = walk.fields_of(config, schema)
    applied = managers.ownable(given)
    last = next((entry for entry in entries if entry.identity == me.identity), None)
    others = [entry for entry in entries if entry is not last]
    merged = walk.merge(live, config, schema)
    if last is not None and last.owned != applied:
        owned = given  # with the name, which keeps the metadata when the last label is given up
        for other in others:
            owned = field_set.union(owned, other.owned)
        merged = _with_nulls(prune(merged, schema, last.owned, owned), config)
    differences: dict[str, Difference | None] = {me.api_version: walk.compare(live, merged, schema)}

    def difference_in(version: str) -> Difference | None:
        if version not in differences:
            differences[version] = difference_of(version, live, merged)
        return differences[version]

    if not force:
        conflicts = _conflicts(others, difference_in)
        if conflicts:
            raise Conflicts(conflicts)
    after = managers.without(others, difference_in)
    if applied:
        difference = differences[me.api_version]
        time = me.time if difference is not None and difference.touched else last.time if last is not None else ""
        after.append(managers.with_fields(me, applied, time))
    return Applied(obj=merged, managers=managers.sorted_entries(after))


def _with_nulls(pruned: Any, config: Any) -> Any:
    """What the configuration wants to be null and had all for itself is null, neither gone nor empty."""
    if not isinstance(pruned, dict) or not isinstance(config, dict):
        return pruned
    news: dict[str, Any] = {}
    for name, member in config.items():
        there = pruned.get(name, {})
        if member is None and there in ({}, []):
            news[name] = None
        elif isinstance(member, dict) and (below := _with_nulls(there, member)) is not there:
            news[name] = below
    return {**pruned, **news} if news else pruned


def _conflicts(others: Sequence[Manager], difference_in: managers.DifferenceIn) -> list[Conflict]:
    found = []
    for other in sorted(others, key=lambda entry: entry.identity):
        difference = difference_in(other.api_version)
        if difference is not None:
            clash = field_set.intersection(other.owned, difference.changed)
            found += [Conflict(manager=other, path=path) for path in field_set.paths(clash)]
    return found


# -- from client-side apply


def _last_applied(obj: Any) -> str | None:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    found = annotations.get(LAST_APPLIED)
    return found if isinstance(found, str) else None


def _not_taken_over(found: Sequence[Conflict], live: Any, schema: ValueSchema) -> list[Conflict]:
    """The conflicts about fields that were not applied on the client's side, or were changed since."""
    mine = _applied_by_client(live, schema)
    return [conflict for conflict in found if not field_set.contains(mine, field_set.of_paths([conflict.path]))]


def _applied_by_client(live: Any, schema: ValueSchema) -> FieldSet:
    text = _last_applied(live)
    try:
        last = msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return field_set.EMPTY
    if not isinstance(last, dict) or fitting.findings(last, schema):
        return field_set.EMPTY
    return field_set.difference(walk.fields_of(last, schema), walk.compare(last, live, schema).touched)


def _with_last_applied(obj: Any, config: Any) -> Any:
    """The annotation follows what is applied, so that client-side apply can go on from there."""
    metadata = dict(config.get("metadata") or {})
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    text = msgspec.json.encode({**config, "metadata": metadata}, order="sorted") + b"\n"
    kept = {**obj["metadata"]["annotations"], LAST_APPLIED: text.decode()}
    if sum(len(key.encode()) + len(value.encode()) for key, value in kept.items()) > LAST_APPLIED_LIMIT_BYTES:
        del kept[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": kept}}

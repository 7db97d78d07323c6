"""Plain values seen through their types: which fields they have, how two differ, and how one is merged into the other.

Configurations come here once nothing keeps them from being applied (`fitting.findings`). Live objects may hold lists in
which two items have the same keys: those items are owned and replaced together.

A merge shares with the live object everything that the configuration leaves as it is, and what two objects share is not
compared: an apply costs as much as it changes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import is_
from typing import Any, NamedTuple

from tiphys.machinery.patch.apply import field_set
from tiphys.machinery.patch.apply.field_set import LEAF, OWN, FieldSet
from tiphys.machinery.patch.apply.schema import LEAF as WHOLE
from tiphys.machinery.patch.apply.schema import UNDECLARED, Form, ValueSchema, resolved

MAPS = (Form.FIELDS, Form.MEMBERS)
LISTS = (Form.ITEMS_BY_KEY, Form.ITEMS_BY_VALUE)
_LEAF, _FIELDS = Form.LEAF, Form.FIELDS


class Difference(NamedTuple):
    """From one object to another: fields that are new or have other values, and fields that are gone."""

    changed: FieldSet
    removed: FieldSet

    @property
    def touched(self) -> FieldSet:
        return field_set.union(self.changed, self.removed)


# -- items of lists


@functools.lru_cache(maxsize=8192)
def _by_name(key: str, name: str) -> str:
    return field_set.by_keys({key: name})


def item_element(schema: ValueSchema, item: Any) -> str | None:
    """The path element of an item; None for one that has none of its keys."""
    if schema.form is Form.ITEMS_BY_VALUE:
        return field_set.by_value(item)
    if not isinstance(item, dict):
        return None
    if len(schema.keys) == 1:
        name = item.get(schema.keys[0])
        if type(name) is str:
            return _by_name(schema.keys[0], name)
    keys = {}
    for key in schema.keys:
        if key in item:
            keys[key] = item[key]
        elif key in schema.key_defaults:
            keys[key] = schema.key_defaults[key]
    return field_set.by_keys(keys) if keys else None


def elements(schema: ValueSchema, items: Sequence[Any]) -> list[str]:
    """The path elements of the items; an item without keys goes by its position."""
    return [item_element(schema, item) or f"i:{position}" for position, item in enumerate(items)]


def _grouped(schema: ValueSchema, items: Sequence[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for element, item in zip(elements(schema, items), items, strict=True):
        groups.setdefault(element, []).append(item)
    return groups


def _has_shape(value: Any, schema: ValueSchema) -> bool:
    """What is of another shape than its type says is refused later, but looked at before that."""
    return isinstance(value, dict if schema.form in MAPS else list)


def _treated(schema: ValueSchema, value: Any) -> ValueSchema:
    """The type with which a value is compared: as a whole when it is of another shape."""
    found = resolved(schema, value)
    return found if found.form is _LEAF or value is None or _has_shape(value, found) else WHOLE


def children(schema: ValueSchema, value: Any) -> list[tuple[str, ValueSchema, Any]]:
    """(path element, type, value) of everything right below a map or list; nothing below leaves and duplicates."""
    if not _has_shape(value, schema):
        return []
    if schema.form in MAPS:
        found = []
        for name, member in value.items():
            below = schema.field(name)
            if below is not None:
                found.append((f"f:{name}", below, member))
        return found
    groups = _grouped(schema, value)
    return [(element, schema.element, items[0]) for element, items in groups.items() if len(items) == 1]


# -- fields


def fields_of(value: Any, schema: ValueSchema) -> FieldSet:
    """The fields that a configuration has: leaves, items, members of free maps, and structures that are empty."""
    schema = resolved(schema, value)
    if value is None or schema.form is _LEAF:
        return LEAF
    result: FieldSet = {}
    for element, below, member in children(schema, value):
        marked = schema.form is not _FIELDS or below is UNDECLARED
        if below.form is _LEAF:
            result[element] = LEAF
            continue
        node = fields_of(member, below)
        if member is None or member == {}:
            node = LEAF
        elif not node and resolved(below, member).form is not _LEAF and not marked:
            continue  # an empty list of items is nobody's
        elif marked and node:
            node = {OWN: LEAF, **node}
        result[element] = node
    return result


def everything(value: Any, schema: ValueSchema) -> FieldSet:
    """The fields of something that was not there before: each level on its own too."""
    schema = resolved(schema, value)
    if value is None or schema.form is _LEAF or not _has_shape(value, schema):
        return LEAF
    result: FieldSet = {OWN: LEAF}
    if schema.form in LISTS:
        for element, items in _grouped(schema, value).items():
            result[element] = everything(items[0], schema.element) if len(items) == 1 else LEAF
    else:
        for element, below, member in children(schema, value):
            result[element] = LEAF if below.form is _LEAF else everything(member, below)
    return result if len(result) > 1 else LEAF


def compare(old: Any, new: Any, schema: ValueSchema) -> Difference:
    """How two objects differ."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    if old is new:
        return Difference(changed, removed)
    before, after = resolved(schema, old), resolved(schema, new)
    if after.form in MAPS:
        was, now = old if isinstance(old, dict) else {}, new or {}
        for name, member in now.items():
            below = after.field(name)
            if below is not None:
                _note(name in was, was.get(name), True, member, below, f"f:{name}", changed, removed)
        for name, member in was.items() if before.form in MAPS else ():
            below = before.field(name) if name not in now else None
            if below is not None:
                _note(True, member, False, None, below, f"f:{name}", changed, removed)
        return Difference(changed, removed)
    old_groups, new_groups = _grouped(after, old or ()), _grouped(after, new or ())
    for element in {**new_groups, **old_groups}:
        mine, theirs = old_groups.get(element, []), new_groups.get(element, [])
        if len(mine) > 1 or len(theirs) > 1:
            if mine != theirs:
                (changed if theirs else removed)[element] = LEAF
            continue
        one, other = mine[0] if mine else None, theirs[0] if theirs else None
        _note(bool(mine), one, bool(theirs), other, after.element, element, changed, removed)
    return Difference(changed, removed)


def _note(
    was: bool, old: Any, now: bool, new: Any, schema: ValueSchema, element: str, changed: FieldSet, removed: FieldSet
) -> None:
    """Record how one field, member or item differs."""
    if not was:
        changed[element] = everything(new, schema)
        return
    if not now:
        removed[element] = everything(old, schema)
        return
    if old is new:
        return
    before, after = _treated(schema, old), _treated(schema, new)
    if old is None:  # nothing, of whatever form
        before = after
    elif new is None:
        after = before
    if after.form is _LEAF and before.form is _LEAF:
        if not after.same(old, new):
            changed[element] = LEAF
    elif before.form is not after.form:
        changed[element] = everything(new, schema)
        gone = field_set.difference({element: everything(old, schema)}, {element: changed[element]})
        removed.update(gone)
    elif (old is None or new is None) and not old and not new:  # null and nothing in it are two values
        changed[element] = LEAF
    else:
        _keep(element, compare(old, new, after), changed, removed)


def _keep(element: str, inner: Difference, changed: FieldSet, removed: FieldSet) -> None:
    if inner.changed:
        changed[element] = inner.changed
    if inner.removed:
        removed[element] = inner.removed


# -- merge


def merge(live: Any, config: Any, schema: ValueSchema) -> Any:
    """The live value with everything that the configuration says; the live value itself when that is nothing new.

    A null says nothing of what is in a map or list that others may have a part of."""
    if config is None and live and resolved(schema, live).form is not _LEAF:
        return live
    schema = resolved(schema, config)
    if schema.form is _LEAF:
        return live if live is not None and schema.same(live, config) else config
    if config is None or live is None or isinstance(live, dict) is not isinstance(config, dict):
        return config
    if schema.form not in MAPS:
        merged = _merged_items(live, config, schema)
        return live if len(merged) == len(live) and all(map(is_, merged, live)) else merged
    news = {}
    for name, member in config.items():
        below = schema.field(name)
        assert below is not None, "a configuration without findings has declared fields only"
        value = live.get(name)
        if name not in live:
            news[name] = member
        elif below.form is _LEAF:
            if value is None or not below.same(value, member):
                news[name] = member
        elif (merged := merge(value, member, below)) is not value:
            news[name] = merged
    return {**live, **news} if news else live


def _merged_items(live: list[Any], config: list[Any], schema: ValueSchema) -> list[Any]:
    """All items: those of the configuration in its order, those of the live list alone where they were among them."""
    theirs = {element: items[0] for element, items in _grouped(schema, live).items() if len(items) == 1}
    mine = elements(schema, config)
    applied = set(mine)
    live_elements = elements(schema, live)
    present = set(live_elements)
    shared = [element for element in mine if element in present]
    merged: list[Any] = []
    take: Callable[[int], None] = lambda at: merged.append(  # noqa: E731
        merge(theirs.get(mine[at]), config[at], schema.element) if mine[at] in theirs else config[at]
    )
    left = right = due = 0
    while left < len(live) or right < len(config):
        at_left = live_elements[left] if left < len(live) else None
        if at_left is not None and right < len(config) and at_left == mine[right]:
            take(right)
            left, right, due = left + 1, right + 1, due + 1
        elif at_left is not None and at_left not in applied:
            merged.append(live[left])
            left += 1
        elif at_left is not None and (right >= len(config) or due >= len(shared) or shared[due] != at_left):
            left += 1  # shared, and its turn comes with the configuration's order (or has come)
        else:
            take(right)
            due += mine[right] in present
            right += 1
    return merged

"""Removing what a manager gave up: fields that it applied before, applies no longer, and that nobody else owns.

A field is removed with everything below it; a map or list that is emptied stays when somebody owns it as such. What is
nobody's, or an updater's, was not applied before and stays, also below a field that goes, unless it goes with it.
"""

from __future__ import annotations

from typing import Any

from tiphys.machinery.patch.apply import walk
from tiphys.machinery.patch.apply.field_set import LEAF, FieldSet, is_member
from tiphys.machinery.patch.apply.schema import Form, ValueSchema, resolved


def prune(merged: Any, schema: ValueSchema, last: FieldSet, owned: FieldSet) -> Any:
    """`merged` without what is given up. `last` is what the manager applied before, `owned` what all managers own now
    (the applying one with its new configuration)."""
    return _pruned(merged, schema, last, owned, False, False)


def _pruned(value: Any, schema: ValueSchema, last: FieldSet, owned: FieldSet, below_last: bool, given_up: bool) -> Any:
    """`below_last`: something above was applied before; `given_up`: and is nobody's now."""
    schema = resolved(schema, value)
    if not last or value is None or schema.form is Form.LEAF or not isinstance(value, dict | list):
        return value
    goes: set[str] = set()
    becomes: dict[str, Any] = {}
    for element, below, member in walk.children(schema, value):
        mine = last.get(element)
        if mine is None:
            continue
        theirs = owned.get(element)
        # A field of a structure counts with what is below it; members and items only by themselves.
        named = schema.form is Form.FIELDS
        applied_before = named or is_member(mine)
        owned_now = theirs is not None and (named or is_member(theirs))
        gone = given_up or ((below_last or applied_before) and not owned_now)
        if gone and applied_before:
            goes.add(element)
            continue
        rest = _pruned(member, below, mine, LEAF if theirs is None else theirs, below_last or applied_before, gone)
        if rest is not member:
            emptied = bool(member) and rest in ({}, [])
            if emptied and (theirs is None or not is_member(theirs)):
                goes.add(element)
            else:
                becomes[element] = rest
    return _rebuilt(value, schema, goes, becomes) if goes or becomes else value


def _rebuilt(value: Any, schema: ValueSchema, goes: set[str], becomes: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: becomes.get(f"f:{name}", member) for name, member in value.items() if f"f:{name}" not in goes}
    pairs = zip(walk.elements(schema, value), value, strict=True)
    return [becomes.get(element, item) for element, item in pairs if element not in goes]

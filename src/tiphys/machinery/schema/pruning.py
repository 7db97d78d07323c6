"""Dropping what a structural schema does not specify, and filling in its defaults: compiled into closures.

Both change the value in place and are idempotent. A closure is None where the schema below has nothing to do, so that
large preserved parts cost nothing. Specified in "Field pruning", "Defaulting" and "Nullable" of the documentation of
CustomResourceDefinitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tiphys.machinery.schema.places import Place, path_of
from tiphys.machinery.schema.validation import EMBEDDED, Schema

# (value, its place, where the paths of what is dropped go)
Prune = Callable[[Any, Place, list[str]], None]
Default = Callable[[Any], None]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
_OBJECT_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def keep(value: Any, place: Place, dropped: list[str]) -> None:
    """Prunes nothing."""


def compile_prune(schema: Schema, *, is_object: bool = False) -> Prune:
    """`is_object`: the value is an API object, whose apiVersion, kind and metadata are implied."""
    return _prune(schema, is_object) or keep


def _drop_fields(value: Any, place: Place, dropped: list[str]) -> None:
    """Where nothing is specified objects have no fields, however many lists they are in."""
    if type(value) is dict:
        dropped += [path_of((place, name)) for name in value]
        value.clear()
    elif type(value) is list:
        for position, item in enumerate(value):
            if type(item) in _CONTAINERS:
                _drop_fields(item, (place, position), dropped)


def _prune(schema: Schema, is_object: bool = False) -> Prune | None:
    items = schema.get("items")
    in_items = _prune(items) if isinstance(items, Mapping) else None if schema.get(PRESERVE) else _drop_fields
    known: dict[str, Prune | None] = {
        name: None if is_object and name in _OBJECT_FIELDS else _prune(part)
        for name, part in (schema.get("properties") or {}).items()
    }
    if is_object or schema.get(EMBEDDED):
        known = {**dict.fromkeys(_OBJECT_FIELDS), **known}
    rest = schema.get("additionalProperties")
    in_rest = _prune(rest) if isinstance(rest, Mapping) else _drop_fields if rest is True else None
    # A part that says nothing of its properties (a scalar, or anything by int-or-string) still holds no objects.
    keeps_others = bool(schema.get(PRESERVE)) or rest is not None
    if keeps_others and in_rest is None and not any(known.values()) and in_items is None:
        return None

    def prune(value: Any, place: Place, dropped: list[str]) -> None:
        if type(value) is dict:
            unknown: list[str] = []
            for name, item in value.items():
                if name in known:
                    part = known[name]
                elif keeps_others:
                    part = in_rest
                else:
                    unknown.append(name)
                    continue
                if part is not None and type(item) in _CONTAINERS:
                    part(item, (place, name), dropped)
            for name in unknown:
                del value[name]
                dropped.append(path_of((place, name)))
        elif type(value) is list and in_items is not None:
            for position, item in enumerate(value):
                if type(item) in _CONTAINERS:
                    in_items(item, (place, position), dropped)

    return prune


_CONTAINERS = frozenset({dict, list})


def compile_default(schema: Schema, *, drops_nulls: bool = True) -> Default:
    """Fill in defaults; a null that is not allowed counts as left out where there is a default, and everywhere when it
    `drops_nulls`."""
    found = _default(schema, drops_nulls)
    return found if found is not None else lambda value: None


def _default(schema: Schema, drops_nulls: bool) -> Default | None:
    items, rest = schema.get("items"), schema.get("additionalProperties")
    in_items = _Part(items, drops_nulls) if isinstance(items, Mapping) else None
    in_rest = _Part(rest, drops_nulls) if isinstance(rest, Mapping) else None
    parts = {name: _Part(part, drops_nulls) for name, part in (schema.get("properties") or {}).items()}
    if in_items is None and in_rest is None and not parts:
        return None
    others_nullable = in_rest is None or in_rest.nullable
    given = [(name, part, part.default) for name, part in parts.items() if part.default is not None]

    def default(value: Any) -> None:
        if type(value) is dict:
            for name, part, text in given:
                if name not in value or (value[name] is None and not part.nullable):
                    value[name] = msgspec.json.decode(text)
            nulls: list[str] = []
            for name, item in value.items():
                found = parts.get(name, in_rest)
                if found is None:
                    continue
                if item is None:
                    if found is in_rest and found.default is not None and not found.nullable:
                        value[name] = msgspec.json.decode(found.default)
                    elif drops_nulls and not (found.nullable if name in parts else others_nullable):
                        nulls.append(name)
                elif found.below is not None:
                    found.below(item)
            for name in nulls:
                del value[name]
        elif type(value) is list and in_items is not None:
            for position, item in enumerate(value):
                if item is None and not in_items.nullable and in_items.default is not None:
                    item = value[position] = msgspec.json.decode(in_items.default)
                if in_items.below is not None:
                    in_items.below(item)

    return default


class _Part:
    """What becomes of a property: its default as JSON, whether it may be null, what is below."""

    __slots__ = ("below", "default", "nullable")

    def __init__(self, schema: Schema, drops_nulls: bool) -> None:
        given = schema.get("default")
        self.default = msgspec.json.encode(given) if given is not None else None
        self.nullable = bool(schema.get("nullable"))
        self.below = _default(schema, drops_nulls)

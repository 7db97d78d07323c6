"""Items of lists that are sets, and keys of lists that are maps, that stand there twice: compiled into closures.

None where a schema has no such list, so that most objects are not walked at all. Specified in "Merge strategy" of the
documentation of server-side apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tiphys.machinery import field_errors
from tiphys.machinery.schema.places import Key, Place, path_of
from tiphys.machinery.schema.validation import Check, Schema

_sorted_json = msgspec.json.Encoder(order="deterministic").encode
NO_OBJECT = "must be an object for an array of list-type map"
# The item -> what tells it apart from others.
Identity = Callable[[Any], Any]


def compile_repeats(schema: Schema) -> Check | None:
    """Finds what is there twice; None when nothing can be."""
    items, rest = schema.get("items"), schema.get("additionalProperties")
    in_items = compile_repeats(items) if isinstance(items, Mapping) else None
    in_rest = compile_repeats(rest) if isinstance(rest, Mapping) else None
    parts = {name: compile_repeats(part) for name, part in (schema.get("properties") or {}).items()}
    identity, keyed = identity_of(schema), schema.get("x-kubernetes-list-type") == "map"
    if identity is None and in_items is None and in_rest is None and not any(parts.values()):
        return None

    def check(value: Any, place: Place, found: list[field_errors.FieldError]) -> None:
        if type(value) is dict:
            for name, item in value.items():
                below, step = (parts[name], name) if name in parts else (in_rest, Key(name))
                if below is not None:
                    below(item, (place, step), found)
        elif type(value) is list:
            if keyed:
                found += [
                    field_errors.invalid(path_of((place, position)), item, NO_OBJECT)
                    for position, item in enumerate(value)
                    if type(item) is not dict and item is not None
                ]
            if identity is not None and len(value) > 1:
                _check_list(value, place, identity, found)
            if in_items is not None:
                for position, item in enumerate(value):
                    in_items(item, (place, position), found)

    return check


def identity_of(schema: Schema) -> Identity | None:
    """What tells the items of a list apart; None when nothing does."""
    list_type = schema.get("x-kubernetes-list-type")
    if list_type == "set":
        return lambda item: item
    return keys_of(schema) if list_type == "map" else None


def keys_of(schema: Schema) -> Identity:
    """Of an item of a list that is a map, the keys and their values, defaults among them."""
    names = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    properties = (schema.get("items") or {}).get("properties") or {}
    defaults = {name: (properties.get(name) or {}).get("default") for name in names}

    def keys(item: Any) -> Any:
        if type(item) is not dict:
            return item
        values = {name: item.get(name, defaults[name]) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    return keys


def _check_list(value: list[Any], place: Place, identity: Identity, found: list[field_errors.FieldError]) -> None:
    times: dict[bytes, int] = {}
    for position, item in enumerate(value):
        key = _sorted_json(identity(item))
        times[key] = times.get(key, 0) + 1
        if times[key] == 2:
            found.append(field_errors.duplicate(path_of((place, position)), identity(item)))

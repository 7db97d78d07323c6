"""What a change is to blame for: findings about parts of a value that it leaves as they were do not count.

A schema can become stricter while objects are there; whoever changes one need not repair the rest of it. A part of the
new value is compared with the part of the old one that is at the same place: under the same name, or with the same keys
in a list that is a map (wherever it stands there). Items of other lists, and what allOf, anyOf, oneOf and not say of
the parts below, are judged anew when the list or the value itself changed. Specified in "Validation ratcheting" of the
documentation of CustomResourceDefinitions.

This runs only where something was found wrong; each part is compiled when it is first needed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.machinery.field_errors import FieldError
from tiphys.machinery.schema.places import Place
from tiphys.machinery.schema.repeats import keys_of
from tiphys.machinery.schema.validation import Check, Schema, compile_check

_sorted_json = msgspec.json.Encoder(order="deterministic").encode
_BELOW = ("properties", "additionalProperties", "items")


class Ratchet:
    """One part of a schema. The value that is checked and the old one are plain JSON."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._keyed = schema.get("x-kubernetes-list-type") == "map"

    @functools.cached_property
    def _whole(self) -> Check:
        return compile_check(self._schema)

    @functools.cached_property
    def _own(self) -> Check:
        """What the schema says of the value itself, and its choices of the parts below."""
        own = {
            keyword: said
            for keyword, said in self._schema.items()
            if keyword not in _BELOW or not isinstance(said, Mapping)
        }
        return compile_check(own)

    @functools.cached_property
    def parts(self) -> Mapping[str, Ratchet]:
        return {name: Ratchet(part) for name, part in (self._schema.get("properties") or {}).items()}

    @functools.cached_property
    def _rest(self) -> Ratchet | None:
        return _ratchet(self._schema.get("additionalProperties"))

    @functools.cached_property
    def _items(self) -> Ratchet | None:
        return _ratchet(self._schema.get("items"))

    def check(self, value: Any, old: Any, place: Place, found: list[FieldError]) -> None:
        """The findings about a value that was `old`; none when it still is."""
        if not self.is_same(value, old):
            self.check_changed(value, old, place, found)

    def check_changed(self, value: Any, old: Any, place: Place, found: list[FieldError]) -> None:
        """The findings about a value that is not what it was, whether that shows or not."""
        self._own(value, place, found)
        if type(value) is dict:
            before = old if type(old) is dict else {}
            for name, item in value.items():
                part = self.parts.get(name, self._rest)
                if part is not None:
                    part._check_one(item, name in before, before.get(name), (place, name), found)
        elif type(value) is list and self._items is not None:
            keyed = self._by_keys(old) if self._keyed and type(old) is list else {}
            for position, item in enumerate(value):
                key = self._key(item) if keyed else b""
                self._items._check_one(item, key in keyed, keyed.get(key), (place, position), found)

    def _check_one(self, value: Any, was_there: bool, old: Any, place: Place, found: list[FieldError]) -> None:
        if was_there:
            self.check(value, old, place, found)
        else:
            self._whole(value, place, found)

    def is_same(self, value: Any, old: Any) -> bool:
        """Whether two values are one, in whatever order a list that is a map has its items."""
        if type(value) is not type(old):
            return False
        if type(value) is dict:
            return len(value) == len(old) and all(
                name in old and _is_same(self.parts.get(name, self._rest), item, old[name])
                for name, item in value.items()
            )
        if type(value) is not list:
            return bool(value == old)
        if len(value) != len(old):
            return False
        if not self._keyed:
            return all(_is_same(self._items, item, other) for item, other in zip(value, old, strict=True))
        others = self._by_keys(old)
        keys = {self._key(item) for item in value}
        return keys == others.keys() and len(keys) == len(value) and all(
            _is_same(self._items, item, others[self._key(item)]) for item in value
        )  # fmt: skip

    @functools.cached_property
    def _identity(self) -> Any:
        return keys_of(self._schema)

    def _key(self, item: Any) -> bytes:
        return _sorted_json(self._identity(item))

    def _by_keys(self, items: list[Any]) -> dict[bytes, Any]:
        found: dict[bytes, Any] = {}
        for item in items:
            found.setdefault(self._key(item), item)
        return found


def _ratchet(schema: Any) -> Ratchet | None:
    return Ratchet(schema) if isinstance(schema, Mapping) else None


def _is_same(part: Ratchet | None, value: Any, old: Any) -> bool:
    if part is not None:
        return part.is_same(value, old)
    return bool(value == old) and _sorted_json(value) == _sorted_json(old)  # for Python, 1 is true

"""What clients are told of a value of the wrong type: the words of the Go server, which people search for.

The decoder says `Expected `str`, got `int` - at `$.spec.hostname``; Go's names the struct and the type that the field
has there: `json: cannot unmarshal number into Go struct field PodSpec.spec.hostname of type string`. Both are found in
the published schema. Words that do not fit this form stay as they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.kinds import api_schema
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import Unstructured

_MISMATCH = re.compile(r"Expected `[^`]*`, got `(\w+)`(?: - at `\$([^`]*)`)?")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<below>[^\]]*)\]")
_GIVEN = {"str": "string", "int": "number", "float": "number", "bool": "bool", "array": "array", "object": "object"}
_SCALARS = {"string": "string", "boolean": "bool", "number": "float64"}


class _Declared(msgspec.Struct, gc=False):
    """A definition, or what a property, an item or a value of a map is declared to be."""

    ref: str = ""
    type: str = ""
    format: str = ""
    items: _Declared | None = None
    additionalProperties: _Declared | None = None
    properties: dict[str, _Declared] | None = None


@functools.cache
def _definitions() -> dict[str, _Declared]:
    return api_schema.definitions(_Declared)


@functools.cache
def _names() -> Mapping[tuple[str, str], str]:
    return api_schema.names_by_type(_definitions())


def in_go_words(text: str, wanted: type[Any]) -> str:
    """The decoder's words on a value that should have been a `wanted`."""
    found = _MISMATCH.fullmatch(text)
    if found is None or found[1] not in _GIVEN:
        return text
    if issubclass(wanted, Unstructured):
        wanted = ObjectMeta  # the only part of a custom object that has a type
    name = _names().get((wanted.__module__.rpartition(".")[2], wanted.__name__), "")
    what = f"json: cannot unmarshal {_GIVEN[found[1]]} into Go"
    if not found[2]:
        return f"{what} value of type {_go_type(_Declared(ref=name))}" if name else text
    place = _walk(name, found[2])
    return f"{what} struct field {place}" if place else text


def _walk(name: str, path: str) -> str:
    """`PodSpec.spec.hostname of type string` for a path; "" when the schema knows no such place."""
    at: _Declared | None = _Declared(ref=name)
    struct, words = "", list[str]()
    for step in _STEP.finditer(path):
        if at is None:
            return ""
        if step["name"] is not None:
            struct, properties = at.ref.rpartition(".")[2], _resolved(at).properties or {}
            at = properties.get(step["name"])
            words.append(step["name"])
        else:
            at = at.items or at.additionalProperties
    kind = _go_type(at) if at is not None else ""
    return f"{struct}.{'.'.join(words)} of type {kind}" if kind and struct else ""


def _resolved(declared: _Declared) -> _Declared:
    return _definitions().get(declared.ref, declared) if declared.ref else declared


def _go_type(declared: _Declared) -> str:
    """As Go writes the type; "" for one that reads itself (times, quantities, numbers or names of ports)."""
    if declared.ref:
        version, _, name = declared.ref.rpartition(".")
        return f"{version.rpartition('.')[2]}.{name}" if _resolved(declared).properties else ""
    if declared.items is not None:
        inner = _go_type(declared.items)
        return f"[]{inner}" if inner else ""
    if declared.additionalProperties is not None:
        inner = _go_type(declared.additionalProperties)
        return f"map[string]{inner}" if inner else ""
    if declared.type == "integer":
        return declared.format or "int64"
    return "" if declared.format in ("date-time", "byte") else _SCALARS.get(declared.type, "")

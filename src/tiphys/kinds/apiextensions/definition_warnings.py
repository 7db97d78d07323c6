"""Advice on definitions of custom resources: formats that no value is ever checked against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.kinds import codec
from tiphys.kinds.types.apiextensions_v1 import CustomResourceDefinition
from tiphys.machinery.field_errors import shown
from tiphys.machinery.schema.formats import FORMATS

_TEXTS = frozenset(name.replace("-", "") for name in FORMATS)
_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}
_ONE, _LISTS = ("additionalItems", "additionalProperties", "not"), ("allOf", "anyOf", "oneOf")
_MAPS = ("definitions", "dependencies", "patternProperties", "properties")


def definition_warnings(new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> list[str]:
    """Of a change, only what it brings."""
    before = set(_unrecognized(old)) if old is not None else ()
    return [f"unrecognized format {shown(name)}" for name in _unrecognized(new) if name not in before]


def _unrecognized(definition: CustomResourceDefinition) -> Iterator[str]:
    for version in definition.spec.versions:
        if version.schema is not None and version.schema.openAPIV3Schema is not None:
            for schema in _schemas(codec.plain(version.schema.openAPIV3Schema)):
                if schema.get("format") and not _is_known(schema["format"], schema.get("type") or ""):
                    yield schema["format"]


def _is_known(name: str, kind: str) -> bool:
    return name.replace("-", "") in _TEXTS if kind in ("", "string") else name in _NUMBERS.get(kind, ())


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and all below it; nothing for what is no schema."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    items = schema.get("items")
    below = [*(items if isinstance(items, list) else [items]), *(schema.get(name) for name in _ONE)]
    for name in _LISTS:
        below += schema.get(name) or ()
    for name in _MAPS:
        below += (schema.get(name) or {}).values()
    for part in below:
        yield from _schemas(part)

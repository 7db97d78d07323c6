"""The parts of a definition's schema that may be a schema or something else (`items`, `additionalProperties`, ...).

Structs hold them as plain values, so they are read here as the other schemas are: what no schema has is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tiphys.kinds import codec, zero_values
from tiphys.kinds import misfits as misfits_of_types
from tiphys.kinds.types.apiextensions_v1 import JSONSchemaProps
from tiphys.machinery.field_errors import FieldError, Path, invalid

_decoder = msgspec.json.Decoder(float_hook=codec.number)
_LOOSE = ("items", "additionalItems", "additionalProperties")
_LISTS = ("allOf", "anyOf", "oneOf")
_MAPS = ("properties", "patternProperties", "definitions")


def drop_unknown(schema: JSONSchemaProps) -> None:
    """In place, in all parts of the schema. Parts that are no schemas stay for the validation to tell of."""
    for name in _LOOSE:
        part = getattr(schema, name)
        if isinstance(part, dict):
            setattr(schema, name, _read(part))
        elif isinstance(part, list):
            setattr(schema, name, [_read(each) if isinstance(each, dict) else each for each in part])
    if isinstance(schema.dependencies, dict):
        parts = schema.dependencies.items()
        schema.dependencies = {name: _read(part) if isinstance(part, dict) else part for name, part in parts}
    for below in _schemas_below(schema):
        drop_unknown(below)


def plain(schema: JSONSchemaProps) -> dict[str, Any]:
    """A schema as plain JSON, its numbers as they are compared with those of objects."""
    found: dict[str, Any] = _decoder.decode(codec.encode(schema))
    return found


def misfits(schema: Any, path: Path) -> Iterator[FieldError]:
    """The parts of a plain schema that are objects, but no schemas."""
    if not isinstance(schema, dict):
        return
    for name in _LOOSE:
        part, at = schema.get(name), path.child(name)
        if isinstance(part, dict):
            misfit = misfits_of_types.first(part, JSONSchemaProps)
            if misfit is not None:
                yield invalid(at, part, misfit.unmarshal_text())
            else:
                yield from misfits(part, at)
    for name in _LISTS:
        for position, part in enumerate(schema.get(name) or ()):
            yield from misfits(part, path.child(name).index(position))
    for name in _MAPS:
        for key, part in (schema.get(name) or {}).items():
            yield from misfits(part, path.child(name).key(key))


def _read(part: dict[str, Any]) -> dict[str, Any]:
    try:
        schema = codec.convert(part, JSONSchemaProps)
    except msgspec.ValidationError:
        return part
    drop_unknown(schema)
    zero_values.drop(schema)
    found: dict[str, Any] = codec.plain(schema)
    return found


def _schemas_below(schema: JSONSchemaProps) -> Iterator[JSONSchemaProps]:
    if schema.not_ is not None:
        yield schema.not_
    for name in _LISTS:
        yield from getattr(schema, name) or ()
    for name in _MAPS:
        yield from (getattr(schema, name) or {}).values()

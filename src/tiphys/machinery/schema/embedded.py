"""Objects within objects (`x-kubernetes-embedded-resource`): finding them in a value, and what is implied of them.

Their apiVersion, kind and metadata are those of every object, whatever the schema says of them. Specified in "Extend
the Kubernetes API with CustomResourceDefinitions", "RawExtension".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.machinery.schema.places import Key, Place
from tiphys.machinery.schema.validation import EMBEDDED, Schema

# (value, its place, what to do with each embedded object and its place)
Visit = Callable[[Any, Place, Callable[[dict[str, Any], Place], None]], None]


def with_metadata(schema: Schema, metadata: Schema) -> Schema:
    """The schema with the metadata of embedded objects written out; what it says of their names stays."""
    found = dict(schema)
    if isinstance(schema.get("properties"), Mapping):
        found["properties"] = {name: with_metadata(part, metadata) for name, part in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            found[key] = with_metadata(schema[key], metadata)
    if schema.get(EMBEDDED):
        properties = found.get("properties") or {}
        named = (properties.get("metadata") or {}).get("properties") or {}
        whole = {**metadata, "properties": {**metadata["properties"], **named}}
        found["properties"] = {**properties, "metadata": whole}
    return found


def compile_visit(schema: Schema) -> Visit | None:
    """Finds the embedded objects of a value; None when there can be none."""
    items, rest = schema.get("items"), schema.get("additionalProperties")
    in_items = compile_visit(items) if isinstance(items, Mapping) else None
    in_rest = compile_visit(rest) if isinstance(rest, Mapping) else None
    parts = {name: compile_visit(part) for name, part in (schema.get("properties") or {}).items()}
    embedded = bool(schema.get(EMBEDDED))
    if not embedded and in_items is None and in_rest is None and not any(parts.values()):
        return None

    def visit(value: Any, place: Place, found: Callable[[dict[str, Any], Place], None]) -> None:
        if type(value) is dict:
            if embedded:
                found(value, place)
            for name, item in value.items():
                if name in parts:
                    below, step = parts[name], name
                else:
                    below, step = in_rest, Key(name)
                if below is not None:
                    below(item, (place, step), found)
        elif type(value) is list and in_items is not None:
            for position, item in enumerate(value):
                in_items(item, (place, position), found)

    return visit

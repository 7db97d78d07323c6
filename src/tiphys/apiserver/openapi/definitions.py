"""Object schemas in OpenAPI v3 and v2 form, from the compact schema of the built-in kinds.

The compact form has `ref`, `type` (with the words `quantity` and `int-or-string`), `format`, `required`, `items`,
`properties`, `additionalProperties`, and the list and patch markers without their `x-kubernetes-` prefix.
Descriptions, where there are any, come from outside. Specified in "Kubernetes API Concepts" (OpenAPI) and, for the
markers, in "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

_PLAIN_KEYS = ("type", "format")
_NESTED_KEYS = ("ref", "items", "additionalProperties", "properties", "required", *_PLAIN_KEYS)
# Served objects have these three filled in by every writer, and a list's items are never null.
_DEFAULTED = ("metadata", "spec", "status")
_ZERO: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of a definition and of its properties."""

    text: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


NO_DESCRIPTION = Description()


@dataclass(frozen=True, slots=True)
class SchemaSource:
    """The compact schemas and the descriptions, by definition name."""

    compact: Mapping[str, Schema]
    descriptions: Mapping[str, Description]

    def by_kind(self) -> dict[tuple[str, str, str], str]:
        """The definition of each (group, version, kind). Kinds that belong to every group (DeleteOptions, ...) are
        left out."""
        found = {}
        for name, schema in self.compact.items():
            kinds = schema.get("group-version-kind", ())
            if len(kinds) == 1:
                (kind,) = kinds
                found[kind["group"], kind["version"], kind["kind"]] = name
        return found


def references(schema: Any) -> Iterator[str]:
    """Every definition that a compact schema names, some more than once."""
    if isinstance(schema, Mapping):
        target = schema.get("ref")
        if isinstance(target, str):
            yield target
        for value in schema.values():
            yield from references(value)


def closure(compact: Mapping[str, Schema], roots: Iterable[str]) -> list[str]:
    """The definitions that the roots need, themselves included, sorted."""
    found: set[str] = set()
    waiting = [root for root in roots if root in compact]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [
            target for target in references(compact[name].get("properties", compact[name])) if target in compact
        ]
    return sorted(found)


def definition(schema: Schema, description: Description, version: int) -> Schema:
    """One definition in the form of OpenAPI 3 or 2 (`version`)."""
    result: Schema = {}
    if description.text:
        result["description"] = description.text
    result.update(_scalar(schema, version))
    required = schema.get("required", ())
    properties = schema.get("properties")
    if properties is not None:
        result["properties"] = {
            name: _property(name, found, name in required, description.properties.get(name, ""), version)
            for name, found in properties.items()
        }
    if required:
        result["required"] = sorted(required)
    for key in ("items", "additionalProperties"):
        if key in schema:
            result[key] = _nested(schema[key], version)
    result.update(_markers(schema))
    return result


def _scalar(schema: Schema, version: int) -> Schema:
    kind = schema.get("type")
    if kind == "quantity":
        return {"type": "string"} if version == 2 else {"oneOf": [{"type": "string"}, {"type": "number"}]}
    if kind == "int-or-string":
        if version == 2:
            return {"type": "string", "format": "int-or-string"}
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return {key: schema[key] for key in _PLAIN_KEYS if key in schema}


def _markers(schema: Schema) -> Schema:
    return {f"x-kubernetes-{key}": value for key, value in schema.items() if key not in _NESTED_KEYS}


def reference(target: str, version: int) -> Schema:
    """How OpenAPI 3 or 2 (`version`) names another definition."""
    return {"$ref": f"#/definitions/{target}" if version == 2 else f"#/components/schemas/{target}"}


def _property(name: str, schema: Schema, required: bool, description: str, version: int) -> Schema:
    result: Schema = {"description": description} if description else {}
    target = schema.get("ref")
    if target is not None:
        defaulted = version == 3 and (required or name in _DEFAULTED)
        if version == 2 or not (description or defaulted or _markers(schema)):
            return {**result, **reference(target, version), **_markers(schema)}
        result["allOf"] = [reference(target, version)]
        if defaulted:
            result["default"] = {}
        return {**result, **_markers(schema)}
    result.update(_nested(schema, version))
    if version == 3 and required:
        result |= _zero(schema)
    return result


def _zero(schema: Schema) -> Schema:
    """What a field that must be there is by itself; a text with a format is none of these."""
    kind = schema.get("type")
    if kind not in _ZERO or (kind == "string" and "format" in schema):
        return {}
    return {"default": _ZERO[kind]}


def _nested(schema: Schema, version: int) -> Schema:
    """The schema of items and values."""
    target = schema.get("ref")
    if target is not None:
        if version == 2:
            return reference(target, version)
        return {"allOf": [reference(target, version)], "default": {}}
    result = _scalar(schema, version)
    for key in ("items", "additionalProperties"):
        if key in schema:
            result[key] = _nested(schema[key], version)
            if version == 3:
                result[key] |= _zero(schema[key])
    if "properties" in schema:
        result["properties"] = {k: _nested(v, version) for k, v in schema["properties"].items()}
    return {**result, **_markers(schema)}

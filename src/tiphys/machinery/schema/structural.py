"""Whether a schema is structural, and may be served at all: every finding with the path of the schema's own field.

A structural schema says the type of every part outside of allOf, anyOf, oneOf and not; those only narrow values. The
schema is plain JSON with the OpenAPI v3 keywords. Specified in "Specifying a structural schema" of the documentation of
CustomResourceDefinitions. Values are `validation.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from tiphys.machinery.repetition import repeated
from tiphys.machinery.schema.patterns import compile_pattern
from tiphys.machinery.schema.pruning import PRESERVE, compile_prune
from tiphys.machinery.schema.validation import EMBEDDED, INT_OR_STRING, Schema, compile_check

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "set", "map")
MAP_TYPES = ("atomic", "granular")
SCALARS = ("boolean", "integer", "number", "string")
# Keywords of OpenAPI and JSON schema that no custom resource may use.
_NEVER = ("$ref", "$schema", "id", "definitions", "dependencies", "patternProperties", "additionalItems")
# What only the structure itself may say, not a choice within it.
_NOT_IN_CHOICES = (
    "description", "title", "default", "additionalProperties", "nullable", PRESERVE, EMBEDDED, INT_OR_STRING,
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
)  # fmt: skip
_CHOICES = ("allOf", "anyOf", "oneOf")
_INT_OR_STRING_CHOICE = [{"type": "integer"}, {"type": "string"}]
NO_RULES = "CEL validation rules are not supported by this server yet"


def findings(schema: Schema, path: Path) -> list[FieldError]:
    """Everything that is wrong with the schema of a custom resource; `path` is that of the schema itself."""
    found: list[FieldError] = []
    kind = schema.get("type")
    if not kind:
        found.append(required(path.child("type"), "must not be empty at the root"))
    elif kind != "object":
        found.append(invalid(path.child("type"), kind, "must be object at the root"))
    if schema.get("nullable"):
        found.append(forbidden(path.child("nullable"), "nullable cannot be true at the root"))
    if "default" in schema:
        found.append(forbidden(path.child("default"), "must not be set at the root"))
    metadata = (schema.get("properties") or {}).get("metadata")
    if metadata is not None:
        found += _metadata_findings(metadata, path.child("properties").key("metadata"))
    _structure(schema, path, found, "")
    if not found:
        _defaults(schema, path, found, True)
    return found


def _metadata_findings(schema: Schema, path: Path) -> list[FieldError]:
    allowed = {"type", "properties", "description", "title"}
    properties = schema.get("properties") or {}
    if set(schema) <= allowed and set(properties) <= {"name", "generateName"}:
        return []
    detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
    return [forbidden(path, detail)]


def _structure(schema: Schema, path: Path, found: list[FieldError], role: str) -> None:
    """One part of the structure and everything below it. `role` is what the part is to the one above."""
    _keywords(schema, path, found)
    int_or_string = bool(schema.get(INT_OR_STRING))
    kind = schema.get("type")
    if int_or_string:
        if kind:
            found.append(invalid(path.child("type"), kind, f"must be empty if {INT_OR_STRING} is true"))
    elif not kind and role and not schema.get(PRESERVE):
        found.append(required(path.child("type"), f"must not be empty for specified {role}"))
    if schema.get(EMBEDDED):
        if kind != "object":
            found.append(invalid(path.child("type"), kind or "", f"must be object if {EMBEDDED} is true"))
        if not schema.get(PRESERVE) and not schema.get("properties"):
            found.append(
                required(path.child("properties"), f"must not be empty if {EMBEDDED} is true without {PRESERVE}")
            )
    if schema.get(PRESERVE) is False:
        found.append(invalid(path.child(PRESERVE), False, "must be true or undefined"))
    if schema.get("properties") and schema.get("additionalProperties") is not None:
        detail = "additionalProperties and properties are mutual exclusive"
        found.append(forbidden(path.child("additionalProperties"), detail))
    if schema.get("additionalProperties") is False:
        found.append(forbidden(path.child("additionalProperties"), "additionalProperties cannot be set to false"))
    _list_findings(schema, path, found)
    for name, part in (schema.get("properties") or {}).items():
        if not (role == "" and name == "metadata"):
            _structure(part, path.child("properties").key(name), found, "object fields")
    rest, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(rest, Mapping):
        _structure(rest, path.child("additionalProperties"), found, "object fields")
    if isinstance(items, Mapping):
        _structure(items, path.child("items"), found, "array items")
    elif items is not None:
        found.append(forbidden(path.child("items"), "items must be a schema object and not an array"))
    for part, at in _choices(schema, path):
        _choice(part, at, schema, path, found)


def _choices(schema: Schema, path: Path) -> Iterator[tuple[Schema, Path]]:
    for keyword in _CHOICES:
        parts = schema.get(keyword) or ()
        if keyword == "anyOf" and schema.get(INT_OR_STRING) and list(parts) == _INT_OR_STRING_CHOICE:
            continue
        for position, part in enumerate(parts):
            if (
                keyword == "allOf"
                and schema.get(INT_OR_STRING)
                and list(part.get("anyOf") or ()) == _INT_OR_STRING_CHOICE
            ):
                continue
            yield part, path.child(keyword).index(position)
    if schema.get("not"):
        yield schema["not"], path.child("not")


def _choice(part: Schema, path: Path, structure: Schema, above: Path, found: list[FieldError]) -> None:
    """A part of allOf, anyOf, oneOf or not: it narrows values and must not add to the structure."""
    _keywords(part, path, found)
    if part.get("type"):
        found.append(forbidden(path.child("type"), "must be empty to be structural"))
    for keyword in _NOT_IN_CHOICES:
        if part.get(keyword) is not None and part.get(keyword) is not False:
            found.append(forbidden(path.child(keyword), "must be undefined to be structural"))
    known = structure.get("properties") or {}
    for name, below in (part.get("properties") or {}).items():
        at, origin = path.child("properties").key(name), above.child("properties").key(name)
        if name not in known:
            if not isinstance(structure.get("additionalProperties"), Mapping):
                found.append(required(origin, f"because it is defined in {at}"))
            continue
        _choice(below, at, known[name], origin, found)
    items = part.get("items")
    if isinstance(items, Mapping):
        origin = above.child("items")
        if not isinstance(structure.get("items"), Mapping):
            found.append(required(origin, f"because it is defined in {path.child('items')}"))
        else:
            _choice(items, path.child("items"), structure["items"], origin, found)
    for inner, at in _choices(part, path):
        _choice(inner, at, structure, above, found)


def _keywords(schema: Schema, path: Path, found: list[FieldError]) -> None:
    for keyword in _NEVER:
        if schema.get(keyword) is not None:
            found.append(forbidden(path.child(keyword), f"{keyword} is not supported"))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(forbidden(path.child("uniqueItems"), detail))
    kind = schema.get("type")
    if kind and kind not in TYPES:
        found.append(not_supported(path.child("type"), kind, TYPES))
    if schema.get("pattern"):
        try:
            compile_pattern(schema["pattern"])
        except ValueError as error:
            found.append(
                invalid(
                    path.child("pattern"), schema["pattern"], f"must be a valid regular expression, but isn't: {error}"
                )
            )
    for keyword in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"):
        if (schema.get(keyword) or 0) < 0:
            found.append(invalid(path.child(keyword), schema[keyword], "must be greater than or equal to 0"))
    if schema.get("multipleOf") is not None and schema["multipleOf"] <= 0:
        found.append(invalid(path.child("multipleOf"), schema["multipleOf"], "must be greater than 0"))
    if schema.get("x-kubernetes-validations"):
        found.append(forbidden(path.child("x-kubernetes-validations"), NO_RULES))


def _list_findings(schema: Schema, path: Path, found: list[FieldError]) -> None:
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    map_type, kind = schema.get("x-kubernetes-map-type"), schema.get("type")
    if map_type is not None:
        at = path.child("x-kubernetes-map-type")
        if map_type not in MAP_TYPES:
            found.append(not_supported(at, map_type, MAP_TYPES))
        if kind != "object":
            found.append(
                invalid(path.child("type"), kind or "", "must be object if x-kubernetes-map-type is specified")
            )
    at_keys = path.child("x-kubernetes-list-map-keys")
    if list_type is None:
        if keys:
            found.append(
                required(path.child("x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty")
            )
        return
    if list_type not in LIST_TYPES:
        found.append(not_supported(path.child("x-kubernetes-list-type"), list_type, LIST_TYPES))
    if kind != "array":
        found.append(invalid(path.child("type"), kind or "", "must be array if x-kubernetes-list-type is specified"))
    if list_type != "map":
        if keys:
            found.append(forbidden(at_keys, "must be empty if x-kubernetes-list-type is not map"))
        if list_type == "set":
            _set_findings(schema, path, found)
        return
    if not keys:
        found.append(required(at_keys, "must not be empty if x-kubernetes-list-type is map"))
    items = schema.get("items") or {}
    if items.get("type") != "object":
        found.append(
            invalid(
                path.child("items", "type"),
                items.get("type") or "",
                "must be object if parent array's x-kubernetes-list-type is map",
            )
        )
    _key_findings(keys, items, path, at_keys, found)


def _set_findings(schema: Schema, path: Path, found: list[FieldError]) -> None:
    items = schema.get("items") or {}
    if items.get("nullable"):
        found.append(
            forbidden(path.child("items", "nullable"), "cannot be nullable when x-kubernetes-list-type is set")
        )
    kind = items.get("type")
    atomic = (kind == "object" and items.get("x-kubernetes-map-type") == "atomic") or (
        kind == "array" and items.get("x-kubernetes-list-type") in (None, "atomic")
    )
    if kind in ("object", "array") and not atomic:
        field = "x-kubernetes-map-type" if kind == "object" else "x-kubernetes-list-type"
        detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
        found.append(invalid(path.child("items", field), items.get(field) or "", detail))


def _key_findings(keys: Any, items: Schema, path: Path, at_keys: Path, found: list[FieldError]) -> None:
    properties, needed = items.get("properties") or {}, set(items.get("required") or ())
    again = repeated(keys)
    for position, key in enumerate(keys):
        part = properties.get(key)
        if position in again:
            found.append(invalid(at_keys.index(position), key, "must not contain duplicate entries"))
        if part is None:
            detail = "entries must all be names of item properties"
            found.append(invalid(at_keys, list(keys), detail))
            continue
        at = path.child("items", "properties").key(key)
        if part.get("type") not in SCALARS:
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(invalid(at.child("type"), part.get("type") or "", detail))
        if part.get("nullable"):
            detail = "cannot be nullable if parent array's x-kubernetes-list-type is map"
            found.append(forbidden(at.child("nullable"), detail))
        if key not in needed and part.get("default") is None:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            found.append(required(at.child("default"), detail))


def _defaults(schema: Schema, path: Path, found: list[FieldError], top: bool) -> None:
    """Defaults fit their own schema and hold nothing that pruning would drop."""
    if not top and schema.get("default") is not None:
        at, dropped = path.child("default"), list[str]()
        value = msgspec.json.decode(msgspec.json.encode(schema["default"]))
        compile_prune(schema)(value, None, dropped)
        if dropped:
            found.append(invalid(at, schema["default"], "must not have unknown fields"))
        reasons: list[FieldError] = []
        compile_check(schema)(schema["default"], None, reasons)
        for reason in reasons:
            below = f"{at}.{reason.field}" if reason.field and reason.field != "<nil>" else at
            found.append(FieldError(reason=reason.reason, field=str(below), message=reason.message))
    for name, part in (schema.get("properties") or {}).items():
        _defaults(part, path.child("properties").key(name), found, False)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), Mapping):
            _defaults(schema[keyword], path.child(keyword), found, False)

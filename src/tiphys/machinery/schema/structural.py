"""Whether a schema is structural, and may be served at all: every finding with the path of the schema's own field.

A structural schema says the type of every part outside of allOf, anyOf, oneOf and not; those only narrow values. The
schema is plain JSON with the OpenAPI v3 keywords. Specified in "Specifying a structural schema" of the documentation of
CustomResourceDefinitions. Values are `validation.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from tiphys.machinery.schema.embedded import with_metadata
from tiphys.machinery.schema.formats import FORMATS
from tiphys.machinery.schema.patterns import compile_pattern
from tiphys.machinery.schema.pruning import PRESERVE, compile_prune
from tiphys.machinery.schema.validation import EMBEDDED, INT_OR_STRING, Schema, compile_check

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "set", "map")
MAP_TYPES = ("atomic", "granular")
SCALARS = ("boolean", "integer", "number", "string")
# Keywords of OpenAPI and JSON schema that no custom resource may use.
_NEVER = ("$ref", "$schema", "id", "definitions", "dependencies", "patternProperties", "additionalItems")
# What only the structure itself may say, not a choice within it -> what it has to be there.
_NOT_IN_CHOICES = {
    "additionalProperties": "undefined",
    "default": "undefined",
    "description": "empty",
    "nullable": "false",
    "title": "empty",
    "type": "empty",
    EMBEDDED: "false",
    INT_OR_STRING: "false",
    "x-kubernetes-list-map-keys": "empty",
    "x-kubernetes-list-type": "undefined",
    "x-kubernetes-map-type": "undefined",
    PRESERVE: "false",
}
_NUMBER_FORMATS = {"integer": ("int32", "int64"), "number": ("float", "double")}
_CHOICES = ("allOf", "anyOf", "oneOf")
# What the root may say where the status is written on its own, and how clients are told of it.
_STATUS_ROOT = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern"
    " MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields"
    " XValidations"
)
STATUS_ROOT_KEYWORDS = {word[0].lower() + word[1:]: word for word in _STATUS_ROOT.split() if word[0] != "X"} | {
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}
_INT_OR_STRING_CHOICE = [{"type": "integer"}, {"type": "string"}]
# What is wrong with the objects within a default: (its schema, the default).
Of = Callable[[Schema, Any], list[FieldError]]
_ANY_METADATA = {"type": "object", PRESERVE: True, "properties": {}}
NO_RULES = "CEL validation rules are not supported by this server yet"


def _none(schema: Schema, value: Any) -> list[FieldError]:
    """Looks at no object."""
    return []


def findings(schema: Schema, path: Path, of_default: Of = _none) -> list[FieldError]:
    """Everything that is wrong with the schema of a custom resource; `path` is that of the schema itself. `of_default`
    looks at the objects within defaults.

    A schema with keywords that no custom resource may use is not looked at for its structure, and only one whose
    structure is right for its defaults."""
    found: list[FieldError] = []
    _keywords_everywhere(schema, path, found)
    if _has_structure(schema):
        wrong = _structural_findings(schema, path)
        if not wrong and not any(error.field.endswith("pattern") for error in found):
            _defaults({**schema, EMBEDDED: True}, path, of_default, wrong)
            _head_defaults(schema, path, wrong)
        found += wrong
    return found


def _has_structure(schema: Any) -> bool:
    """Whether all parts of a schema have keywords of custom resources alone."""
    if not isinstance(schema, Mapping):
        return True
    if any(schema.get(keyword) is not None for keyword in _NEVER) or isinstance(schema.get("items"), list):
        return False
    return all(_has_structure(part) for part, _ in _below(schema, Path("")))


def _below(schema: Schema, path: Path) -> Iterator[tuple[Schema, Path]]:
    """Every part just below one, choices among them."""
    for name, part in (schema.get("properties") or {}).items():
        yield part, path.child("properties").key(name)
    for keyword in ("additionalProperties", "items", "not"):
        if isinstance(schema.get(keyword), Mapping):
            yield schema[keyword], path.child(keyword)
    for keyword in _CHOICES:
        for position, part in enumerate(schema.get(keyword) or ()):
            yield part, path.child(keyword).index(position)


def _keywords_everywhere(schema: Schema, path: Path, found: list[FieldError]) -> None:
    _keywords(schema, path, found)
    for part, at in _below(schema, path):
        _keywords_everywhere(part, at, found)


def _structural_findings(schema: Schema, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    kind, int_or_string = schema.get("type"), bool(schema.get(INT_OR_STRING))
    if schema.get("nullable"):
        found.append(forbidden(path.child("nullable"), "nullable cannot be true at the root"))
    if schema.get("additionalProperties") is not None:
        found.append(forbidden(path.child("additionalProperties"), "must not be used at the root"))
    if not kind and not int_or_string:
        found.append(required(path.child("type"), "must not be empty at the root"))
    elif kind and kind != "object":
        found.append(invalid(path.child("type"), kind, "must be object at the root"))
    metadata = (schema.get("properties") or {}).get("metadata")
    if metadata is not None:
        found += _metadata_findings(metadata, path.child("properties").key("metadata"))
    _structure(schema, path, found, "")
    for part, at in _choices(schema, path):
        _complete(part, at, schema, path, found)
    return found


def _metadata_findings(schema: Schema, path: Path) -> list[FieldError]:
    """The metadata of every object is the server's; a schema may narrow its name."""
    properties = schema.get("properties") or {}
    if not (set(schema) <= {"type", "default", "properties"} and set(properties) <= {"name", "generateName"}):
        detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        return [forbidden(path, detail)]
    return []


def _head_defaults(schema: Schema, path: Path, found: list[FieldError]) -> None:
    """What every object has comes with it."""
    properties, at = schema.get("properties") or {}, path.child("properties")
    parts = [
        (name, properties[name], at.key(name)) for name in ("apiVersion", "kind", "metadata") if name in properties
    ]
    below = (properties.get("metadata") or {}).get("properties") or {}
    parts += [("metadata", part, at.key("metadata").child("properties").key(name)) for name, part in below.items()]
    found += [
        forbidden(place.child("default"), f"must not be set in top-level {name}")
        for name, part, place in parts
        if part.get("default") is not None
    ]


def findings_at_status_root(schema: Schema, path: Path) -> list[FieldError]:
    """Where the status is written on its own, the root of the schema describes one object part by part, no more."""
    found: list[FieldError] = []
    if set(schema) - set(STATUS_ROOT_KEYWORDS):
        words = " ".join(STATUS_ROOT_KEYWORDS.values())
        detail = f"only [{words}] fields are allowed at the root of the schema if the status subresource is enabled"
        found.append(invalid(path, schema, detail))
    if schema.get("type", "object") != "object":
        detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        found.append(invalid(path.child("type"), schema["type"], detail))
    return found


def _structure(schema: Schema, path: Path, found: list[FieldError], role: str) -> None:
    """One part of the structure and everything below it. `role` is what the part is to the one above."""
    kind = schema.get("type")
    if not kind and role and not schema.get(PRESERVE) and not schema.get(INT_OR_STRING):
        found.append(required(path.child("type"), f"must not be empty for specified {role}"))
    if schema.get(EMBEDDED):
        if not schema.get(PRESERVE) and not schema.get("properties"):
            found.append(
                required(path.child("properties"), f"must not be empty if {EMBEDDED} is true without {PRESERVE}")
            )
        if kind != "object":
            found.append(invalid(path.child("type"), kind or "", f"must be object if {EMBEDDED} is true"))
        if schema.get("additionalProperties") is not None:
            detail = f"must not be used if {EMBEDDED} is set"
            found.append(forbidden(path.child("additionalProperties"), detail))
    if schema.get(EMBEDDED) or not role:
        found += _typed_findings(schema.get("properties") or {}, path.child("properties"))
    if schema.get(INT_OR_STRING) and schema.get(PRESERVE):
        found.append(invalid(path.child(PRESERVE), True, f"must be false if {INT_OR_STRING} is true"))
    if schema.get(PRESERVE) is False:
        found.append(invalid(path.child(PRESERVE), False, "must be true or undefined"))
    if schema.get("properties") and schema.get("additionalProperties") is not None:
        detail = "additionalProperties and properties are mutual exclusive"
        found.append(forbidden(path.child("additionalProperties"), detail))
    for name, part in (schema.get("properties") or {}).items():
        _structure(part, path.child("properties").key(name), found, "object fields")
    rest, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(rest, Mapping):
        _structure(rest, path.child("additionalProperties"), found, "object fields")
    if isinstance(items, Mapping):
        _structure(items, path.child("items"), found, "array items")
    for part, at in _choices(schema, path):
        _choice(part, at, found)


def _typed_findings(properties: Schema, path: Path) -> list[FieldError]:
    """What every object has is of the types that it has everywhere."""
    return [
        invalid(path.key(name).child("type"), part.get("type") or "", f"must be {kind}")
        for name, kind in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object"))
        if (part := properties.get(name)) is not None and part.get("type") != kind
    ]


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
                part = {name: said for name, said in part.items() if name != "anyOf"}
            yield part, path.child(keyword).index(position)
    if schema.get("not") is not None:
        yield schema["not"], path.child("not")


def _choice(part: Schema, path: Path, found: list[FieldError]) -> None:
    """A part of allOf, anyOf, oneOf or not: it narrows values and must not say anything of the structure."""
    for keyword, wanted in _NOT_IN_CHOICES.items():
        if part.get(keyword) not in (None, False, "", []):
            found.append(forbidden(path.child(keyword), f"must be {wanted} to be structural"))
    if "metadata" in (part.get("properties") or {}):
        detail = "must not be specified in a nested context"
        found.append(forbidden(path.child("properties").key("metadata"), detail))
    for name, below in (part.get("properties") or {}).items():
        _choice(below, path.child("properties").key(name), found)
    if isinstance(part.get("items"), Mapping):
        _choice(part["items"], path.child("items"), found)
    for inner, at in _choices(part, path):
        _choice(inner, at, found)


def _complete(part: Schema, path: Path, structure: Schema, above: Path, found: list[FieldError]) -> None:
    """What a choice at the root narrows is specified outside of it, too."""
    known = structure.get("properties") or {}
    for name, below in (part.get("properties") or {}).items():
        at, origin = path.child("properties").key(name), above.child("properties").key(name)
        if name in known:
            _complete(below, at, known[name], origin, found)
        else:
            found.append(required(origin, f"because it is defined in {at}"))
    if isinstance(part.get("items"), Mapping):
        at, origin = path.child("items"), above.child("items")
        if isinstance(structure.get("items"), Mapping):
            _complete(part["items"], at, structure["items"], origin, found)
        else:
            found.append(required(origin, f"because it is defined in {at}"))
    for inner, at in _choices(part, path):
        _complete(inner, at, structure, above, found)


def _keywords(schema: Schema, path: Path, found: list[FieldError]) -> None:
    for keyword in _NEVER:
        if schema.get(keyword) is not None:
            found.append(forbidden(path.child(keyword), f"{keyword} is not supported"))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(forbidden(path.child("uniqueItems"), detail))
    kind, items = schema.get("type"), schema.get("items")
    if items is not None and not isinstance(items, Mapping):
        found.append(forbidden(path.child("items"), "items must be a schema object and not an array"))
    elif kind == "array" and items is None:
        found.append(required(path.child("items"), "must be specified"))
    _list_findings(schema, path, found)
    if kind and kind not in TYPES:
        found.append(not_supported(path.child("type"), kind, TYPES))
    if kind == "null":
        found.append(forbidden(path.child("type"), "type cannot be set to null, use nullable as an alternative"))
    if schema.get("pattern"):
        try:
            compile_pattern(schema["pattern"])
        except ValueError as error:
            detail = f"must be a valid regular expression, but isn't: {error}"
            found.append(invalid(path.child("pattern"), schema["pattern"], detail))
    if schema.get("x-kubernetes-validations"):
        found.append(forbidden(path.child("x-kubernetes-validations"), NO_RULES))


def _of_type(schema: Schema, wanted: str, keyword: str, path: Path) -> list[FieldError]:
    kind, detail = schema.get("type"), f"must be {wanted} if {keyword} is specified"
    if not kind:
        return [required(path.child("type"), detail)]
    return [invalid(path.child("type"), kind, detail)] if kind != wanted else []


def _list_findings(schema: Schema, path: Path, found: list[FieldError]) -> None:
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is not None:
        if map_type not in MAP_TYPES:
            found.append(not_supported(path.child("x-kubernetes-map-type"), map_type, MAP_TYPES))
        found += _of_type(schema, "object", "x-kubernetes-map-type", path)
    at, at_keys = path.child("x-kubernetes-list-type"), path.child("x-kubernetes-list-map-keys")
    if list_type is not None:
        if list_type not in LIST_TYPES:
            found.append(not_supported(at, list_type, LIST_TYPES))
        found += _of_type(schema, "array", "x-kubernetes-list-type", path)
    if keys and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        found.append(required(at, detail) if list_type is None else invalid(at, list_type, detail))
    elif list_type == "set":
        _set_findings(schema, path, found)
    elif list_type == "map":
        if not keys:
            found.append(required(at_keys, "must not be empty if x-kubernetes-list-type is map"))
        _map_findings(keys, schema.get("items"), path, at_keys, found)


def _map_findings(keys: Any, items: Any, path: Path, at_keys: Path, found: list[FieldError]) -> None:
    """Lists that are maps: what their items are, and the properties that are their keys."""
    at = path.child("items")
    if not isinstance(items, Mapping):
        found.append(required(at, "must have a schema if x-kubernetes-list-type is map"))
        return
    if items.get("nullable"):
        found.append(forbidden(at.child("nullable"), "cannot be nullable when x-kubernetes-list-type is map"))
    kind = items.get("type") or ""
    if kind != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        found.append(invalid(at.child("type"), kind, detail))
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
        found.append(invalid(path.child("items", field), items.get(field), detail))


def _key_findings(keys: Any, items: Schema, path: Path, at_keys: Path, found: list[FieldError]) -> None:
    properties, needed = items.get("properties") or {}, set(items.get("required") or ())
    if len(set(keys)) != len(keys):
        found.append(invalid(at_keys, list(keys), "must not contain duplicate entries"))
    for key in keys:
        part = properties.get(key)
        if part is None:
            found.append(invalid(at_keys, list(keys), "entries must all be names of item properties"))
            continue
        at = path.child("items", "properties").key(key)
        if part.get("type") not in SCALARS and not part.get(INT_OR_STRING):
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(invalid(at.child("type"), part.get("type") or "", detail))
        if part.get("nullable"):
            detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            found.append(forbidden(at.child("nullable"), detail))
        if key not in needed and part.get("default") is None:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            found.append(required(at.child("default"), detail))


def _defaults(schema: Schema, path: Path, of_default: Of, found: list[FieldError]) -> None:
    """Defaults fit their own schema and hold nothing that pruning would drop. Those of free keys are not looked at."""
    if schema.get("default") is not None:
        at, dropped = path.child("default"), list[str]()
        value = msgspec.json.decode(msgspec.json.encode(schema["default"]))
        compile_prune(with_metadata(schema, _ANY_METADATA))(value, None, dropped)
        if dropped:
            found.append(invalid(at, schema["default"], "must not have unknown fields"))
        reasons: list[FieldError] = []
        compile_check(schema)(schema["default"], None, reasons)
        for reason in dict.fromkeys([*reasons, *of_default(schema, schema["default"])]):
            below = f"{at}.{reason.field}" if reason.field and reason.field != "<nil>" else at
            found.append(FieldError(reason=reason.reason, field=str(below), message=reason.message))
    for name, part in (schema.get("properties") or {}).items():
        _defaults(part, path.child("properties").key(name), of_default, found)
    if isinstance(schema.get("items"), Mapping):
        _defaults(schema["items"], path.child("items"), of_default, found)


def unrecognized_formats(schema: Schema) -> list[str]:
    """Formats that no value is checked against, each once, in the order in which they are met."""
    known = _NUMBER_FORMATS.get(schema.get("type") or "", FORMATS)
    found = [schema["format"]] if schema.get("format") and schema["format"] not in known else []
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for part in below:
        if isinstance(part, Mapping):
            found += unrecognized_formats(part)
    return list(dict.fromkeys(found))

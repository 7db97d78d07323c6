"""OpenAPI version 3 in its protobuf form.

As with version 2, tables say for each message which of its fields are filled and how. What is zero or empty is left
out, but where its presence says something (a default, whether there may be other properties).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.apiserver.openapi.protobuf import flag, lengthy, named, text, texts, varint, vendor

MEDIA_TYPES = (
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
)
_METHODS = {"get": 4, "put": 5, "post": 6, "delete": 7, "options": 8, "head": 9, "patch": 10}

Encode = Callable[[Any], bytes]


def document(content: Mapping[str, Any]) -> bytes:
    """A whole version 3 document."""
    info, components = content["info"], content["components"]
    schemas = lengthy(1, named(1, components["schemas"], _either))
    schemes = components.get("securitySchemes")
    security = lengthy(7, named(1, schemes, _security_scheme)) if schemes else b""
    return b"".join(
        (
            text(1, content["openapi"]),
            lengthy(2, text(1, info["title"]) + text(6, info["version"])),
            lengthy(4, named(1, content["paths"], _path_item)),
            lengthy(5, schemas + security),
        )
    )


def _security_scheme(scheme: Mapping[str, str]) -> bytes:
    fields = ("type", "description", "name", "in")
    return lengthy(1, b"".join(text(field, scheme[name]) for field, name in enumerate(fields, 1)))


# -- paths


def _path_item(item: Mapping[str, Any]) -> bytes:
    parts = [lengthy(field, _operation(item[method])) for method, field in _METHODS.items() if method in item]
    parts += [lengthy(13, _parameter(parameter)) for parameter in item.get("parameters", ())]
    return b"".join(parts)


def _operation(operation: Mapping[str, Any]) -> bytes:
    parts = [texts(1, operation["tags"]), text(3, operation["description"]), text(5, operation["operationId"])]
    parts += [lengthy(6, _parameter(parameter)) for parameter in operation.get("parameters", ())]
    body = operation.get("requestBody")
    if body is not None:
        required = flag(3, True) if body.get("required") else b""
        parts.append(lengthy(7, lengthy(1, _content(2, body) + required)))
    parts.append(lengthy(8, named(2, operation["responses"], _response)))
    parts.append(vendor(13, operation))
    return b"".join(parts)


def _response(response: Mapping[str, Any]) -> bytes:
    return lengthy(1, text(1, response["description"]) + _content(3, response))


def _content(field: int, owner: Mapping[str, Any]) -> bytes:
    content = owner.get("content")
    return lengthy(field, named(1, content, lambda media: lengthy(1, _either(media["schema"])))) if content else b""


def _parameter(parameter: Mapping[str, Any]) -> bytes:
    required = flag(4, True) if parameter.get("required") else b""
    head = text(1, parameter["name"]) + text(2, parameter["in"]) + text(3, parameter["description"]) + required
    return lengthy(1, head + lengthy(10, _either(parameter["schema"])))


# -- schemas


def _either(schema: Mapping[str, Any]) -> bytes:
    """A schema, or the name of one."""
    if "$ref" in schema:
        return lengthy(2, text(1, schema["$ref"]))
    return lengthy(1, _schema(schema))


def _schema(schema: Mapping[str, Any]) -> bytes:
    parts = [_FIELDS[name][1](_FIELDS[name][0], value) for name, value in schema.items() if name in _FIELDS]
    return b"".join((*parts, vendor(36, schema)))


def _double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def _yaml(value: Any) -> bytes:
    """Any value, as the YAML that JSON is."""
    return text(2, json.dumps(value, separators=(",", ":")))


def _default(field: int, value: Any) -> bytes:
    """Numbers, truth values and texts; of others the form can only say that there is one."""
    if isinstance(value, bool):
        return lengthy(field, flag(2, value))
    if isinstance(value, int | float):
        return lengthy(field, _double(1, value))
    return lengthy(field, text(3, value) if isinstance(value, str) else b"")


def _external_docs(field: int, docs: Mapping[str, str]) -> bytes:
    return lengthy(field, text(1, docs.get("description", "")) + text(2, docs["url"]))


def _other_properties(field: int, value: Any) -> bytes:
    return lengthy(field, flag(2, value) if isinstance(value, bool) else lengthy(1, _either(value)))


def _each(encode: Encode) -> Callable[[int, Any], bytes]:
    return lambda field, values: b"".join(lengthy(field, encode(value)) for value in values)


def _nonzero(encode: Callable[[int, Any], bytes]) -> Callable[[int, Any], bytes]:
    return lambda field, value: encode(field, value) if value else b""


def _whole(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


_TEXT, _FLAG, _NUMBER, _COUNT = (_nonzero(encode) for encode in (text, flag, _double, _whole))
_FIELDS: Mapping[str, tuple[int, Callable[[int, Any], bytes]]] = {
    "nullable": (1, _FLAG),
    "externalDocs": (6, _external_docs),
    "example": (7, lambda field, value: lengthy(field, _yaml(value))),
    "title": (9, _TEXT),
    "multipleOf": (10, _NUMBER),
    "maximum": (11, _NUMBER),
    "exclusiveMaximum": (12, _FLAG),
    "minimum": (13, _NUMBER),
    "exclusiveMinimum": (14, _FLAG),
    "maxLength": (15, _COUNT),
    "minLength": (16, _COUNT),
    "pattern": (17, _TEXT),
    "maxItems": (18, _COUNT),
    "minItems": (19, _COUNT),
    "uniqueItems": (20, _FLAG),
    "maxProperties": (21, _COUNT),
    "minProperties": (22, _COUNT),
    "required": (23, texts),
    "enum": (24, _each(_yaml)),
    "type": (25, _TEXT),
    "allOf": (26, _each(_either)),
    "oneOf": (27, _each(_either)),
    "anyOf": (28, _each(_either)),
    "not": (29, lambda field, value: lengthy(field, _schema(value))),
    "items": (30, lambda field, value: lengthy(field, lengthy(1, _either(value)))),
    "properties": (31, lambda field, values: lengthy(field, named(1, values, _either))),
    "additionalProperties": (32, _other_properties),
    "default": (33, _default),
    "description": (34, _TEXT),
    "format": (35, _TEXT),
}

"""OpenAPI version 2 in its protobuf form, which older clients ask for.

One table says for each message of the published format which of its fields we fill and how; the encoder walks a
version 2 document along it. Fields that the documents here never have are not in the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

MEDIA_TYPES = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
)
VENDOR_PREFIX = "x-"


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def lengthy(field: int, payload: bytes) -> bytes:
    """A field of length-delimited bytes (texts and messages)."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def text(field: int, value: str) -> bytes:
    return lengthy(field, value.encode())


def flag(field: int, value: bool) -> bytes:
    return varint(field << 3) + (b"\x01" if value else b"\x00")


def texts(field: int, values: list[str]) -> bytes:
    return b"".join(text(field, value) for value in values)


def named(field: int, values: Mapping[str, Any], encode: Callable[[Any], bytes]) -> bytes:
    """A map as repeated (name, value) messages."""
    return b"".join(lengthy(field, text(1, name) + lengthy(2, encode(value))) for name, value in values.items())


def vendor(field: int, values: Mapping[str, Any]) -> bytes:
    """The `x-` entries: each a name and its value as YAML (JSON is YAML)."""
    extensions = {name: value for name, value in values.items() if name.startswith(VENDOR_PREFIX)}
    return named(field, extensions, lambda value: text(2, json.dumps(value, separators=(",", ":"))))


def document(swagger: Mapping[str, Any]) -> bytes:
    """A whole version 2 document."""
    info = swagger["info"]
    encoder = _Encoder()
    return b"".join(
        (
            text(1, swagger["swagger"]),
            lengthy(2, text(1, info["title"]) + text(2, info["version"])),
            lengthy(8, named(2, swagger["paths"], encoder.path_item)),
            lengthy(9, named(1, swagger["definitions"], encoder.schema)),
        )
    )


class _Encoder:
    """Remembers parameters it has encoded: the same few are used thousands of times."""

    def __init__(self) -> None:
        self._parameters: dict[str, bytes] = {}

    def schema(self, schema: Mapping[str, Any]) -> bytes:
        parts = []
        for name, value in schema.items():
            if name in _SCHEMA_TEXTS:
                parts.append(text(_SCHEMA_TEXTS[name], value))
            elif name == "type":
                parts.append(lengthy(22, text(1, value)))
            elif name == "required":
                parts.append(texts(19, value))
            elif name == "items":
                parts.append(lengthy(23, lengthy(1, self.schema(value))))
            elif name == "properties":
                parts.append(lengthy(25, named(1, value, self.schema)))
            elif name == "additionalProperties":
                inner = flag(2, value) if isinstance(value, bool) else lengthy(1, self.schema(value))
                parts.append(lengthy(21, inner))
        parts.append(vendor(31, schema))
        return b"".join(parts)

    def path_item(self, item: Mapping[str, Any]) -> bytes:
        parts = [lengthy(field, self.operation(item[method])) for method, field in _METHODS.items() if method in item]
        parts += [lengthy(9, self.parameter(parameter)) for parameter in item.get("parameters", ())]
        return b"".join(parts)

    def operation(self, operation: Mapping[str, Any]) -> bytes:
        parts = [texts(1, operation["tags"]), text(3, operation["description"]), text(5, operation["operationId"])]
        parts += [texts(6, operation["produces"]), texts(7, operation.get("consumes", []))]
        parts += [lengthy(8, self.parameter(parameter)) for parameter in operation.get("parameters", ())]
        parts.append(lengthy(9, named(1, operation["responses"], self.response)))
        parts.append(texts(10, operation["schemes"]))
        parts.append(vendor(13, operation))
        return b"".join(parts)

    def response(self, response: Mapping[str, Any]) -> bytes:
        inner = text(1, response["description"])
        if "schema" in response:
            inner += lengthy(2, lengthy(1, self.schema(response["schema"])))
        return lengthy(1, inner)

    def parameter(self, parameter: Mapping[str, Any]) -> bytes:
        key = json.dumps(parameter)
        found = self._parameters.get(key)
        if found is None:
            found = self._parameters[key] = self._new_parameter(parameter)
        return found

    def _new_parameter(self, parameter: Mapping[str, Any]) -> bytes:
        place = parameter["in"]
        if place == "body":
            inner = text(2, parameter["name"]) + text(3, place)
            if parameter.get("required"):
                inner += flag(4, True)
            inner += lengthy(5, self.schema(parameter["schema"]))
            return lengthy(1, lengthy(1, inner))
        kind, unique, choice = _PLACES[place]
        inner = flag(1, True) if parameter.get("required") else b""
        inner += text(2, place) + text(3, parameter["description"]) + text(4, parameter["name"])
        inner += text(kind, parameter["type"]) + flag(unique, True)
        return lengthy(1, lengthy(2, lengthy(choice, inner)))


_SCHEMA_TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4}
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
# Where a parameter stands: the fields of its type and of uniqueItems, and which of the choices it is.
_PLACES = {"query": (6, 20, 3), "path": (5, 19, 4)}

"""Protobuf bodies: the four bytes `k8s\\0`, then a runtime.Unknown that wraps the object.

`decode` gives the plain JSON values that the same request would have had as JSON, so that everything after it is the
same. It reads wire bytes by a table (`schema/protobuf.json`, made by tools/protobuf_table.py). Fields that are not in
the table are left out, as protobuf has it. Answers are `protobuf_encoding.py`'s. Specified in "API concepts",
"Protobuf encoding idempotency" and "Resource encodings".
"""

from __future__ import annotations

import base64
import datetime
import functools
import importlib.resources
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from tiphys.machinery import timestamps
from tiphys.machinery.bounded_cache import bounded_cache

MAGIC = b"k8s\x00"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAXIMUM_DEPTH = 200

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_UNKNOWN_TYPE_META, _UNKNOWN_RAW, _UNKNOWN_ENCODING = 1, 2, 3
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
# Messages that wrap what JSON writes as a plain list of strings, and those that hold a JSON text.
LISTS_OF_TEXT = (
    f"{_META}.Verbs",
    "io.k8s.api.authentication.v1.AttestationValue",
    "io.k8s.api.authentication.v1.ExtraValue",
    "io.k8s.api.authorization.v1.ExtraValue",
    "io.k8s.api.certificates.v1.ExtraValue",
    "io.k8s.api.certificates.v1beta1.ExtraValue",
)
JSON_TEXTS = (f"{_META}.FieldsV1", "io.k8s.apimachinery.pkg.runtime.RawExtension", f"{_EXTENSIONS}.JSON")
# Pointers to strings for which the empty string says something else than leaving the field out.
_MEANT_EMPTY = frozenset({"storageClassName", "volumeAttributesClassName"})


class ProtobufError(ValueError):
    """The bytes are not what they should be; the message says where."""


@functools.cache
def table() -> dict[str, dict[int, tuple[str, str, str]]]:
    """Message -> field number -> (JSON name, type, flags); tools/protobuf_table.py says what those are."""
    data = importlib.resources.files("tiphys.kinds.schema").joinpath("protobuf.json").read_bytes()
    rows = msgspec.json.decode(data, type=dict[str, dict[int, list[str]]])
    return {
        message: {number: (row[0], row[1], row[2] if len(row) > 2 else "") for number, row in fields.items()}
        for message, fields in rows.items()
    }


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ProtobufError("a number is cut off or too long")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise ProtobufError("bytes stand where a number should")
    unsigned: int = value & 0xFFFFFFFFFFFFFFFF
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned


def _fields(data: memoryview | int) -> list[tuple[int, int, Any]]:
    """(field number, wire type, value) in the order of the bytes."""
    if isinstance(data, int):
        raise ProtobufError("a number stands where a message should")
    found: list[tuple[int, int, Any]] = []
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ProtobufError(f"illegal tag 0 (wire type {wire})")
        if wire == 0:
            value, position = _varint(data, position)
            found.append((number, wire, value))
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ProtobufError(f"wire type {wire} is not used by Kubernetes")
        if position + length > end:
            raise ProtobufError("a field is longer than its message")
        found.append((number, wire, data[position : position + length]))
        position += length
    return found


def _text(data: memoryview | int) -> str:
    if isinstance(data, int):
        raise ProtobufError("a number stands where a string should")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise ProtobufError(f"a string is not UTF-8: {error.reason}") from None


def _scalar(kind: str, wire: int, value: Any) -> Any:
    if kind == "string" and wire == 2:
        return _text(value)
    if kind == "bytes" and wire == 2:
        return base64.b64encode(value).decode()
    if kind == "int" and wire == 0:
        return _signed(value)
    if kind == "bool" and wire == 0:
        return bool(value)
    if kind == "double" and wire == 1:
        (found,) = struct.unpack("<d", value)
        return int(found) if found.is_integer() and abs(found) < 2**53 else found  # as JSON writes it
    raise ProtobufError(f"a {kind} cannot have wire type {wire}")


_ZERO = {"string": "", "bytes": "", "int": 0, "bool": False, "double": 0.0}


def _value(kind: str, wire: int, value: Any, depth: int) -> Any:
    if kind in _ZERO:
        return _scalar(kind, wire, value)
    if wire != 2:
        raise ProtobufError(f"a message cannot have wire type {wire}")
    special = _SPECIAL.get(kind)
    return special(value, depth) if special is not None else _message(kind, value, depth)


def _map_entry(kind: str, data: memoryview, depth: int) -> tuple[str, Any]:
    """A key alone stands for the zero value, as everywhere (null for a time)."""
    key, found, given = "", _ZERO.get(kind), kind in _ZERO
    for number, wire, value in _fields(data):
        if number == 1:
            key = _scalar("string", wire, value)
        elif number == 2:
            found, given = _value(kind, wire, value, depth), True
    return key, found if given else _value(kind, 2, memoryview(b""), depth)


def _packed(kind: str, data: memoryview) -> list[Any]:
    """Numbers one after the other in one field, as some encoders write a list of them."""
    found, position = [], 0
    while position < len(data):
        value, position = _varint(data, position)
        found.append(_scalar(kind, 0, value))
    return found


def _message(name: str, data: memoryview, depth: int) -> dict[str, Any]:
    """The plain object of a message's bytes."""
    if depth > MAXIMUM_DEPTH:
        raise ProtobufError("messages are nested too deeply")
    rows = table()[name]
    found: dict[str, Any] = {}
    fields = _fields(data)
    for number, wire, value in fields:
        row = rows.get(number)
        if row is None:
            continue
        key, kind, flags = row
        if key in found and wire == 2 and kind in table() and flags in ("", "z"):
            value = _joined(fields, number)
        if not flags:
            found[key] = _value(kind, wire, value, depth + 1)
        elif "m" in flags:
            map_key, map_value = _map_entry(kind, value, depth + 1)
            found.setdefault(key, {})[map_key] = map_value
        elif "r" in flags:
            packed = wire == 2 and kind in ("int", "bool")
            more = _packed(kind, value) if packed else [_value(kind, wire, value, depth + 1)]
            found.setdefault(key, []).extend(more)
        else:
            plain = _value(kind, wire, value, depth + 1)
            if "i" in flags:
                found.update(plain)
            elif "z" not in flags or plain or (plain == "" and key in _MEANT_EMPTY):
                found[key] = plain
    return found


def _joined(fields: list[tuple[int, int, Any]], number: int) -> memoryview:
    """A message that comes in parts: one after the other they are the whole one."""
    return memoryview(b"".join(part for each, wire, part in fields if each == number and wire == 2))


def _numbers(data: memoryview) -> dict[int, Any]:
    return {number: value for number, _, value in _fields(data)}


def _moment(data: memoryview) -> datetime.datetime:
    """Nanoseconds may be more than a second has, or negative: they are added up."""
    fields = _numbers(data)
    more, nanos = divmod(_signed(fields.get(2, 0)), 1_000_000_000)
    seconds = _signed(fields.get(1, 0)) + more
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(microsecond=nanos // 1000)
    except (OverflowError, ValueError, OSError):
        raise ProtobufError(f"a time is out of range: {seconds} s") from None


def _time(data: memoryview, depth: int) -> str | None:
    return timestamps.shown(_moment(data), "seconds") if data else None


def _micro_time(data: memoryview, depth: int) -> str | None:
    return timestamps.shown(_moment(data), "microseconds") if data else None


def _duration(data: memoryview, depth: int) -> str:
    return f"{_signed(_numbers(data).get(1, 0)) / 1e9:g}s"


def _quantity(data: memoryview, depth: int) -> str:
    value = _numbers(data).get(1)
    return _text(value) if value is not None else "0"


def _int_or_string(data: memoryview, depth: int) -> int | str:
    fields = _numbers(data)
    if fields.get(1, 0) == 1:
        return _text(fields[3]) if 3 in fields else ""
    return _signed(fields.get(2, 0))


def _raw_json(data: memoryview, depth: int) -> Any:
    raw = _numbers(data).get(1)
    if isinstance(raw, int):
        raise ProtobufError("a number stands where an embedded object should")
    if raw is None or not len(raw):
        return None
    if bytes(raw[:4]) == MAGIC:
        return decode(bytes(raw), depth + 1)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtobufError(f"an embedded object is not JSON: {error}") from None


def _list_of_text(data: memoryview, depth: int) -> list[str]:
    return [_text(value) for number, _, value in _fields(data) if number == 1]


_PROPS = f"{_EXTENSIONS}.JSONSchemaProps"


def _props_or_array(data: memoryview, depth: int) -> Any:
    fields = _fields(data)
    many = [_message(_PROPS, value, depth + 1) for number, _, value in fields if number == 2]
    one = [_message(_PROPS, value, depth + 1) for number, _, value in fields if number == 1]
    return many or (one[0] if one else {})


def _props_or_bool(data: memoryview, depth: int) -> Any:
    fields = _numbers(data)
    return _message(_PROPS, fields[2], depth + 1) if 2 in fields else bool(fields.get(1, 0))


def _props_or_strings(data: memoryview, depth: int) -> Any:
    fields = _numbers(data)
    if 1 in fields:
        return _message(_PROPS, fields[1], depth + 1)
    return [_text(value) for number, _, value in _fields(data) if number == 2]


_SPECIAL: dict[str, Callable[[memoryview, int], Any]] = {
    **dict.fromkeys(LISTS_OF_TEXT, _list_of_text),
    **dict.fromkeys(JSON_TEXTS, _raw_json),
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    f"{_META}.Duration": _duration,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    f"{_EXTENSIONS}.JSONSchemaPropsOrArray": _props_or_array,
    f"{_EXTENSIONS}.JSONSchemaPropsOrBool": _props_or_bool,
    f"{_EXTENSIONS}.JSONSchemaPropsOrStringArray": _props_or_strings,
}


@bounded_cache(1024)
def definition_of(api_version: str, kind: str) -> str:
    """The message of an apiVersion and kind. ProtobufError for one that is not known."""
    group, _, version = api_version.rpartition("/")
    package = {"": "core", "apiextensions.k8s.io": "", "apiregistration.k8s.io": ""}.get(group, group.split(".")[0])
    candidates = [f"io.k8s.api.{package}.{version}.{kind}", f"{_META}.{kind}"]
    if group == "apiextensions.k8s.io":
        candidates = [f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}", candidates[1]]
    if group == "apiregistration.k8s.io":
        candidates = [f"io.k8s.kube-aggregator.pkg.apis.apiregistration.{version}.{kind}", candidates[1]]
    for candidate in candidates:
        if candidate in table():
            return candidate
    raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')


def decode(body: bytes, depth: int = 0) -> dict[str, Any]:
    """The plain object, with its apiVersion and kind. ProtobufError."""
    if body[:4] != MAGIC:
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    raw = memoryview(b"")
    for number, _, value in _fields(memoryview(body)[4:]):
        if number == _UNKNOWN_TYPE_META:
            names = {n: _text(v) for n, _, v in _fields(value)}
            api_version, kind = names.get(1, ""), names.get(2, "")
        elif number == _UNKNOWN_RAW:
            raw = value
        elif number == _UNKNOWN_ENCODING and _text(value):
            raise ProtobufError(f"content encoding {_text(value)!r} is not supported")
    return {"apiVersion": api_version, "kind": kind, **_message(definition_of(api_version, kind), raw, depth)}

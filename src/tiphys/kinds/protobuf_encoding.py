"""Protobuf answers: plain JSON values to what `protobuf.decode` reads, by the same table.

Fields go out in the order of their numbers and maps in the order of their keys, so equal objects have equal bytes. A
field that the JSON leaves out is left out here too: for readers that is the same as its zero value, and a pointer must
stay unset. What nothing in the table describes (custom resources, Tables) cannot be encoded. Specified in "API
concepts", "Protobuf encoding" and "Resource encodings".
"""

from __future__ import annotations

import base64
import datetime
import functools
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from tiphys.kinds import protobuf
from tiphys.kinds.protobuf import MAGIC, ProtobufError
from tiphys.machinery import timestamps

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
_PROPS = f"{_EXTENSIONS}.JSONSchemaProps"
_64_BITS = 0xFFFFFFFFFFFFFFFF
_to_json = msgspec.json.Encoder().encode

# A value to its bytes, the length first where there is one, without the tag.
Write = Callable[[Any], bytes]


def _varint(value: int) -> bytes:
    value &= _64_BITS
    if value < 0x80:
        return value.to_bytes(1)
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


_SHORT = tuple(bytes([length]) for length in range(0x80))


def _sized(data: bytes) -> bytes:
    length = len(data)
    return (_SHORT[length] if length < 0x80 else _varint(length)) + data


def _text(value: Any) -> bytes:
    return _sized(str(value).encode())


def _bytes(value: Any) -> bytes:
    return _sized(base64.b64decode(value))


def _boolean(value: Any) -> bytes:
    return b"\x01" if value else b"\x00"


def _double(value: Any) -> bytes:
    return struct.pack("<d", value)


_SCALARS: Mapping[str, tuple[int, Write]] = {
    "string": (2, _text),
    "bytes": (2, _bytes),
    "int": (0, _varint),
    "bool": (0, _boolean),
    "double": (1, _double),
}


def _number_field(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _data_field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _sized(data)


def _instant(value: str) -> tuple[int, int]:
    """(seconds, nanoseconds) of a time in RFC 3339."""
    moment = datetime.datetime.fromisoformat(timestamps.parse_micro_time(value))
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()), moment.microsecond * 1000


@functools.lru_cache(maxsize=4096)
def _time(value: Any) -> bytes:
    if value is None:  # in a map
        return b""
    return _number_field(1, _instant(value)[0]) + _number_field(2, 0)


def _micro_time(value: Any) -> bytes:
    seconds, nanos = _instant(value)
    return _number_field(1, seconds) + _number_field(2, nanos)


def _quantity(value: Any) -> bytes:
    return _data_field(1, str(value).encode())


def _int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return _number_field(1, 1) + _number_field(2, 0) + _data_field(3, value.encode())
    return _number_field(1, 0) + _number_field(2, value) + _data_field(3, b"")


def _raw_json(value: Any) -> bytes:
    return _data_field(1, _to_json(value))


def _list_of_text(value: Any) -> bytes:
    return b"".join([_data_field(1, item.encode()) for item in value])


def _schema(value: Any) -> bytes:
    """A schema; nothing for what JSON took for one and is none."""
    return message(_PROPS, value) if isinstance(value, dict) else b""


def _props_or_array(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join([_data_field(2, _schema(item)) for item in value])
    return _data_field(1, _schema(value))


def _props_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return _number_field(1, value)
    return _number_field(1, 1) + _data_field(2, _schema(value))


def _props_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join([_data_field(2, str(item).encode()) for item in value])
    return _data_field(1, _schema(value))


_SPECIAL: Mapping[str, Write] = {
    **dict.fromkeys(protobuf.LISTS_OF_TEXT, _list_of_text),
    **dict.fromkeys(protobuf.JSON_TEXTS, _raw_json),
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    f"{_EXTENSIONS}.JSONSchemaPropsOrArray": _props_or_array,
    f"{_EXTENSIONS}.JSONSchemaPropsOrBool": _props_or_bool,
    f"{_EXTENSIONS}.JSONSchemaPropsOrStringArray": _props_or_strings,
}


def _write(kind: str) -> tuple[int, Write]:
    """(wire type, writer) of a type in the table."""
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar
    body = _SPECIAL.get(kind) or functools.partial(message, kind)
    return 2, lambda value: _sized(body(value))


def _map_writer(kind: str) -> Write:
    wire, write = _write(kind)
    tag = _varint(2 << 3 | wire)

    def entry(item: tuple[str, Any]) -> bytes:
        return _sized(_data_field(1, item[0].encode()) + tag + write(item[1]))

    return entry


@functools.cache
def _plan(name: str) -> tuple[tuple[str, bytes, Write, str], ...]:
    """(JSON name, tag, writer, flags) of each field of a message, by number."""
    found = []
    for number, (key, kind, flags) in sorted(protobuf.table()[name].items()):
        wire, write = _write(kind)
        if "m" in flags:
            wire, write = 2, _map_writer(kind)
        found.append((key, _varint(number << 3 | wire), write, flags.strip("z")))
    return tuple(found)


def message(name: str, plain: Mapping[str, Any]) -> bytes:
    """The bytes of one message. What the table does not know is left out."""
    parts: list[bytes] = []
    get = plain.get
    for key, tag, write, flags in _plan(name):
        value = get(key)
        if value is None:
            if flags == "i":  # JSON has its fields among ours
                data = write(plain)
                if data != b"\x00":
                    parts += (tag, data)
            continue
        if not flags:
            parts += (tag, write(value))
        elif flags == "m":
            for item in sorted(value.items()):
                parts += (tag, write(item))
        else:
            for item in value:
                parts += (tag, write(item))
    return b"".join(parts)


def wrapped(api_version: str, kind: str, raw: bytes) -> bytes:
    """A message in the envelope that every body has."""
    names = _data_field(1, api_version.encode()) + _data_field(2, kind.encode())
    return b"".join((MAGIC, _data_field(1, names), _data_field(2, raw), _data_field(3, b""), _data_field(4, b"")))


def encode(plain: Mapping[str, Any]) -> bytes:
    """A whole body from an object with its apiVersion and kind. ProtobufError for a kind without messages."""
    api_version, kind = plain.get("apiVersion", ""), plain.get("kind", "")
    return wrapped(api_version, kind, message(protobuf.definition_of(api_version, kind), plain))


def encode_list(
    api_version: str, list_kind: str, metadata: Mapping[str, Any], item_kind: str, items: Iterable[Mapping[str, Any]]
) -> bytes:
    """A whole body that lists objects of one kind, those of `api_version`. ProtobufError."""
    definition = protobuf.definition_of(api_version, item_kind)
    parts = [_data_field(1, message(f"{_META}.ListMeta", metadata))]
    parts += [_data_field(2, message(definition, item)) for item in items]
    return wrapped(api_version, list_kind, b"".join(parts))


def watch_frame(event_type: str, body: bytes) -> bytes:
    """One event of a watch: its length in four bytes, then a WatchEvent whose object is a whole body."""
    event = _data_field(1, event_type.encode()) + _data_field(2, _data_field(1, body))
    return len(event).to_bytes(4) + event


def has_messages(api_version: str, kind: str) -> bool:
    """Whether objects of a kind can be encoded."""
    try:
        protobuf.definition_of(api_version, kind)
    except ProtobufError:
        return False
    return True

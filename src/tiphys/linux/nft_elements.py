"""Elements of nftables sets and maps as netlink messages: what nft's library does for text, without reading the
whole table first.

The library fetches every element of a table before it adds one; at tens of thousands that costs far more than the
change. Only elements are handled here, of the few types that `SetLayout` knows; everything else goes by text.
Keys and data are the kernel's bytes: each part padded to four bytes, addresses and ports in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

_SUBSYSTEM = 10
_NEW, _GET, _DELETE = (_SUBSYSTEM << 8 | kind for kind in (12, 13, 14))
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_REQUEST, _ACK, _DUMP, _CREATE = 0x1, 0x4, 0x300, 0x400
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_FAMILIES = {"ip": 2, "ip6": 10}
_VERDICTS = {"drop": 0, "accept": 1, "jump": -3, "goto": -4}
# A message's list of elements is one attribute, whose length has 16 bits.
_MAXIMUM_LIST_BYTES = 48 << 10

_HEADER = struct.Struct("=IHHII")


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + _padded(value)


def _attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, position)
        if length < 4:
            return
        yield kind & 0x3FFF, payload[position + 4 : position + length]
        position += length + (-length % 4)


_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


def _class_id(text: str) -> bytes:
    major, _, minor = text.partition(":")
    return struct.pack("=I", int(major, 16) << 16 | int(minor, 16))


_TYPES: Mapping[str, Callable[[str], bytes]] = {
    "ipv4_addr": lambda text: IPv4Address(text).packed,
    "ipv6_addr": lambda text: IPv6Address(text).packed,
    "inet_proto": lambda text: bytes([_PROTOCOL_NUMBERS[text]]),
    "inet_service": lambda text: struct.pack(">H", int(text)),
    "classid": _class_id,
}


@dataclass(frozen=True, slots=True)
class SetLayout:
    """The types of a set's keys, and of its data: () for a set, ("verdict",) for a verdict map."""

    key: tuple[str, ...]
    data: tuple[str, ...]

    def key_bytes(self, text: str) -> bytes:
        """ "10.96.0.1 . tcp . 80" as the kernel keeps it."""
        return _concatenated(self.key, text)

    def data_bytes(self, text: str) -> bytes:
        """What NFTA_SET_ELEM_DATA holds: a verdict ("goto NAME") or a value; b"" in a set."""
        if not self.data:
            return b""
        if self.data == ("verdict",):
            word, _, chain = text.partition(" ")
            verdict = _attribute(1, struct.pack(">i", _VERDICTS[word]))
            if chain:
                verdict += _attribute(2, chain.encode() + b"\0")
            return _attribute(2 | _NESTED, verdict)
        return _attribute(1, _concatenated(self.data, text))


def _concatenated(types: tuple[str, ...], text: str) -> bytes:
    parts = text.split(" . ")
    packed = [_TYPES[kind](part) for kind, part in zip(types, parts, strict=True)]
    return b"".join(map(_padded, packed)) if len(packed) > 1 else packed[0]


def parse_layout(definition: str) -> SetLayout:
    """Reads "map NAME { type ipv4_addr . inet_service : verdict; }"."""
    types = definition.partition("{ type ")[2].partition(";")[0]
    key, _, data = types.partition(" : ")
    return SetLayout(tuple(key.split(" . ")), tuple(data.split(" . ")) if data else ())


@dataclass(frozen=True, slots=True)
class Element:
    """An element by its bytes."""

    set_name: str
    key: bytes
    data: bytes = b""


def _message(kind: int, flags: int, sequence: int, family: int, resource: int, payload: bytes) -> bytes:
    body = struct.pack("=BB", family, 0) + struct.pack(">H", resource) + payload
    return _HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body


def _list_messages(
    kind: int, flags: int, elements: Iterable[Element], family: str, table: str, sequence: int
) -> list[bytes]:
    """Messages for runs of elements of the same set."""
    messages: list[bytes] = []
    items: list[bytes] = []
    name, size = "", 0

    def close() -> None:
        if items:
            payload = _attribute(1, table.encode() + b"\0") + _attribute(2, name.encode() + b"\0")
            payload += _attribute(3 | _NESTED, b"".join(items))
            messages.append(_message(kind, flags, sequence + len(messages), _FAMILIES[family], 0, payload))

    for element in elements:
        item = _attribute(1 | _NESTED, _attribute(1, element.key))
        if element.data and kind == _NEW:
            item += _attribute(2 | _NESTED, element.data)
        packed = _attribute(1 | _NESTED, item)
        if element.set_name != name or size + len(packed) > _MAXIMUM_LIST_BYTES:
            close()
            name, items, size = element.set_name, [], 0
        items.append(packed)
        size += len(packed)
    close()
    return messages


def batch(
    family: str, table: str, removed: Iterable[Element], added: Iterable[Element], sequence: int
) -> tuple[bytes, int]:
    """One transaction, and the sequence number whose acknowledgement says that it is done."""
    messages = _list_messages(_DELETE, _REQUEST, removed, family, table, sequence + 1)
    messages += _list_messages(_NEW, _REQUEST | _CREATE, added, family, table, sequence + 1 + len(messages))
    last = bytearray(messages[-1])
    flags = struct.unpack_from("=H", last, 6)[0] | _ACK
    struct.pack_into("=H", last, 6, flags)
    messages[-1] = bytes(last)
    begin = _message(_BATCH_BEGIN, _REQUEST, sequence, 0, _SUBSYSTEM, b"")
    end = _message(_BATCH_END, _REQUEST, sequence + 1 + len(messages), 0, _SUBSYSTEM, b"")
    return begin + b"".join(messages) + end, sequence + len(messages)


def dump_request(family: str, table: str, set_name: str, sequence: int) -> bytes:
    """Asks for all elements of a set."""
    payload = _attribute(1, table.encode() + b"\0") + _attribute(2, set_name.encode() + b"\0")
    return _message(_GET, _REQUEST | _DUMP, sequence, _FAMILIES[family], 0, payload)


@dataclass(frozen=True, slots=True)
class Reply:
    """One message from the kernel: `error` is an errno (0: done well), None for data."""

    sequence: int
    error: int | None
    is_last: bool
    payload: bytes


def parse_replies(received: bytes) -> Iterator[Reply]:
    position = 0
    while position + 16 <= len(received):
        length, kind, _, sequence, _ = _HEADER.unpack_from(received, position)
        if length < 16:
            return
        payload = received[position + 16 : position + length]
        if kind in (_ERROR, _DONE):
            code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
            yield Reply(sequence, code, kind == _DONE, payload)
        else:
            yield Reply(sequence, None, False, payload)
        position += length + (-length % 4)


def parse_elements(set_name: str, payload: bytes) -> Iterator[Element]:
    """The elements in one data message of a dump; data in the form that `SetLayout.data_bytes` gives."""
    for kind, value in _attributes(payload[4:]):
        if kind != 3:
            continue
        for _, item in _attributes(value):
            parts = dict(_attributes(item))
            key = dict(_attributes(parts.get(1, b""))).get(1, b"")
            yield Element(set_name, key, _canonical(parts[2]) if 2 in parts else b"")


def _canonical(data: bytes) -> bytes:
    """The kernel may leave the nesting flag out or order differently: write the data as we would."""
    inner = dict(_attributes(data))
    if 2 not in inner:
        return _attribute(1, inner.get(1, b""))
    verdict = dict(_attributes(inner[2]))
    packed = _attribute(1, verdict.get(1, b""))
    if 2 in verdict:
        packed += _attribute(2, verdict[2])
    return _attribute(2 | _NESTED, packed)

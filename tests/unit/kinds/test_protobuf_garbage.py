"""Whatever bytes a client sends as protobuf, they are an object of the wanted type or a request error."""

from __future__ import annotations

import os
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from random_objects import random_object

from tiphys.apiserver import encoding
from tiphys.kinds import codec, protobuf, protobuf_encoding, registry
from tiphys.machinery.errors import ApiError

EXAMPLES = 300 * int(os.environ.get("FUZZ_TIMES", "1"))
RESOURCES = [each for each in registry.all_resources() if each.kind != "CustomResourceDefinition"]
EXTREMES = (0, 1, 5, 10**9, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
LENGTHS = (1, 4, 8)


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def delimited(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def garbled(kind: str, draw: random.Random, depth: int = 0) -> bytes:
    """A message of the table with fields of any wire type: most as they should be, some not."""
    found = b""
    rows = protobuf.table().get(kind, {})
    for number in draw.sample(sorted(rows), draw.randint(0, min(4, len(rows)))):
        _, of, flags = rows[number]
        nested = of in protobuf.table()
        if not draw.randrange(12):
            found += varint(number << 3 | draw.choice((0, 1, 2, 5))) + draw.randbytes(draw.choice(LENGTHS))
        elif "m" in flags:
            value = garbled(of, draw, depth + 1) if nested else draw.randbytes(3)
            found += delimited(number, delimited(1, b"key") + delimited(2, value))
        elif nested and depth < 12:
            found += delimited(number, garbled(of, draw, depth + 1))
        elif of in ("int", "bool"):
            found += varint(number << 3) + varint(draw.choice(EXTREMES))
        else:
            found += delimited(number, draw.choice((b"", b"a", b"1", b"-1Gi", b"{}", b"[1", b'"x"', b"\xff", b"null")))
    if not draw.randrange(3):  # the numbers of messages that the table does not describe: times, amounts
        found += b"".join(varint(number << 3) + varint(draw.choice(EXTREMES)) for number in (1, 2, 3))
    return found


def is_object_or_request_error(resource: registry.Resource, body: bytes) -> bool:
    try:
        obj, _ = encoding.decode_body(
            body, protobuf.MEDIA_TYPE, resource.type, resource.api_version, resource.kind, "Strict"
        )
    except ApiError as error:
        return error.code == 400
    codec.decode(codec.encode(obj), resource.type)
    return isinstance(obj, resource.type)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(range(len(RESOURCES))), st.integers(0, 2**32))
def test_messages_with_wrong_fields(position: int, seed: int) -> None:
    resource, draw = RESOURCES[position], random.Random(seed)
    raw = garbled(protobuf.definition_of(resource.api_version, resource.kind), draw)
    known = delimited(1, resource.api_version.encode()) + delimited(2, resource.kind.encode())
    body = protobuf.MAGIC + delimited(1, known) + delimited(2, raw)
    assert is_object_or_request_error(resource, body)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(range(len(RESOURCES))), st.integers(0, 2**32))
def test_bodies_with_some_other_bytes(position: int, seed: int) -> None:
    resource, draw = RESOURCES[position], random.Random(seed)
    plain = codec.plain(random_object(resource.type, random.Random(seed)))
    body = bytearray(protobuf_encoding.encode({**plain, "apiVersion": resource.api_version, "kind": resource.kind}))
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(protobuf.MAGIC), len(body))
        body[at : at + draw.choice((0, 1, 1, 1, 9))] = draw.randbytes(draw.choice((0, 1, 1, 1, 9)))
    assert is_object_or_request_error(resource, bytes(body))

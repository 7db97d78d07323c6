"""DNS messages as bytes: reads a query, writes answers from `records.py`.

This is the fast way for the queries that clients send all day: one question, class IN, no more than an EDNS option
record. Anything else `parse_query` refuses, and the server hands it to dnspython. Names in answers are compressed
against the question only. An answer that is too long for the client is cut down to the question with the TC bit: it
comes again by TCP.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address

from tiphys.dns.records import Records, Zone

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
HEADER_LENGTH = 12
PLAIN_UDP_LENGTH = 512
# What fits through any link without fragments.
MAXIMUM_UDP_LENGTH = 1232

_HEADER = struct.Struct(">HHHHHH")
_FIXED = struct.Struct(">HHIH")


@dataclass(frozen=True, slots=True)
class Query:
    """`name` is lower case without the last dot ("" is the root). `question` are the question's own bytes, kept as
    sent so that the answer repeats the client's upper and lower case. `udp_length` is what the client takes over
    UDP; `has_edns` says that it sent an OPT record."""

    identifier: int
    recursion_desired: bool
    name: str
    type: int
    question: bytes
    udp_length: int
    has_edns: bool


def parse_query(message: bytes) -> Query | None:
    """The query, or None when it is not of the plain kind."""
    if len(message) < HEADER_LENGTH + 5:
        return None
    identifier, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(message)
    # QR, opcode, TC must be zero; RD, AD, CD may be set.
    if flags & 0xFA00 or questions != 1 or answers or authorities or additionals > 1:
        return None
    labels = []
    position = HEADER_LENGTH
    length = len(message)
    while True:
        size = message[position]
        position += 1
        if size == 0:
            break
        if size > 63 or position + size >= length:
            return None
        labels.append(message[position : position + size])
        position += size
    end = position + 4
    if end > length or position - HEADER_LENGTH > 255:
        return None
    kind, class_ = struct.unpack_from(">HH", message, position)
    if class_ != 1:
        return None
    udp_length, has_edns = PLAIN_UDP_LENGTH, False
    if additionals:
        if not _is_plain_edns(message, end):
            return None
        udp_length = max(PLAIN_UDP_LENGTH, struct.unpack_from(">H", message, end + 3)[0])
        has_edns = True
    elif end != length:
        return None
    try:
        name = b".".join(labels).decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    return Query(
        identifier,
        bool(flags & 0x0100),
        name,
        kind,
        message[HEADER_LENGTH:end],
        min(udp_length, MAXIMUM_UDP_LENGTH),
        has_edns,
    )


def _is_plain_edns(message: bytes, start: int) -> bool:
    """One OPT record of version 0 to the end of the message; its options may be anything."""
    if len(message) < start + 11 or message[start] != 0:
        return False
    kind, _, extended, length = struct.unpack_from(">HHIH", message, start + 1)
    return bool(kind == OPT and extended >> 16 & 0xFF == 0 and start + 11 + length == len(message))


def pack_name(name: str) -> bytes:
    """A name as labels, without compression. Raises ValueError for one that DNS cannot carry."""
    packed = b""
    for label in name.split(".") if name else ():
        raw = label.encode()
        if not 0 < len(raw) < 64:
            raise ValueError(f"label {label!r} in {name!r}")
        packed += bytes([len(raw)]) + raw
    return packed + b"\0"


_TO_QUESTION = b"\xc0\x0c"


def _record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return owner + _FIXED.pack(kind, 1, ttl, len(data)) + data


class Answerer:
    """Answers from a zone. `ttl_seconds` is how long clients may keep an answer, `negative_ttl_seconds` a no."""

    def __init__(self, zone: Zone, ttl_seconds: int = 5, negative_ttl_seconds: int = 5) -> None:
        self.zone = zone
        self.ttl_seconds = ttl_seconds
        self._negative_ttl = negative_ttl_seconds
        self._prebuilt: dict[tuple[str, int], tuple[Records | None, list[bytes], list[bytes], int]] = {}
        self._prebuilt_serial = 0
        self._authority = b""
        self._authority_serial = 0
        self._turn = 0

    def authority(self) -> bytes:
        """The SOA record that goes with a no."""
        if self._authority_serial != self.zone.serial:
            self._authority, self._authority_serial = self._build_authority(), self.zone.serial
        return self._authority

    def _build_authority(self) -> bytes:
        data = (
            pack_name(f"ns.dns.{self.zone.domain}")
            + pack_name(f"hostmaster.{self.zone.domain}")
            + struct.pack(">IIIII", self.zone.serial, 7200, 1800, 86400, self._negative_ttl)
        )
        return _record(pack_name(self.zone.domain), SOA, self._negative_ttl, data)

    def answer(self, query: Query, *, over_tcp: bool = False) -> bytes:
        """The whole answer to a query for a name in the zone."""
        answers, additionals, code = self._sections(query.name, query.type)
        if len(answers) > 1:
            # Another first address each time: many clients take the first.
            self._turn += 1
            turn = self._turn % len(answers)
            answers = answers[turn:] + answers[:turn]
        authorities = [] if answers else [self.authority()]
        limit = 65535 if over_tcp else query.udp_length
        return build(query, code, answers, authorities, additionals, limit)

    def external_name(self, query: Query) -> str:
        """Where the query's name leads outside (ExternalName), "" when it does not; the server asks on for it."""
        records = self.zone.lookup(query.name)
        return records.cname if records else ""

    def cname_record(self, target: str) -> bytes:
        return _record(_TO_QUESTION, CNAME, self.ttl_seconds, pack_name(target))

    def _sections(self, name: str, kind: int) -> tuple[list[bytes], list[bytes], int]:
        if self._prebuilt_serial != self.zone.serial:
            self._prebuilt.clear()
            self._prebuilt_serial = self.zone.serial
        records = self.zone.lookup(name)
        found = self._prebuilt.get((name, kind))
        if found is not None and found[0] is records:
            return found[1], found[2], found[3]
        if records is None:
            return [], [], NXDOMAIN
        answers = self._answers(name, kind, records)
        additionals = self._additionals(records) if kind == SRV else []
        # Synthesized records (pods) are new objects each time and would fill the table.
        if self.zone.lookup(name) is records:
            self._prebuilt[name, kind] = (records, answers, additionals, NOERROR)
        return answers, additionals, NOERROR

    def _answers(self, name: str, kind: int, records: Records) -> list[bytes]:
        ttl = self.ttl_seconds
        answers: list[bytes] = []
        if name == self.zone.domain and kind in (SOA, ANY):
            authority = self.authority()
            answers.append(authority)
        if name == self.zone.domain and kind in (NS, ANY):
            answers.append(_record(_TO_QUESTION, NS, ttl, pack_name(f"ns.dns.{self.zone.domain}")))
        if records.cname:
            answers.append(self.cname_record(records.cname))
        if kind in (A, ANY):
            answers += [_record(_TO_QUESTION, A, ttl, ip_address(each).packed) for each in records.a]
        if kind in (AAAA, ANY):
            answers += [_record(_TO_QUESTION, AAAA, ttl, ip_address(each).packed) for each in records.aaaa]
        if kind in (SRV, ANY):
            answers += [
                _record(
                    _TO_QUESTION,
                    SRV,
                    ttl,
                    struct.pack(">HHH", each.priority, each.weight, each.port) + pack_name(each.target),
                )
                for each in records.srv
            ]
        if kind in (PTR, ANY):
            answers += [_record(_TO_QUESTION, PTR, ttl, pack_name(each)) for each in records.ptr]
        if kind in (TXT, ANY) and records.txt:
            text = records.txt.encode()
            answers.append(_record(_TO_QUESTION, TXT, ttl, bytes([len(text)]) + text))
        return answers

    def _additionals(self, records: Records) -> list[bytes]:
        """The addresses of the names that service records lead to."""
        found = []
        for target in dict.fromkeys(each.target for each in records.srv):
            says = self.zone.lookup(target)
            if says is not None:
                owner = pack_name(target)
                found += [_record(owner, A, self.ttl_seconds, ip_address(each).packed) for each in says.a]
                found += [_record(owner, AAAA, self.ttl_seconds, ip_address(each).packed) for each in says.aaaa]
        return found


def build(
    query: Query,
    code: int,
    answers: list[bytes],
    authorities: list[bytes],
    additionals: list[bytes],
    limit: int,
    *,
    authoritative: bool = True,
) -> bytes:
    """An answer of at most `limit` bytes: without the additional records, or cut down, where all would be too long."""
    edns = b"\0" + struct.pack(">HHIH", OPT, MAXIMUM_UDP_LENGTH, 0, 0) if query.has_edns else b""
    flags = 0x8080 | (0x0400 if authoritative else 0) | (0x0100 if query.recursion_desired else 0) | code
    room = limit - HEADER_LENGTH - len(query.question) - len(edns)
    body = b"".join(answers) + b"".join(authorities)
    if len(body) > room:
        flags |= 0x0200
        answers, authorities, additionals, body = [], [], [], b""
    more = b"".join(additionals)
    if len(body) + len(more) > room:
        additionals, more = [], b""
    header = _HEADER.pack(
        query.identifier, flags, 1, len(answers), len(authorities), len(additionals) + (1 if edns else 0)
    )
    return header + query.question + body + more + edns


def failure(message: bytes, code: int) -> bytes:
    """An answer that says no more than a code, to any message with a header; b"" to anything shorter or to an
    answer."""
    if len(message) < HEADER_LENGTH or message[2] & 0x80:
        return b""
    identifier, flags = struct.unpack_from(">HH", message)
    return _HEADER.pack(identifier, 0x8080 | flags & 0x7900 | code, 0, 0, 0, 0)

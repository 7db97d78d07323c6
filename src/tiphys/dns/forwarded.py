"""Answers of other name servers: which one belongs to a question, how long it may be kept, how it looks when it is
older.

Answers stay bytes: only the identifier and the times to live in them are rewritten. The table is bounded and forgets
the oldest; a question is known by all its bytes but the identifier, so flags, case and options never mix.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass

from tiphys.dns.wire import HEADER_LENGTH, NOERROR, NXDOMAIN, OPT


@dataclass(frozen=True, slots=True)
class _Kept:
    message: bytes
    ttl_offsets: tuple[int, ...]
    stored_at: float
    expires_at: float


def _skip_name(message: bytes, position: int) -> int:
    while True:
        size = message[position]
        if size == 0:
            return position + 1
        if size & 0xC0 == 0xC0:
            return position + 2
        position += size + 1


def ttl_offsets(message: bytes) -> tuple[list[int], list[int]] | None:
    """Where the times to live stand in a message, and what they are, of all records but OPT; None for a broken
    message."""
    try:
        _, _, questions, *counts = struct.unpack_from(">HHHHHH", message)
        position = HEADER_LENGTH
        for _ in range(questions):
            position = _skip_name(message, position) + 4
        offsets, values = [], []
        for _ in range(sum(counts)):
            position = _skip_name(message, position)
            kind, _, ttl, length = struct.unpack_from(">HHIH", message, position)
            if kind != OPT:
                offsets.append(position + 4)
                values.append(ttl)
            position += 10 + length
    except (struct.error, IndexError):
        return None
    return (offsets, values) if position <= len(message) else None


def belongs(question: bytes, answer: bytes) -> bool:
    """Whether an answer is one to this query: identifier, the answer bit, the very question."""
    if len(answer) < HEADER_LENGTH or answer[:2] != question[:2] or not answer[2] & 0x80:
        return False
    if struct.unpack_from(">H", answer, 4)[0] == 0:
        return True  # errors may come without the question
    try:
        end = _skip_name(question, HEADER_LENGTH) + 4
    except IndexError:
        return False
    return answer[HEADER_LENGTH:end].lower() == question[HEADER_LENGTH:end].lower()


class AnswerCache:
    """A small table of foreign answers. Times are seconds of a monotonic clock."""

    def __init__(self, maximum_entries: int = 4096, maximum_seconds: float = 30.0) -> None:
        self._maximum_entries = maximum_entries
        self._maximum_seconds = maximum_seconds
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, query: bytes, now: float) -> bytes | None:
        """The kept answer to a query, with its identifier and the times to live that are left."""
        key = query[2:]
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now >= kept.expires_at:
            del self._kept[key]
            return None
        message = bytearray(kept.message)
        message[:2] = query[:2]
        age = int(now - kept.stored_at)
        for offset in kept.ttl_offsets:
            (ttl,) = struct.unpack_from(">I", message, offset)
            struct.pack_into(">I", message, offset, max(0, ttl - age))
        return bytes(message)

    def put(self, query: bytes, answer: bytes, now: float) -> None:
        """Keep an answer if it may be kept: whole, a yes or a no, with times to live above zero."""
        (flags,) = struct.unpack_from(">H", answer, 2)
        found = ttl_offsets(answer)
        if flags & 0x0200 or flags & 0x000F not in (NOERROR, NXDOMAIN) or found is None or not found[1]:
            return
        seconds = min(min(found[1]), self._maximum_seconds)
        if seconds <= 0:
            return
        self._kept[query[2:]] = _Kept(answer, tuple(found[0]), now, now + seconds)
        self._kept.move_to_end(query[2:])
        while len(self._kept) > self._maximum_entries:
            self._kept.popitem(last=False)

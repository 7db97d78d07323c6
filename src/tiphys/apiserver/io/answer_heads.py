"""The header lines that every answer has: its id in the audit log, and the time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate

DRAWN_AT_ONCE = 256


def audit_ids() -> Iterator[str]:
    """Random UUIDs (RFC 9562, version 4). Random bytes are drawn for many: asking for few costs nearly as much."""
    while True:
        drawn = os.urandom(16 * DRAWN_AT_ONCE).hex()
        for at in range(0, len(drawn), 32):
            digits = drawn[at : at + 32]
            yield f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class AnswerHeads:
    """`now` in seconds since the epoch."""

    def __init__(self, now: Callable[[], float], new_id: Callable[[], str] | None = None) -> None:
        self._now = now
        self._new_id = new_id or audit_ids().__next__
        self._second = -1
        self._date = b""

    def lines(self, request_headers: Mapping[str, str]) -> bytes:
        """Each ends in CRLF. A client that gives its request an id finds it again in the answer."""
        second = int(self._now())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        audit_id = request_headers.get("audit-id") or self._new_id()
        return b"Audit-Id: %s\r\nDate: %s\r\n" % (audit_id.encode("latin-1"), self._date)

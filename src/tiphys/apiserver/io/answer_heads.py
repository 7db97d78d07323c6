"""The header lines that every answer has: its id in the audit log, and the time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from email.utils import formatdate


def new_audit_id() -> str:
    """A random UUID (RFC 9562, version 4); the standard library takes twice the time for one."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class AnswerHeads:
    """`now` in seconds since the epoch."""

    def __init__(self, now: Callable[[], float], new_id: Callable[[], str] = new_audit_id) -> None:
        self._now = now
        self._new_id = new_id
        self._second = -1
        self._date = b""

    def lines(self, request_headers: Mapping[str, str]) -> bytes:
        """Each ends in CRLF. A client that gives its request an id finds it again in the answer."""
        second = int(self._now())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        audit_id = request_headers.get("audit-id") or self._new_id()
        return b"Audit-Id: %s\r\nDate: %s\r\n" % (audit_id.encode("latin-1"), self._date)

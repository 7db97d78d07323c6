"""Warnings for the client, as header lines that stay within bounds.

Each warning is a header of its own: `Warning: 299 - "text"` (RFC 7234). The same text is sent once. Together they are
bounded: beyond that, every text is cut and those that do not fit any more are left out. Specified in "API concepts",
"Warnings".
"""

from __future__ import annotations

from collections.abc import Iterable

TOTAL_CHARACTERS_LIMIT = 4096
CUT_CHARACTERS = 256


def warning_headers(texts: Iterable[str]) -> bytes:
    """The header lines, each ending in CRLF."""
    distinct = [text for text in dict.fromkeys(texts) if text]
    if sum(map(len, distinct)) > TOTAL_CHARACTERS_LIMIT:
        distinct = _within_bounds(distinct)
    return b"".join([_line(text) for text in distinct])


def _within_bounds(texts: Iterable[str]) -> list[str]:
    found, total = [], 0
    for text in texts:
        cut = text[:CUT_CHARACTERS]
        if total + len(cut) <= TOTAL_CHARACTERS_LIMIT:
            found.append(cut)
            total += len(cut)
    return found


def _line(text: str) -> bytes:
    clean = "".join(mark if mark.isprintable() else " " for mark in text).replace("\\", "\\\\").replace('"', '\\"')
    return f'Warning: 299 - "{clean}"\r\n'.encode("utf-8", "replace")

"""The lines of container logs as the runtime writes them, and which of them a request wants. Pure.

A line is `<RFC 3339 time> <stdout|stderr> <tags> <content>`; tag P means that the line goes on in the next one.
Specified by CRI.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What `kubectl logs` asked for. `tail_lines` None is all; `since` is a time in RFC 3339 UTC or ""; `limit_bytes`
    None is no limit; `stream` is stdout, stderr or "" for both."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: str = ""
    limit_bytes: int | None = None
    stream: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """`time` as written; `content` with its newline unless the line goes on."""

    time: bytes
    stream: bytes
    content: bytes
    partial: bool


def parse_line(line: bytes) -> LogLine | None:
    """One line of a log file, with its newline; None when it is not in the format."""
    parts = line.rstrip(b"\n").split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    content = parts[3] if len(parts) == 4 else b""
    partial = b"P" in parts[2].split(b":")
    return LogLine(parts[0], parts[1], content if partial else content + b"\n", partial)


def time_key(time: bytes) -> bytes:
    """Something that orders as the times do: UTC with nine digits of fraction."""
    text = time.decode(errors="replace")
    if text.endswith("Z"):
        whole, _, fraction = text[:-1].partition(".")
        return f"{whole}.{fraction.ljust(9, '0')}".encode()
    from tiphys.machinery.timestamps import parse_micro_time

    try:
        return str(parse_micro_time(text))[:-1].encode() + b"000"
    except ValueError:
        return time


class LogFilter:
    """Turns parsed lines into what the client gets, one by one, and says when it has had enough."""

    def __init__(self, options: LogOptions) -> None:
        self.options = options
        self.since = time_key(options.since.encode()) if options.since else b""
        self.left = options.limit_bytes
        self._continued = False

    @property
    def done(self) -> bool:
        return self.left is not None and self.left <= 0

    def render(self, line: LogLine) -> bytes:
        """The bytes for the client; empty when the line is not wanted."""
        if self.options.stream and line.stream.decode() != self.options.stream:
            return b""
        if self.since and time_key(line.time) < self.since:
            return b""
        data = line.content
        if self.options.timestamps and not self._continued:
            data = line.time + b" " + data
        self._continued = line.partial
        if self.left is not None:
            data = data[: self.left]
            self.left -= len(data)
        return data


def tail_offset(data: bytes, base: int, lines: int) -> int | None:
    """Where the last `lines` full lines of `data` begin, as an offset from the file's start (`data` begins at
    `base`); None when there are fewer line ends in it, so that more must be read. The last byte of a file that ends
    in a newline opens no line."""
    if lines == 0:
        return base + len(data)
    position = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return None
    return base + position + 1


def rotated_names(name: str, present: list[str], keep: int) -> tuple[list[str], list[str]]:
    """Of a log's rotated files (`NAME.TIMESTAMP`), the ones to keep (newest first) and the ones to remove."""
    rotated = sorted((each for each in present if each.startswith(f"{name}.")), reverse=True)
    return rotated[:keep], rotated[keep:]

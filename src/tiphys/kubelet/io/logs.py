"""Reads container logs for `kubectl logs`: the end of a file, and what is written to it from now on, without polling
(inotify)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tiphys.kubelet.io.inotify import CREATE, MODIFY, MOVE_SELF, MOVED_TO, FileWatch
from tiphys.kubelet.log_format import LogFilter, LogOptions, parse_line, tail_offset

CHUNK_BYTES = 64 * 1024


def _log_watch(path: Path) -> FileWatch:
    """Wakes when the file, or what has its name in its directory, changes."""
    return FileWatch([(path, MODIFY | MOVE_SELF), (path.parent, CREATE | MOVED_TO)])


async def read_log(
    path: Path, options: LogOptions, is_running: Callable[[], bool], ended: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    """The wanted bytes of a log, in chunks. With `follow` it goes on while `is_running()`, through rotations; `ended`
    may be set to say that the container stopped. FileNotFoundError when there is no log."""
    chosen = LogFilter(options)
    file = path.open("rb")
    watch = _log_watch(path) if options.follow else None
    waker = asyncio.ensure_future(_wake_at_end(watch, ended)) if watch is not None and ended is not None else None
    try:
        if options.tail_lines is not None:
            file.seek(_tail_start(file.fileno(), options.tail_lines))
        rest = b""
        while not chosen.done:
            running = watch is not None and is_running()
            data = file.read(CHUNK_BYTES)
            if data:
                lines = (rest + data).splitlines(keepends=True)
                rest = lines.pop() if not lines[-1].endswith(b"\n") else b""
                rendered = b"".join(chosen.render(line) for line in map(parse_line, lines) if line is not None)
                if rendered:
                    yield rendered
                continue
            if watch is not None and _replaced(path, file.fileno()):
                file.close()
                file = path.open("rb")
                watch.close()
                watch = _log_watch(path)
                continue
            if not running or watch is None:
                return
            await watch.changed()
    finally:
        file.close()
        if waker is not None:
            waker.cancel()
        if watch is not None:
            watch.close()


async def _wake_at_end(watch: FileWatch, ended: asyncio.Event) -> None:
    await ended.wait()
    watch.wake()


def _replaced(path: Path, descriptor: int) -> bool:
    """Whether the name now stands for another file: the log was rotated."""
    try:
        return path.stat().st_ino != os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _tail_start(descriptor: int, lines: int) -> int:
    """The offset of the last `lines` lines, found by reading backwards."""
    size = os.fstat(descriptor).st_size
    length = CHUNK_BYTES
    while True:
        base = max(0, size - length)
        found = tail_offset(os.pread(descriptor, size - base, base), base, lines)
        if found is not None:
            return found
        if base == 0:
            return 0
        length *= 4

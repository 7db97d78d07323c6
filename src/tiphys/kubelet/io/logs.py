"""Reads container logs for `kubectl logs`: the end of a file, and what is written to it from now on, without polling
(inotify)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tiphys.kubelet.log_format import LogFilter, LogOptions, parse_line, tail_offset

CHUNK_BYTES = 64 * 1024
_IN_MODIFY, _IN_MOVE_SELF, _IN_CREATE, _IN_MOVED_TO = 0x2, 0x800, 0x100, 0x80
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000
_EVENT = struct.Struct("iIII")


class LogWatch:
    """Wakes when a file, or what has its name in its directory, changes."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        watched = ((path, _IN_MODIFY | _IN_MOVE_SELF), (path.parent, _IN_CREATE | _IN_MOVED_TO))
        for target, mask in watched:
            libc.inotify_add_watch(self._descriptor, os.fsencode(target), mask)
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        self._changed.set()

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        self._changed.set()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


async def read_log(
    path: Path, options: LogOptions, is_running: Callable[[], bool], ended: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    """The wanted bytes of a log, in chunks. With `follow` it goes on while `is_running()`, through rotations; `ended`
    may be set to say that the container stopped. FileNotFoundError when there is no log."""
    chosen = LogFilter(options)
    file = path.open("rb")
    watch = LogWatch(path) if options.follow else None
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
                watch = LogWatch(path)
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


async def _wake_at_end(watch: LogWatch, ended: asyncio.Event) -> None:
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

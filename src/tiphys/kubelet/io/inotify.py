"""Hears from the kernel when files change (inotify), so that nobody has to look."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE, MOVE_SELF = 0x2, 0x8, 0x40, 0x80, 0x100, 0x200, 0x800
_NONBLOCK, _CLOEXEC = 0o4000, 0o2000000


class FileWatch:
    """Wakes when something of what the masks say becomes of the targets. OSError when the kernel has no more
    watches."""

    def __init__(self, targets: Sequence[tuple[Path, int]]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for target, mask in targets:
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

"""Mounts of this host: tmpfs, huge pages, bind mounts, and what is mounted where. Calls the kernel directly."""

from __future__ import annotations

import ctypes
import os
from typing import Protocol

from tiphys.linux.io.mounts import MNT_DETACH, mounts_at_or_below

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
UMOUNT_NOFOLLOW = 8


class Mounter(Protocol):
    """What `mounts.py` asks of the host. All paths are absolute. OSError when the kernel refuses."""

    def mounts_below(self, path: str) -> list[str]:
        """The mount points at and below a path, those mounted last first."""
        ...

    def tmpfs(self, path: str, mode: int, size_bytes: int | None) -> None: ...

    def huge_pages(self, path: str, page_size_bytes: int) -> None: ...

    def bind(self, source: str, target: str) -> None: ...

    def unmount(self, path: str) -> None: ...


class LinuxMounter:
    """The real one; needs root."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def mounts_below(self, path: str) -> list[str]:
        return mounts_at_or_below(path)

    def tmpfs(self, path: str, mode: int, size_bytes: int | None) -> None:
        options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes is not None else "")
        self._mount("tmpfs", path, "tmpfs", 0, options)

    def huge_pages(self, path: str, page_size_bytes: int) -> None:
        self._mount("nodev", path, "hugetlbfs", 0, f"pagesize={page_size_bytes}")

    def bind(self, source: str, target: str) -> None:
        self._mount(source, target, "", MS_BIND | MS_REC, "")

    def unmount(self, path: str) -> None:
        name = os.fsencode(path)
        if self._libc.umount2(name, UMOUNT_NOFOLLOW) != 0 and self._libc.umount2(name, UMOUNT_NOFOLLOW | MNT_DETACH):
            self._fail(path)

    def _mount(self, source: str, target: str, kind: str, flags: int, options: str) -> None:
        arguments = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
        if self._libc.mount(*arguments) != 0:
            self._fail(target)

    @staticmethod
    def _fail(path: str) -> None:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)

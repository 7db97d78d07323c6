"""Network namespaces, named by files under /run/netns as iproute2 does.

A namespace is made and entered by a thread of its own, so that the calling process never leaves its namespace and
never forks. Only the file's own bind mount is made: unlike `ip netns`, nothing is mounted over /run/netns, so
nothing stays behind.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def path_of(name: str) -> Path:
    return DIRECTORY / name


def names() -> list[str]:
    """The names of all namespaces, sorted."""
    try:
        return sorted(entry.name for entry in DIRECTORY.iterdir())
    except FileNotFoundError:
        return []


def _is_namespace(path: Path) -> bool:
    """A file that a killed process left without its mount is on the file system of /run."""
    try:
        return path.stat().st_dev != DIRECTORY.stat().st_dev
    except FileNotFoundError:
        return False


def exists(name: str) -> bool:
    return _is_namespace(path_of(name))


def _in_thread(function: Callable[[], T]) -> T:
    """Run in a thread that ends afterwards, so that its namespace ends with it. Exceptions are the caller's."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append((True, function()))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=work, name="namespace")
    thread.start()
    thread.join()
    succeeded, value = outcome[0]
    if not succeeded:
        raise value
    result: T = value
    return result


def create(name: str) -> Path:
    """Make the namespace unless it is there; its path. Raises OSError (EPERM without root)."""
    path = path_of(name)
    if _is_namespace(path):
        return path
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o444)

    def work() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        own = f"/proc/self/task/{threading.get_native_id()}/ns/net".encode()
        _check(_libc.mount(own, str(path).encode(), None, _MS_BIND, None), f"mount {path}")

    try:
        _in_thread(work)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def delete(name: str) -> None:
    """Take the name away; the namespace itself ends with its last process. It is no error when there is none."""
    path = path_of(name)
    while _is_namespace(path):
        _check(_libc.umount2(str(path).encode(), _MNT_DETACH), f"umount {path}")
    path.unlink(missing_ok=True)


def run_in(path: Path | str, function: Callable[[], T]) -> T:
    """Run `function` in the namespace and return what it returns. Netlink sockets made in it stay in it."""
    with open(path, "rb") as handle:

        def work() -> T:
            _check(_libc.setns(handle.fileno(), _CLONE_NEWNET), f"setns {path}")
            return function()

        return _in_thread(work)

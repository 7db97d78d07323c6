"""Processes of this machine seen through /proc: identity over restarts of ours, descendants, ends.

A process is known by its number together with its start time, so that a number used again is never mistaken for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """`start_ticks` is the start time since boot, in clock ticks."""

    pid: int
    start_ticks: int

    def text(self) -> str:
        return f"{self.pid} {self.start_ticks}\n"


def parse_identity(text: str) -> ProcessIdentity | None:
    """The inverse of `ProcessIdentity.text`; None for anything else."""
    parts = text.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return ProcessIdentity(int(parts[0]), int(parts[1]))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, [] when there is no such process."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def identity_of(pid: int) -> ProcessIdentity | None:
    """None when the process has ended (a zombie has)."""
    fields = _stat(pid)
    if not fields or fields[0] in "ZX":
        return None
    return ProcessIdentity(pid, int(fields[19]))


def is_alive(identity: ProcessIdentity) -> bool:
    return identity_of(identity.pid) == identity


def command_line(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def all_pids() -> list[int]:
    return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def descendants(roots: Iterable[int]) -> list[int]:
    """The roots and everything below them that lives now."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        fields = _stat(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.append(pid)
            waiting += children.get(pid, [])
    return found


async def ended(identity: ProcessIdentity) -> None:
    """Return when the process has ended, whoever's child it is."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    try:
        if not is_alive(identity):
            return
        loop.add_reader(descriptor, done.set)
        await done.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def kill_and_wait(pids: Iterable[int], timeout_seconds: float = 10.0) -> None:
    """Kill them all and return when all have ended (or the time is over: a process may hang in the kernel)."""
    descriptors = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            descriptors.append(os.pidfd_open(pid))
    try:
        for descriptor in descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        for descriptor in descriptors:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(timeout_seconds * 1000)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)

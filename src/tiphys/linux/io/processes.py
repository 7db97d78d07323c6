"""Processes of this machine, whoever's children they are: identity, pid files, descendants, starting, ending. Blocking.

A process is known by its number together with its start time, so that a number used again is never mistaken for it;
a pid file holds both.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Sequence
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


def write_pid_file(path: Path, pid: int) -> None:
    """Whole or not at all. A process that has ended already gets a start time that no process has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text((identity_of(pid) or ProcessIdentity(pid, 0)).text())
    temporary.replace(path)


def recorded(path: Path) -> ProcessIdentity | None:
    """The process of a pid file if that very process still runs."""
    try:
        identity = parse_identity(path.read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return identity if identity is not None and is_alive(identity) else None


def running_pid(path: Path) -> int | None:
    """The pid of a pid file if that very process still runs."""
    identity = recorded(path)
    return None if identity is None else identity.pid


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
            _readable(descriptor, timeout_seconds)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def spawn(command: Sequence[str], log: Path, environment: dict[str, str]) -> int:
    """Start a process in a session of its own with its output appended to `log`; its pid. The caller reaps it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
        )
    process.returncode = 0  # it is waited for by its pid: nothing may wait for the Popen object
    return process.pid


def send_signal(pid: int, number: signal.Signals) -> None:
    """Nothing when there is no such process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_gone(pid: int, timeout_seconds: float) -> bool:
    """Wait until a process has ended; False when it still runs after the timeout."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return _readable(descriptor, timeout_seconds)
    finally:
        os.close(descriptor)


def _readable(descriptor: int, timeout_seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_seconds * 1000))

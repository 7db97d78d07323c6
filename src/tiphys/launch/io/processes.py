"""Processes that outlive their parent: pid files, starting, watching by pidfd, ending.

A pid file holds the pid and the kernel's start time of the process, so that a reused pid is never taken for ours.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from collections.abc import Sequence

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's closing bracket


def start_time(pid: int) -> int | None:
    """The kernel's start time of a process in clock ticks; None when there is no such process or it is a zombie."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()
    return None if fields[0] in ("Z", "X") else int(fields[_START_TIME_FIELD])


def write_pid_file(path: pathlib.Path, pid: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".pid.new")
    temporary.write_text(f"{pid} {start_time(pid) or 0}\n")
    temporary.rename(path)


def running_pid(path: pathlib.Path) -> int | None:
    """The pid of a pid file if that very process still runs."""
    try:
        words = path.read_text().split()
        pid, started = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):
        return None
    return pid if start_time(pid) == started else None


def spawn(command: Sequence[str], log: pathlib.Path, environment: dict[str, str]) -> int:
    """Start a process in a session of its own with its output appended to `log`; its pid."""
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
    process.returncode = 0  # the supervisor reaps by pid itself; nothing here waits for the Popen object
    return process.pid


def send_signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_gone(pid: int, timeout_seconds: float) -> bool:
    """Wait until a process (anybody's child) has ended; False when it still runs after the timeout."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], timeout_seconds)
        return bool(ready)
    finally:
        os.close(descriptor)

"""What is mounted where, and how it is taken away. Blocking; asks the kernel directly."""

from __future__ import annotations

import ctypes
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

MNT_DETACH = 2
_OCTAL = re.compile(r"\\([0-7]{3})")


def points_at_or_below(path: str, mountinfo: Iterable[str]) -> list[str]:
    """The mount points at and below a path, those mounted last first, from the lines of /proc/PID/mountinfo."""
    found = []
    for line in mountinfo:
        point = _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), line.split(" ")[4])
        if point == path or point.startswith(f"{path}/"):
            found.append(point)
    return found[::-1]


def mounts_at_or_below(path: str) -> list[str]:
    """The mount points of this process's mount namespace at and below a path, those mounted last first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        return points_at_or_below(path, lines)


def unmount_below(directory: Path) -> None:
    """Detach everything that is mounted at or below a directory; what cannot be is warned of."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_at_or_below(str(directory)):
        if libc.umount2(os.fsencode(point), MNT_DETACH) != 0:
            log.warning("umount %s: %s", point, os.strerror(ctypes.get_errno()))

"""What the kernel allows this process."""

from __future__ import annotations

import resource


def allow_open_files() -> int:
    """Raise the limit of open files as far as this process may; what it is then. Every connection is one, and the usual
    limit of a shell (1024) is kept low for the sake of programs that use select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard

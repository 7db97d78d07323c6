"""Kernel parameters of the network namespace that the calling thread is in."""

from __future__ import annotations

from pathlib import Path


def write_sysctl(name: str, value: str) -> bool:
    """Set a parameter ("net.ipv4.ip_forward"); False where the kernel has none of this name. Raises OSError."""
    path = Path("/proc/sys") / name.replace(".", "/")
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except FileNotFoundError:
        return False
    return True

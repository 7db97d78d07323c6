"""How long something took or is old, in the few characters that kubectl's columns have: `45s`, `5m12s`, `3d4h`,
`2y31d`.

Two units at most, and the second only while it still says something. Lengths are seconds (floats), moments seconds
since the epoch.
"""

from __future__ import annotations

from tiphys.machinery import timestamps

UNKNOWN = "<unknown>"
INVALID = "<invalid>"


def human_duration(seconds: float) -> str:
    """The length in words of a column. Lengths a little below zero are `0s` (clocks differ), far below `<invalid>`."""
    whole = int(seconds)
    if whole < -1:
        return INVALID
    if whole < 0:
        return "0s"
    minutes, hours = whole // 60, whole // 3600
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 8 * 24:
        return _two(hours // 24, "d", hours % 24, "h")
    return _long(hours)


def _two(major: int, major_unit: str, minor: int, minor_unit: str) -> str:
    return f"{major}{major_unit}{minor}{minor_unit}" if minor else f"{major}{major_unit}"


def _long(hours: int) -> str:
    days = hours // 24
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def age(moment: str | None, now: float) -> str:
    """How long ago a Time or MicroTime was; `<unknown>` when it is not set."""
    return human_duration(now - timestamps.seconds(moment)) if moment else UNKNOWN


def time_left(moment: str | None, now: float) -> str:
    """How long it is until a moment; `<unknown>` when it is not set."""
    return human_duration(timestamps.seconds(moment) - now) if moment else UNKNOWN

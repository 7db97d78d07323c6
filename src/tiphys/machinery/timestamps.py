"""Times as Kubernetes writes them: RFC 3339 in UTC, whole seconds (`Time`) or microseconds (`MicroTime`).

Inside Tiphys a moment is a float of seconds since the epoch, always an argument, never read from a clock here.
"""

from __future__ import annotations

import datetime
import functools
import re

_RFC3339 = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$", re.ASCII)
_LAYOUT = "2006-01-02T15:04:05Z07:00"
_TWO_DIGITS = r"\d\d"
# The parts of the layout, what stands there in a time, and what the parts that may be too large are called.
_PARTS = tuple((part, re.compile(pattern, re.ASCII)) for part, pattern in (
    ("2006", r"\d{4}"), ("-", "-"), ("01", _TWO_DIGITS), ("-", "-"), ("02", _TWO_DIGITS), ("T", "T"),
    ("15", _TWO_DIGITS), (":", ":"), ("04", _TWO_DIGITS), (":", ":"), ("05", r"\d\d(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d\d:\d\d"),
))  # fmt: skip
_RANGES = {"01": ("month", range(1, 13)), "15": ("hour", range(24)), "04": ("minute", range(60)),
           "05": ("second", range(60))}  # fmt: skip


class Time(str):
    """Canonical text such as `2026-01-31T12:00:00Z`."""

    __slots__ = ()


class MicroTime(str):
    """Canonical text such as `2026-01-31T12:00:00.000000Z`."""

    __slots__ = ()


def shown(moment: datetime.datetime, precision: str) -> str:
    """A moment in UTC as RFC 3339, with four digits of year whatever the year; `precision` as isoformat takes it."""
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _utc(text: str) -> datetime.datetime:
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(_what_is_wrong(text))
    day, clock, fraction, zone = match.groups()
    microseconds = (fraction or "0")[:6].ljust(6, "0")
    zone = "+00:00" if zone == "Z" else zone
    try:
        return datetime.datetime.fromisoformat(f"{day}T{clock}.{microseconds}{zone}").astimezone(datetime.UTC)
    except OverflowError:
        raise ValueError(f'parsing time "{text}": year outside of range [1,9999]') from None
    except ValueError:
        raise ValueError(_what_is_wrong(text)) from None


def _what_is_wrong(text: str) -> str:
    """Where a text stops being a time, in the words of Go's reader."""
    rest = text
    for part, pattern in _PARTS:
        match = pattern.match(rest)
        if match is None:
            return f'parsing time "{text}" as "{_LAYOUT}": cannot parse "{rest}" as "{part}"'
        name, allowed = _RANGES.get(part, ("", range(0)))
        if name and int(match.group()[:2]) not in allowed:
            return f'parsing time "{text}": {name} out of range'
        rest = rest[match.end() :]
    return f'parsing time "{text}": extra text: "{rest}"' if rest else f'parsing time "{text}": day out of range'


def parse_time(text: str) -> Time:
    """The canonical form of what a client wrote. ValueError when it is not RFC 3339."""
    if len(text) == 20 and text[19] == "Z" and text[10] == "T":  # the usual case is canonical already
        try:
            datetime.datetime.fromisoformat(text[:19])
        except ValueError:
            raise ValueError(_what_is_wrong(text)) from None
        return Time(text)
    return Time(shown(_utc(text), "seconds"))


def parse_micro_time(text: str) -> MicroTime:
    """The canonical form of what a client wrote. ValueError when it is not RFC 3339."""
    return MicroTime(shown(_utc(text), "microseconds"))


def seconds(text: str) -> float:
    """Seconds since the epoch of a Time or MicroTime."""
    return _utc(text).timestamp()


def time_of(now: float) -> Time:
    """The Time of a moment in seconds since the epoch; fractions are cut off."""
    return _time_of(int(now))


@functools.lru_cache(maxsize=64)
def _time_of(seconds: int) -> Time:
    return Time(shown(datetime.datetime.fromtimestamp(seconds, datetime.UTC), "seconds"))


def micro_time_of(now: float) -> MicroTime:
    """The MicroTime of a moment in seconds since the epoch."""
    return MicroTime(shown(datetime.datetime.fromtimestamp(now, datetime.UTC), "microseconds"))

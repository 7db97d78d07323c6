"""Times as Kubernetes writes them: RFC 3339 in UTC, whole seconds (`Time`) or microseconds (`MicroTime`).

Inside Tiphys a moment is a float of seconds since the epoch, always an argument, never read from a clock here.
"""

from __future__ import annotations

import datetime
import functools
import re

_RFC3339 = re.compile(r"^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$")


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
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}"')
    day, clock, fraction, zone = match.groups()
    microseconds = (fraction or "0")[:6].ljust(6, "0")
    zone = "+00:00" if zone in "Zz" else zone
    moment = datetime.datetime.fromisoformat(f"{day}T{clock}.{microseconds}{zone}")
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError:
        raise ValueError(f'parsing time "{text}": year outside of range [1,9999]') from None


def parse_time(text: str) -> Time:
    """The canonical form of what a client wrote. ValueError when it is not RFC 3339."""
    if len(text) == 20 and text[19] == "Z" and text[10] == "T":  # the usual case is canonical already
        datetime.datetime.fromisoformat(text[:19])
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

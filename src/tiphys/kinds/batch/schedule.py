"""Cron schedules: reading `*/5 8-18 * * mon-fri` and `@hourly`, and the moments that they name.

Five fields (minute, hour, day of month, month, day of week); day of month and day of week join by `or` when both are
restricted. The moments are in a time zone that the caller gives as a tzinfo.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from tiphys.machinery.digits import is_number

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    name: n
    for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_RANGES: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_SEARCH_YEARS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The allowed values of each field.

    `any_day`, `any_weekday`: the field was `*`. `every_seconds`: an `@every` interval, else 0.
    """

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    any_weekday: bool = True
    every_seconds: int = 0

    def includes_day(self, day: datetime.date) -> bool:
        if day.month not in self.months:
            return False
        by_date, by_weekday = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return by_date and by_weekday if self.any_day or self.any_weekday else by_date or by_weekday

    def next_after(self, moment: float, zone: datetime.tzinfo = datetime.UTC) -> float | None:
        """The first moment after this one (seconds since the epoch); None when there is none within five years."""
        if self.every_seconds:
            return float(int(moment) + self.every_seconds)
        start = datetime.datetime.fromtimestamp(int(moment), zone)
        day = start.date()
        last = day.replace(year=day.year + _SEARCH_YEARS, day=min(day.day, 28))
        while day <= last:
            if self.includes_day(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        at = datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp()
                        if at > moment and _exists(at, hour, zone):
                            return at
            day += datetime.timedelta(days=1)
        return None


def _exists(moment: float, hour: int, zone: datetime.tzinfo) -> bool:
    """False for an hour that the clocks skip on that day."""
    return datetime.datetime.fromtimestamp(moment, zone).hour == hour


def parse(text: str) -> Schedule:
    """The schedule of a text. ValueError with the reason when it cannot be read."""
    text = text.strip()
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@every "):
        return Schedule(every_seconds=_interval(text.removeprefix("@every ").strip()))
    if text.startswith("@"):
        if text not in _MACROS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _MACROS[text]
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    values = [_field(part, *limits) for part, limits in zip(fields, _RANGES, strict=True)]
    return Schedule(
        minutes=values[0],
        hours=values[1],
        days=values[2],
        months=values[3],
        weekdays=values[4],
        any_day=_is_open(fields[2]),
        any_weekday=_is_open(fields[4]),
    )


def _is_open(field: str) -> bool:
    """Whether a day field restricts nothing: `*`, but not `*/2`."""
    return any(part in ("*", "?", "*/1", "?/1") for part in field.split(","))


def _interval(text: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    total, digits = 0, ""
    for mark in text:
        if is_number(mark):
            digits += mark
        elif mark in units and digits:
            total, digits = total + int(digits) * units[mark], ""
        else:
            raise ValueError(f"failed to parse duration @every {text}")
    if digits or not total:
        raise ValueError(f"failed to parse duration @every {text}")
    return total


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first, last = _span(span, low, high, names)
        step = _number(step_text, {}) if slash else 1
        if slash and "-" not in span and span not in ("*", "?"):
            last = high
        if step < 1:
            raise ValueError(f"step of range should be a positive number: {part}")
        if first < low:
            raise ValueError(f"beginning of range ({first}) below minimum ({low}): {part}")
        if last > high:
            raise ValueError(f"end of range ({last}) above maximum ({high}): {part}")
        if first > last:
            raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {part}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _span(text: str, low: int, high: int, names: dict[str, int]) -> tuple[int, int]:
    if text in ("*", "?"):
        return low, high
    first, dash, last = text.partition("-")
    begin = _number(first, names)
    return begin, _number(last, names) if dash else begin


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not is_number(text):
        raise ValueError(f"failed to parse int from {text}")
    return int(text)

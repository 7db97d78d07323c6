"""Cron expressions: when is the next moment, and which moments have passed. Pure calendar arithmetic, with time zones.

Five fields (minute, hour, day of month, month, day of week) with `*`, `?`, lists, ranges, steps and names; @hourly,
@daily, @midnight, @weekly, @monthly, @yearly, @annually and `@every 1h30m`. When both days are restricted, either is
enough.
"""

from __future__ import annotations

import calendar
import datetime
import re
import zoneinfo
from dataclasses import dataclass

from tiphys.machinery.digits import is_number

_MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# No expression that ever matches needs longer (29 February over a century that is no leap year).
_FARTHEST = datetime.timedelta(days=366 * 9)


def _field(text: str, low: int, high: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    """The numbers of a field, and whether it is unrestricted."""
    found: set[int] = set()
    is_free = False
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text) if step_text else 1
        if step < 1:
            raise ValueError(f"step of {part!r} must be at least 1")
        if span in ("*", "?"):
            first, last = low, high
            is_free = is_free or step == 1
        else:
            first_text, _, last_text = span.partition("-")
            first = _number(first_text, names)
            last = _number(last_text, names) if last_text else (high if step_text else first)
        if high == 6 and last == 7:  # Sunday has two numbers
            found.add(0)
            first, last = (0, 0) if first == 7 else (first, 6)
        if not low <= first <= last <= high:
            raise ValueError(f"{part!r} is not within {low}-{high}")
        found.update(range(first, last + 1, step))
    return frozenset(found), is_free


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not is_number(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed expression in a time zone; or an interval."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: datetime.tzinfo
    every_seconds: float = 0.0

    def after(self, moment: float) -> float | None:
        """The first moment after this one; None when there is none."""
        if self.every_seconds:
            return float(int(moment)) + self.every_seconds
        limit = moment + _FARTHEST.total_seconds()
        local = datetime.datetime.fromtimestamp(moment, self.zone).replace(second=0, microsecond=0)
        day = local.date()
        start = (local.hour, local.minute)
        while True:
            if day.month in self.months and self._is_day(day):
                found = self._within(day, start, moment)
                if found is not None:
                    return found
            day += datetime.timedelta(days=1)
            start = (0, 0)
            if datetime.datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp() > limit:
                return None

    def _is_day(self, day: datetime.date) -> bool:
        by_date, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_date and by_weekday
        return by_date or by_weekday

    def _within(self, day: datetime.date, start: tuple[int, int], after: float) -> float | None:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                if (hour, minute) < start:
                    continue
                local = datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                found = local.timestamp()
                back = datetime.datetime.fromtimestamp(found, self.zone)
                # An hour that the clocks skip does not exist on this day.
                if found > after and (back.hour, back.minute) == (hour, minute):
                    return found
        return None


def parse(text: str, zone_name: str | None = None) -> Schedule:
    """The schedule of an expression. ValueError with the reason."""
    text = text.strip()
    if text.startswith(("TZ=", "CRON_TZ=")):
        prefix, _, text = text.partition(" ")
        zone_name = zone_name or prefix.partition("=")[2]
    zone = _zone(zone_name)
    if text.startswith("@every "):
        seconds = _interval(text.removeprefix("@every ").strip())
        nothing: frozenset[int] = frozenset()
        return Schedule(nothing, nothing, nothing, nothing, nothing, True, True, zone, max(seconds, 1.0))
    fields = _MACROS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: {text!r}")
    names: tuple[dict[str, int], ...] = ({}, {}, {}, _MONTHS, _DAYS)
    parsed = [_field(f, low, high, known) for f, (low, high), known in zip(fields, _LIMITS, names, strict=True)]
    minutes, hours, days, months, weekdays = (numbers for numbers, _ in parsed)
    return Schedule(minutes, hours, days, months, weekdays, parsed[2][1], parsed[4][1], zone)


def _zone(name: str | None) -> datetime.tzinfo:
    if name in (None, "", "UTC", "Etc/UTC"):
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name or "")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def _interval(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

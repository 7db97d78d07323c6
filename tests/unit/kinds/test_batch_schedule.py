"""Cron schedules, against a naive twin that tries every minute."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kinds.batch.schedule import parse

START = 1767225600.0  # 2026-01-01T00:00:00Z, a Thursday


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("* * * * *", "2026-01-01T00:01"),
        ("*/5 * * * *", "2026-01-01T00:05"),
        ("0 0 * * *", "2026-01-02T00:00"),
        ("30 8-18/2 * * mon-fri", "2026-01-01T08:30"),
        ("0 0 13 * fri", "2026-01-02T00:00"),
        ("0 0 */2 * fri", "2026-01-02T00:00"),
        ("0 0 13 * *", "2026-01-13T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 1 JAN,jun *", "2026-01-01T12:00"),
        ("@hourly", "2026-01-01T01:00"),
        ("@monthly", "2026-02-01T00:00"),
        ("@every 1h30m", "2026-01-01T01:30"),
        ("5/20 * * * *", "2026-01-01T00:05"),
    ],
)
def test_next_moment(schedule: str, expected: str) -> None:
    assert parse(schedule).next_after(START) == moment(expected)


def test_never() -> None:
    assert parse("0 0 31 2 *").next_after(START) is None


def test_in_another_zone() -> None:
    zone = zoneinfo.ZoneInfo("UTC")
    assert parse("0 6 * * *").next_after(START, zone) == moment("2026-01-01T06:00")
    east = datetime.timezone(datetime.timedelta(hours=2))
    assert parse("0 6 * * *").next_after(START, east) == moment("2026-01-01T04:00")


class Spring(datetime.tzinfo):
    """A zone that skips the hour from 2 to 3 on 2 January 2026."""

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        skipped = when is not None and when.replace(tzinfo=None) >= datetime.datetime(2026, 1, 2, 2)  # noqa: DTZ001
        return datetime.timedelta(hours=1 if skipped else 0)

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta:
        return self.utcoffset(when)

    def fromutc(self, when: datetime.datetime) -> datetime.datetime:
        late = when.replace(tzinfo=None) >= datetime.datetime(2026, 1, 2, 2)  # noqa: DTZ001
        return when + datetime.timedelta(hours=1 if late else 0)


def test_an_hour_that_the_clocks_skip() -> None:
    day_before = moment("2026-01-01T12:00")
    assert parse("30 2 * * *").next_after(day_before, Spring()) == moment("2026-01-03T01:30")
    assert parse("30 3 * * *").next_after(day_before, Spring()) == moment("2026-01-02T02:30")


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("", "empty spec string"),
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", "failed to parse int from a"),
        ("@never", "unrecognized descriptor: @never"),
        ("@every x", "failed to parse duration @every x"),
    ],
)
def test_what_cannot_be_read(schedule: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        parse(schedule)
    assert str(caught.value) == problem


FIELDS = (
    st.sampled_from(["*", "0", "30", "*/20", "5,50"]),
    st.sampled_from(["*", "3", "*/6", "8-10"]),
    st.sampled_from(["*", "1", "15", "*/10"]),
    st.sampled_from(["*", "1", "2-3"]),
    st.sampled_from(["*", "0", "mon", "5-6"]),
)


def naive_next(text: str, start: float) -> float:
    schedule = parse(text)
    at = (int(start) // 60 + 1) * 60
    while True:
        when = datetime.datetime.fromtimestamp(at, datetime.UTC)
        if when.minute in schedule.minutes and when.hour in schedule.hours and schedule.includes_day(when.date()):
            return float(at)
        at += 60 if schedule.includes_day(when.date()) else 86400 - at % 86400


@settings(max_examples=60)
@given(fields=st.tuples(*FIELDS), offset=st.integers(0, 200 * 86400))
def test_same_as_trying_every_minute(fields: tuple[str, ...], offset: int) -> None:
    text = " ".join(fields)
    assert parse(text).next_after(START + offset) == naive_next(text, START + offset)

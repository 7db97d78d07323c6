"""Cron expressions against the calendar."""

from __future__ import annotations

import datetime

import pytest

from tiphys.controllers.cronjob.schedule import parse


def moments(expression: str, start: str, count: int, zone: str | None = None) -> list[str]:
    schedule = parse(expression, zone)
    moment: float | None = datetime.datetime.fromisoformat(start).replace(tzinfo=datetime.UTC).timestamp()
    found = []
    for _ in range(count):
        assert moment is not None
        moment = schedule.after(moment)
        assert moment is not None
        found.append(datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "start", "wanted"),
    [
        ("*/15 * * * *", "2026-01-01T00:07:30", ["2026-01-01T00:15", "2026-01-01T00:30", "2026-01-01T00:45"]),
        ("0 9-17/4 * * *", "2026-01-01T12:00:00", ["2026-01-01T13:00", "2026-01-01T17:00", "2026-01-02T09:00"]),
        ("30 4 1,15 * 5", "2026-01-01T05:00:00", ["2026-01-02T04:30", "2026-01-09T04:30", "2026-01-15T04:30"]),
        ("0 0 29 feb *", "2026-01-01T00:00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 12 * * 7", "2026-01-01T00:00:00", ["2026-01-04T12:00", "2026-01-11T12:00"]),
        ("0 0 * * mon-fri", "2026-01-02T12:00:00", ["2026-01-05T00:00", "2026-01-06T00:00"]),
        ("@monthly", "2026-01-31T00:00:00", ["2026-02-01T00:00", "2026-03-01T00:00"]),
        ("@every 1h30m", "2026-01-01T00:00:00", ["2026-01-01T01:30", "2026-01-01T03:00"]),
    ],
)
def test_next_moments(expression: str, start: str, wanted: list[str]) -> None:
    assert moments(expression, start, len(wanted)) == wanted


def test_time_zones_move_with_the_clocks() -> None:
    found = moments("0 8 * * *", "2026-03-27T12:00:00", 3, "Europe/Berlin")
    assert found == ["2026-03-28T07:00", "2026-03-29T06:00", "2026-03-30T06:00"]
    skipped = moments("30 2 * * *", "2026-03-28T12:00:00", 1, "Europe/Berlin")
    assert skipped == ["2026-03-30T00:30"]


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "a * * * *", "5-1 * * * *", "@every x"]
)
def test_bad_expressions_say_so(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(expression)
    with pytest.raises(ValueError, match="unknown time zone"):
        parse("* * * * *", "Nowhere/Land")


def test_a_moment_that_never_comes_is_none() -> None:
    assert parse("0 0 31 2 *").after(0.0) is None

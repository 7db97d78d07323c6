from __future__ import annotations

import pytest

from tiphys.launch import supervision
from tiphys.launch.supervision import Phase, UnitState


def test_a_unit_starts_when_nothing_is_missing_and_its_time_has_come() -> None:
    waiting = UnitState(not_before=5.0)
    assert not supervision.may_start(waiting, missing=False, now=4.9)
    assert not supervision.may_start(waiting, missing=True, now=5.0)
    assert supervision.may_start(waiting, missing=False, now=5.0)
    assert not supervision.may_start(supervision.started(waiting, 7, 5.0), missing=False, now=9.0)


def test_each_failure_waits_longer_up_to_a_limit() -> None:
    state, now, delays = UnitState(), 100.0, []
    for _ in range(8):
        state = supervision.ended(supervision.started(state, 7, now), now)
        delays.append(state.not_before - now)
    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])


def test_a_long_run_forgets_earlier_failures() -> None:
    failed = UnitState(failures=6)
    state = supervision.ended(supervision.started(failed, 7, 0.0), supervision.STABLE_SECONDS)
    assert state == UnitState(phase=Phase.WAITING, not_before=supervision.STABLE_SECONDS + 0.2, failures=1)


def test_a_stopped_unit_stays_down_and_is_killed_when_it_lingers() -> None:
    running = supervision.started(UnitState(), 7, 0.0)
    state = supervision.stopping(running, 50.0)
    assert not supervision.must_kill(state, 50.0 + supervision.STOP_GRACE_SECONDS - 0.1)
    assert supervision.must_kill(state, 50.0 + supervision.STOP_GRACE_SECONDS)
    assert supervision.ended(state, 60.0).phase is Phase.ENDED
    assert supervision.stopping(UnitState(), 50.0).phase is Phase.ENDED


def test_it_sleeps_until_the_next_thing_is_due() -> None:
    now = 10.0
    waiting = UnitState(not_before=12.0)
    stopping = supervision.stopping(supervision.started(UnitState(), 7, 0.0), now)
    running = supervision.started(UnitState(), 8, 0.0)
    assert supervision.wake_in_seconds([running], now) is None
    assert supervision.wake_in_seconds([running, waiting], now) == 2.0
    assert supervision.wake_in_seconds([stopping], now) == supervision.STOP_GRACE_SECONDS

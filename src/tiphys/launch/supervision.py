"""When the processes of a cluster are started, restarted and given up waiting for: pure decisions, one value a unit.

A unit is a process that should always run. It starts when the files it requires are there, and again after it ended,
each time later while it keeps failing: 0.2 s doubling to 10 s, forgotten once it has run for 30 s.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
STABLE_SECONDS = 30.0
STOP_GRACE_SECONDS = 20.0


class Phase(enum.Enum):
    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What to run. `requires` are paths that must exist first."""

    name: str
    command: tuple[str, ...]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """`not_before` is the earliest moment of the next start, `since` when the process was started or told to stop
    (seconds)."""

    phase: Phase = Phase.WAITING
    pid: int = 0
    since: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    killed: bool = False


def started(state: UnitState, pid: int, now: float) -> UnitState:
    return dataclasses.replace(state, phase=Phase.RUNNING, pid=pid, since=now)


def ended(state: UnitState, now: float) -> UnitState:
    """The process is gone: wait for the next start, or, if it was told to stop, be done."""
    if state.phase is Phase.STOPPING:
        return dataclasses.replace(state, phase=Phase.ENDED, pid=0)
    failures = 0 if now - state.since >= STABLE_SECONDS else state.failures
    delay = min(FIRST_DELAY_SECONDS * 2**failures, LONGEST_DELAY_SECONDS)
    return UnitState(phase=Phase.WAITING, not_before=now + delay, failures=failures + 1)


def stopping(state: UnitState, now: float) -> UnitState:
    if state.phase is Phase.RUNNING:
        return dataclasses.replace(state, phase=Phase.STOPPING, since=now)
    return dataclasses.replace(state, phase=Phase.ENDED) if state.phase is Phase.WAITING else state


def may_start(state: UnitState, missing: bool, now: float) -> bool:
    return state.phase is Phase.WAITING and not missing and now >= state.not_before


def must_kill(state: UnitState, now: float) -> bool:
    """It was asked to stop and has had its time."""
    return state.phase is Phase.STOPPING and not state.killed and now - state.since >= STOP_GRACE_SECONDS


def wake_in_seconds(states: list[UnitState], now: float) -> float | None:
    """When something is due next; None when only an event can change anything."""
    moments = [s.not_before for s in states if s.phase is Phase.WAITING and s.not_before > now]
    moments += [s.since + STOP_GRACE_SECONDS for s in states if s.phase is Phase.STOPPING and not s.killed]
    return max(0.0, min(moments) - now) if moments else None

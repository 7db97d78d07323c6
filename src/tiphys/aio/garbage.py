"""Garbage collection for a process that holds much and drops little in cycles.

Python looks through everything that lives whenever it has grown by a quarter: with the state of a cluster in memory
that stops the process for tenths of a second, for nothing. Here only young objects are looked through as they come; all
of them once in a long while.
"""

from __future__ import annotations

import gc

from tiphys.aio.clock import Clock

YOUNG_OBJECTS = 5_000
YOUNG_ROUNDS = 10
NEVER = 1_000_000_000
FULL_SECONDS = 1800.0


async def collect_seldom(clock: Clock) -> None:
    """Run until cancelled; then collection is again as it was. What lives now is taken to stay for good: it is never
    looked through again."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER)
    try:
        while True:
            await clock.sleep(FULL_SECONDS)
            gc.collect()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()

"""How often a long-running process looks for cycles."""

from __future__ import annotations

import asyncio
import gc
import weakref

from tiphys.aio.clock import VirtualClock, settle
from tiphys.aio.garbage import FULL_SECONDS, NEVER, YOUNG_OBJECTS, YOUNG_ROUNDS, collect_seldom


class Cycle:
    def __init__(self) -> None:
        self.itself = self


async def test_all_objects_are_looked_through_once_in_a_long_while_and_never_otherwise() -> None:
    clock, before = VirtualClock(), gc.get_threshold()
    task = asyncio.ensure_future(collect_seldom(clock))
    await settle()
    try:
        assert gc.get_threshold() == (YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER)
        assert gc.get_freeze_count() > 0
        old = Cycle()
        gc.collect(1)  # by now it is not young any more
        seen = weakref.ref(old)
        del old
        gc.collect(1)
        assert seen() is not None
        await clock.advance(FULL_SECONDS)
        assert seen() is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0

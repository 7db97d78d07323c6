"""Which keys need work: the queue between what happens and the one worker that a key may have at a time.

Invariants: a key waits at most once; a key that is being worked on is not given out again before `done`, and is queued
again then if it was added meanwhile; no added key is lost. Time is an argument (seconds, monotonic); waking workers up
is the caller's business.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from tiphys.aio.backoff import Backoff

K = TypeVar("K", bound=Hashable)

FIRST_RETRY_SECONDS = 0.005
LONGEST_RETRY_SECONDS = 1000.0
LONGEST_HOLD_SECONDS = 60.0
FEW_HELD = 256


class WorkQueue(Generic[K]):
    """Keys in the order they became dirty, delayed keys by their moment."""

    def __init__(
        self,
        *,
        first_retry_seconds: float = FIRST_RETRY_SECONDS,
        longest_retry_seconds: float = LONGEST_RETRY_SECONDS,
        longest_hold_seconds: float = LONGEST_HOLD_SECONDS,
    ) -> None:
        self._order: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._due: dict[K, float] = {}
        self._held: dict[K, float] = {}
        self._longest_hold_seconds = longest_hold_seconds
        self._most_held = FEW_HELD
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._backoff: Backoff[K] = Backoff(first_retry_seconds, longest_retry_seconds)

    def __len__(self) -> int:
        """How many keys could be given out or are waiting for their worker to finish."""
        return len(self._dirty)

    @property
    def processing(self) -> int:
        return len(self._processing)

    @property
    def delayed(self) -> int:
        return len(self._due)

    def add(self, key: K, now: float = 0.0) -> bool:
        """Mark a key as needing work. True when a worker can take it now. A key that is held (see `done`) comes when
        that is over."""
        if key in self._dirty:
            return False
        if key in self._held:
            if now < self._held[key]:
                self.add_at(key, self._held[key])
                return False
            del self._held[key]
        self._dirty.add(key)
        if key in self._processing:
            return False
        self._order.append(key)
        return True

    def add_at(self, key: K, due: float) -> None:
        """Add the key at that moment; an earlier moment that is already set stays."""
        known = self._due.get(key)
        if known is None or due < known:
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._heap, (due, self._sequence, key))

    def retry(self, key: K, now: float) -> float:
        """Work on the key failed: add it again after a wait that grows with each failure in a row. The seconds to
        wait."""
        wait_seconds = self._backoff.next(key)
        self.add_at(key, now + wait_seconds)
        return wait_seconds

    def failures(self, key: K) -> int:
        """How often work on the key failed in a row."""
        return self._backoff.failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Work on the key succeeded: its next failure is the first one again."""
        self._backoff.reset(key)

    def get(self) -> K | None:
        """The next key, now being worked on; None when there is none."""
        if not self._order:
            return None
        key = self._order.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K, hold_until: float | None = None) -> bool:
        """The worker has finished with the key. True when it is queued again. With `hold_until` not before that moment:
        so a key whose work is costly and that changes all the time leaves room for others. It may not be further away
        than the queue's `longest_hold_seconds`."""
        self._processing.discard(key)
        if hold_until is not None:
            self._hold(key, hold_until)
        if key not in self._dirty:
            return False
        if hold_until is not None:
            self._dirty.discard(key)
            self.add_at(key, hold_until)
            return False
        self._order.append(key)
        return True

    def _hold(self, key: K, until: float) -> None:
        """Holds that are over are dropped now and then: their keys may never come again."""
        self._held[key] = until
        if len(self._held) > self._most_held:
            begin = until - self._longest_hold_seconds
            self._held = {each: moment for each, moment in self._held.items() if moment > begin}
            self._most_held = max(FEW_HELD, 2 * len(self._held))

    def wake(self, now: float) -> int:
        """Add the delayed keys whose moment has come; how many there were."""
        count = 0
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._held.pop(key, None)
                self.add(key)
                count += 1
        return count

    def next_due(self) -> float | None:
        """The moment at which `wake` has something to do next."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

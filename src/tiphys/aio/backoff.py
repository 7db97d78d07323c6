"""Waiting longer after each failure: pure arithmetic, no clock."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Backoff(Generic[K]):
    """Per key: the n-th failure in a row waits `initial_seconds * factor ** (n - 1)`, at most `maximum_seconds`."""

    initial_seconds: float
    maximum_seconds: float
    factor: float = 2.0
    failures: dict[K, int] = field(default_factory=dict)

    def next(self, key: K) -> float:
        """Record one more failure and return the seconds to wait."""
        count = self.failures.get(key, 0)
        self.failures[key] = count + 1
        return float(min(self.initial_seconds * self.factor ** min(count, 60), self.maximum_seconds))

    def reset(self, key: K) -> None:
        self.failures.pop(key, None)

"""Remembers what a pure function answered for texts that clients send, in bounded memory.

`functools.lru_cache` bounds how many answers are kept, not how long the texts are that they are kept by: a client that
sends ever new long ones would fill the process. What is worth remembering is short.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

LONGEST = 512

P = ParamSpec("P")
T = TypeVar("T")


def bounded_cache(entries: int, longest: int = LONGEST) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a pure function of hashable positional arguments; its answers are shared and not to be changed.
    `longest`: characters or bytes of an argument."""

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        remembered = functools.lru_cache(maxsize=entries)(function)

        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> T:
            for argument in arguments:
                if isinstance(argument, str | bytes) and len(argument) > longest:
                    return function(*arguments, **named)
            return remembered(*arguments, **named)  # type: ignore[arg-type]

        return call

    return decorated

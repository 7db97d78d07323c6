"""Remembers what a pure function answered for texts that clients send, in bounded memory.

`functools.lru_cache` bounds how many answers are kept, not how long the texts are that they are kept by: a client that
sends ever new long ones would fill the process. What is worth remembering is short.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

LONGEST = 512

P = ParamSpec("P")
T = TypeVar("T")

_TEXTS = (str, bytes)


def _takes_one_text(function: Callable[..., Any]) -> bool:
    """Such functions are asked most often: there the check costs least."""
    hints = [hint for name, hint in function.__annotations__.items() if name != "return"]
    return len(hints) == 1 and hints[0] in ("str", "bytes", *_TEXTS)


def bounded_cache(entries: int, longest: int = LONGEST) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a pure function of hashable positional arguments; its answers are shared and not to be changed.
    `longest`: characters or bytes of an argument."""

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        remembered: Any = functools.lru_cache(maxsize=entries)(function)
        if _takes_one_text(function):

            @functools.wraps(function)
            def call_with_text(text: Any) -> Any:
                return remembered(text) if len(text) <= longest else function(text)  # type: ignore[call-arg]

            return call_with_text  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> T:
            for argument in arguments:
                if isinstance(argument, _TEXTS) and len(argument) > longest:
                    return function(*arguments, **named)
            found: T = remembered(*arguments, **named)
            return found

        return call

    return decorated

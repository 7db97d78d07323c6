"""Regular expressions as schemas write them: RE2's syntax and RE2's promise that no expression takes for ever."""

from __future__ import annotations

import functools
from typing import Any, Protocol, cast


class Pattern(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> Any:
        """A match anywhere in the text, or None."""
        ...


# The engine's words for what is wrong with an expression -> those of Kubernetes.
_REASONS = {
    "bad repetition operator": "invalid nested repetition operator",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "trailing \\": "trailing backslash at end of expression",
}


def _reason(text: str) -> str:
    words, _, part = text.partition(": ")
    return f"{_REASONS.get(words, words)}: `{part}`"


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Pattern:
    """The expression, to be searched with. ValueError with the reason for one that cannot be compiled."""
    import re2  # only clusters with custom resources need it

    options = re2.Options()
    options.log_errors = False
    try:
        return cast(Pattern, re2.compile(pattern, options))
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"error parsing regexp: {_reason(text)}") from error

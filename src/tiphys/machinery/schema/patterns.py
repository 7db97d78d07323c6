"""Regular expressions as schemas write them (the RE2 syntax), for Python's `re`.

Where the two differ: `$` and `\\z` match at the very end alone, classes such as `\\d` are ASCII, and there are named
classes inside brackets. What Python does not know at all (`\\p{L}`, `\\C`) is refused.
"""

from __future__ import annotations

import functools
import re

_NAMED_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TOKEN = re.compile(r"\\.|\[:\^?[a-z]+:\]|[\[\]$]|[^\\\[\]$]+", re.DOTALL)


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression, to be searched with. ValueError with the reason for one that cannot be compiled."""
    pieces: list[str] = []
    inside = False
    multiline = re.match(r"\(\?[a-z]*m[a-z]*\)", pattern) is not None
    for token in _TOKEN.findall(pattern):
        if token.startswith("[:") and inside:
            name = token[2:-2]
            if name.startswith("^") or name not in _NAMED_CLASSES:
                raise ValueError(f"error parsing regexp: invalid character class range: `{token}`")
            token = _NAMED_CLASSES[name]
        elif token.startswith("[:"):
            inside, token = True, "[" + token[1:-1].replace("[", r"\[")
            if token.endswith(":"):
                token, inside = token + "]", False
        elif token == "[":
            token = r"\[" if inside else "["
            inside = True
        elif token == "]":
            first_in_class = inside and pieces and pieces[-1] in ("[", "[^")
            token = r"\]" if first_in_class else "]"
            inside = bool(first_in_class)
        elif (token == "$" and not inside and not multiline) or token == r"\z":
            token = r"\Z"
        elif token in (r"\p", r"\P", r"\C"):
            raise ValueError(f"error parsing regexp: {token} is not supported by this server")
        pieces.append(token)
    try:
        return re.compile("".join(pieces), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"error parsing regexp: {error}") from error

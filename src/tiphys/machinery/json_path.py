"""Simple JSON paths, as printer columns, scales and selectable fields use them: names, indexes, filters, wildcards.

`.spec.replicas`, `.metadata.labels['a.b/c']`, `.status.conditions[?(@.type=="Ready")].status`, `.spec.list[0].name`,
`.spec.list[*]`, `.items[-1:]`. A path that finds nothing gives nothing; it never fails on an object. Specified in
"JSONPath Support", of which this is the part without templates.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

Step = Callable[[Iterable[Any]], list[Any]]

_NAME = re.compile(r"\.?((?:[^.\[\]\\'\" ]|\\.)+)")
_QUOTED = re.compile(r"\[(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\]")
_INDEX = re.compile(r"\[(-?\d+)\]")
_SLICE = re.compile(r"\[(-?\d*):(-?\d*)(?::(-?\d+))?\]")
_EVERY = re.compile(r"\[\*\]|\.\*")
_FILTER = re.compile(r"\[\?\(\s*@((?:[^=!<>'\"])*?)\s*(?:(==|!=|<=|>=|<|>)\s*('[^']*'|\"[^\"]*\"|[^)\s]+)\s*)?\)\]")


def _children(name: str) -> Step:
    return lambda found: [value[name] for value in found if isinstance(value, dict) and name in value]


def _item(position: int) -> Step:
    def step(found: Iterable[Any]) -> list[Any]:
        return [v[position] for v in found if isinstance(v, list) and -len(v) <= position < len(v)]

    return step


def _sliced(part: slice) -> Step:
    return lambda found: [item for value in found if isinstance(value, list) for item in value[part]]


def _every(found: Iterable[Any]) -> list[Any]:
    items: list[Any] = []
    for value in found:
        if isinstance(value, dict):
            items += value.values()
        elif isinstance(value, list):
            items += value
    return items


def _literal(word: str) -> Any:
    if word[:1] in "'\"":
        return word[1:-1]
    if word in ("true", "false"):
        return word == "true"
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"unrecognized identifier {word}") from None


def _compare(left: Any, operator: str, right: Any) -> bool:
    if operator in ("==", "!="):
        same = left == right and isinstance(left, bool) == isinstance(right, bool)
        return same == (operator == "==")
    if isinstance(left, str) != isinstance(right, str) or isinstance(left, bool | dict | list) or left is None:
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def _filtered(path: str, operator: str | None, word: str | None) -> Step:
    inner = compile_path(path)
    wanted = _literal(word) if word is not None else None

    def matches(item: Any) -> bool:
        values = inner(item)
        if operator is None:
            return bool(values)
        return any(_compare(value, operator, wanted) for value in values)

    return lambda found: [item for value in found if isinstance(value, list) for item in value if matches(item)]


def _steps(path: str) -> list[Step]:
    steps: list[Step] = []
    position = 0
    while position < len(path):
        if match := _EVERY.match(path, position):
            steps.append(_every)
        elif match := _QUOTED.match(path, position):
            steps.append(_children(re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2])))
        elif match := _INDEX.match(path, position):
            steps.append(_item(int(match[1])))
        elif match := _SLICE.match(path, position):
            bounds = [int(word) if word else None for word in match.groups()]
            steps.append(_sliced(slice(*bounds)))
        elif match := _FILTER.match(path, position):
            steps.append(_filtered(match[1], match[2], match[3]))
        elif (match := _NAME.match(path, position)) and (match[0].startswith(".") or not position):
            steps.append(_children(re.sub(r"\\(.)", r"\1", match[1])))
        else:
            raise ValueError(f"unexpected {path[position:]!r} in the path {path!r}")
        position = match.end()
    return steps


@functools.lru_cache(maxsize=4096)
def compile_path(path: str) -> Callable[[Any], list[Any]]:
    """What finds the values at a path in plain JSON, in order. ValueError for a path that cannot be read."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    steps = _steps(text.removeprefix("$"))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = step(found)
        return found

    return find


_TOKEN = re.compile(r"[.\[\]{}]|[^.\[\]{}]+")


def field_names(path: str) -> tuple[str, ...]:
    """The names of a path that goes down by names alone, as selectable fields want it. ValueError for any other."""
    tokens = iter(_TOKEN.findall(path))
    names: list[str] = []
    for token in tokens:
        if token == "[":
            raise ValueError("array notation is not allowed")
        if token != ".":
            raise ValueError(f"expected [ or . but got: {token}")
        name = next(tokens, None)
        if name is None:
            raise ValueError("unexpected end of JSON path")
        names.append(name)
    return tuple(names)


def names_of(path: str) -> tuple[str, ...]:
    """The names between the dots of the path of a scale."""
    return tuple(path.removeprefix(".").split(".")) if path else ()

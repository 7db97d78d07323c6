"""Plain JSON values: None, bool, int, float, str, list, dict. Copying and comparing them as JSON means it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def copied(value: Any) -> Any:
    """A copy that shares no list or map with the original."""
    if isinstance(value, dict):
        return {key: copied(member) for key, member in value.items()}
    if isinstance(value, list):
        return [copied(member) for member in value]
    return value


def equal(left: Any, right: Any) -> bool:
    """Whether two values say the same: numbers by their value, truth values only to truth values, maps in any order."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal(member, right[key]) for key, member in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(equal, left, right))
    if isinstance(right, (dict, list)) or isinstance(left, bool) is not isinstance(right, bool):
        return False
    return bool(left == right)


def size_bytes(value: Any, limit: int) -> int:
    """About as many bytes as the value has as JSON; counting stops soon after `limit`."""
    total = 0
    waiting = [value]
    while waiting and total <= limit:
        value = waiting.pop()
        if isinstance(value, Mapping):
            total += 2 + sum(len(key) + 4 for key in value)
            waiting += value.values()
        elif isinstance(value, list):
            total += 2 + len(value)
            waiting += value
        else:
            total += len(value) + 2 if isinstance(value, str) else len(repr(value))
    return total


def type_name(value: Any) -> str:
    """What JSON calls this sort of value."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")

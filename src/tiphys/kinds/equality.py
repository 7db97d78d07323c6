"""Whether two values mean the same, although one writer leaves out what another writes as empty.

An unset list, map or text equals an empty one. Anything else must be equal; an empty object is not an unset one.
"""

from __future__ import annotations

from typing import Any

import msgspec


def same(left: Any, right: Any) -> bool:
    """Equal in meaning, all the way down."""
    if left == right:
        return True
    if left is None or right is None:
        return _is_empty(left if right is None else right)
    if isinstance(left, msgspec.Struct):
        if type(left) is not type(right):
            return False
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__struct_fields__)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return False


def _is_empty(value: Any) -> bool:
    return isinstance(value, list | dict | str) and not value

"""The printer columns of custom resources: values found by JSONPath, as their column's type shows them.

Specified in "Extend the Kubernetes API with CustomResourceDefinitions", "Additional printer columns".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tiphys.kinds import codec
from tiphys.kinds.strategy import Column
from tiphys.kinds.types.apiextensions_v1 import CustomResourceColumnDefinition
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import json_path, timestamps
from tiphys.machinery.duration import age


def column(given: CustomResourceColumnDefinition) -> Column[Unstructured]:
    return Column(
        name=given.name,
        cell=_cell(given.jsonPath, given.type),
        type=given.type,
        format=given.format or "",
        priority=given.priority or 0,
        description=given.description or f"Custom resource definition column (in JSONPath format): {given.jsonPath}",
    )


def _reader(path: str) -> Callable[[Unstructured], list[Any]]:
    """What finds the values of a path in an object; metadata becomes plain JSON only for paths that want it."""
    find = json_path.compile_path(path)
    if path.lstrip(".{$ ").startswith(("spec", "status")):
        return lambda obj: find(obj.content)
    return lambda obj: find(codec.plain(obj))


def _cell(path: str, kind: str) -> Callable[[Unstructured, float], Any]:
    try:
        read = _reader(path)
    except ValueError:
        return lambda obj, now: None  # validation refuses such a path; a stored one shows nothing

    def cell(obj: Unstructured, now: float) -> Any:
        values = read(obj)
        if not values:
            return None
        return _shown(values, kind, now)

    return cell


def _shown(values: Sequence[Any], kind: str, now: float) -> Any:
    value = values[0]
    if kind == "string":
        if len(values) > 1:
            return ",".join(text_of(item) for item in values)
        return text_of(value)
    if value is None:
        return None
    if kind == "date":
        if not isinstance(value, str):
            return "<invalid>"
        try:
            return age(timestamps.parse_time(value), now)
        except ValueError:
            return "<invalid>"
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    return value if isinstance(value, bool) else None


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()

"""What is read although it is not as it should be: null where nothing may be null counts as left out, and line breaks
in base64 count for nothing (people paste what `base64` prints).

Specified in the API conventions ("Optional vs. Required") and RFC 4648, section 3.3, as Go reads it. Asked only once a
value was refused as it stands.
"""

from __future__ import annotations

from typing import Any

from tiphys.kinds import type_schema
from tiphys.kinds.type_schema import Declared


def lenient(value: Any, wanted: type[Any]) -> Any:
    """New plain values, as they are meant."""
    declared = type_schema.of_type(wanted)
    value = _without_nulls(value)
    return _without_line_breaks(value, declared) if declared is not None else value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _without_line_breaks(value: Any, declared: Declared) -> Any:
    if declared.ref:
        declared = type_schema.definition(declared.ref)
    if isinstance(value, dict):
        nothing, each = Declared(), declared.additionalProperties
        below = declared.properties or {}
        return {key: _without_line_breaks(item, each or below.get(key, nothing)) for key, item in value.items()}
    if isinstance(value, list) and declared.items is not None:
        return [_without_line_breaks(item, declared.items) for item in value]
    if isinstance(value, str) and declared.format == "byte":
        return value.replace("\r", "").replace("\n", "")
    return value

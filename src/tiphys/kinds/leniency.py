"""What is read although it is not as it should be: a null field counts as left out, a null in a map or list as the
value with nothing in it, and line breaks in base64 count for nothing (people paste what `base64` prints).

Specified in the API conventions ("Optional vs. Required") and RFC 4648, section 3.3, as Go reads it. Asked only once a
value was refused as it stands.
"""

from __future__ import annotations

from typing import Any

from tiphys.kinds import type_schema
from tiphys.kinds.type_schema import Declared
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import Unstructured

_LINE_BREAKS = str.maketrans("", "", "\r\n")
_ZEROS = {"string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "int-or-string": 0}


def lenient(value: Any, wanted: type[Any]) -> Any:
    """New plain values, as they are meant. Of custom objects only the metadata has a type."""
    if issubclass(wanted, Unstructured):
        if not isinstance(value, dict) or "metadata" not in value:
            return value
        return {**value, "metadata": lenient(value["metadata"], ObjectMeta)}
    return _meant(value, type_schema.of_type(wanted) or Declared())


def _meant(value: Any, declared: Declared) -> Any:
    if declared.ref:
        declared = type_schema.definition(declared.ref)
    if isinstance(value, dict):
        each, below = declared.additionalProperties, declared.properties or {}
        if each is not None:
            return {key: _meant(_filled(item, each), each) for key, item in value.items()}
        return {key: _meant(item, below.get(key, Declared())) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        each = declared.items or Declared()
        return [_meant(_filled(item, each), each) for item in value]
    return value.translate(_LINE_BREAKS) if isinstance(value, str) and declared.format == "byte" else value


def _filled(value: Any, declared: Declared) -> Any:
    """A null that stands for a value: the one that has nothing in it."""
    if value is not None:
        return value
    if declared.ref:
        declared = type_schema.definition(declared.ref)
    if declared.properties is not None:
        return {}
    return None if declared.format == "date-time" else _ZEROS.get(declared.type)

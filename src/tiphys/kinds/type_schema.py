"""The types of the API's own objects as the published schema has them, one definition at a time.

Read from `schema/api.json` when first needed, for answers that may take their time.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from tiphys.kinds import api_schema


class Declared(msgspec.Struct, gc=False):
    """A property, an element or a definition."""

    ref: str = ""
    type: str = ""
    format: str = ""
    items: Declared | None = None
    additionalProperties: Declared | None = None
    properties: dict[str, Declared] | None = None


@functools.cache
def _definitions() -> dict[str, Declared]:
    return api_schema.definitions(Declared)


@functools.cache
def _names_by_type() -> dict[tuple[str, str], str]:
    return api_schema.names_by_type(_definitions())


def definition(name: str) -> Declared:
    """The definition such as `io.k8s.api.core.v1.PodSpec`; an empty one when there is none."""
    return _definitions().get(name) or Declared()


def of_type(struct: type[Any]) -> Declared | None:
    """A reference to the definition of a Struct of `kinds/types`; None for one that has none."""
    name = _names_by_type().get((struct.__module__.rpartition(".")[2], struct.__name__))
    return Declared(ref=name) if name is not None else None


def structural_schema(struct: type[Any]) -> dict[str, Any]:
    """The type of a Struct as a structural schema, as those of custom resources are."""
    declared = of_type(struct)
    assert declared is not None, struct
    return _structural(declared)


def _structural(declared: Declared) -> dict[str, Any]:
    if declared.ref:
        declared = definition(declared.ref)
    if declared.properties is not None:
        return {"type": "object", "properties": {name: _structural(part) for name, part in declared.properties.items()}}
    if declared.items is not None:
        return {"type": "array", "items": _structural(declared.items)}
    if declared.additionalProperties is not None:
        return {"type": "object", "additionalProperties": _structural(declared.additionalProperties)}
    if declared.type == "object" or not declared.type:
        return {"x-kubernetes-preserve-unknown-fields": True}
    return {"type": declared.type}

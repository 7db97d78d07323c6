"""How the fields of the API's own types merge in a strategic patch: the markers of the published schema.

Read from `schema/api.json` when first needed. Custom resources have no such markers: Kubernetes refuses strategic
patches for them, which is the API server's to do.
"""

from __future__ import annotations

import functools
from typing import Any

from tiphys.kinds.type_schema import Declared, definition, name_of
from tiphys.machinery.patch.strategic import NO_SCHEMA, FieldSchema, PatchSchema


class _Fields:
    """The fields of one definition."""

    __slots__ = ("_known", "_properties")

    def __init__(self, properties: dict[str, Declared]) -> None:
        self._properties = properties
        self._known: dict[str, FieldSchema] = {}

    def field(self, name: str) -> FieldSchema:
        found = self._known.get(name)
        if found is None:
            declared = self._properties.get(name)
            if declared is None:
                return NO_SCHEMA.field(name)
            found = self._known[name] = _field_schema(declared)
        return found


class _Members:
    """The fields of a map whose keys are free: all alike."""

    __slots__ = ("_field",)

    def __init__(self, element: PatchSchema) -> None:
        self._field = FieldSchema("", "", element)

    def field(self, name: str) -> FieldSchema:
        return self._field


def _field_schema(declared: Declared) -> FieldSchema:
    # `retainKeys` tells clients how to make a patch; applying one needs only the strategy beside it.
    strategy = next((part for part in declared.patch_strategy.split(",") if part in ("merge", "replace")), "")
    element = NO_SCHEMA
    if declared.ref:
        element = of_definition(declared.ref)
    elif declared.items is not None and declared.items.ref:
        element = of_definition(declared.items.ref)
    elif declared.additionalProperties is not None and declared.additionalProperties.ref:
        element = _Members(of_definition(declared.additionalProperties.ref))
    return FieldSchema(strategy, declared.patch_merge_key, element)


@functools.cache
def of_definition(name: str) -> PatchSchema:
    """The schema of a definition such as `io.k8s.api.core.v1.PodSpec`; without any field when it is not known."""
    properties = definition(name).properties
    return NO_SCHEMA if properties is None else _Fields(properties)


def of_type(struct: type[Any]) -> PatchSchema:
    """The schema of a Struct of `kinds/types`. KeyError when it was not made from a definition."""
    return of_definition(name_of(struct))

"""How the fields of the API's own types merge in a strategic patch: the markers of the published schema.

Read from `schema/api.json` when first needed. Custom resources have no such markers: Kubernetes refuses strategic
patches for them, which is the API server's to do.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from tiphys.kinds import api_schema
from tiphys.machinery.patch.strategic import NO_SCHEMA, FieldSchema, PatchSchema


class _Items(msgspec.Struct, gc=False):
    ref: str = ""


class _Property(msgspec.Struct, gc=False, rename={"strategy": "patch-strategy", "merge_key": "patch-merge-key"}):
    ref: str = ""
    items: _Items | None = None
    additionalProperties: _Items | None = None
    strategy: str = ""
    merge_key: str = ""


class _Definition(msgspec.Struct, gc=False):
    properties: dict[str, _Property] = {}


@functools.cache
def _definitions() -> dict[str, _Definition]:
    return api_schema.definitions(_Definition)


@functools.cache
def _names_by_type() -> dict[tuple[str, str], str]:
    return api_schema.names_by_type(_definitions())


class _Fields:
    """The fields of one definition."""

    __slots__ = ("_known", "_properties")

    def __init__(self, properties: dict[str, _Property]) -> None:
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


def _field_schema(declared: _Property) -> FieldSchema:
    # `retainKeys` tells clients how to make a patch; applying one needs only the strategy beside it.
    strategy = next((part for part in declared.strategy.split(",") if part in ("merge", "replace")), "")
    element = NO_SCHEMA
    if declared.ref:
        element = of_definition(declared.ref)
    elif declared.items is not None and declared.items.ref:
        element = of_definition(declared.items.ref)
    elif declared.additionalProperties is not None and declared.additionalProperties.ref:
        element = _Members(of_definition(declared.additionalProperties.ref))
    return FieldSchema(strategy, declared.merge_key, element)


@functools.cache
def of_definition(name: str) -> PatchSchema:
    """The schema of a definition such as `io.k8s.api.core.v1.PodSpec`; without any field when it is not known."""
    definition = _definitions().get(name)
    return NO_SCHEMA if definition is None else _Fields(definition.properties)


def of_type(struct: type[Any]) -> PatchSchema:
    """The schema of a Struct of `kinds/types`. KeyError when it was not made from a definition."""
    return of_definition(_names_by_type()[struct.__module__.rpartition(".")[2], struct.__name__])

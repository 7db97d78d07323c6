"""The types of the API's own objects as the published schema has them, one definition at a time.

Read from `schema/api.json` when first needed, for answers that may take their time.
"""

from __future__ import annotations

import functools
import pkgutil
from typing import Any

import msgspec

_MARKERS = {
    "list_type": "list-type",
    "list_keys": "list-map-keys",
    "map_type": "map-type",
    "patch_strategy": "patch-strategy",
    "patch_merge_key": "patch-merge-key",
}


class Declared(msgspec.Struct, gc=False, rename=_MARKERS):
    """A property, an element or a definition. The markers say how lists and maps are owned in server-side apply, and
    how they merge in a strategic patch."""

    ref: str = ""
    type: str = ""
    format: str = ""
    items: Declared | None = None
    additionalProperties: Declared | None = None
    properties: dict[str, Declared] | None = None
    list_type: str = ""
    list_keys: list[str] = []
    map_type: str = ""
    patch_strategy: str = ""
    patch_merge_key: str = ""


@functools.cache
def _definitions() -> dict[str, Declared]:
    data = pkgutil.get_data("tiphys.kinds", "schema/api.json")
    assert data is not None
    return msgspec.json.decode(data, type=dict[str, Declared])


@functools.cache
def _names_by_type() -> dict[tuple[str, str], str]:
    """Definition names by the module of `kinds/types` and the name of the Struct made of them."""
    found = {}
    for name in _definitions():
        *_, group, version, kind = name.split(".")
        found[f"{group}_{version}", kind] = name
    return found


def definition(name: str) -> Declared:
    """The definition such as `io.k8s.api.core.v1.PodSpec`; an empty one when there is none."""
    return _definitions().get(name) or Declared()


def name_of(struct: type[Any]) -> str:
    """The name of the definition that a Struct of `kinds/types` was made from. KeyError for one that has none."""
    return _names_by_type()[struct.__module__.rpartition(".")[2], struct.__name__]


def of_type(struct: type[Any]) -> Declared | None:
    """A reference to the definition of a Struct of `kinds/types`; None for one that has none."""
    try:
        return Declared(ref=name_of(struct))
    except KeyError:
        return None


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

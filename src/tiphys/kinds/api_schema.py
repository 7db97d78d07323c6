"""The published schema of the API's own types (`schema/api.json`), read into whatever part of it a reader declares."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T")


def definitions(wanted: type[T]) -> dict[str, T]:
    """Every definition by its name, each as a `wanted` Struct (fields that it does not declare are left out)."""
    data = pkgutil.get_data("tiphys.kinds", "schema/api.json")
    assert data is not None
    return msgspec.json.decode(data, type=dict[str, wanted])  # type: ignore[valid-type]


def names_by_type(names: Iterable[str]) -> dict[tuple[str, str], str]:
    """Definition names by the module of `kinds/types` and the name of the Struct made of them."""
    found = {}
    for name in names:
        *_, group, version, kind = name.split(".")
        found[f"{group}_{version}", kind] = name
    return found

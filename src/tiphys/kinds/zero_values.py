"""Fields that mean the same unset and zero, and are left out of an object when they are zero.

A client may write `hostNetwork: false` or `value: ""`; another one, which reads the object and writes it back, leaves
that out. Both must mean the same object, so what the server stores and shows has it never. Which fields these are is
data (`schema/zero_values.json`: by module of `kinds.types`, by Struct); of all other fields zero is a value
(`replicas: 0`, `storageClassName: ""`).
"""

from __future__ import annotations

import functools
import pkgutil
import typing
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class _Plan:
    """What there is to do in one Struct: fields that may be zero, and fields that lead to such Structs."""

    scalars: tuple[str, ...]
    parts: tuple[str, ...]


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    data = pkgutil.get_data("tiphys.kinds", "schema/zero_values.json")
    assert data is not None
    found: dict[str, dict[str, str]] = msgspec.json.decode(data)
    return found


def fields_of(struct: Any) -> tuple[str, ...]:
    """The fields of this Struct itself that are left out when they are zero."""
    module = struct.__module__.rpartition(".")[2]
    return tuple(_table().get(module, {}).get(struct.__name__, "").split())


@functools.cache
def _plan(struct: Any) -> _Plan | None:
    """None when there is nothing to do here or anywhere below, or when it is no Struct (custom objects)."""
    if not issubclass(struct, msgspec.Struct):
        return None
    leading = [name for name, inner in _inner_structs(struct) if any(map(fields_of, _reachable(inner)))]
    scalars = fields_of(struct)
    return _Plan(scalars, tuple(leading)) if scalars or leading else None


@functools.cache
def _reachable(struct: Any) -> frozenset[Any]:
    """The Struct and all that it is made of."""
    found, open_ends = {struct}, [struct]
    while open_ends:
        for _, inner in _inner_structs(open_ends.pop()):
            if inner not in found:
                found.add(inner)
                open_ends.append(inner)
    return frozenset(found)


@functools.cache
def _inner_structs(struct: Any) -> tuple[tuple[str, Any], ...]:
    """(field, Struct) for every field that holds Structs, in lists and maps too."""
    hints = typing.get_type_hints(struct)
    return tuple((name, inner) for name in struct.__struct_fields__ for inner in _structs_in(hints[name]))


def _structs_in(hint: Any) -> list[Any]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    return [found for argument in typing.get_args(hint) for found in _structs_in(argument)]


def drop(thing: Any) -> None:
    """Take zero values out of an object, in place."""
    struct: Any = type(thing)
    plan = _plan(struct)
    if plan is None:
        return
    for name in plan.scalars:
        value = getattr(thing, name)
        if value is not None and not value:
            setattr(thing, name, None)
    for name in plan.parts:
        value = getattr(thing, name)
        if not value:
            continue
        if isinstance(value, list):
            for part in value:
                drop(part)
        elif isinstance(value, dict):
            for part in value.values():
                drop(part)
        else:
            drop(value)

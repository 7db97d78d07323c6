"""Fields that mean the same unset and zero, and are left out of an object when they are zero.

A client may write `hostNetwork: false`, `value: ""` or `labels: {}`; another one, which reads the object and writes it
back, leaves that out. Both must mean the same object, so what the server stores and shows has it never. Which scalars
these are is data (`schema/zero_values.json`: by module of `kinds.types`, by Struct); of all others zero is a value
(`replicas: 0`, `storageClassName: ""`). Of lists and maps it is every one that need not be there, but for a few.
"""

from __future__ import annotations

import functools
import operator
import pkgutil
import typing
from collections.abc import Callable, Sequence
from itertools import compress, repeat
from operator import is_not
from typing import Any

import msgspec

# Lists that are shown when they are empty.
_SHOWN_EMPTY: dict[str, tuple[str, ...]] = {
    "AllocatedDeviceStatus": ("conditions",),
    "CSINodeDriver": ("topologyKeys",),
    "ClusterRole": ("rules",),
    "ContainerImage": ("names",),
    "CustomResourceDefinitionStatus": ("conditions", "storedVersions"),
    "DeviceClaim": ("requests",),
    "EndpointSlice": ("endpoints", "ports"),
    "HPAScalingRules": ("policies",),
    "HorizontalPodAutoscalerStatus": ("currentMetrics",),
    "ProjectedVolumeSource": ("sources",),
    "ResourcePolicyRule": ("namespaces",),
    "Role": ("rules",),
    "TokenRequestSpec": ("audiences",),
}


class _Plan:
    """What there is to do in one Struct: fields that may be zero, and fields that lead to such Structs."""

    def __init__(self, values: Sequence[str], parts: Sequence[str]) -> None:
        names = tuple(dict.fromkeys((*values, *parts)))
        getter = operator.attrgetter(*names)
        self.members: Callable[[Any], tuple[Any, ...]] = getter if len(names) > 1 else lambda thing: (getter(thing),)
        self.fields = tuple((name, name in values, name in parts) for name in names)
        self.positions = range(len(names))


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    data = pkgutil.get_data("tiphys.kinds", "schema/zero_values.json")
    assert data is not None
    found: dict[str, dict[str, str]] = msgspec.json.decode(data)
    return found


@functools.cache
def fields_of(struct: Any) -> tuple[str, ...]:
    """The fields of this Struct itself that are left out when they are zero or empty."""
    return (*_scalars_of(struct), *_collections_of(struct))


def _scalars_of(struct: Any) -> tuple[str, ...]:
    module = struct.__module__.rpartition(".")[2]
    return tuple(_table().get(module, {}).get(struct.__name__, "").split())


def _collections_of(struct: Any) -> list[str]:
    """The lists and maps that need not be there."""
    shown = _SHOWN_EMPTY.get(struct.__name__, ())
    found = []
    for name, hint in typing.get_type_hints(struct).items():
        kinds = {typing.get_origin(part) for part in typing.get_args(hint)}
        if type(None) in typing.get_args(hint) and kinds & {list, dict} and name not in shown:
            found.append(name)
    return found


@functools.cache
def _plan(struct: Any) -> _Plan | None:
    """None when there is nothing to do here or anywhere below, or when it is no Struct (custom objects)."""
    if not issubclass(struct, msgspec.Struct):
        return None
    leading = [name for name, inner in _inner_structs(struct) if any(map(fields_of, _reachable(inner)))]
    values = fields_of(struct)
    return _Plan(values, leading) if values or leading else None


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
    members = plan.members(thing)
    for position in compress(plan.positions, map(is_not, members, repeat(None))):
        name, is_value, is_part = plan.fields[position]
        value = members[position]
        if is_value and not value:
            setattr(thing, name, None)
        elif is_part:
            _drop_in(value)


def _drop_in(value: Any) -> None:
    if isinstance(value, list):
        for part in value:
            drop(part)
    elif isinstance(value, dict):
        for part in value.values():
            drop(part)
    else:
        drop(value)

"""Which fields of a body mean nothing to its type (unknown) or stand there twice (duplicate).

The usual body has neither, and that is found out fast: it decodes into a twin of the Struct that refuses unknown
fields, and is as long as its own compact form. Only otherwise is it walked through field by field.
"""

from __future__ import annotations

import functools
import json
import types
import typing
from collections.abc import Callable, Hashable
from typing import Any, cast

import msgspec

from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import Unstructured

_encode_plain = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder().decode


@functools.cache
def _twin(struct: Any, above: tuple[type[Any], ...] = ()) -> Any:
    """A Struct with the same fields that refuses unknown ones; Any where a type contains itself."""
    if struct in above:
        return Any
    hints = typing.get_type_hints(struct)
    fields = []
    for field in msgspec.structs.fields(struct):
        hint = _twin_hint(hints[field.name], (*above, struct))
        fields.append((field.name, hint | None, msgspec.field(default=None, name=field.encode_name)))
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _twin_hint(hint: Any, above: tuple[type[Any], ...]) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(hint) if part is not type(None)]
        return (_twin_hint(inner[0], above) if len(inner) == 1 else Any) or Any
    if origin is list:
        return list[_twin_hint(typing.get_args(hint)[0], above)]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _twin_hint(typing.get_args(hint)[1], above)]  # type: ignore[misc]
    if _is_struct(hint):
        return _twin(hint, above)
    return Any


@functools.cache
def _twin_decode(struct: Hashable) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(_twin(struct)).decode


def findings(data: bytes, wanted: type[Any]) -> list[str]:
    """`unknown field "spec.x"` and `duplicate field "spec.y"` for a JSON body that decodes into `wanted`."""
    found: list[str] = []
    if issubclass(wanted, Unstructured):
        return (repeated(data) or []) + unknown_fields(_decode_plain(data), wanted)
    try:
        _twin_decode(cast(Hashable, wanted))(data)
    except msgspec.ValidationError:
        found = unknown_fields(_decode_plain(data), wanted)
    return found + (repeated(data) or [])


def repeated(data: bytes) -> list[str] | None:
    """`duplicate field "spec.y"` for what stands twice in a JSON text; None when it is no JSON."""
    try:
        if len(_encode_plain(_decode_plain(data))) == len(data.rstrip()):
            return []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return duplicate_fields(data)


def unknown_fields(plain: Any, wanted: type[Any]) -> list[str]:
    """`unknown field "spec.x"` for every field of plain values that the type does not have."""
    found: list[str] = []
    if issubclass(wanted, Unstructured):
        if isinstance(plain, dict):
            _walk(plain.get("metadata"), ObjectMeta, "metadata", found)
            found += wanted.unknown_fields(plain)
        return found
    _walk(plain, wanted, "", found)
    return found


@functools.cache
def _hints(struct: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(struct)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _walk(value: Any, hint: Any, path: str, found: list[str]) -> None:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(hint) if part is not type(None)]
        if len(inner) == 1:
            _walk(value, inner[0], path, found)
    elif origin is list and isinstance(value, list):
        for position, item in enumerate(value):
            _walk(item, typing.get_args(hint)[0], f"{path}[{position}]", found)
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            _walk(item, typing.get_args(hint)[1], f"{path}.{key}", found)
    elif _is_struct(hint) and isinstance(value, dict):
        hints = _hints(hint)
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if key in hints:
                _walk(item, hints[key], where, found)
            else:
                found.append(f'unknown field "{where}"')


def duplicate_fields(data: bytes) -> list[str]:
    """`duplicate field "spec.x"` for every key that an object of a JSON text has twice."""
    found: list[str] = []

    def walk(pairs: list[tuple[str, Any]], path: str) -> None:
        seen: set[str] = set()
        for key, value in pairs:
            where = f"{path}.{key}" if path else key
            if key in seen:
                found.append(f'duplicate field "{where}"')
            seen.add(key)
            descend(value, where)

    def descend(value: Any, where: str) -> None:
        if isinstance(value, _Pairs):
            walk(value.pairs, where)
        elif isinstance(value, list):
            for position, item in enumerate(value):
                descend(item, f"{where}[{position}]")

    descend(json.loads(data, object_pairs_hook=_Pairs), "")
    return found


class _Pairs:
    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs

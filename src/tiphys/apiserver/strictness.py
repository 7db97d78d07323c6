"""Which fields of a body mean nothing to its type (unknown) or stand there twice (duplicate).

The usual body has neither, and that is found out fast: it decodes into a twin of the Struct that refuses unknown
fields, and is as long as its own compact form or has as many keys. Only otherwise is it walked through field by field.
"""

from __future__ import annotations

import functools
import json
import re
import types
import typing
from collections.abc import Callable, Hashable
from typing import Any, cast

import msgspec

from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import Unstructured

_encode_plain = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder().decode
# Every string of a JSON text, with the colon after it when it is a key.
_strings = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?').findall


class _ContainsItself(Exception):
    """A type for which no twin can be made."""


@functools.cache
def _twin(struct: Any, above: tuple[type[Any], ...] = ()) -> Any:
    """A Struct with the same fields that refuses unknown ones. _ContainsItself."""
    if struct in above:
        raise _ContainsItself
    fields = []
    for field, hint in zip(msgspec.structs.fields(struct), _hints(struct).values(), strict=True):
        twin = _twin_hint(hint, (*above, struct))
        fields.append((field.name, twin | None, msgspec.field(default=None, name=field.encode_name)))
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _twin_hint(hint: Any, above: tuple[type[Any], ...]) -> Any:
    shape, inner = _shape(hint)
    if shape is list:
        return list[_twin_hint(inner, above)]  # type: ignore[misc]
    if shape is dict:
        return dict[str, _twin_hint(inner, above)]  # type: ignore[misc]
    return _twin(inner, above) if shape is msgspec.Struct else Any


@functools.cache
def _shape(hint: Any) -> tuple[type[Any] | None, Any]:
    """Whether a type is a Struct, a list or a map, and the Struct or what is in it; None for everything else."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [part for part in inner if part is not type(None)]
        return _shape(rest[0]) if len(rest) == 1 else (None, None)
    if origin in (list, dict):
        return origin, inner[-1]
    return (msgspec.Struct, hint) if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else (None, None)


@functools.cache
def _hints(struct: Any) -> dict[str, Any]:
    """The types of the fields by their names in JSON."""
    hints = typing.get_type_hints(struct)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


@functools.cache
def _twin_of(struct: Hashable) -> Any:
    """The twin of a type; None when there is none."""
    try:
        return _twin(struct)
    except _ContainsItself:
        return None


@functools.cache
def _twin_decode(struct: Hashable) -> Callable[[bytes], Any] | None:
    twin = _twin_of(struct)
    return None if twin is None else msgspec.json.Decoder(twin).decode


def findings(data: bytes, wanted: type[Any]) -> list[str]:
    """`unknown field "spec.x"` and `duplicate field "spec.y"` for a JSON body that decodes into `wanted`."""
    found: list[str] = []
    if issubclass(wanted, Unstructured):
        return (repeated(data) or []) + unknown_fields(_decode_plain(data), wanted)
    decode = _twin_decode(cast(Hashable, wanted))
    try:
        if decode is not None:
            decode(data)
    except msgspec.ValidationError:
        decode = None
    if decode is None:
        _walk(_decode_plain(data), wanted, "", found)
    return found + (repeated(data) or [])


def repeated(data: bytes) -> list[str] | None:
    """`duplicate field "spec.y"` for what stands twice in a JSON text; None when it is no JSON."""
    try:
        compact = _encode_plain(_decode_plain(data))
        if len(compact) == len(data.rstrip()) or _keys(compact) == _keys(data):
            return []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return duplicate_fields(data)


def _keys(data: bytes) -> int:
    """How many keys stand in a JSON text."""
    found = _strings(data)
    return len(found) - found.count(b"")


def unknown_fields(plain: Any, wanted: type[Any]) -> list[str]:
    """`unknown field "spec.x"` for every field of plain values that the type does not have."""
    found: list[str] = []
    if issubclass(wanted, Unstructured):
        if isinstance(plain, dict):
            _walk(plain.get("metadata"), ObjectMeta, "metadata", found)
            found += wanted.unknown_fields(plain)
        return found
    twin = _twin_of(cast(Hashable, wanted))
    try:
        if twin is not None:
            msgspec.convert(plain, twin)
            return found
    except msgspec.ValidationError:
        pass  # there are some, or something else is wrong that others tell of
    _walk(plain, wanted, "", found)
    return found


def _walk(value: Any, hint: Any, path: str, found: list[str]) -> None:
    shape, inner = _shape(hint)
    if shape is list and isinstance(value, list):
        for position, item in enumerate(value):
            _walk(item, inner, f"{path}[{position}]", found)
    elif shape is dict and isinstance(value, dict):
        for key, item in value.items():
            _walk(item, inner, f"{path}.{key}", found)
    elif shape is msgspec.Struct and isinstance(value, dict):
        hints = _hints(inner)
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

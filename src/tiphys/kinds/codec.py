"""Structs to JSON bytes and back: the one place that knows the custom scalars (Quantity, Time, MicroTime)."""

from __future__ import annotations

import functools
import math
from typing import Any, TypeVar

import msgspec

from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import HEAD, Unstructured
from tiphys.machinery import quantity, timestamps

T = TypeVar("T")


def decode_scalar(wanted: type[Any], value: Any) -> Any:
    """msgspec's dec_hook: canonical scalars, ValueError with the reason for a bad one."""
    if wanted is timestamps.Time:
        if not isinstance(value, str):
            raise ValueError("a time must be a string")
        return timestamps.parse_time(value)
    if wanted is quantity.Quantity:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("a quantity must be a string or a number")
        return quantity.parse(value)
    if wanted is timestamps.MicroTime:
        if not isinstance(value, str):
            raise ValueError("a time must be a string")
        return timestamps.parse_micro_time(value)
    if issubclass(wanted, Unstructured):
        return _unstructured(wanted, value)
    raise TypeError(f"no scalar type: {wanted!r}")


def _unstructured(wanted: type[Unstructured], value: Any) -> Unstructured:
    if not isinstance(value, dict):
        raise ValueError("an object of a custom resource must be a JSON object")
    api_version, kind, metadata = (value.get(name) for name in HEAD)
    if not isinstance(api_version or "", str) or not isinstance(kind or "", str):
        raise ValueError("apiVersion and kind must be strings")
    # By way of JSON: parts of the metadata are kept as they stand there (managedFields).
    meta = decode(msgspec.json.encode(metadata), ObjectMeta) if metadata is not None else None
    found = wanted(metadata=meta, content={name: item for name, item in value.items() if name not in HEAD})
    found.apiVersion, found.kind = api_version or "", kind or ""
    return found


def number(text: str) -> int | float:
    """A number of JSON that has no type: whole ones are kept as such, however they are written (`1.0`, `1e3`).
    ValueError for one that is too large."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def encode_scalar(value: Any) -> Any:
    """msgspec's enc_hook: the str subclasses as plain text, custom objects with their head first."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Unstructured):
        head = {"apiVersion": value.apiVersion, "kind": value.kind, "metadata": value.metadata}
        return head | value.content
    raise TypeError(f"cannot encode {type(value)!r}")


_encoder = msgspec.json.Encoder(enc_hook=encode_scalar)
encode = _encoder.encode


@functools.cache
def decoder(wanted: type[T]) -> msgspec.json.Decoder[T]:
    if isinstance(wanted, type) and issubclass(wanted, Unstructured):
        return msgspec.json.Decoder(wanted, dec_hook=decode_scalar, float_hook=number)
    return msgspec.json.Decoder(wanted, dec_hook=decode_scalar)


def decode(data: bytes | memoryview, wanted: type[T]) -> T:
    """The object of its JSON bytes. msgspec.ValidationError (path and reason) or msgspec.DecodeError (not JSON)."""
    found: T = decoder(wanted).decode(data)  # type: ignore[arg-type]
    return found


def convert(value: Any, wanted: type[T]) -> T:
    """The object of plain JSON values. msgspec.ValidationError."""
    found: T = msgspec.convert(_with_raw_fields(value), wanted, dec_hook=decode_scalar)
    return found


def _with_raw_fields(value: Any) -> Any:
    """Plain values whose managed fields are JSON text, as their Struct keeps them unread."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    managed = metadata.get("managedFields") if isinstance(metadata, dict) else None
    if not isinstance(managed, list):
        return value
    entries = [
        {**entry, "fieldsV1": msgspec.Raw(_encoder.encode(entry["fieldsV1"]))}
        if isinstance(entry, dict) and "fieldsV1" in entry
        else entry
        for entry in managed
    ]
    return {**value, "metadata": {**metadata, "managedFields": entries}}  # type: ignore[dict-item]


def plain(value: Any) -> Any:
    """An object as plain JSON values (dicts, lists, str, ...), free to change."""
    return msgspec.json.decode(encode(value))


def copy(value: T) -> T:
    """A deep copy that shares nothing that can change."""
    return decode(encode(value), type(value))

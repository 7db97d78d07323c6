"""Taking zero values out of objects, against a twin that looks at every field."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kinds import codec, registry, zero_values


def naive(thing: Any) -> None:
    """The same by looking at everything."""
    if isinstance(thing, list):
        for part in thing:
            naive(part)
    elif isinstance(thing, dict):
        naive(list(thing.values()))
    elif isinstance(thing, msgspec.Struct):
        for field in thing.__struct_fields__:
            value = getattr(thing, field)
            if field in zero_values.fields_of(type(thing)) and value in ("", 0, False, [], {}):
                setattr(thing, field, None)
            naive(value)


@pytest.mark.parametrize("name", ["Pod", "Service", "PersistentVolume"])
@settings(max_examples=40)
@given(data=st.data())
def test_like_the_naive_way(name: str, data: st.DataObject) -> None:
    resource = registry.by_kind("", "v1", name)
    assert resource is not None

    def fill(struct: type[Any], depth: int) -> Any:
        hints = typing.get_type_hints(struct)
        thing = struct()
        for field in zero_values.fields_of(struct):
            kind = next(kind for kind in typing.get_args(hints[field]) if kind is not type(None))
            some = [None, kind()] if typing.get_origin(kind) else [None, kind(), kind(1)]
            setattr(thing, field, data.draw(st.sampled_from(some)))
        for field, inner in zero_values._inner_structs(struct):
            if depth and data.draw(st.booleans()):
                value = fill(inner, depth - 1)
                hint = str(hints[field])
                setattr(thing, field, [value] if "list[" in hint else {"k": value} if "dict[" in hint else value)
        return thing

    thing = fill(resource.type, 3)
    twin = msgspec.convert(msgspec.to_builtins(thing, enc_hook=str), type(thing), dec_hook=codec.decode_scalar)
    naive(twin)
    zero_values.drop(thing)
    assert codec.plain(thing) == codec.plain(twin)

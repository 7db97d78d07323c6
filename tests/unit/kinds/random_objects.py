"""Random objects of any Struct: sparse, shallow, with meaningful words here and there. A seed makes the same again."""

from __future__ import annotations

import functools
import random
from typing import Any

import msgspec

from tiphys.machinery import quantity, timestamps

WORDS = (
    "",
    "a",
    "web",
    "Always",
    "None",
    "ClusterIP",
    "Localhost",
    "TCP",
    "10.0.0.1",
    "x.y/z",
    "-",
    "..",
    "25%",
    "In",
    "All",
)
NUMBERS = (-1, 0, 1, 2, 80, 600, 70000, 2**31 - 1)
KEYS = ("cpu", "memory", "storage", "app", "a/b", "-")
DEPTH_LIMIT = 8
_inspect = msgspec.inspect


@functools.cache
def _info(kind: type[Any]) -> msgspec.inspect.StructType:
    info = _inspect.type_info(kind)
    assert isinstance(info, _inspect.StructType)
    return info


def random_object(kind: type[Any], dice: random.Random) -> Any:
    """An object of the Struct; the deeper, the fewer optional fields are set."""
    return _struct(_info(kind), dice, 0)


def _struct(info: msgspec.inspect.StructType, dice: random.Random, depth: int) -> Any:
    chosen = {}
    for field in info.fields:
        if depth == 0 and field.name in ("apiVersion", "kind"):
            continue
        if depth >= DEPTH_LIMIT or dice.random() < (0.3 if depth < 2 else 0.7):
            continue
        chosen[field.name] = _value(field.type, dice, depth + 1)
    return info.cls(**chosen)


def _value(kind: Any, dice: random.Random, depth: int) -> Any:
    if isinstance(kind, _inspect.StrType):
        return dice.choice(WORDS)
    if isinstance(kind, _inspect.IntType):
        return dice.choice([number for number in NUMBERS if kind.le is None or number <= kind.le])
    if isinstance(kind, _inspect.FloatType):
        return dice.random()
    if isinstance(kind, _inspect.BoolType):
        return dice.random() < 0.5
    if isinstance(kind, _inspect.BytesType):
        return dice.choice((b"", b"x"))
    if isinstance(kind, _inspect.NoneType):
        return None
    if isinstance(kind, _inspect.AnyType):
        return dice.choice((None, {}, {"a": 1}, "x"))
    if isinstance(kind, _inspect.UnionType):
        return _value(dice.choice(kind.types), dice, depth)
    if isinstance(kind, _inspect.ListType):
        return [_value(kind.item_type, dice, depth) for _ in range(dice.randrange(3))]
    if isinstance(kind, _inspect.DictType):
        keys = dice.sample(KEYS, dice.randrange(3))
        return {key: _value(kind.value_type, dice, depth) for key in keys}
    if isinstance(kind, _inspect.StructType):
        return _struct(_info(kind.cls), dice, depth)
    if isinstance(kind, _inspect.RawType):
        return msgspec.Raw(b"{}")
    assert isinstance(kind, _inspect.CustomType)
    return _scalar(kind.cls, dice)


def _scalar(kind: type[Any], dice: random.Random) -> Any:
    if kind is quantity.Quantity:
        return quantity.parse(dice.choice(("0", "1", "100m", "1Gi", "-1")))
    moment = dice.choice((0.0, 1767225600.0))
    return timestamps.time_of(moment) if kind is timestamps.Time else timestamps.micro_time_of(moment)

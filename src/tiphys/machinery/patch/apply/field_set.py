"""Sets of fields, in the shape that metadata.managedFields has them: nested maps whose keys are path elements.

`f:name` is a field or a map's member, `k:{...}` an item of a list by its keys, `v:...` an item of a set by its value,
`i:0` an item by its position. An element belongs to the set when its own map is empty or has a `.` in it; otherwise it
is only on the way to others. Sets are never changed: every function gives a new one, which may share parts with its
arguments, and returns what it was given when that is the result. Depth is bounded by whoever reads the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tiphys.machinery.bounded_cache import bounded_cache

FieldSet = dict[str, Any]
Path = tuple[str, ...]

LEAF: FieldSet = {}
EMPTY: FieldSet = {}
OWN = "."

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_in_order = msgspec.json.Encoder(order="sorted").encode


def is_member(node: FieldSet) -> bool:
    """Whether the element that `node` stands for is itself in the set."""
    return not node or OWN in node


# -- the text form


@bounded_cache(2048, longest=16 * 1024)
def parse(data: bytes) -> FieldSet:
    """The set of a FieldsV1 text; cached, not to be changed. ValueError for anything that is none."""
    if not data or data == b"null":
        return EMPTY
    found = _decode(data)
    if not isinstance(found, dict):
        raise ValueError("a field set is an object")
    return _read(found)


def _read(found: Any) -> FieldSet:
    if not isinstance(found, dict):
        raise ValueError("an element of a field set is an object")
    node: FieldSet = {}
    for key, value in found.items():
        if key == OWN:
            continue
        element = _canonical(key)
        if element is not None:
            node[element] = _read(value)
    return {OWN: LEAF, **node} if OWN in found and node else node


@bounded_cache(8192)
def _canonical(key: str) -> str | None:
    """A path element as it is written here; None for a sort that later versions may know. ValueError."""
    sort, colon, text = key.partition(":")
    if not colon:
        raise ValueError(f"missing colon in the path element {key!r}")
    if sort == "f":
        return key
    if sort == "i":
        return f"i:{int(text)}"
    if sort == "k":
        fields = _decode(text)
        if not isinstance(fields, dict) or not fields:
            raise ValueError(f"the keys of a list item are an object: {key!r}")
        return by_keys(fields)
    return by_value(_decode(text)) if sort == "v" else None


def by_keys(fields: dict[str, Any]) -> str:
    """The element of a list item with these values of its keys."""
    return "k:" + _encode_in_order(fields).decode()


def by_value(value: Any) -> str:
    """The element of an item of a set."""
    return "v:" + _encode_in_order(value).decode()


def serialise(fields: FieldSet) -> bytes:
    """The canonical text, keys in the order of their characters: `.`, fields, items."""
    return _encode_in_order(fields)


@bounded_cache(8192)
def _rank(key: str) -> tuple[Any, ...]:
    if key == OWN:
        return (0,)
    sort, text = key[0], key[2:]
    if sort == "f":
        return (1, text)
    if sort == "k":
        return (2, *((name, *_value_rank(value)) for name, value in sorted(_decode(text).items())))
    return (3, *_value_rank(_decode(text))) if sort == "v" else (4, int(text))


def _value_rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (3, _encode_in_order(value))


# -- algebra


def _settled(node: FieldSet) -> FieldSet:
    return LEAF if len(node) == 1 and OWN in node else node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in either."""
    if not other or one is other:
        return one
    if not one:
        return other
    result = dict(one)
    for key, theirs in other.items():
        mine = result.get(key)
        result[key] = theirs if mine is None else _joined(mine, theirs)
    return result


def _joined(mine: FieldSet, theirs: FieldSet) -> FieldSet:
    if mine is theirs or not (mine or theirs):
        return mine
    if mine and theirs:
        return union(mine, theirs)
    larger = mine or theirs
    return larger if OWN in larger else {OWN: LEAF, **larger}


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both."""
    if len(other) < len(one):
        one, other = other, one
    result = {}
    for key, mine in one.items():
        theirs = other.get(key)
        if theirs is not None:
            node = _shared(mine, theirs)
            if node is not None:
                result[key] = node
    return result


def _shared(mine: FieldSet, theirs: FieldSet) -> FieldSet | None:
    if mine and theirs:
        both = intersection(mine, theirs)
        return _settled(both) if both else None
    return LEAF if is_member(mine) and is_member(theirs) else None


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in the first alone, member by member."""
    if not other:
        return one
    result = {}
    for key, mine in one.items():
        theirs = other.get(key)
        node = mine if theirs is None else _less(mine, theirs)
        if node is not None:
            result[key] = node
    return result


def _less(mine: FieldSet, theirs: FieldSet) -> FieldSet | None:
    if not mine:
        return None if is_member(theirs) else mine
    if not theirs:
        rest = {key: value for key, value in mine.items() if key != OWN}
    else:
        rest = difference(mine, theirs)
    return _settled(rest) if rest else None


def recursive_difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in the first and neither in the second nor below a member of it."""
    result = {}
    for key, mine in one.items():
        theirs = other.get(key)
        if theirs is None:
            result[key] = mine
        elif not is_member(theirs):
            node = recursive_difference(mine, theirs) if mine else mine
            if node or not mine:
                result[key] = _settled(node)
    return result


def contains(fields: FieldSet, others: FieldSet) -> bool:
    """Whether everything in `others` is in `fields` too."""
    return not difference(others, fields)


# -- paths


def paths(fields: FieldSet, above: Path = ()) -> Iterator[Path]:
    """Every member, each level before what is below it: fields by name, items by their keys or values."""
    keys = [key for key in sorted(fields, key=_rank) if key != OWN]
    yield from ((*above, key) for key in keys if is_member(fields[key]))
    for key in keys:
        yield from paths(fields[key], (*above, key))


def of_paths(members: list[Path]) -> FieldSet:
    """The set with these members."""
    result: FieldSet = {}
    for path in members:
        node: FieldSet = LEAF
        for key in reversed(path):
            node = {key: node}
        result = union(result, node)
    return result


def path_text(path: Path) -> str:
    """`.spec.containers[name="web"].image`, as clients see it."""
    parts = []
    for element in path:
        sort, text = element[0], element[2:]
        if sort == "f":
            parts.append(f".{text}")
        elif sort == "k":
            parts.append("[" + ",".join(f"{key}={_text(value)}" for key, value in sorted(_decode(text).items())) + "]")
        else:
            parts.append(f"[={_text(_decode(text))}]" if sort == "v" else f"[{text}]")
    return "".join(parts)


def _text(value: Any) -> str:
    return _encode(value).decode()


def quoted(text: str) -> str:
    """A text as messages show it."""
    return _encode(text).decode()

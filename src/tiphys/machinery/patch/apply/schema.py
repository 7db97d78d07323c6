"""What apply asks of types. Built-in types answer from the published schema, custom resources from theirs.

Where nothing is known, the value decides (`DEDUCED`): maps are granular, lists and all else are atomic.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tiphys.machinery.patch.values import equal


class Form(enum.Enum):
    """How the owners of a value share it."""

    LEAF = enum.auto()  # as a whole: scalars, atomic maps and lists
    FIELDS = enum.auto()  # by declared fields
    MEMBERS = enum.auto()  # by the members of a map with free keys
    ITEMS_BY_KEY = enum.auto()  # by the items of a list, each named by some of its fields
    ITEMS_BY_VALUE = enum.auto()  # by the items of a list without duplicates
    DEDUCED = enum.auto()  # as its value suggests


class Sort(enum.Enum):
    """Which values a type takes, however they are owned. null is of every sort."""

    ANYTHING = enum.auto()
    NUMBER = enum.auto()
    STRING = enum.auto()
    BOOLEAN = enum.auto()
    SCALAR = enum.auto()
    MAP = enum.auto()
    LIST = enum.auto()


class ValueSchema(Protocol):
    """The type of one value. `keys` name the items of ITEMS_BY_KEY; a key without a value may have a default."""

    def __hash__(self) -> int: ...

    @property
    def form(self) -> Form: ...

    @property
    def sort(self) -> Sort: ...

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def key_defaults(self) -> Mapping[str, Any]: ...

    @property
    def element(self) -> ValueSchema:
        """Of lists and maps: what they consist of."""
        ...

    def field(self, name: str) -> ValueSchema | None:
        """Of maps: the type of one member; None when it is not declared."""
        ...

    def same(self, left: Any, right: Any) -> bool:
        """Of LEAF: whether two values mean the same (`1` and `1000m`)."""
        ...


class _Plain:
    """A type of which only the form and the sort are known."""

    __slots__ = ("form", "sort")
    keys: Sequence[str] = ()
    key_defaults: Mapping[str, Any] = {}

    def __init__(self, form: Form, sort: Sort) -> None:
        self.form = form
        self.sort = sort

    @property
    def element(self) -> ValueSchema:
        return DEDUCED

    def field(self, name: str) -> ValueSchema | None:
        return DEDUCED

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


class Deduced:
    """A type whose values say how they are owned: maps as `as_map`, everything else as a whole."""

    __slots__ = ("as_map", "sort")
    form = Form.DEDUCED
    keys: Sequence[str] = ()
    key_defaults: Mapping[str, Any] = {}

    def __init__(self, as_map: ValueSchema, sort: Sort = Sort.ANYTHING) -> None:
        self.as_map = as_map
        self.sort = sort

    @property
    def element(self) -> ValueSchema:
        return DEDUCED

    def field(self, name: str) -> ValueSchema | None:
        return self.as_map.field(name)

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


LEAF: ValueSchema = _Plain(Form.LEAF, Sort.ANYTHING)
FREE_MAP: ValueSchema = _Plain(Form.MEMBERS, Sort.MAP)
DEDUCED: ValueSchema = Deduced(FREE_MAP)
DEDUCED_MAP: ValueSchema = Deduced(FREE_MAP, Sort.MAP)
# Of fields that a type keeps without declaring them: they are owned as the members of a map with free keys are.
UNDECLARED: ValueSchema = Deduced(FREE_MAP)
ATOMIC_MAP: ValueSchema = _Plain(Form.LEAF, Sort.MAP)
ANY_SCALAR: ValueSchema = _Plain(Form.LEAF, Sort.SCALAR)
_NUMBER, _STRING, _BOOLEAN = (_Plain(Form.LEAF, sort) for sort in (Sort.NUMBER, Sort.STRING, Sort.BOOLEAN))
_SCALARS: Mapping[str, ValueSchema] = {
    "integer": _NUMBER, "number": _NUMBER, "string": _STRING, "boolean": _BOOLEAN,
}  # fmt: skip


def scalar(kind: str, value_format: str = "") -> ValueSchema:
    """The type of the scalars that OpenAPI calls so. Texts of a format (but base64) may be any scalars here."""
    if kind == "string" and value_format not in ("", "byte"):
        return ANY_SCALAR
    return _SCALARS.get(kind, ANY_SCALAR)


def resolved(schema: ValueSchema, value: Any) -> ValueSchema:
    """The type with which a value is treated."""
    if isinstance(schema, Deduced):
        return schema.as_map if isinstance(value, dict) else LEAF
    return schema

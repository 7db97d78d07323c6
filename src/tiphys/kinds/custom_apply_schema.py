"""How the fields of custom resources are owned in server-side apply: from the markers of their own schemas.

Lists without a marker are atomic, maps and structures granular; what a schema preserves without specifying it is as its
value suggests. The metadata is that of every object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.kinds import apply_schema
from tiphys.machinery.patch.apply.schema import (
    ATOMIC_MAP,
    DEDUCED,
    DEDUCED_MAP,
    UNDECLARED,
    Deduced,
    Form,
    Sort,
    ValueSchema,
    scalar,
)
from tiphys.machinery.patch.values import equal
from tiphys.machinery.schema.pruning import PRESERVE
from tiphys.machinery.schema.validation import EMBEDDED, Schema

_SCALARS = ("integer", "number", "string", "boolean")
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class _Structure:
    """A part with declared fields; `others` is how the fields are owned that are not declared, None if there are
    none."""

    sort = Sort.MAP
    keys: Sequence[str] = ()
    key_defaults: Mapping[str, Any] = {}
    element = DEDUCED

    def __init__(self, fields: Mapping[str, ValueSchema], others: ValueSchema | None, form: Form) -> None:
        self.form = form
        self._fields = fields
        self._others = others

    def field(self, name: str) -> ValueSchema | None:
        return self._fields.get(name, self._others)

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


class _Container:
    """A map with free keys, or a list."""

    def __init__(
        self, sort: Sort, form: Form, element: ValueSchema, keys: Sequence[str], defaults: Mapping[str, Any]
    ) -> None:
        self.sort = sort
        self.form = form
        self.element = element
        self.keys = tuple(keys)
        self.key_defaults = defaults

    def field(self, name: str) -> ValueSchema | None:
        return self.element

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


def of_schema(schema: Schema, *, is_object: bool = False, preserves: bool = False) -> ValueSchema:
    """`is_object`: an API object, whose apiVersion, kind and metadata are implied; `preserves`: it is below a part that
    keeps what it does not specify."""
    kind = schema.get("type") or ""
    if kind == "array":
        return _of_list(schema, preserves)
    if kind in _SCALARS:
        return scalar(kind, schema.get("format") or "")
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    preserves = preserves or bool(schema.get(PRESERVE))
    rest, properties = schema.get("additionalProperties"), schema.get("properties") or {}
    if isinstance(rest, Mapping):
        return _Container(Sort.MAP, Form.LEAF if atomic else Form.MEMBERS, of_schema(rest, preserves=preserves), (), {})
    implied = is_object or bool(schema.get(EMBEDDED))
    if not properties and not implied:
        return DEDUCED if not kind else ATOMIC_MAP if atomic else DEDUCED_MAP
    fields = {name: of_schema(part, preserves=preserves) for name, part in properties.items()}
    if implied:
        string = scalar("string")
        fields |= {"apiVersion": string, "kind": string, "metadata": apply_schema.of_definition(OBJECT_META)}
    others = UNDECLARED if preserves or rest is True else None
    found = _Structure(fields, others, Form.LEAF if atomic else Form.FIELDS)
    return found if kind else Deduced(found)


def _of_list(schema: Schema, preserves: bool) -> ValueSchema:
    items, kind = schema.get("items") or {}, schema.get("x-kubernetes-list-type")
    element = of_schema(items, preserves=preserves)
    if kind == "set":
        return _Container(Sort.LIST, Form.ITEMS_BY_VALUE, element, (), {})
    if kind != "map":
        return _Container(Sort.LIST, Form.LEAF, element, (), {})
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    properties = items.get("properties") or {}
    given = {key: (properties.get(key) or {}).get("default") for key in keys}
    defaults = {key: value for key, value in given.items() if value is not None}
    return _Container(Sort.LIST, Form.ITEMS_BY_KEY, element, keys, defaults)

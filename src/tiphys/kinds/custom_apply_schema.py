"""How the fields of custom resources are owned in server-side apply: from the markers of their own schemas.

Lists without a marker are atomic, maps and structures granular; what a schema preserves without specifying it is as its
value suggests. The metadata is that of every object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.kinds import apply_schema
from tiphys.machinery.patch.apply.schema import DEDUCED, LEAF, Form, ValueSchema
from tiphys.machinery.patch.values import equal
from tiphys.machinery.schema.pruning import PRESERVE
from tiphys.machinery.schema.validation import EMBEDDED, Schema

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class _Structure:
    """A part with declared fields; `others` is how the fields are owned that are not declared, None if there are
    none."""

    form = Form.FIELDS
    keys: Sequence[str] = ()
    key_defaults: Mapping[str, Any] = {}
    element = DEDUCED

    def __init__(self, fields: Mapping[str, ValueSchema], others: ValueSchema | None) -> None:
        self._fields = fields
        self._others = others

    def field(self, name: str) -> ValueSchema | None:
        return self._fields.get(name, self._others)

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


class _Container:
    """A map with free keys, or a list whose items are owned one by one."""

    def __init__(self, form: Form, element: ValueSchema, keys: Sequence[str], defaults: Mapping[str, Any]) -> None:
        self.form = form
        self.element = element
        self.keys = tuple(keys)
        self.key_defaults = defaults

    def field(self, name: str) -> ValueSchema | None:
        return self.element

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


def of_schema(schema: Schema, *, is_object: bool = False) -> ValueSchema:
    """`is_object`: an API object, whose apiVersion, kind and metadata are implied."""
    if schema.get("x-kubernetes-map-type") == "atomic":
        return LEAF
    if schema.get("type") == "array":
        return _of_list(schema)
    rest = schema.get("additionalProperties")
    if isinstance(rest, Mapping):
        return _Container(Form.MEMBERS, of_schema(rest), (), {})
    preserves = bool(schema.get(PRESERVE)) or rest is True
    properties = schema.get("properties") or {}
    implied = is_object or bool(schema.get(EMBEDDED))
    if not properties and not implied:
        return DEDUCED if preserves else _Structure({}, None) if schema.get("type") == "object" else LEAF
    fields = {name: of_schema(part) for name, part in properties.items()}
    if implied:
        fields |= {"apiVersion": LEAF, "kind": LEAF, "metadata": apply_schema.of_definition(OBJECT_META)}
    return _Structure(fields, DEDUCED if preserves else None)


def _of_list(schema: Schema) -> ValueSchema:
    items, kind = schema.get("items") or {}, schema.get("x-kubernetes-list-type")
    if kind == "set":
        return _Container(Form.ITEMS_BY_VALUE, of_schema(items), (), {})
    if kind != "map":
        return LEAF
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    properties = items.get("properties") or {}
    given = {key: (properties.get(key) or {}).get("default") for key in keys}
    defaults = {key: value for key, value in given.items() if value is not None}
    return _Container(Form.ITEMS_BY_KEY, of_schema(items), keys, defaults)

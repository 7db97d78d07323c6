"""How the fields of the API's own types are owned in server-side apply: the markers of the published schema.

Read from `schema/api.json` when first needed; each type is looked at when a value of it is met. Lists without a marker
are atomic, maps and structures granular. Quantities and times are the same when they mean the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiphys.kinds.type_schema import Declared, definition, name_of
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import quantity, timestamps
from tiphys.machinery.patch.apply import schema
from tiphys.machinery.patch.apply.schema import ATOMIC_MAP, DEDUCED, DEDUCED_MAP, LEAF, Form, Sort, ValueSchema
from tiphys.machinery.patch.values import equal

# Keys of list items that may be left out, which the published markers do not say. All others are there in any case,
# with nothing in them if need be, but for those of items that need no name.
_KEY_DEFAULTS: dict[str, Mapping[str, Any]] = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}
_ZEROS = {"string": "", "integer": 0}
_NAMELESS = ("AllocatedDeviceStatus", "ObjectReference")
_NO_DEFAULTS: Mapping[str, Any] = {}
_LIST_FORMS = {"map": Form.ITEMS_BY_KEY, "set": Form.ITEMS_BY_VALUE}


class _Scalar:
    """A leaf whose text has a canonical form."""

    form = Form.LEAF
    sort = Sort.SCALAR
    keys: Sequence[str] = ()
    key_defaults = _NO_DEFAULTS
    element = DEDUCED

    def __init__(self, canonical: Callable[[Any], Any]) -> None:
        self._canonical = canonical

    def field(self, name: str) -> ValueSchema | None:
        return None

    def same(self, left: Any, right: Any) -> bool:
        try:
            return bool(self._canonical(left) == self._canonical(right))
        except (ValueError, TypeError, AttributeError):
            return equal(left, right)


_OWN: dict[str, ValueSchema] = {
    "io.k8s.apimachinery.pkg.runtime.RawExtension": LEAF,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _Scalar(quantity.parse),
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": _Scalar(timestamps.parse_time),
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": _Scalar(timestamps.parse_micro_time),
}


class _Structure:
    """A type with declared fields."""

    __slots__ = ("_known", "_properties", "form")
    sort = Sort.MAP
    keys: Sequence[str] = ()
    key_defaults = _NO_DEFAULTS
    element = DEDUCED

    def __init__(self, properties: dict[str, Declared], form: Form) -> None:
        self.form = form
        self._properties = properties
        self._known: dict[str, ValueSchema] = {}

    def field(self, name: str) -> ValueSchema | None:
        found = self._known.get(name)
        if found is None:
            declared = self._properties.get(name)
            if declared is None:
                return None
            found = self._known[name] = _of_declared(declared)
        return found

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


class _Container:
    """A map with free keys, or a list."""

    __slots__ = ("_declared", "_element", "form", "key_defaults", "keys", "sort")

    def __init__(self, sort: Sort, form: Form, declared: Declared, keys: Sequence[str] = ()) -> None:
        self.sort = sort
        self.form = form
        self.keys = tuple(keys)
        self.key_defaults = _key_defaults(declared.ref, self.keys) if keys else _NO_DEFAULTS
        self._declared = declared
        self._element: ValueSchema | None = None

    @property
    def element(self) -> ValueSchema:
        if self._element is None:
            self._element = _of_declared(self._declared)
        return self._element

    def field(self, name: str) -> ValueSchema | None:
        return self.element

    def same(self, left: Any, right: Any) -> bool:
        return equal(left, right)


def _key_defaults(ref: str, keys: Sequence[str]) -> Mapping[str, Any]:
    known = _KEY_DEFAULTS.get(ref, _NO_DEFAULTS)
    if ref.rpartition(".")[2] in _NAMELESS:
        return known
    properties = definition(ref).properties or {}
    return {key: _ZEROS[properties[key].type] for key in keys} | dict(known)


def _of_declared(declared: Declared) -> ValueSchema:
    atomic = declared.map_type == "atomic"
    if declared.ref:
        if declared.map_type:
            return _Structure(definition(declared.ref).properties or {}, Form.LEAF if atomic else Form.FIELDS)
        return of_definition(declared.ref)
    if declared.items is not None:
        form = _LIST_FORMS.get(declared.list_type, Form.LEAF)
        return _Container(Sort.LIST, form, declared.items, declared.list_keys)
    if declared.properties is not None:
        return _Structure(declared.properties, Form.LEAF if atomic else Form.FIELDS)
    if declared.additionalProperties is not None:
        return _Container(Sort.MAP, Form.LEAF if atomic else Form.MEMBERS, declared.additionalProperties)
    if declared.type == "object":
        return ATOMIC_MAP if atomic else DEDUCED_MAP
    return schema.scalar(declared.type, declared.format) if declared.type else DEDUCED


@functools.cache
def of_definition(name: str) -> ValueSchema:
    """The schema of a definition such as `io.k8s.api.core.v1.PodSpec`."""
    own = _OWN.get(name)
    if own is not None:
        return own
    return _of_declared(definition(name))


def of_type(struct: type[Any]) -> ValueSchema:
    """The schema of a Struct of `kinds/types`, or of the class of a custom resource. KeyError when it was not made from
    a definition."""
    if issubclass(struct, Unstructured):
        found: ValueSchema = struct.value_schema()
        return found
    return of_definition(name_of(struct))

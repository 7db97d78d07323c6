"""What keeps a configuration from being applied: values of another sort than their types', undeclared fields, items
that cannot be told apart.

Atomic maps and lists are looked into as well. A null fits everywhere but in a list whose items are owned one by one.
The words are those that clients know.
"""

from __future__ import annotations

from typing import Any

from tiphys.machinery import go_text
from tiphys.machinery.patch.apply import field_set
from tiphys.machinery.patch.apply.schema import DEDUCED, UNDECLARED, Form, Sort, ValueSchema
from tiphys.machinery.patch.apply.walk import item_element

_NULL = type(None)
# Values of these types fit without a look at what is in them.
_FITTING: dict[Sort, frozenset[type]] = {
    Sort.ANYTHING: frozenset({_NULL, bool, int, float, str}),
    Sort.SCALAR: frozenset({_NULL, bool, int, float, str}),
    Sort.NUMBER: frozenset({_NULL, int, float}),
    Sort.STRING: frozenset({_NULL, str}),
    Sort.BOOLEAN: frozenset({_NULL, bool}),
    Sort.MAP: frozenset({_NULL}),
    Sort.LIST: frozenset({_NULL}),
}
_WORDS = {Sort.SCALAR: "any scalar", Sort.BOOLEAN: "boolean", Sort.MAP: "map", Sort.LIST: "list"}


def findings(value: Any, schema: ValueSchema, path: str = "") -> list[str]:
    """Everything that does not fit, as `path: words`."""
    sort = schema.sort
    if schema in (DEDUCED, UNDECLARED) or type(value) in _FITTING[sort]:
        return []
    if isinstance(value, dict) and sort in (Sort.MAP, Sort.ANYTHING):
        return _member_findings(value, schema, path)
    if isinstance(value, list) and sort in (Sort.LIST, Sort.ANYTHING):
        keyed = schema.form in (Form.ITEMS_BY_KEY, Form.ITEMS_BY_VALUE)
        return _item_findings(value, schema, path) if keyed else _position_findings(value, schema, path)
    text = _misfit(value, sort)
    return [f"{path}: {text}" if path else text]


def _misfit(value: Any, sort: Sort) -> str:
    if sort is Sort.NUMBER:
        return f"expected numeric (int or float), got {go_text.type_name(value)}"
    if sort is Sort.STRING:
        return f"expected string, got &value.valueUnstructured{{Value:{go_text.literal(value)}}}"
    return f"expected {_WORDS[sort]}, got &{{{go_text.plain(value)}}}"


def _member_findings(value: dict[str, Any], schema: ValueSchema, path: str) -> list[str]:
    found = []
    for name, member in value.items():
        below = schema.field(name)
        if below is None:
            found.append(f"{path}.{name}: field not declared in schema")
        elif type(member) not in _FITTING[below.sort]:
            found += findings(member, below, f"{path}.{name}")
    return found


def _position_findings(items: list[Any], schema: ValueSchema, path: str) -> list[str]:
    element, found = schema.element, []
    fitting = _FITTING[element.sort]
    for position, item in enumerate(items):
        if type(item) not in fitting:
            found += findings(item, element, f"{path}[{position}]")
    return found


def _item_findings(items: list[Any], schema: ValueSchema, path: str) -> list[str]:
    """Behind an item that has no name of its own nothing is looked at."""
    found: list[str] = []
    seen: set[str] = set()
    for position, item in enumerate(items):
        nameless = _nameless(item, schema)
        if nameless:
            return [*found, f"{path}: element {position}: {nameless}"]
        element = item_element(schema, item)
        assert element is not None, "an item with a name has an element"
        where = field_set.path_text((element,))
        if element in seen:
            found.append(f"{path}: duplicate entries for key {where}")
        seen.add(element)
        found += findings(item, schema.element, path + where)
    return found


def _nameless(item: Any, schema: ValueSchema) -> str:
    """Why an item cannot be told from others; "" when it can."""
    if schema.form is Form.ITEMS_BY_VALUE:
        if isinstance(item, dict):
            return "associative list without keys has an element that's a map type"
        if isinstance(item, list):
            return "not supported: associative list with lists as elements"
        return "associative list without keys has an element that's an explicit null" if item is None else ""
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    if item_element(schema, item) is None:
        names = " ".join(go_text.quoted(key) for key in schema.keys)
        return (
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return ""

"""Schemas against a naive twin: the compiled check says what a plain walk says; pruning and defaults settle at once."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.machinery.schema.pruning import compile_default, compile_prune
from tiphys.machinery.schema.validation import compile_check

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 2.0]), st.text("xy", max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=3)),
    max_leaves=8,
)


def leaf_schemas() -> st.SearchStrategy[dict[str, Any]]:
    texts = {
        "minLength": st.integers(1, 2),
        "maxLength": st.integers(0, 2),
        "enum": st.just(["x", "y"]),
        "default": st.just("x"),
    }
    bounds = {"minimum": st.integers(-1, 1), "maximum": st.integers(0, 2)}
    others = st.sampled_from(["boolean", "number"])
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("integer")}, optional=bounds),
        st.fixed_dictionaries({"type": st.just("string")}, optional=texts),
        st.fixed_dictionaries({"type": others}, optional={"nullable": st.booleans()}),
        st.just({"x-kubernetes-int-or-string": True}),
        st.just({"x-kubernetes-preserve-unknown-fields": True}),
    )


def above(below: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, below, min_size=1, max_size=3)},
            optional={
                "required": st.lists(NAMES, max_size=1),
                "x-kubernetes-preserve-unknown-fields": st.just(True),
                "default": st.just({}),
            },
        ),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": below}),
        st.fixed_dictionaries({"type": st.just("array"), "items": below}, optional={"maxItems": st.integers(0, 2)}),
    )


SCHEMAS = st.recursive(leaf_schemas(), above, max_leaves=6)
ROOTS = above(SCHEMAS)


def has_type(value: Any, kind: str) -> bool:
    if kind == "integer":
        return not isinstance(value, bool) and (
            isinstance(value, int) or (isinstance(value, float) and value == int(value))
        )
    if kind == "number":
        return not isinstance(value, bool) and isinstance(value, int | float)
    return isinstance(value, {"string": str, "boolean": bool, "object": dict, "array": list}[kind])


def fits(schema: dict[str, Any], value: Any) -> bool:
    """The naive twin: whether a value fits, keyword by keyword."""
    if value is None:
        if schema.get("nullable"):
            return True
        return "type" not in schema and not schema.get("x-kubernetes-int-or-string")
    if schema.get("x-kubernetes-int-or-string") and not (has_type(value, "integer") or has_type(value, "string")):
        return False
    if "type" in schema and not has_type(value, schema["type"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 99)
    if isinstance(value, list):
        items = schema.get("items")
        return len(value) <= schema.get("maxItems", 99) and all(items is None or fits(items, item) for item in value)
    if isinstance(value, dict):
        if any(name not in value for name in schema.get("required", ())):
            return False
        parts, rest = schema.get("properties", {}), schema.get("additionalProperties")
        return all(
            fits(parts[name], item) if name in parts else rest is None or fits(rest, item)
            for name, item in value.items()
        )
    if not isinstance(value, bool):
        return bool(schema.get("minimum", -99) <= value <= schema.get("maximum", 99))
    return True


@settings(max_examples=300)
@given(ROOTS, VALUES)
def test_the_compiled_check_agrees_with_a_plain_walk(schema: dict[str, Any], value: Any) -> None:
    found: list[Any] = []
    before = copy.deepcopy(value)
    compile_check(schema)(value, None, found)
    assert (not found) == fits(schema, value)
    assert value == before


@settings(max_examples=300)
@given(ROOTS, st.dictionaries(NAMES, VALUES, max_size=3))
def test_pruning_and_defaulting_settle_at_once(schema: dict[str, Any], value: dict[str, Any]) -> None:
    prune, default = compile_prune(schema), compile_default(schema)
    prune(value, None, [])
    default(value)
    settled = copy.deepcopy(value)
    dropped: list[str] = []
    prune(value, None, dropped)
    default(value)
    assert (value, dropped) == (settled, [])

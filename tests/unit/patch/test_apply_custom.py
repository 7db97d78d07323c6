"""How the fields of custom resources are owned: by the markers of their schemas, and by their values elsewhere."""

from __future__ import annotations

from tiphys.kinds import custom_apply_schema
from tiphys.machinery.patch.apply import walk
from tiphys.machinery.patch.apply.fitting import findings

KEPT = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {"inner": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
ANY = {"x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}}
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {"type": "object", "properties": {"k": {"type": "string", "default": "d"}, "v": {"type": "integer"}}},
}
SCHEMA = custom_apply_schema.of_schema({"type": "object", "properties": {"kept": KEPT, "any": ANY, "keyed": KEYED}})


def test_undeclared_maps_are_owned_as_members() -> None:
    value = {"kept": {"inner": {"a": "x", "b": {"c": 1}}, "other": {"a": {"b": 1}, "l": [1]}}}
    assert findings(value, SCHEMA) == []
    assert walk.fields_of(value, SCHEMA) == {
        "f:kept": {
            "f:inner": {"f:a": {}, "f:b": {".": {}, "f:c": {}}},
            "f:other": {".": {}, "f:a": {".": {}, "f:b": {}}, "f:l": {}},
        }
    }


def test_parts_without_a_type_take_anything_and_know_their_fields() -> None:
    for value in (1, [1, {"a": 1}], "x", None):
        assert (findings({"any": value}, SCHEMA), walk.fields_of({"any": value}, SCHEMA)) == ([], {"f:any": {}})
    value = {"any": {"a": "x", "b": {"c": 1}}}
    assert walk.fields_of(value, SCHEMA) == {"f:any": {"f:a": {}, "f:b": {".": {}, "f:c": {}}}}
    assert findings({"any": {"a": 1}}, SCHEMA) == [".any.a: expected string, got &value.valueUnstructured{Value:1}"]


def test_null_and_empty_are_two_values_of_a_map_or_list() -> None:
    for name, empty, full in (("kept", {}, {"b": 1}), ("any", {}, {"b": 1}), ("keyed", [], [{"k": "x"}])):
        for one, other in ((None, empty), (empty, None)):
            assert walk.compare({name: one}, {name: other}, SCHEMA) == ({f"f:{name}": {}}, {})
            assert walk.merge({name: one}, {name: other}, SCHEMA) == {name: other}
        inner = {"f:b": {}} if full == {"b": 1} else {'k:{"k":"x"}': {".": {}, "f:k": {}}}
        assert walk.compare({name: None}, {name: full}, SCHEMA) == ({f"f:{name}": inner}, {})
        assert walk.compare({name: full}, {name: None}, SCHEMA) == ({}, {f"f:{name}": inner})
        assert walk.merge({name: full}, {name: None}, SCHEMA) == {name: full}


def test_a_key_that_is_null_is_not_one_that_is_left_out() -> None:
    value = {"keyed": [{"v": 1}, {"k": None, "v": 2}]}
    assert findings(value, SCHEMA) == []
    assert walk.fields_of(value, SCHEMA) == {
        "f:keyed": {
            'k:{"k":"d"}': {".": {}, "f:v": {}},
            'k:{"k":null}': {".": {}, "f:k": {}, "f:v": {}},
        }
    }

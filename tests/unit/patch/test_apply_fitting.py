"""What keeps a configuration from being applied, in the words that clients know."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds import apply_schema, custom_apply_schema
from tiphys.kinds.types import apps_v1, core_v1
from tiphys.machinery.patch.apply.fitting import findings
from tiphys.machinery.patch.apply.schema import ValueSchema

ITEM = {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}}
CUSTOM = custom_apply_schema.of_schema(
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "f": {"type": "number"},
            "s": {"type": "string"},
            "date": {"type": "string", "format": "date-time"},
            "b": {"type": "boolean"},
            "ios": {"x-kubernetes-int-or-string": True},
            "l": {"type": "array", "items": {"type": "integer"}},
            "ll": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "items": {
                "type": "array",
                "items": ITEM,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            },
            "m": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object"},
            "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"x": {"type": "string"}}},
            "kept": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"inner": ITEM},
            },
        },
    }
)
LITERAL = "got &value.valueUnstructured{Value:"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"n": "x"}, [".n: expected numeric (int or float), got string"]),
        ({"f": [1]}, [".f: expected numeric (int or float), got []interface {}"]),
        ({"f": {}}, [".f: expected numeric (int or float), got map[string]interface {}"]),
        ({"n": True}, [".n: expected numeric (int or float), got bool"]),
        ({"n": 1.5, "f": 1}, []),
        ({"s": 1}, [f".s: expected string, {LITERAL}1}}"]),
        ({"s": ["a"]}, [f'.s: expected string, {LITERAL}[]interface {{}}{{"a"}}}}']),
        ({"date": 1}, []),
        ({"date": [1]}, [".date: expected any scalar, got &{[1]}"]),
        ({"b": 0}, [".b: expected boolean, got &{0}"]),
        ({"b": "x"}, [".b: expected boolean, got &{x}"]),
        ({"ios": [1]}, []),
        ({"l": {"a": 1}}, [".l: expected list, got &{map[a:1]}"]),
        (
            {"l": [1, "a", "b"]},
            [f".l[{at}]: expected numeric (int or float), got string" for at in (1, 2)],
        ),
        ({"ll": [["a", 1], 2]}, [f".ll[0][1]: expected string, {LITERAL}1}}", ".ll[1]: expected list, got &{2}"]),
        ({"set": ["a", "a"]}, ['.set: duplicate entries for key [="a"]']),
        ({"set": [1]}, [f".set[=1]: expected string, {LITERAL}1}}"]),
        ({"set": [{}, 1]}, [".set: element 0: associative list without keys has an element that's a map type"]),
        ({"set": [[]]}, [".set: element 0: not supported: associative list with lists as elements"]),
        ({"set": [None]}, [".set: element 0: associative list without keys has an element that's an explicit null"]),
        ({"items": [1]}, [".items: element 0: associative list with keys may not have non-map elements"]),
        ({"items": [None]}, [".items: element 0: associative list with keys may not have a null element"]),
        (
            {"items": [{"k": "a", "v": "x"}, {"v": 1}, {"k": 1}]},
            [
                '.items[k="a"].v: expected numeric (int or float), got string',
                '.items: element 1: associative list with keys has an element that omits all key fields ["k"] '
                "(and doesn't have default values for any key fields)",
            ],
        ),
        ({"m": {"a": 1}}, [f".m.a: expected string, {LITERAL}1}}"]),
        ({"m": []}, [".m: expected map, got &{[]}"]),
        ({"free": {"a": [1]}}, []),
        ({"free": 1}, [".free: expected map, got &{1}"]),
        ({"atom": {"x": 1}}, [f".atom.x: expected string, {LITERAL}1}}"]),
        ({"atom": {"y": 1}}, [".atom.y: field not declared in schema"]),
        ({"kept": {"other": 1, "inner": {"other": 1, "v": "x"}}},
         [".kept.inner.v: expected numeric (int or float), got string"]),
        (dict.fromkeys(("n", "s", "b", "l", "set", "items", "m", "free", "atom", "kept", "date")), []),
    ],
)  # fmt: skip
def test_custom_resources(value: Any, found: list[str]) -> None:
    assert findings(value, CUSTOM) == found


@pytest.mark.parametrize(
    ("value", "schema", "found"),
    [
        (
            {"spec": {"replicas": "3"}},
            apply_schema.of_type(apps_v1.Deployment),
            [".spec.replicas: expected numeric (int or float), got string"],
        ),
        (
            {"spec": {"containers": [{"name": "c", "args": [1], "ports": [{"containerPort": "x"}]}]}},
            apply_schema.of_type(core_v1.Pod),
            [
                f'.spec.containers[name="c"].args[0]: expected string, {LITERAL}1}}',
                '.spec.containers[name="c"].ports[containerPort="x",protocol="TCP"].containerPort: '
                "expected numeric (int or float), got string",
            ],
        ),
        (
            {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1, "memory": []}}}]}},
            apply_schema.of_type(core_v1.Pod),
            ['.spec.containers[name="c"].resources.limits.memory: expected any scalar, got &{[]}'],
        ),
        (
            {"spec": {"selector": {"matchLabels": {"a": 1}}}},
            apply_schema.of_type(apps_v1.Deployment),
            [f".spec.selector.matchLabels.a: expected string, {LITERAL}1}}"],
        ),
        (
            {"metadata": {"creationTimestamp": 1, "labels": 1, "nothing": 1}},
            apply_schema.of_type(core_v1.ConfigMap),
            [".metadata.labels: expected map, got &{1}", ".metadata.nothing: field not declared in schema"],
        ),
    ],
)
def test_kinds_of_the_api(value: Any, schema: ValueSchema, found: list[str]) -> None:
    assert findings(value, schema) == found

"""Zero values that mean nothing are taken out; those that mean something stay."""

from __future__ import annotations

import importlib
import typing
from typing import Any

import msgspec
from documents import decoded

from tiphys.kinds import codec, registry, zero_values

MODULES = sorted({resource.module for resource in registry.all_resources()} | {"meta_v1"})
STRUCTS = [
    found
    for module in MODULES
    for found in vars(importlib.import_module(f"tiphys.kinds.types.{module}")).values()
    if isinstance(found, type) and issubclass(found, msgspec.Struct) and found.__module__.endswith(module)
]


def dropped(document: dict[str, Any]) -> dict[str, Any]:
    thing = decoded(document)
    zero_values.drop(thing)
    plain: dict[str, Any] = codec.plain(thing)
    return plain


def test_the_table_names_optional_scalars_of_the_types() -> None:
    named = 0
    for struct in STRUCTS:
        hints = typing.get_type_hints(struct)
        for field in zero_values._scalars_of(struct):
            named += 1
            assert set(typing.get_args(hints[field])) in (
                {kind, type(None)} for kind in (str, int, bool, float, bytes)
            ), f"{struct.__name__}.{field}"
    written = sum(len(text.split()) for structs in zero_values._table().values() for text in structs.values())
    assert named == written > 400


def test_what_means_nothing_goes_and_what_means_something_stays() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "generateName": "", "labels": {}, "finalizers": []},
        "spec": {
            "hostNetwork": False,
            "hostUsers": False,
            "nodeName": "",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "c", "tty": False, "env": [{"name": "A", "value": ""}], "ports": [{"containerPort": 0}]}
            ],
            "volumes": [
                {"name": "v", "configMap": {"name": "", "optional": False, "items": []}},
                {"name": "p", "projected": {"sources": []}},
                {"name": "e", "emptyDir": {}},
            ],
        },
    }
    found = dropped(pod)
    assert found["metadata"] == {"name": "a"}
    assert found["spec"] == {
        "hostUsers": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "env": [{"name": "A"}], "ports": [{"containerPort": 0}]}],
        "volumes": [
            {"name": "v", "configMap": {"optional": False}},
            {"name": "p", "projected": {"sources": []}},
            {"name": "e", "emptyDir": {}},
        ],
    }


def test_schemas_within_schemas() -> None:
    inner = {"type": "string", "nullable": False, "default": "", "maxLength": 0}
    schema = {"type": "object", "title": "", "properties": {"a": inner}}
    version = {"name": "v1", "served": True, "storage": False, "schema": {"openAPIV3Schema": schema}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "a"},
        "spec": {"versions": [version]},
    }
    (found,) = dropped(definition)["spec"]["versions"]
    kept = {"type": "string", "default": "", "maxLength": 0}
    assert found["schema"]["openAPIV3Schema"] == {"type": "object", "properties": {"a": kept}}
    assert found["storage"] is False, "what is required is always shown"


def test_empty_scaling_policies_are_no_default_ones() -> None:
    behavior = {"scaleUp": {"policies": []}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"maxReplicas": 3, "scaleTargetRef": target, "behavior": behavior}
    autoscaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {}, "spec": spec}
    assert dropped(autoscaler)["spec"]["behavior"] == behavior

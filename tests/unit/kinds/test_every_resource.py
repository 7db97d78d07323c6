"""What holds for every resource of the registry, whatever its kind."""

from __future__ import annotations

import importlib
import random
from typing import Any

import pytest
from random_objects import random_object

from tiphys.kinds import codec, registry
from tiphys.kinds.resource import Resource
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.field_errors import FieldError

ALL = registry.all_resources()
NOW = 1767225600.0
SEEDS = 40
each = pytest.mark.parametrize("resource", ALL, ids=str)


@each
def test_struct_is_there_and_names_itself(resource: Resource) -> None:
    thing = resource.type()
    assert (thing.apiVersion, thing.kind) == (resource.api_version, resource.kind)
    assert registry.resource_of(resource.type) is resource
    assert registry.find(resource.group, resource.version, resource.plural) is resource
    assert registry.by_kind(resource.group, resource.version, resource.kind) is resource


@each
def test_list_is_there_for_what_can_be_listed(resource: Resource) -> None:
    module = importlib.import_module(f"tiphys.kinds.types.{resource.module}")
    assert hasattr(module, resource.list_kind) == ("list" in resource.verbs)


@each
def test_stored_resources_have_all_verbs(resource: Resource) -> None:
    if resource.storage:
        assert {"create", "delete", "get", "list", "patch", "update", "watch"} <= set(resource.verbs)
    else:
        assert set(resource.verbs) <= {"create", "get", "list"}


@each
def test_status_is_a_subresource_exactly_of_kinds_with_status(resource: Resource) -> None:
    if resource.strategy_module:
        assert resource.strategy.has_status == ("status" in resource.subresources)


@each
def test_columns_of_an_empty_object(resource: Resource) -> None:
    columns = resource.strategy.columns
    if columns is None:
        return
    thing = resource.type(metadata=ObjectMeta(name="a"))
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    assert "Name" in names
    for column in columns:
        cell = column.cell(thing, NOW)
        assert isinstance(cell, str | int | float | bool | None)
        if column.type == "integer":
            assert isinstance(cell, int)


@each
def test_hooks_are_total_and_defaults_idempotent(resource: Resource) -> None:
    for seed in range(SEEDS):
        _check_hooks(resource, random_object(resource.type, random.Random(seed)))


def _check_hooks(resource: Resource, thing: Any) -> None:
    strategy = resource.strategy
    strategy.default(thing)
    once = codec.encode(thing)
    strategy.default(thing)
    assert codec.encode(thing) == once
    again = codec.decode(once, resource.type)
    strategy.default(again)
    assert codec.encode(again) == once
    findings = strategy.validate(thing)
    assert all(isinstance(finding, FieldError) for finding in findings)
    assert codec.encode(thing) == once, "validation reads only"
    for column in strategy.columns or ():
        column.cell(thing, NOW)
    fields = strategy.fields(thing)
    assert set(fields) == set(strategy.fields(resource.type()))
    assert all(isinstance(value, str) for value in fields.values())
    assert all(isinstance(word, str) for word in strategy.warnings(thing, None))


@each
def test_updates_are_total_and_nothing_changed_is_fine(resource: Resource) -> None:
    for seed in range(SEEDS):
        dice = random.Random(seed)
        _check_updates(resource, random_object(resource.type, dice), random_object(resource.type, dice))


def _check_updates(resource: Resource, old: Any, other: Any) -> None:
    strategy = resource.strategy
    strategy.default(old)
    new = codec.copy(old)
    strategy.prepare_for_update(new, old)
    if not strategy.validate(old):
        assert strategy.validate_update(new, old) == []
    strategy.default(other)
    strategy.prepare_for_update(other, old)
    strategy.validate_update(other, old)
    assert all(isinstance(word, str) for word in strategy.warnings(other, old))
    if strategy.has_status and resource.strategy_module:
        status = codec.copy(other)
        strategy.prepare_for_status_update(status, old)
        strategy.validate_status_update(status, old)
    for check in strategy.subresource_validators.values():
        check(other, old)


def test_names_are_unique() -> None:
    seen = [(r.group, r.version, name) for r in ALL for name in (r.plural, r.singular, *r.short_names) if name]
    doubled = {entry for entry in seen if seen.count(entry) > 1}
    assert doubled == {("", "v1", "endpoints")}  # plural and singular are the same word


def test_storage_is_shared_only_by_versions_of_the_same_objects() -> None:
    shared: dict[str, list[str]] = {}
    for resource in ALL:
        if resource.storage:
            shared.setdefault(resource.storage, []).append(str(resource))
    assert {key: names for key, names in shared.items() if len(names) > 1} == {
        "events": ["events.v1", "events.v1.events.k8s.io"],
        "autoscaling/horizontalpodautoscalers": [
            "horizontalpodautoscalers.v2.autoscaling",
            "horizontalpodautoscalers.v1.autoscaling",
        ],
        "policy/poddisruptionbudgets": ["poddisruptionbudgets.v1.policy", "poddisruptionbudgets.v1beta1.policy"],
        "discovery.k8s.io/endpointslices": [
            "endpointslices.v1.discovery.k8s.io",
            "endpointslices.v1beta1.discovery.k8s.io",
        ],
    }

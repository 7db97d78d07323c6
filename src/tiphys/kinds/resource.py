"""A served resource: its names, scope, verbs and subresources, and how to find its Struct and Strategy.

The table of built-in resources is data (`kinds/resources.json`, generated); `kinds/registry.py` reads it. Custom
resources make `Resource` values of their own.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiphys.kinds.strategy import DEFAULT, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Subresource:
    """`pods/eviction` and the like. `kind`, `group` and `version` name what its body is (Scale autoscaling/v1, ...);
    bodies of `older_versions` of the group are taken, too, and mean the same."""

    name: str
    kind: str
    group: str = ""
    version: str = ""
    older_versions: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource in one group-version. Equality is by group, version and plural alone.

    `module` is the module of `kinds.types` that holds the Struct; `strategy_module` the module with `STRATEGY` ("" for
    none of its own). `storage` is the "group/plural" (or "plural") under which its objects are stored: versions of the
    same objects share it; it is "" for resources that are answered but never stored. `home` is the resource in whose
    version the objects of a custom one are stored (None: see `registry.storage_resource`). `warning` is what clients
    are told with every answer about a deprecated one ("" for others), `removed_release` the release of Kubernetes that
    serves it no more.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    module: str = ""
    strategy_module: str = ""
    storage: str = ""
    home: Resource | None = None
    warning: str = ""
    removed_release: str = ""
    _hash: int = field(init=False, repr=False, default=0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        return (self.group, self.version, self.plural) == (other.group, other.version, other.plural)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.group, self.version, self.plural)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self.plural}.{self.version}.{self.group}".rstrip(".")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @functools.cached_property
    def type(self) -> type[Any]:
        """The Struct of this resource's objects (imports its module at the first use)."""
        found: type[Any] = getattr(importlib.import_module(f"tiphys.kinds.types.{self.module}"), self.kind)
        return found

    @functools.cached_property
    def strategy(self) -> Strategy[Any]:
        """The kind's hooks (imports its module at the first use)."""
        if not self.strategy_module:
            return DEFAULT
        found: Strategy[Any] = importlib.import_module(self.strategy_module).STRATEGY
        return found

    @property
    def storage_prefix(self) -> str:
        """The key prefix of all objects, ending in a slash: `/registry/apps/deployments/`."""
        return f"/registry/{self.storage}/"

    def storage_key(self, namespace: str, name: str) -> str:
        """`/registry/pods/default/web-0`, or `/registry/nodes/a` for cluster scope."""
        if self.namespaced:
            return f"{self.storage_prefix}{namespace}/{name}"
        return f"{self.storage_prefix}{name}"

"""Which resources there are: the built-in ones, found by group, version and plural, by kind, or by Struct.

The table is data (`resources.json`, generated); reading it imports no Struct and no strategy. Invariants: group,
version and plural are unique, and so are group, version and kind; resources that share `storage` are versions of the
same objects (`conversion.py` turns one into another). Custom resources are not here: the API server keeps its own
table of those.
"""

from __future__ import annotations

import pkgutil
from typing import Any

import msgspec

from tiphys.kinds.resource import Resource, Subresource


def _resource(row: dict[str, Any]) -> Resource:
    group, version = row.pop("group", ""), row.pop("version")
    subresources = {
        name: Subresource(
            name=name,
            kind=part["kind"],
            group=part.get("group", group),
            version=part.get("version", version),
            older_versions=tuple(part.get("older_versions", ())),
            verbs=tuple(part["verbs"]),
        )
        for name, part in row.pop("subresources", {}).items()
    }
    return Resource(
        group=group,
        version=version,
        subresources=subresources,
        verbs=tuple(row.pop("verbs")),
        short_names=tuple(row.pop("short_names", ())),
        categories=tuple(row.pop("categories", ())),
        **row,
    )


def _read() -> tuple[Resource, ...]:
    data = pkgutil.get_data("tiphys.kinds", "resources.json")
    assert data is not None
    return tuple(_resource(row) for row in msgspec.json.decode(data))


_RESOURCES = _read()
_BY_PLURAL = {(r.group, r.version, r.plural): r for r in _RESOURCES}
_BY_KIND = {(r.group, r.version, r.kind): r for r in _RESOURCES}
_BY_STRUCT_NAME = {(f"tiphys.kinds.types.{r.module}", r.kind): r for r in _RESOURCES}
_BY_STRUCT: dict[type[Any], Resource] = {}


def all_resources() -> tuple[Resource, ...]:
    """Every built-in resource, groups in discovery order, the preferred version of a group first, plurals sorted."""
    return _RESOURCES


def find(group: str, version: str, plural: str) -> Resource | None:
    """The resource served under /apis/<group>/<version>/<plural> (group "" is the core group)."""
    return _BY_PLURAL.get((group, version, plural))


def by_kind(group: str, version: str, kind: str) -> Resource | None:
    """The resource whose objects have this apiVersion and kind."""
    return _BY_KIND.get((group, version, kind))


def resource_of(struct_type: type[Any]) -> Resource:
    """The resource whose objects are of this Struct. LookupError when the Struct is no resource's."""
    found = _BY_STRUCT.get(struct_type)
    if found is None:
        found = _BY_STRUCT_NAME.get((struct_type.__module__, struct_type.__name__))
        if found is None:
            raise LookupError(f"{struct_type.__name__} is not a resource")
        _BY_STRUCT[struct_type] = found
    return found


def group_versions() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(group, versions) in discovery order, the preferred version first; the core group "" leads."""
    versions: dict[str, dict[str, None]] = {}
    for resource in _RESOURCES:
        versions.setdefault(resource.group, {})[resource.version] = None
    return tuple((group, tuple(found)) for group, found in versions.items())


# The version in which objects are stored where several versions share storage.
_STORAGE_VERSIONS = {
    "events": ("", "v1"),
    "autoscaling/horizontalpodautoscalers": ("autoscaling", "v2"),
    "discovery.k8s.io/endpointslices": ("discovery.k8s.io", "v1"),
    "policy/poddisruptionbudgets": ("policy", "v1"),
}


def storage_resource(resource: Resource) -> Resource:
    """The resource in whose version these objects are stored: itself unless several versions share storage."""
    if resource.home is not None:
        return resource.home
    home = _STORAGE_VERSIONS.get(resource.storage)
    return resource if home is None else _BY_PLURAL[home[0], home[1], resource.plural]

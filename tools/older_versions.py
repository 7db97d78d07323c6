"""Versions of resources that older clients still ask for and that the published schema has dropped.

Each is told by what it differs in from the version after it: its definitions and its resources are made from those of
the newer one, for every generator alike. What the texts of the newer one would say wrongly is said anew.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MARKER = "x-kubernetes-"
KINDS = f"{MARKER}group-version-kind"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a definition differs from that of the newer version. `renamed` is newer name -> older name; `unmarked` are
    markers that are missing, of the definition (under "") or of a property; `described` says what a property means
    where that is something else."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    required: tuple[str, ...] | None = None
    unmarked: Mapping[str, str] = field(default_factory=dict)
    described: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OlderVersion:
    """`package` is the name that the definitions of all versions begin with; `deprecated` and `removed` are the
    releases in which Kubernetes said so and did so."""

    group: str
    package: str
    version: str
    newer: str
    deprecated: str
    removed: str
    differences: Mapping[str, Difference]


OLDER_VERSIONS = (
    OlderVersion(
        group="discovery.k8s.io",
        package="io.k8s.api.discovery",
        version="v1beta1",
        newer="v1",
        deprecated="1.21",
        removed="1.25",
        differences={
            "Endpoint": Difference(
                renamed={"deprecatedTopology": "topology"},
                removed=("zone",),
                described={
                    "topology": "Where the endpoint is: labels of its place, at most 16. kubernetes.io/hostname names"
                    " its node, topology.kubernetes.io/zone its zone. In discovery.k8s.io/v1 these are the fields"
                    " nodeName and zone."
                },
            ),
            "EndpointSlice": Difference(required=("addressType", "endpoints")),
            "EndpointPort": Difference(unmarked={"": "map-type"}),
        },
    ),
    OlderVersion(
        group="policy",
        package="io.k8s.api.policy",
        version="v1beta1",
        newer="v1",
        deprecated="1.21",
        removed="1.25",
        differences={
            "PodDisruptionBudgetSpec": Difference(
                unmarked={"selector": "patch-strategy"},
                described={
                    "selector": "Which pods the budget is about. Without a selector it is about none, and so it is with"
                    " an empty one ({}), which in policy/v1 selects all pods of the namespace."
                },
            )
        },
    ),
)


def with_older_definitions(definitions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The published definitions and those of the older versions."""
    found = dict(definitions)
    for older in OLDER_VERSIONS:
        prefix = f"{older.package}.{older.newer}."
        for name in definitions:
            if name.startswith(prefix):
                short = name.removeprefix(prefix)
                difference = older.differences.get(short, Difference())
                found[f"{older.package}.{older.version}.{short}"] = _older(definitions[name], older, difference)
    return found


def _older(newer: dict[str, Any], older: OlderVersion, difference: Difference) -> dict[str, Any]:
    schema: dict[str, Any] = _renamed_references(copy.deepcopy(newer), older)
    properties = {
        difference.renamed.get(name, name): value
        for name, value in schema.get("properties", {}).items()
        if name not in difference.removed
    }
    schema["properties"] = dict(sorted(properties.items()))
    if difference.required is not None:
        schema["required"] = list(difference.required)
    for name, marker in difference.unmarked.items():
        del (properties[name] if name else schema)[MARKER + marker]
    for name, text in difference.described.items():
        properties[name]["description"] = text
    for kind in schema.get(KINDS, ()):
        kind["version"] = older.version
    return schema


def _renamed_references(schema: Any, older: OlderVersion) -> Any:
    if isinstance(schema, dict):
        return {key: _renamed_references(value, older) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_renamed_references(value, older) for value in schema]
    if isinstance(schema, str):
        return schema.replace(f"/{older.package}.{older.newer}.", f"/{older.package}.{older.version}.")
    return schema


def derivation(name: str) -> tuple[str, Mapping[str, str]] | None:
    """The definition that an older one was made from, and what is said anew of its properties; None for one that is
    published."""
    for older in OLDER_VERSIONS:
        prefix = f"{older.package}.{older.version}."
        if name.startswith(prefix):
            short = name.removeprefix(prefix)
            return f"{older.package}.{older.newer}.{short}", older.differences.get(short, Difference()).described
    return None


def older_of(group: str, version: str) -> list[str]:
    """The older versions of a group-version."""
    return [older.version for older in OLDER_VERSIONS if (older.group, older.newer) == (group, version)]


def with_older_declarations(declarations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Declarations of resources and subresources (as generate_resources.py reads them) and those of older versions."""
    found = list(declarations)
    for older in OLDER_VERSIONS:
        for declaration in declarations:
            owner = declaration.get("parent") or declaration["resource"]
            if tuple(owner[:2]) == (older.group, older.newer):
                found.append(
                    {
                        key: [older.group, older.version, value[2]] if key in ("resource", "parent") else value
                        for key, value in declaration.items()
                    }
                )
    return found


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """Since which release, until which one ("" for no plan), and apiVersion and kind to use in its place."""

    since: str
    removed: str = ""
    instead: str = ""

    def warning(self, api_version: str, kind: str) -> str:
        """What clients are told with every answer."""
        text = f"{api_version} {kind} is deprecated in v{self.since}+"
        text += f", unavailable in v{self.removed}+" if self.removed else ""
        return text + (f"; use {self.instead}" if self.instead else "")


_DEPRECATED = {
    ("", "v1", "ComponentStatus"): Deprecation(since="1.19"),
    ("", "v1", "Endpoints"): Deprecation(since="1.33", instead="discovery.k8s.io/v1 EndpointSlice"),
}


def deprecation_of(group: str, version: str, kind: str) -> Deprecation | None:
    for older in OLDER_VERSIONS:
        if (older.group, older.version) == (group, version):
            instead = f"{group}/{older.newer} {kind}"
            return Deprecation(since=older.deprecated, removed=older.removed, instead=instead)
    return _DEPRECATED.get((group, version, kind))

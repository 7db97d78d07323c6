"""Which groups, versions and resources the server offers, as clients ask for it.

Two forms of the same: the classic lists (/api, /apis, one per group and one per group-version) and the aggregated one
(everything at /api and /apis, chosen by the Accept header). Documents are built when first asked for and kept until
the set of resources changes. Specified in "API concepts", "API group discovery".
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from tiphys.apiserver.discovery.document import JSON, Document, accepted_types, is_json, json_document
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource, Subresource
from tiphys.machinery import errors

DISCOVERY_GROUP = "apidiscovery.k8s.io"
AGGREGATED_KIND = "APIGroupDiscoveryList"
AGGREGATED_VERSIONS = ("v2", "v2beta1")

_KUBE_VERSION = re.compile(r"^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


def version_rank(version: str) -> tuple[Any, ...]:
    """A sort key that puts the version to prefer first: stable, beta, alpha, each from the highest down; then other
    words."""
    match = _KUBE_VERSION.match(version)
    if match is None:
        return (1, version)
    major, stability, minor = match.groups()
    return (0, -_STABILITY[stability], -int(major), -int(minor or 0))


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """Says in which version objects are stored, without saying it: clients compare it to see a migration."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


class ResourceDiscovery:
    """The documents for a set of resources. `server_address` is host:port of this server, as the classic lists show it.
    `built_in` keeps its order of groups and versions; those added by `set_custom` come after, groups by name."""

    def __init__(self, built_in: Sequence[Resource], server_address: str = "") -> None:
        self._built_in = tuple(built_in)
        self._server_address = server_address
        self._documents: dict[tuple[str, str], Document | None] = {}
        self._groups: dict[str, dict[str, list[Resource]]] = {}
        self.set_custom(())

    def set_custom(self, resources: Sequence[Resource]) -> None:
        """Replace the resources that are not built in."""
        groups: dict[str, dict[str, list[Resource]]] = {}
        for resource in self._built_in:
            groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        for resource in sorted(resources, key=lambda r: (r.group, version_rank(r.version), r.plural)):
            groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        self._groups = groups
        self._documents.clear()

    def group_versions(self) -> list[tuple[str, str]]:
        """(group, version) of everything served, in discovery order."""
        return [(group, version) for group, versions in self._groups.items() for version in versions]

    def document(self, path: str, accept: str) -> Document | None:
        """The document at /api, /apis, /api/V, /apis/G or /apis/G/V (a trailing slash is the same). None when nothing
        is served there. ApiError 406 when the client takes no form of it."""
        path = path.rstrip("/")
        version = self._aggregated_version(path, accept)
        key = (path, version)
        if key not in self._documents:
            if len(self._documents) > 1000:
                self._documents.clear()
            self._documents[key] = self._build(path, version)
        return self._documents[key]

    def _aggregated_version(self, path: str, accept: str) -> str:
        """The version of the aggregated form that the client wants most; "" for the classic form."""
        for accepted in accepted_types(accept):
            parameters = accepted.parameters
            if accepted.media_type == JSON and parameters.get("as"):
                wanted = parameters.get("g") == DISCOVERY_GROUP and parameters["as"] == AGGREGATED_KIND
                if wanted and parameters.get("v") in AGGREGATED_VERSIONS and path in ("/api", "/apis"):
                    return parameters["v"]
            elif is_json(accepted):
                return ""
        raise errors.not_acceptable(f"only the following media types are accepted: {JSON}")

    def _build(self, path: str, version: str) -> Document | None:
        words = path.split("/")[1:]
        if version:
            groups = [""] if path == "/api" else [group for group in self._groups if group]
            content_type = f"{JSON};g={DISCOVERY_GROUP};v={version};as={AGGREGATED_KIND}"
            return json_document(self._aggregated(groups, version), content_type)
        if path == "/api":
            return json_document(self._api_versions())
        if path == "/apis":
            groups = [group for group in self._groups if group]
            listed = [_group_object(group, self._groups[group], False) for group in groups]
            return json_document({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
        if len(words) == 2 and words[0] == "apis" and words[1] in self._groups and words[1]:
            return json_document(_group_object(words[1], self._groups[words[1]], True))
        group, found_version = _group_version(words)
        resources = self._groups.get(group, {}).get(found_version) if found_version else None
        if resources is None:
            return None
        return json_document(_resource_list(group, found_version, resources))

    def _api_versions(self) -> dict[str, Any]:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._server_address}]
        return {
            "kind": "APIVersions",
            "versions": list(self._groups.get("", {})),
            "serverAddressByClientCIDRs": addresses,
        }

    def _aggregated(self, groups: Sequence[str], version: str) -> dict[str, Any]:
        items = []
        for group in groups:
            versions = [
                {
                    "version": found,
                    "resources": [_aggregated_resource(resource) for resource in resources],
                    "freshness": "Current",
                }
                for found, resources in self._groups.get(group, {}).items()
            ]
            metadata = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
            items.append({"metadata": metadata, "versions": versions})
        return {
            "kind": AGGREGATED_KIND,
            "apiVersion": f"{DISCOVERY_GROUP}/{version}",
            "metadata": {},
            "items": items,
        }


def _group_version(words: Sequence[str]) -> tuple[str, str]:
    if len(words) == 2 and words[0] == "api":
        return "", words[1]
    if len(words) == 3 and words[0] == "apis" and words[1]:
        return words[1], words[2]
    return "", ""


def _group_object(group: str, versions: dict[str, list[Resource]], alone: bool) -> dict[str, Any]:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    head = {"kind": "APIGroup", "apiVersion": "v1"} if alone else {}
    return {**head, "name": group, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(group: str, version: str, resources: Sequence[Resource]) -> dict[str, Any]:
    listed = []
    for resource in resources:
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if resource.storage:
            home = registry.storage_resource(resource)
            entry["storageVersionHash"] = storage_version_hash(home.group, home.version, home.kind)
        listed.append(entry)
        listed += [_subresource_entry(resource, part) for part in resource.subresources.values()]
    head: dict[str, Any] = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}".lstrip("/"), "resources": listed}


def _subresource_entry(resource: Resource, subresource: Subresource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if (subresource.group, subresource.version) != (resource.group, resource.version):
        if subresource.group:
            entry["group"] = subresource.group
        entry["version"] = subresource.version
    return {**entry, "kind": subresource.kind, "verbs": sorted(subresource.verbs)}


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subresources = [
        {
            "subresource": part.name,
            "responseKind": {"group": part.group, "version": part.version, "kind": part.kind},
            "verbs": sorted(part.verbs),
        }
        for _, part in sorted(resource.subresources.items())
    ]
    if subresources:
        entry["subresources"] = subresources
    return entry

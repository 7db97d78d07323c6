"""Which groups, versions and resources the server offers, as clients ask for it.

Two forms of the same: the classic lists (/api, /apis, one per group and one per group-version) and the aggregated one
(everything at /api and /apis, chosen by the Accept header); each in JSON, YAML or protobuf. Documents are built when
first asked for and kept until the set of resources changes. Specified in "API concepts", "API group discovery".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.apiserver import yaml_form
from tiphys.apiserver.discovery.document import JSON, Document, accepted_types, document, is_json
from tiphys.apiserver.negotiation import PROTOBUF
from tiphys.kinds import protobuf_encoding, registry
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.resource import Resource, Subresource
from tiphys.machinery import errors
from tiphys.machinery.versions import version_rank

DISCOVERY_GROUP = "apidiscovery.k8s.io"
YAML = "application/yaml"
AGGREGATED_KIND = "APIGroupDiscoveryList"
AGGREGATED_VERSIONS = ("v2", "v2beta1")


def _protobuf(content: Mapping[str, Any]) -> bytes:
    """Where the classic JSON lists leave their apiVersion out, it is v1 on the wire."""
    return protobuf_encoding.encode({"apiVersion": "v1", **content})


_ENCODINGS: Mapping[str, Callable[[Any], bytes]] = {
    JSON: lambda content: msgspec.json.encode(content) + b"\n",
    YAML: yaml_form.encode,
    PROTOBUF: _protobuf,
}
_OFFERED = ", ".join(_ENCODINGS)


def _wanted(path: str, accept: str) -> tuple[str, str]:
    """What the client wants most: (media type, version of the aggregated form or "" for the classic one); JSON and YAML
    before protobuf, as with objects. ApiError 406."""
    found = list(_acceptable(path, accept))
    if not found:
        raise errors.not_acceptable(f"only the following media types are accepted: {_OFFERED}")
    return next((wanted for wanted in found if wanted[0] != PROTOBUF), found[0])


def _acceptable(path: str, accept: str) -> Iterator[tuple[str, str]]:
    for accepted in accepted_types(accept):
        media_type = JSON if is_json(accepted) else accepted.media_type
        parameters = accepted.parameters
        if media_type not in _ENCODINGS:
            continue
        if not parameters.get("as") or accepted.media_type not in _ENCODINGS:
            yield media_type, ""
            continue
        wanted = parameters.get("g") == DISCOVERY_GROUP and parameters["as"] == AGGREGATED_KIND
        versions = AGGREGATED_VERSIONS[:1] if media_type == PROTOBUF else AGGREGATED_VERSIONS
        if wanted and parameters.get("v") in versions and path in ("/api", "/apis"):
            yield media_type, parameters["v"]


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
        self.built_in_groups = frozenset(resource.group for resource in built_in if resource.group)
        self._documents: dict[tuple[str, str, str], Document | None] = {}
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
        if path.startswith("/apis//"):
            return None
        path = path.rstrip("/")
        key = (path, *_wanted(path, accept))
        if key not in self._documents:
            if len(self._documents) > 1000:
                self._documents.clear()
            self._documents[key] = self._build(*key)
        return self._documents[key]

    def _build(self, path: str, media_type: str, version: str) -> Document | None:
        content_type = media_type
        if version:
            groups = [""] if path == "/api" else [group for group in self._groups if group]
            content = self._aggregated(groups, version)
            content_type += f";g={DISCOVERY_GROUP};v={version};as={AGGREGATED_KIND}"
        else:
            content = self._classic(path)
        if not content:
            return None
        body = _ENCODINGS[media_type](content)
        return document(body, content_type) if version else Document(content_type, body, "")

    def _classic(self, path: str) -> dict[str, Any]:
        """The list at a path; empty when nothing is served there."""
        words = path.split("/")[1:]
        if path == "/api":
            return self._api_versions()
        if path == "/apis":
            groups = [group for group in self._groups if group]
            listed = [_group_object(group, self._groups[group], False) for group in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        if len(words) == 2 and words[0] == "apis" and words[1] in self._groups and words[1]:
            return _group_object(words[1], self._groups[words[1]], True)
        group, found_version = _group_version(words)
        resources = self._groups.get(group, {}).get(found_version) if found_version else None
        return {} if resources is None else _resource_list(group, found_version, resources)

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
            items.append({"metadata": {"name": group} if group else {}, "versions": versions})
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
    is_custom = isinstance(resource, CustomResource)
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, resource, is_custom),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subresources = [
        {
            "subresource": part.name,
            "responseKind": _response_kind(part, resource, is_custom),
            "verbs": sorted(part.verbs),
        }
        for part in resource.subresources.values()
    ]
    if subresources:
        entry["subresources"] = subresources
    return entry


def _response_kind(answered: Resource | Subresource, resource: Resource, is_custom: bool) -> dict[str, str]:
    """Of built-in resources, group and version are only said where they are others than the resource's."""
    place = (answered.group, answered.version)
    group, version = ("", "") if place == (resource.group, resource.version) and not is_custom else place
    return {"group": group, "version": version, "kind": answered.kind}

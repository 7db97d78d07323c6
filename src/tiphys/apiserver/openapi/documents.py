"""The OpenAPI documents that the server publishes: the index and one document a group-version (v3), and all in one
(v2).

Each is built when it is first asked for and kept as bytes. The hashes in the index come from what the documents are
made of, so that the index costs nothing. Custom resources bring their own schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.apiserver.discovery.document import JSON, Document, accepted_types, is_json
from tiphys.apiserver.openapi import custom, definitions, operations, protobuf, protobuf_v3, swagger
from tiphys.apiserver.openapi.custom import CustomResource
from tiphys.apiserver.openapi.definitions import NO_DESCRIPTION, Schema, SchemaSource
from tiphys.apiserver.openapi.operations import Kind
from tiphys.apiserver.openapi.server_paths import paths_by_document
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors

_FORM = "5"  # part of every hash: count it up when the same input gives another document


class OpenApiDocuments:
    """`load` reads the schemas and descriptions; it is called for each document that is built (rarely), and what it
    gives is let go again. `identity` changes whenever what `load` gives does. `git_version` is the server's
    version; `others` are the paths of what it serves beside resources and groups."""

    def __init__(
        self,
        built_in: Sequence[Resource],
        load: Callable[[], SchemaSource],
        identity: str,
        git_version: str,
        others: Collection[str] = (),
    ) -> None:
        self._built_in = tuple(built_in)
        self._server = paths_by_document(dict.fromkeys(r.group for r in built_in), others)
        self._load = load
        self._identity = identity
        self._git_version = git_version
        self._custom: tuple[CustomResource, ...] = ()
        self._documents: dict[tuple[str, str], Document] = {}

    def set_custom(self, resources: Sequence[CustomResource]) -> None:
        """Replace the custom resources."""
        self._custom = tuple(resources)
        self._documents.clear()

    def document(self, path: str, accept: str) -> Document | None:
        """The document at a path below /openapi; None when there is none. ApiError 406 for a client that takes neither
        JSON nor the protobuf form."""
        if not path.startswith("/openapi/"):
            return None
        path = path.rstrip("/")
        key = (path, _media_type(path, accept))
        found = self._documents.get(key)
        if found is None:
            found = self._build(*key)
            if found is not None:
                self._documents[key] = found
        return found

    def _build(self, path: str, media_type: str) -> Document | None:
        if path == "/openapi/v2":
            content = self._swagger()
            if media_type == JSON:
                return Document(JSON, msgspec.json.encode(content), f'"{self._hash(self._groups())}"')
            return Document(media_type, protobuf.document(content), f'"{self._hash(self._groups())}-pb"')
        if path == "/openapi/v3":
            body = msgspec.json.encode({"paths": dict(sorted(self._index().items()))})
            return Document(JSON, body, f'"{hashlib.sha512(body).hexdigest().upper()}"')
        name = path.removeprefix("/openapi/v3/")
        if name in self._server:
            content, etag = self._server_document(name), self._server_hash(name)
        else:
            group_version = _group_version(name)
            if group_version not in self._groups():
                return None
            content, etag = self._group_document(*group_version), self._hash([group_version])
        body = msgspec.json.encode(content) if media_type == JSON else protobuf_v3.document(content)
        return Document(media_type, body, f'"{etag}"')

    def _groups(self) -> list[tuple[str, str]]:
        resources = [*self._built_in, *(item.resource for item in self._custom)]
        return list(dict.fromkeys((resource.group, resource.version) for resource in resources))

    def _index(self) -> dict[str, Any]:
        found = {}
        for group, version in self._groups():
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            found[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash([(group, version)])}"}
        for name in self._server:
            found[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={self._server_hash(name)}"}
        return found

    def _server_hash(self, name: str) -> str:
        parts = [_FORM, self._identity, self._git_version, self._server[name]]
        return hashlib.sha512(msgspec.json.encode(parts)).hexdigest().upper()

    def _server_document(self, name: str) -> dict[str, Any]:
        paths = self._server[name]
        return self._whole_document(paths, self._definitions(self._load(), _roots([paths]), 3))

    def _hash(self, group_versions: Iterable[tuple[str, str]]) -> str:
        """Stands for the content of the documents of some group-versions."""
        wanted = set(group_versions)
        parts: list[Any] = [_FORM, self._identity, self._git_version]
        parts += [
            [str(r), r.namespaced, r.kind, r.verbs, sorted((n, s.verbs) for n, s in r.subresources.items())]
            for r in self._built_in
            if (r.group, r.version) in wanted
        ]
        parts += [
            [str(c.resource), c.resource.verbs, c.schema, c.selectable]
            for c in self._custom
            if (c.resource.group, c.resource.version) in wanted
        ]
        return hashlib.sha512(msgspec.json.encode(parts)).hexdigest().upper()

    def _group_document(self, group: str, version: str) -> dict[str, Any]:
        source = self._load()
        definition_of = self._definition_names(source)
        paths = self._paths(group, version, definition_of)
        schemas = self._definitions(source, _roots([paths]), 3)
        kinds = {name for kind, name in definition_of.items() if kind[:2] == (group, version)}
        schemas.update(self._definitions(source, kinds, 3))
        is_custom = any((item.resource.group, item.resource.version) == (group, version) for item in self._custom)
        return self._whole_document(paths, schemas, is_custom)

    def _whole_document(
        self, paths: dict[str, Any], schemas: dict[str, Schema], is_custom: bool = False
    ) -> dict[str, Any]:
        components: dict[str, Any] = {"schemas": dict(sorted(schemas.items()))}
        info = _CUSTOM_INFO
        if not is_custom:
            components["securitySchemes"] = {"BearerToken": _BEARER}
            info = {"title": "Kubernetes", "version": self._git_version}
        return {"openapi": "3.0.0", "info": info, "paths": paths, "components": components}

    def _swagger(self) -> dict[str, Any]:
        source = self._load()
        definition_of = self._definition_names(source)
        paths: dict[str, Any] = {}
        for group, version in self._groups():
            paths.update(self._paths(group, version, definition_of))
        for own in self._server.values():
            paths.update(own)
        found = self._definitions(source, _roots([paths]) | set(definition_of.values()), 2)
        return {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": self._git_version},
            "paths": {path: swagger.path_item(item) for path, item in sorted(paths.items())},
            "definitions": dict(sorted(found.items())),
            "securityDefinitions": {"BearerToken": _BEARER},
            "security": [{"BearerToken": []}],
        }

    def _definition_names(self, source: SchemaSource) -> dict[Kind, str]:
        """The definition of every kind."""
        names = source.by_kind()
        for item in self._custom:
            resource = item.resource
            names[resource.group, resource.version, resource.kind] = item.definition_name
            names[resource.group, resource.version, resource.list_kind] = f"{item.definition_name}List"
        return names

    def _paths(self, group: str, version: str, definition_of: Mapping[Kind, str]) -> dict[str, Any]:
        resources = [r for r in self._built_in if (r.group, r.version) == (group, version)]
        own = [c.resource for c in self._custom if (c.resource.group, c.resource.version) == (group, version)]
        paths = operations.Builder(group, version, definition_of).paths(resources) if resources else {}
        if own:
            paths.update(operations.Builder(group, version, definition_of, custom=True).paths(own))
        return paths

    def _definitions(self, source: SchemaSource, roots: set[str], version: int) -> dict[str, Schema]:
        own: dict[str, Schema] = {}
        for item in self._custom:
            name = item.definition_name
            if name in roots:
                own[name] = custom.object_schema(item, source, version)
            if f"{name}List" in roots:
                own[f"{name}List"] = custom.list_schema(item, source, version)
        wanted = roots | {custom.OBJECT_META, custom.LIST_META} if own else roots
        found = {
            name: definitions.definition(source.compact[name], source.descriptions.get(name, NO_DESCRIPTION), version)
            for name in definitions.closure(source.compact, wanted)
        }
        return found | own


_CUSTOM_INFO = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
_BEARER = {
    "type": "apiKey",
    "in": "header",
    "name": "authorization",
    "description": "Bearer Token authentication",
}


def _media_type(path: str, accept: str) -> str:
    """The form that the client wants most. ApiError 406. The index of /openapi/v3 is JSON whoever asks."""
    if path == "/openapi/v3":
        return JSON
    encoded = protobuf.MEDIA_TYPES if path == "/openapi/v2" else protobuf_v3.MEDIA_TYPES
    for accepted in accepted_types(accept):
        if is_json(accepted):
            return JSON
        if accepted.media_type in encoded:
            return encoded[1]
    raise errors.not_acceptable(f"only the following media types are accepted: {JSON}, {encoded[1]}")


def _group_version(path: str) -> tuple[str, str]:
    words = path.split("/")
    if len(words) == 2 and words[0] == "api":
        return "", words[1]
    if len(words) == 3 and words[0] == "apis":
        return words[1], words[2]
    return "", ""


def _roots(values: Iterable[Any]) -> set[str]:
    """The definitions that operations name."""
    found: set[str] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            target = value.get("$ref")
            if isinstance(target, str):
                found.add(target.rsplit("/", 1)[1])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found

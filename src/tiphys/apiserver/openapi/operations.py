"""The paths of a group-version and what can be done at each, in OpenAPI v3 form, from the table of resources.

Schemas are named by definition; that a definition exists is looked up by (group, version, kind).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.openapi import parameters
from tiphys.kinds.resource import Resource, Subresource

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
STATUS, DELETE_OPTIONS, PATCH = f"{META}.Status", f"{META}.DeleteOptions", f"{META}.Patch"
RESOURCE_LIST = f"{META}.APIResourceList"
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
BUILT_IN_TYPES = (JSON, PROTOBUF, YAML)
BUILT_IN_LIST_TYPES = (JSON, f"{JSON};stream=watch", PROTOBUF, f"{PROTOBUF};stream=watch", YAML)
CUSTOM_TYPES = (JSON, YAML)
ANY_TYPE = ("*/*",)
PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
CUSTOM_PATCH_TYPES = PATCH_TYPES[:3]
_METHODS = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
_WORDS = {"get": "read", "create": "create", "update": "replace", "patch": "patch", "delete": "delete"}
_STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})

Operation = dict[str, Any]
Kind = tuple[str, str, str]


def camel(text: str) -> str:
    """`rbac.authorization` -> `RbacAuthorization`."""
    return "".join(word[:1].upper() + word[1:] for word in text.replace("-", ".").split("."))


def group_words(group: str) -> str:
    """The group as operation ids write it: `Core`, `Apps`, `RbacAuthorization`."""
    return camel(group.removesuffix(".k8s.io")) if group else "Core"


def tag(group: str, version: str) -> str:
    words = group_words(group)
    return f"{words[0].lower()}{words[1:]}_{version}"


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the paths of one group-version. `definition_of` names the schema of a kind; `custom`: of custom resources,
    which have no protobuf and no strategic patches, and of which less is said."""

    group: str
    version: str
    definition_of: Mapping[Kind, str]
    custom: bool = False

    @property
    def _types(self) -> Sequence[str]:
        """The media types of one object."""
        return CUSTOM_TYPES if self.custom else BUILT_IN_TYPES

    @property
    def _body_types(self) -> Sequence[str]:
        return CUSTOM_TYPES if self.custom else ANY_TYPE

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def paths(self, resources: Sequence[Resource]) -> dict[str, Any]:
        """Every path, sorted, each with its operations by HTTP method."""
        found: dict[str, Any] = {} if self.custom else {f"{self.root}/": {"get": self._resource_list()}}
        for resource in resources:
            for path, item in self._resource_paths(resource):
                found[path] = _shared(item)
        return dict(sorted(found.items()))

    def _resource_list(self) -> Operation:
        words = f"get{group_words(self.group)}{camel(self.version)}APIResources"
        return {
            "tags": [tag(self.group, self.version)],
            "description": "get available resources",
            "operationId": words,
            "responses": self._responses({"200": ("OK", RESOURCE_LIST)}),
        }

    def _resource_paths(self, resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
        scope = "Namespaced" if resource.namespaced else ""
        base = f"{self.root}/namespaces/{{namespace}}" if resource.namespaced else self.root
        shared = [parameters.PRETTY]
        if resource.namespaced:
            shared.append(parameters.NAMESPACE)
            if "list" in resource.verbs:
                every = self._list(resource, f"{resource.kind}ForAllNamespaces")
                yield f"{self.root}/{resource.plural}", {"get": every, "parameters": [parameters.PRETTY]}
        collection: dict[str, Any] = {}
        if "list" in resource.verbs:
            collection["get"] = self._list(resource, f"{scope}{resource.kind}")
        if "create" in resource.verbs:
            collection["post"] = self._write(resource, "create", f"{scope}{resource.kind}", _kind(resource))
        if "deletecollection" in resource.verbs:
            collection["delete"] = self._delete_collection(resource, scope)
        if collection:
            yield f"{base}/{resource.plural}", {**collection, "parameters": shared}
        named = [parameters.PRETTY, parameters.NAME, *shared[1:]]
        one: dict[str, Any] = {}
        for verb in ("get", "update", "patch", "delete"):
            if verb in resource.verbs:
                one[_METHODS[verb]] = self._single(resource, verb, f"{scope}{resource.kind}", _kind(resource))
        if one:
            yield f"{base}/{resource.plural}/{{name}}", {**one, "parameters": named}
        for _, subresource in sorted(resource.subresources.items()):
            path = f"{base}/{resource.plural}/{{name}}/{subresource.name}"
            yield from self._subresource_paths(resource, subresource, scope, path, named)

    def _subresource_paths(
        self, resource: Resource, part: Subresource, scope: str, path: str, named: list[parameters.Parameter]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        words = f"{scope}{resource.kind}{camel(part.name)}"
        kind = (part.group, part.version, part.kind)
        if part.name in _STREAMS:
            yield path, self._connect(part, words, kind, named)
            if part.name == "proxy":
                behind = self._connect(part, f"{words}WithPath", kind, [*named, parameters.PROXY_PATH])
                yield f"{path}/{{path}}", behind
            return
        item: dict[str, Any] = {}
        for verb in part.verbs:
            if part.name == "log":
                item["get"] = self._log(words, kind)
            elif verb == "create":
                item["post"] = self._write(resource, "create", words, kind)
            else:
                item[_METHODS[verb]] = self._single(resource, verb, words, kind)
        yield path, {**item, "parameters": named}

    def _operation(self, action: str, words: str, kind: Kind, text: str, responses: Operation) -> Operation:
        group, version, name = kind
        return {
            "tags": [tag(self.group, self.version)],
            "description": text,
            "operationId": words,
            "responses": responses,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": name},
        }

    def _id(self, word: str, rest: str) -> str:
        return f"{word}{group_words(self.group)}{camel(self.version)}{rest}"

    def _list(self, resource: Resource, rest: str) -> Operation:
        group, version, kind = _kind(resource)
        target = self.definition_of.get((group, version, resource.list_kind), "")
        types = CUSTOM_TYPES if self.custom else BUILT_IN_LIST_TYPES
        responses = self._responses({"200": ("OK", target)}, types)
        text = f"list or watch objects of kind {kind}"
        operation = self._operation("list", self._id("list", rest), _kind(resource), text, responses)
        return {**operation, "parameters": list(parameters.LIST)}

    def _delete_collection(self, resource: Resource, scope: str) -> Operation:
        words = self._id("delete", f"Collection{scope}{resource.kind}")
        text = f"delete collection of {resource.kind}"
        responses = self._responses({"200": ("OK", STATUS)})
        operation = self._operation("deletecollection", words, _kind(resource), text, responses)
        if self.custom:
            return {**operation, "parameters": list(parameters.LIST)}
        listed = [p for p in parameters.LIST if p["name"] not in ("allowWatchBookmarks", "watch")]
        return {
            **operation,
            "parameters": sorted((*parameters.DELETE, *listed), key=_name),
            "requestBody": _body(DELETE_OPTIONS, ANY_TYPE, False),
        }

    def _write(self, resource: Resource, verb: str, words: str, kind: Kind) -> Operation:
        target = self.definition_of.get(kind, "")
        codes = {"200": ("OK", target), "201": ("Created", target)}
        if verb == "create":
            codes["202"] = ("Accepted", target)
        text = f"{_WORDS[verb]} {_article(kind[2])} {kind[2]}"
        action = "post" if verb == "create" else "put"
        marked = self._marked(resource, kind)
        operation = self._operation(action, self._id(_WORDS[verb], words), marked, text, self._responses(codes))
        return {
            **operation,
            "parameters": list(parameters.WRITE),
            "requestBody": _body(target, self._body_types, True),
        }

    def _marked(self, resource: Resource, kind: Kind) -> Kind:
        """The kind that an operation is marked with: of a custom resource's subresource, the resource's own."""
        return _kind(resource) if self.custom else kind

    def _single(self, resource: Resource, verb: str, words: str, kind: Kind) -> Operation:
        if verb == "update":
            return self._write(resource, verb, words, kind)
        target, marked = self.definition_of.get(kind, ""), self._marked(resource, kind)
        text = f"{_WORDS[verb]} the specified {kind[2]}"
        if verb == "get":
            responses = self._responses({"200": ("OK", target)})
            operation = self._operation("get", self._id("read", words), marked, text, responses)
            return {**operation, "parameters": [parameters.RESOURCE_VERSION]} if self.custom else operation
        if verb == "patch":
            codes = {"200": ("OK", target)} if self.custom else {"200": ("OK", target), "201": ("Created", target)}
            operation = self._operation("patch", self._id("patch", words), marked, text, self._responses(codes))
            types = CUSTOM_PATCH_TYPES if self.custom else PATCH_TYPES
            return {**operation, "parameters": list(parameters.PATCH), "requestBody": _body(PATCH, types, True)}
        responses = self._responses({"200": ("OK", STATUS), "202": ("Accepted", STATUS)})
        operation = self._operation("delete", self._id("delete", words), marked, text, responses)
        return {
            **operation,
            "parameters": list(parameters.DELETE),
            "requestBody": _body(DELETE_OPTIONS, self._body_types, False),
        }

    def _connect(self, part: Subresource, words: str, kind: Kind, named: list[parameters.Parameter]) -> dict[str, Any]:
        item: dict[str, Any] = {}
        methods = [_METHODS[verb] for verb in part.verbs]
        for method in (*methods, "head", "options") if part.name == "proxy" else methods:
            text = f"connect {method.upper()} requests to {part.name} of the specified object"
            responses = {
                "200": {"description": "OK", "content": {"*/*": {"schema": {"type": "string"}}}},
                **_UNAUTHORIZED,
            }
            item[method] = self._operation(
                "connect", self._id("connect", f"{camel(method)}{words}"), kind, text, responses
            )
        queries = [
            p for p in parameters.CONNECT[part.name] if not (p["name"] == "path" and parameters.PROXY_PATH in named)
        ]
        return {**item, "parameters": [*[p for p in named if p is not parameters.PRETTY], *queries]}

    def _log(self, words: str, kind: Kind) -> Operation:
        content = {media: {"schema": {"type": "string"}} for media in ("text/plain", JSON)}
        responses = {"200": {"description": "OK", "content": content}, **_UNAUTHORIZED}
        operation = self._operation(
            "get", self._id("read", words), kind, "read the log of the specified Pod", responses
        )
        return {**operation, "parameters": list(parameters.LOG)}

    def _responses(self, codes: Mapping[str, tuple[str, str]], media_types: Sequence[str] = ()) -> Operation:
        found: Operation = {}
        for code, (text, target) in codes.items():
            content = {media: {"schema": _reference(target)} for media in media_types or self._types}
            found[code] = {"description": text, "content": content}
        return {**found, **_UNAUTHORIZED}


_UNAUTHORIZED = {"401": {"description": "Unauthorized"}}


def _name(parameter: parameters.Parameter) -> str:
    found: str = parameter["name"]
    return found


def _shared(item: dict[str, Any]) -> dict[str, Any]:
    """What all operations at a path take is said once, of the path."""
    own = item.get("parameters", [])
    methods = {method: operation for method, operation in item.items() if method != "parameters"}
    taken = [operation.get("parameters", []) for operation in methods.values()]
    shared = [parameter for parameter in taken[0] if all(parameter in others for others in taken)] if taken else []
    found: dict[str, Any] = {}
    for method, operation in methods.items():
        left = [parameter for parameter in operation.pop("parameters", []) if parameter not in shared]
        found[method] = {**operation, "parameters": left} if left else operation
    both = sorted((*own, *shared), key=_name)
    return {**found, "parameters": both} if both else found


def _reference(target: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{target}"} if target else {"type": "object"}


def _body(target: str, media_types: Sequence[str], required: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"content": {media: {"schema": _reference(target)} for media in media_types}}
    return {**body, "required": True} if required else body


def _kind(resource: Resource) -> Kind:
    return resource.group, resource.version, resource.kind


def _article(word: str) -> str:
    return "an" if word[:1] in "AEIO" else "a"

"""The published OpenAPI documents: complete, free of dangling references, and as kubectl reads them."""

from __future__ import annotations

import functools
import importlib
import json
import pathlib
import re
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tiphys.apiserver.openapi import protobuf_v3
from tiphys.apiserver.openapi.definitions import Description, SchemaSource, definition
from tiphys.apiserver.openapi.documents import CustomResource, OpenApiDocuments
from tiphys.apiserver.openapi.io import load_schemas, schemas_identity
from tiphys.apiserver.openapi.operations import group_words, tag
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource, Subresource
from tiphys.machinery.errors import ApiError

OTHERS = ("/version", "/openid/v1/jwks", "/.well-known/openid-configuration")
POD = "io.k8s.api.core.v1.Pod"


@functools.cache
def documents() -> OpenApiDocuments:
    return OpenApiDocuments(registry.all_resources(), load_schemas, schemas_identity(), "v1.37.0", OTHERS)


@functools.cache
def content(path: str) -> Any:
    found = documents().document(path, "")
    assert found is not None
    return json.loads(found.body)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            yield target
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def group_paths() -> list[str]:
    return [
        f"/openapi/v3/apis/{group}/{version}" if group else f"/openapi/v3/api/{version}"
        for group, versions in registry.group_versions()
        for version in versions
    ]


def own_paths() -> list[str]:
    groups = [f"/apis/{group}" for group, _ in registry.group_versions() if group]
    return [f"/openapi/v3{path}" for path in ("/api", "/apis", *groups, *OTHERS)]


def test_the_index_names_a_document_for_each_group_version() -> None:
    index = content("/openapi/v3")["paths"]
    assert sorted(f"/openapi/v3/{path}" for path in index) == sorted(group_paths() + own_paths())
    for path, entry in index.items():
        url, _, digest = entry["serverRelativeURL"].partition("?hash=")
        assert url == f"/openapi/v3/{path}"
        document = documents().document(url, "")
        assert document is not None and document.etag == f'"{digest}"'


@pytest.mark.parametrize("path", group_paths() + own_paths())
def test_every_reference_leads_somewhere(path: str) -> None:
    document = content(path)
    schemas = document["components"]["schemas"]
    assert {target.rsplit("/", 1)[1] for target in references(document)} <= set(schemas)
    words = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(words) == len(set(words))


def test_every_resource_of_a_group_has_its_kind_and_its_verbs() -> None:
    wanted = {"list": "list", "create": "post", "deletecollection": "deletecollection", "get": "get", "update": "put"}
    for resource in registry.all_resources():
        prefix = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        base = f"/{prefix}/{scope}{resource.plural}"
        paths = content(f"/openapi/v3/{prefix}")["paths"]
        actions = {
            operation["x-kubernetes-action"]
            for path in (base, f"{base}/{{name}}")
            for method, operation in paths.get(path, {}).items()
            if method != "parameters"
        }
        assert {wanted.get(verb, verb) for verb in resource.verbs} - {"watch"} == actions, str(resource)


def test_what_kubectl_looks_for_in_a_patch() -> None:
    patch = content("/openapi/v3/apis/apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"][
        "patch"
    ]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert [parameter["name"] for parameter in patch["parameters"]] == [
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
    ]
    assert list(patch["requestBody"]["content"]) == [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ]


def shape(item: Any) -> dict[str, Any]:
    """A path as (parameters, media types of the body, media types of each answer) by method, and the parameters of
    all methods."""
    found: dict[str, Any] = {"all": [parameter["name"] for parameter in item.get("parameters", ())]}
    for method, operation in item.items():
        if method != "parameters":
            body = list(operation.get("requestBody", {}).get("content", ()))
            answers = {code: list(answer.get("content", ())) for code, answer in operation["responses"].items()}
            found[method] = ([parameter["name"] for parameter in operation.get("parameters", ())], body, answers)
    return found


LISTING = ["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
           "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch"]  # fmt: skip
WRITING, DELETING = ["dryRun", "fieldManager", "fieldValidation"], [
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
    "propagationPolicy",
]  # fmt: skip


def test_what_a_built_in_resource_takes_and_gives() -> None:
    paths = content("/openapi/v3/apis/apps/v1")["paths"]
    base = "/apis/apps/v1/namespaces/{namespace}/deployments"
    types = ["application/json", "application/vnd.kubernetes.protobuf", "application/yaml"]
    streams = [types[0], f"{types[0]};stream=watch", types[1], f"{types[1]};stream=watch", types[2]]
    read = {"200": types, "401": []}
    written = {"200": types, "201": types, "401": []}
    assert shape(paths["/apis/apps/v1/"]) == {"all": [], "get": ([], [], read)}
    assert shape(paths["/apis/apps/v1/deployments"]) == {
        "all": sorted([*LISTING, "pretty"]),
        "get": ([], [], {"200": streams, "401": []}),
    }
    some = [name for name in LISTING if name not in ("allowWatchBookmarks", "watch")]
    assert shape(paths[base]) == {
        "all": ["namespace", "pretty"],
        "get": (LISTING, [], {"200": streams, "401": []}),
        "post": (WRITING, ["*/*"], {"200": types, "201": types, "202": types, "401": []}),
        "delete": (sorted([*some, *DELETING]), ["*/*"], read),
    }
    patched = [f"application/{name}" for name in (
        "apply-patch+yaml", "json-patch+json", "merge-patch+json", "strategic-merge-patch+json")]  # fmt: skip
    assert shape(paths[f"{base}/{{name}}"]) == {
        "all": ["name", "namespace", "pretty"],
        "get": ([], [], read),
        "put": (WRITING, ["*/*"], written),
        "patch": ([*WRITING, "force"], patched, written),
        "delete": (DELETING, ["*/*"], {"200": types, "202": types, "401": []}),
    }


def test_what_is_alone_at_its_path_has_its_parameters_there() -> None:
    path = "/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    eviction = content("/openapi/v3/api/v1")["paths"][path]
    assert [found["name"] for found in eviction["parameters"]] == [*WRITING, "name", "namespace", "pretty"]
    assert "parameters" not in eviction["post"]
    assert [found["in"] for found in content("/openapi/v2")["paths"][path]["post"]["parameters"]] == ["body"]


def test_subresources_have_the_kind_of_their_body() -> None:
    paths = content("/openapi/v3/api/v1")["paths"]
    eviction = paths["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]["post"]
    assert eviction["operationId"] == "createCoreV1NamespacedPodEviction"
    assert eviction["x-kubernetes-group-version-kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    execute = paths["/api/v1/namespaces/{namespace}/pods/{name}/exec"]
    assert {operation["x-kubernetes-action"] for method, operation in execute.items() if method != "parameters"} == {
        "connect"
    }
    assert paths["/api/v1/namespaces/{namespace}/pods/{name}/log"]["get"]["operationId"] == "readCoreV1NamespacedPodLog"
    assert (
        paths["/api/v1/namespaces/{namespace}/services/{name}/proxy/{path}"]["get"]["x-kubernetes-action"] == "connect"
    )


def test_schemas_carry_the_markers_of_patches() -> None:
    containers = content("/openapi/v3/api/v1")["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"][
        "containers"
    ]
    containers.pop("description", None)
    assert containers == {
        "type": "array",
        "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}], "default": {}},
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }


def test_what_the_server_says_of_itself() -> None:
    document = content("/openapi/v3/apis/rbac.authorization.k8s.io")
    operation = document["paths"]["/apis/rbac.authorization.k8s.io/"]["get"]
    assert (operation["operationId"], operation["tags"]) == ("getRbacAuthorizationAPIGroup", ["rbacAuthorization"])
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery" in document["components"]["schemas"]
    paths = content("/openapi/v2")["paths"]
    assert {"/api/", "/apis/", "/apis/apps/", "/version/", "/openid/v1/jwks/"} <= set(paths)
    response = paths["/version/"]["get"]["responses"]["200"]
    assert response["schema"] == {"$ref": "#/definitions/io.k8s.apimachinery.pkg.version.Info"}
    bare = OpenApiDocuments(registry.all_resources(), load_schemas, "", "v1.37.0")
    assert bare.document("/openapi/v3/version", "") is None


def test_version_two_is_one_document() -> None:
    document = content("/openapi/v2")
    assert {target.rsplit("/", 1)[1] for target in references(document)} <= set(document["definitions"])
    assert all(target.startswith("#/definitions/") for target in references(document))
    create = document["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"]
    assert create["parameters"][0] == {
        "name": "body",
        "in": "body",
        "schema": {"$ref": f"#/definitions/{POD}"},
        "required": True,
    }
    types = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
    streams = [f"{types[0]};stream=watch", f"{types[2]};stream=watch"]
    paths = document["paths"]
    assert (create["consumes"], create["produces"]) == (["*/*"], types)
    listed = paths["/api/v1/namespaces/{namespace}/pods"]["get"]
    assert (listed["consumes"], listed["produces"]) == (["*/*"], [*types, *streams])
    assert paths["/api/v1/"]["get"]["consumes"] == types
    assert paths["/api/v1/namespaces/{namespace}/pods/{name}/log"]["get"]["consumes"] == ["*/*"]
    assert paths["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]["consumes"] == [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ]
    assert document["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"


def fields_of(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message taken apart: by field number, bytes or whole numbers."""
    found: dict[int, list[Any]] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        number = shift = 0
        while True:
            byte = data[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while position < len(data):
        tag = varint()
        if tag & 7 == 1:
            found.setdefault(tag >> 3, []).append(data[position : position + 8])
            position += 8
            continue
        number = varint()
        if tag & 7 == 2:
            found.setdefault(tag >> 3, []).append(data[position : position + number])
            position += number
        else:
            found.setdefault(tag >> 3, []).append(number)
    return found


def entries(data: bytes, field: int) -> dict[str, dict[int, list[Any]]]:
    """A map in protobuf: (name, message) pairs."""
    pairs = [fields_of(entry) for entry in fields_of(data)[field]]
    return {pair[1][0].decode(): fields_of(pair[2][0]) for pair in pairs}


def test_version_two_in_protobuf_says_the_same() -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    found = documents().document("/openapi/v2", accept)
    assert found is not None
    plain = content("/openapi/v2")
    top = fields_of(found.body)
    assert top[1] == [b"2.0"]
    definitions = entries(top[9][0], 1)
    assert set(definitions) == set(plain["definitions"])
    pod = definitions[POD]
    assert fields_of(pod[22][0]) == {1: [b"object"]}
    properties = entries(pod[25][0], 1)
    assert properties["spec"][1] == [b"#/definitions/io.k8s.api.core.v1.PodSpec"]
    marker = fields_of(pod[31][0])
    assert marker[1] == [b"x-kubernetes-group-version-kind"]
    assert json.loads(fields_of(marker[2][0])[2][0]) == [{"group": "", "kind": "Pod", "version": "v1"}]
    paths = entries(top[8][0], 2)
    assert set(paths) == set(plain["paths"])
    create = fields_of(paths["/api/v1/namespaces/{namespace}/pods"][4][0])
    assert create[5] == [b"createCoreV1NamespacedPod"]
    body = fields_of(fields_of(fields_of(create[8][0])[1][0])[1][0])
    assert (body[2], body[3], body[4]) == ([b"body"], [b"body"], [1])
    query = fields_of(fields_of(fields_of(fields_of(create[8][1])[1][0])[2][0])[3][0])
    assert (query[4], query[2], query[6]) == ([b"dryRun"], [b"query"], [b"string"])


def test_forms_of_a_definition() -> None:
    compact = {
        "type": "object",
        "required": ["key", "name", "port", "ref"],
        "properties": {
            "name": {"type": "string"},
            "ref": {"ref": "x.Other"},
            "amount": {"ref": "x.Other"},
            "words": {"type": "array", "items": {"type": "string"}, "list-type": "atomic"},
            "port": {"type": "integer", "format": "int32"},
            "key": {"type": "string", "format": "byte"},
        },
        "map-type": "atomic",
    }
    description = Description("A thing.", {"amount": "How much."})
    assert definition(compact, description, 3) == {
        "description": "A thing.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": ""},
            "ref": {"allOf": [{"$ref": "#/components/schemas/x.Other"}], "default": {}},
            "amount": {"description": "How much.", "allOf": [{"$ref": "#/components/schemas/x.Other"}]},
            "words": {"type": "array", "items": {"type": "string", "default": ""}, "x-kubernetes-list-type": "atomic"},
            "port": {"type": "integer", "format": "int32", "default": 0},
            "key": {"type": "string", "format": "byte"},
        },
        "required": ["key", "name", "port", "ref"],
        "x-kubernetes-map-type": "atomic",
    }
    assert definition(compact, description, 2)["properties"]["amount"] == {
        "description": "How much.",
        "$ref": "#/definitions/x.Other",
    }
    int_or_string = {"type": "int-or-string"}
    assert definition(int_or_string, Description(), 2) == {"type": "string", "format": "int-or-string"}
    assert definition(int_or_string, Description(), 3) == {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    }


THING = Resource(
    group="example.com", version="v1", plural="things", singular="thing", kind="Thing", namespaced=True,
    verbs=("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"),
    subresources={
        "scale": Subresource(
            name="scale", kind="Scale", group="autoscaling", version="v1", verbs=("get", "patch", "update")
        )
    },
)  # fmt: skip


def published(schema: Any, *selectable: str) -> tuple[Any, Any]:
    """The documents of a custom resource in OpenAPI 3 and 2."""
    found = OpenApiDocuments(registry.all_resources(), load_schemas, "x", "v1.37.0")
    assert found.document("/openapi/v3/apis/example.com/v1", "") is None
    found.set_custom((CustomResource(THING, schema, selectable),))
    documents = [found.document(path, "") for path in ("/openapi/v3/apis/example.com/v1", "/openapi/v2")]
    document, swagger = [json.loads(one.body) for one in documents if one is not None]
    return document, swagger


def test_custom_resources_are_published_with_their_own_schema() -> None:
    size = {"type": "integer", "minimum": 1.0, "maximum": 2.5}
    document, swagger = published(
        {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": size}}}}, "spec.size"
    )
    schemas = document["components"]["schemas"]
    thing, things = schemas["com.example.v1.Thing"], schemas["com.example.v1.ThingList"]
    assert repr(thing["properties"]["spec"]["properties"]["size"]["minimum"]) == "1"
    assert thing["properties"]["spec"] == {"type": "object", "properties": {"size": size}}
    assert thing["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Thing"}]
    for found in (thing, things, swagger["definitions"]["com.example.v1.Thing"]):
        assert found["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.size"}]
    assert (
        "x-kubernetes-selectable-fields"
        not in published({"type": "object"})[0]["components"]["schemas"]["com.example.v1.Thing"]
    )
    assert {target.rsplit("/", 1)[1] for target in references(document)} <= set(schemas)
    assert document["info"] == {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
    assert set(document["components"]) == {"schemas"}


def test_what_a_custom_resource_takes_and_gives() -> None:
    document, swagger = published({"type": "object"})
    paths, base = document["paths"], "/apis/example.com/v1/namespaces/{namespace}/things"
    types = ["application/json", "application/yaml"]
    read = {"200": types, "401": []}
    assert set(paths) == {"/apis/example.com/v1/things", base, f"{base}/{{name}}", f"{base}/{{name}}/scale"}
    assert shape(paths["/apis/example.com/v1/things"]) == {"all": sorted([*LISTING, "pretty"]), "get": ([], [], read)}
    assert shape(paths[base]) == {
        "all": ["namespace", "pretty"],
        "get": (LISTING, [], read),
        "post": (WRITING, types, {"200": types, "201": types, "202": types, "401": []}),
        "delete": (LISTING, [], read),
    }
    patched = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
    changes = {
        "all": ["name", "namespace", "pretty"],
        "get": (["resourceVersion"], [], read),
        "put": (WRITING, types, {"200": types, "201": types, "401": []}),
        "patch": ([*WRITING, "force"], patched, read),
    }
    deleted = {"200": types, "202": types, "401": []}
    assert shape(paths[f"{base}/{{name}}"]) == {**changes, "delete": (DELETING, types, deleted)}
    scale = paths[f"{base}/{{name}}/scale"]
    assert shape(scale) == changes
    assert scale["put"]["x-kubernetes-group-version-kind"] == {"group": "example.com", "version": "v1", "kind": "Thing"}
    assert scale["put"]["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/io.k8s.api.autoscaling.v1.Scale"
    }
    for operation in (swagger["paths"][base]["post"], swagger["paths"][base]["get"]):
        assert (operation["consumes"], operation["produces"]) == (types, types)


V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"


@pytest.mark.parametrize("accept", [V3_PROTOBUF, V3_PROTOBUF.replace("v3.", "v3@"), f"{V3_PROTOBUF}, application/json"])
def test_version_three_in_protobuf_says_the_same(accept: str) -> None:
    path = "/openapi/v3/apis/policy/v1"
    found, plain = documents().document(path, accept), content(path)
    assert found is not None and found.content_type == V3_PROTOBUF
    told = documents().document(path, "application/json")
    assert told is not None and found.etag == told.etag
    top = fields_of(found.body)
    assert top[1] == [b"3.0.0"]
    assert fields_of(top[2][0]) == {1: [b"Kubernetes"], 6: [b"v1.37.0"]}
    paths = entries(top[4][0], 1)
    assert set(paths) == set(plain["paths"])
    name = "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}"
    replace, expected = fields_of(paths[name][5][0]), plain["paths"][name]["put"]
    assert replace[5][0].decode() == expected["operationId"]
    body = fields_of(fields_of(replace[7][0])[1][0])
    assert (list(entries(body[2][0], 1)), body[3]) == (["*/*"], [1])
    answers = entries(replace[8][0], 2)
    assert set(answers) == set(expected["responses"])
    created = fields_of(answers["201"][1][0])
    assert list(entries(created[3][0], 1)) == list(expected["responses"]["201"]["content"])
    parameters = [fields_of(fields_of(one)[1][0]) for one in replace[6]]
    assert [one[1][0].decode() for one in parameters] == [one["name"] for one in expected["parameters"]]
    components = fields_of(top[5][0])
    schemas = entries(components[1][0], 1)
    assert set(schemas) == set(plain["components"]["schemas"])
    assert list(entries(components[7][0], 1)) == ["BearerToken"]


@pytest.mark.parametrize("path", group_paths() + own_paths())
def test_every_document_can_be_had_in_protobuf(path: str) -> None:
    found = documents().document(path, V3_PROTOBUF)
    assert found is not None
    assert set(entries(fields_of(found.body)[4][0], 1)) == set(content(path)["paths"])


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ({"type": "string", "nullable": True, "format": "byte"}, {25: [b"string"], 1: [1], 35: [b"byte"]}),
        ({"maxLength": 300, "minLength": 0}, {15: [300]}),
        ({"required": ["a", "b"]}, {23: [b"a", b"b"]}),
        ({"enum": ["x", 1]}, {24: [b'\x12\x03"x"', b"\x12\x011"]}),
        ({"default": {}}, {33: [b""]}),
        ({"default": ""}, {33: [b"\x1a\x00"]}),
        ({"default": "a"}, {33: [b"\x1a\x01a"]}),
        ({"default": False}, {33: [b"\x10\x00"]}),
        ({"default": 1}, {33: [b"\x09" + struct.pack("<d", 1.0)]}),
        ({"additionalProperties": False}, {32: [b"\x10\x00"]}),
        ({"additionalProperties": {"type": "string"}}, {32: [b"\n\x0b\n\x09\xca\x01\x06string"]}),
        ({"items": {"$ref": "#/x"}}, {30: [b"\n\x07\x12\x05\n\x03#/x"]}),
        ({"anyOf": [{"minItems": 1}], "not": {"minItems": 2}}, {28: [b"\n\x03\x98\x01\x01"], 29: [b"\x98\x01\x02"]}),
        ({"x-kubernetes-map-type": "atomic"}, {36: [b'\n\x15x-kubernetes-map-type\x12\n\x12\x08"atomic"']}),
        ({"externalDocs": {"url": "u"}, "example": 1}, {6: [b"\n\x00\x12\x01u"], 7: [b"\x12\x011"]}),
    ],
)
def test_words_of_a_schema_in_protobuf(schema: Any, fields: dict[int, list[Any]]) -> None:
    whole = {
        "openapi": "3.0.0",
        "info": {"title": "", "version": ""},
        "paths": {},
        "components": {"schemas": {"s": schema}},
    }
    components = fields_of(fields_of(protobuf_v3.document(whole))[5][0])
    assert fields_of(entries(components[1][0], 1)["s"][1][0]) == fields


def test_limits_are_doubles_in_protobuf() -> None:
    schemas = {"s": {"maximum": 2.5, "minimum": 0}}
    whole = {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": {}, "components": {"schemas": schemas}}
    assert protobuf_v3.document(whole).endswith(b"\x59" + struct.pack("<d", 2.5))


def test_what_is_not_spoken() -> None:
    empty = OpenApiDocuments((), lambda: SchemaSource({}, {}), "x", "v")
    for path, accept in (
        ("/openapi/v3/apis/apps/v1", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"),
        ("/openapi/v2", V3_PROTOBUF),
        ("/openapi/v2", "text/html"),
    ):
        with pytest.raises(ApiError) as caught:
            empty.document(path, accept)
        assert caught.value.code == 406
    index = empty.document("/openapi/v3", "application/vnd.kubernetes.protobuf")
    assert index is not None
    assert index.content_type == "application/json"
    assert empty.document("/openapi/v3/apis/apps/v1", "*/*") is None
    assert empty.document("/elsewhere", "") is None


def test_names_of_groups() -> None:
    groups = ("", "apps", "rbac.authorization.k8s.io", "flowcontrol.apiserver.k8s.io", "policy")
    assert [group_words(group) for group in groups] == [
        "Core",
        "Apps",
        "RbacAuthorization",
        "FlowcontrolApiserver",
        "Policy",
    ]
    assert [tag(group, "v1") for group in groups[:3]] == ["core_v1", "apps_v1", "rbacAuthorization_v1"]


def of_the_published_client() -> set[tuple[str, str]]:
    """(method, path) of everything that the generated Python client of this release can ask for."""
    folder = pathlib.Path(importlib.import_module("kubernetes.client.api").__file__ or "").parent
    pattern = re.compile(r"method='(\w+)',\s*resource_path='([^']+)'")
    found = {pair for file in folder.glob("*_api.py") for pair in pattern.findall(file.read_text())}
    assert len({path for _, path in found}) == 381
    return {(method.lower(), path.rstrip("/")) for method, path in found}


# Versions that are not stable, what is only alpha, paths with the group left open, and logs of the machine.
OFF = re.compile(r"/v\d+(alpha|beta)\d|/(internal\.apiserver|lifecycle)\.k8s\.io$|/\{group\}/|^/logs")


def test_everything_that_a_release_has_on_by_default_is_described() -> None:
    described = {(method, path.rstrip("/")) for path, method, _ in operations(content("/openapi/v2"))}
    wanted = {(method, path) for method, path in of_the_published_client() if not OFF.search(path)}
    assert wanted - described == set()
    assert {path for _, path in described - wanted if "/v1beta1" not in path} == set()

"""Requests made up from an OpenAPI document by Schemathesis, and brought close to what the server accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tiphys.machinery.digits import is_number

TAKEN_MEDIA = ("application/json", "application/yaml")
# What these hold changes how the server treats other requests, so that nothing of it is ever stored.
CONFIGURATION = ("admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "/namespaces/{name}")
POD = "/api/v1/namespaces/{namespace}/pods/{name}"
JSON_PATCH = {
    "type": "array",
    "maxItems": 3,
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {
                "enum": ["", "/metadata/labels", "/metadata/labels/a", "/spec", "/spec/replicas", "/status", "/data"]
            },
            "from": {"enum": ["/metadata/labels", "/spec", "/spec/replicas", "/data", "/metadata"]},
            "value": {},
        },
    },
}


def as_meant(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what Kubernetes' documents leave to the reader spelt out: `*/*` in request bodies is what the
    server takes, a deletion answers with a Status or the object that goes, a binding or eviction with a Status, a patch
    consists of parts of the object. What a proxy answers is not the server's."""
    for path, item in document["paths"].items():
        for method, operation in [*item.items()]:
            if not isinstance(operation, dict):
                continue
            if operation.get("x-kubernetes-action") == "connect":
                del item[method]
                continue
            content = operation.get("requestBody", {}).get("content", {})
            if "*/*" in content:
                content.update(dict.fromkeys(TAKEN_MEDIA, content.pop("*/*")))
            if method == "patch" and "put" in item:
                whole = next(iter(item["put"]["requestBody"]["content"].values()))["schema"]
                content.update((media, {"schema": JSON_PATCH if "json-patch" in media else whole}) for media in content)
            if method == "delete":
                _also(operation, item.get("get", {}))
            elif path.endswith(("/binding", "/bindings", "/eviction")):
                _also(operation, document["paths"][POD]["delete"])
    return document


def _also(operation: dict[str, Any], other: dict[str, Any]) -> None:
    """Let the operation answer as the other one may, too."""
    further = other.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for response in operation["responses"].values():
        for content in response.get("content", {}).values():
            content["schema"] = {"anyOf": [content["schema"], further]}


def grafted(document: Any, other: Any, draw: Any) -> Any:
    """The document with one part of it taken from another one."""
    if isinstance(document, dict) and isinstance(other, dict):
        if not other:
            return document
        key = draw(st.sampled_from(sorted(other)))
        found = grafted(document[key], other[key], draw) if key in document else other[key]
        return {**document, key: found}
    if isinstance(document, list) and isinstance(other, list) and document and other:
        return [grafted(document[0], other[0], draw), *document[1:]]
    return other


@st.composite
def cases(draw: Any, operation: Any, mode: GenerationMode, objects: Mapping[str, Any], namespace: str) -> Any:
    """A case of the operation; most are about an object that there is, and their bodies come close to being valid."""
    case = draw(operation.as_strategy(generation_mode=mode))
    often = draw(st.integers(0, 4)) > 0
    if often and isinstance(case.body, dict):
        case.body = {key: value for key, value in case.body.items() if key not in ("apiVersion", "kind")}
    plural = operation.path.split("{namespace}/")[-1].split("/{name}")[0].rsplit("/", 1)[-1]
    if often and plural in objects:
        _place(case, objects[plural], namespace)
        whole = operation.path.endswith(("{name}", "/status", f"/{plural}"))
        if whole and operation.method != "delete" and isinstance(case.body, dict) and draw(st.integers(0, 3)):
            case.body = {**grafted(objects[plural], case.body, draw)}
            if operation.method == "post" and isinstance(case.body["metadata"], dict):
                metadata = {key: value for key, value in case.body["metadata"].items() if key != "name"}
                case.body["metadata"] = {**metadata, "generateName": "made-"}
    query = dict(case.query or {})
    version = str(query.get("resourceVersion", ""))
    if is_number(version) and int(version) > 1:
        del query["resourceVersion"]  # waiting for it takes seconds
    if operation.method == "delete" or any(word in operation.path for word in CONFIGURATION) or draw(st.booleans()):
        query["dryRun"] = "All"
    case.query = query
    return case


def _place(case: Any, existing: dict[str, Any], namespace: str) -> None:
    places = {"namespace": namespace, "name": existing["metadata"]["name"]}
    for key in case.path_parameters or {}:
        case.path_parameters[key] = places.get(key, case.path_parameters[key])


def collected(strategy: Any, examples: int) -> list[Any]:
    """The first so many examples, the same in every run."""
    found: list[Any] = []

    @seed(1)
    @settings(
        max_examples=examples,
        database=None,
        suppress_health_check=[*HealthCheck],
        phases=[Phase.generate],
    )
    @given(strategy)
    def gather(case: Any) -> None:
        found.append(case)

    try:
        gather()
    except Unsatisfiable:  # an operation that takes anything cannot be asked wrongly
        return []
    return found

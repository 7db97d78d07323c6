"""OpenAPI v3 paths in the form of version 2, for the clients that still ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_JSON, _YAML, _PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_STREAM = ";stream=watch"
# As clients generated from version 2 know them.
_ORDER = (
    _JSON, _YAML, _PROTOBUF, f"{_JSON}{_STREAM}", f"{_PROTOBUF}{_STREAM}", "application/json-patch+json",
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
)  # fmt: skip


def path_item(item: dict[str, Any]) -> dict[str, Any]:
    """One path with its operations."""
    converted: dict[str, Any] = {method: _operation(item[method]) for method in _METHODS if method in item}
    if "parameters" in item:
        converted["parameters"] = [_parameter(parameter) for parameter in item["parameters"]]
    return converted


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    converted = {
        key: value for key, value in operation.items() if key not in ("parameters", "requestBody", "responses")
    }
    converted["schemes"] = ["https"]
    found = [_parameter(parameter) for parameter in operation.get("parameters", ())]
    body = operation.get("requestBody")
    if body is not None:
        (schema, *_) = (_schema(content["schema"]) for content in body["content"].values())
        found.insert(0, {"name": "body", "in": "body", "schema": schema})
        if body.get("required"):
            found[0]["required"] = True
    if found:
        converted["parameters"] = found
    converted["produces"] = _ordered(_media_types(operation["responses"])) or [_JSON]
    converted["consumes"] = _consumes(operation, converted["produces"])
    converted["responses"] = {code: _response(response) for code, response in operation["responses"].items()}
    return converted


def _ordered(media_types: Iterable[str]) -> list[str]:
    found = set(media_types)
    return [*(known for known in _ORDER if known in found), *sorted(found.difference(_ORDER))]


def _consumes(operation: dict[str, Any], produced: list[str]) -> list[str]:
    """The media types of the body; where there is none, what is said of the other methods."""
    body = operation.get("requestBody")
    if body is not None:
        return _ordered(body["content"])
    is_custom = produced == [_JSON, _YAML]
    return produced if is_custom or "x-kubernetes-action" not in operation else ["*/*"]


def _media_types(responses: dict[str, Any]) -> Iterator[str]:
    for response in responses.values():
        yield from response.get("content", ())


def _response(response: dict[str, Any]) -> dict[str, Any]:
    converted = {"description": response["description"]}
    for content in response.get("content", {}).values():
        return {**converted, "schema": _schema(content["schema"])}
    return converted


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in parameter.items() if key != "schema"}
    return {**converted, **parameter["schema"]}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    target = schema.get("$ref")
    if target is None:
        return schema
    return {"$ref": target.replace("#/components/schemas/", "#/definitions/")}

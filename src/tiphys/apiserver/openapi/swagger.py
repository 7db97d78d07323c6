"""OpenAPI v3 paths in the form of version 2, for the clients that still ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_CONSUMES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


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
        media_types = list(body["content"])
        converted["consumes"] = list(_CONSUMES) if media_types == ["*/*"] else media_types
        schema = _schema(body["content"][media_types[0]]["schema"])
        found.insert(0, {"name": "body", "in": "body", "schema": schema})
        if body.get("required"):
            found[0]["required"] = True
    if found:
        converted["parameters"] = found
    converted["produces"] = sorted(set(_media_types(operation["responses"]))) or ["application/json"]
    converted["responses"] = {code: _response(response) for code, response in operation["responses"].items()}
    return converted


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

"""How custom resources are published: the schema that their definition gives, with what every object has.

OpenAPI 2 cannot say all of a schema. What it cannot say is left out there in such a way that a client which checks
objects by it refuses none that the server takes. Specified in "Extend the Kubernetes API with
CustomResourceDefinitions", "Publish Validation Schema in OpenAPI".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.openapi.definitions import NO_DESCRIPTION, Schema, SchemaSource, reference
from tiphys.apiserver.openapi.operations import META
from tiphys.kinds.resource import Resource

OBJECT_META = f"{META}.ObjectMeta"
LIST_META = f"{META}.ListMeta"
# A kind that has all that is said of the fields which every kind has.
_LIKE_ANY_KIND = "io.k8s.api.core.v1.ConfigMap"

_PRESERVES = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_EITHER = [{"type": "integer"}, {"type": "string"}]
_NOT_IN_VERSION_2 = ("oneOf", "anyOf", "allOf", "not", "nullable", "default", "x-kubernetes-validations")
_SHAPE = ("type", "items", "properties", "additionalProperties")


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A custom resource, the OpenAPI v3 schema of its objects, and the paths of the fields that select them."""

    resource: Resource
    schema: Schema
    selectable: tuple[str, ...] = ()

    @property
    def definition_name(self) -> str:
        prefix = ".".join(reversed(self.resource.group.split(".")))
        return f"{prefix}.{self.resource.version}.{self.resource.kind}"


def object_schema(item: CustomResource, source: SchemaSource, version: int) -> Schema:
    """One object, in the form of OpenAPI 3 or 2 (`version`)."""
    marker = _markers(item, item.resource.kind)
    if version == 2 and item.schema.get(_PRESERVES):
        return {"type": "object", **marker}
    found: Schema = _in_version_2(item.schema) if version == 2 else _in_version_3(item.schema, source)
    properties = {**found.get("properties", {}), **_head(source, _LIKE_ANY_KIND, OBJECT_META, version)}
    return {**found, "type": "object", "properties": properties, **marker}


def list_schema(item: CustomResource, source: SchemaSource, version: int) -> Schema:
    """A list of objects."""
    resource = item.resource
    objects = {"type": "array", "items": reference(item.definition_name, version)}
    items = {"description": f"The {resource.plural} of the list.", **objects}
    return {
        "description": f"A list of objects of kind {resource.kind}.",
        "type": "object",
        "required": ["items"],
        "properties": {**_head(source, f"{_LIKE_ANY_KIND}List", LIST_META, version), "items": items},
        **_markers(item, item.resource.list_kind),
    }


def _markers(item: CustomResource, kind: str) -> Schema:
    resource = item.resource
    found: Schema = {
        "x-kubernetes-group-version-kind": [{"group": resource.group, "version": resource.version, "kind": kind}]
    }
    if item.selectable:
        found["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in item.selectable]
    return found


def _head(source: SchemaSource, like: str, metadata: str, version: int) -> Schema:
    """The fields that every object has, with what is said of them where anything is."""
    target = reference(metadata, version)
    fields = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": target if version == 2 else {"allOf": [target]},
    }
    said = source.descriptions.get(like, NO_DESCRIPTION).properties
    return {name: {**({"description": said[name]} if name in said else {}), **field} for name, field in fields.items()}


def _in_version_3(schema: Any, source: SchemaSource) -> Any:
    """A schema with what its markers imply written out."""
    found = _each_below(schema, lambda below: _in_version_3(below, source))
    if found.get(_INT_OR_STRING) and not _says_either(found):
        if "anyOf" in found:
            found["allOf"] = [{"anyOf": _EITHER}, *found.get("allOf", ())]
        else:
            found["anyOf"] = _EITHER
    if found.get(_EMBEDDED):
        found["properties"] = {**found.get("properties", {}), **_head(source, _LIKE_ANY_KIND, OBJECT_META, 3)}
        found["required"] = [*dict.fromkeys((*found.get("required", ()), "kind", "apiVersion"))]
    return found


def _says_either(schema: Schema) -> bool:
    return schema.get("anyOf") == _EITHER or any(part.get("anyOf") == _EITHER for part in schema.get("allOf", ()))


def _in_version_2(schema: Any) -> Any:
    """A schema without what version 2 has no words for. Where unknown fields or null are let in nothing is said of the
    shape: clients that go by it would refuse them."""
    found = _each_below(schema, _in_version_2)
    if schema.get("nullable") or schema.get(_PRESERVES):
        left_out: tuple[str, ...] = (*_NOT_IN_VERSION_2, *_SHAPE)
    else:
        left_out = _NOT_IN_VERSION_2
    return {key: value for key, value in found.items() if key not in left_out}


def _each_below(schema: Mapping[str, Any], change: Any) -> Schema:
    """A new schema in which those of properties, items and values are changed."""
    found = {key: _shortest(value) for key, value in schema.items()}
    if "properties" in found:
        found["properties"] = {name: change(below) for name, below in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), Mapping):
            found[key] = change(found[key])
    return found


def _shortest(value: Any) -> Any:
    """A limit like 9.0 as clients know it: 9."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

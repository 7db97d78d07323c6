"""What is published of a custom resource's schema, in both versions of OpenAPI."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.openapi.custom import CustomResource, list_schema, object_schema
from tiphys.apiserver.openapi.definitions import Description, SchemaSource
from tiphys.kinds.resource import Resource

RESOURCE = Resource(
    group="stable.example.com", version="v1", plural="ships", singular="ship", kind="Ship", namespaced=True, verbs=()
)
MARKER = {"x-kubernetes-group-version-kind": [{"group": "stable.example.com", "version": "v1", "kind": "Ship"}]}
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SILENT = SchemaSource({}, {})
EITHER = [{"type": "integer"}, {"type": "string"}]


def published(version: int, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    found = object_schema(CustomResource(RESOURCE, schema), SILENT, version)
    assert {key: found[key] for key in MARKER} == MARKER
    return {name: below for name, below in found["properties"].items() if name in properties}


def test_every_object_has_a_head() -> None:
    item = CustomResource(RESOURCE, {"type": "object"})
    text = {"type": "string"}
    target = {"$ref": f"#/definitions/{META}"}
    head = {"apiVersion": text, "kind": text, "metadata": target}
    assert object_schema(item, SILENT, 2) == {"type": "object", "properties": head, **MARKER}
    head3 = {**head, "metadata": {"allOf": [{"$ref": f"#/components/schemas/{META}"}]}}
    assert object_schema(item, SILENT, 3) == {"type": "object", "properties": head3, **MARKER}


def test_the_head_is_described_as_every_kinds_is() -> None:
    said = {"apiVersion": "Which version.", "kind": "Which kind.", "data": "Not of every kind."}
    source = SchemaSource({}, {"io.k8s.api.core.v1.ConfigMap": Description("", said)})
    found = object_schema(CustomResource(RESOURCE, {"type": "object"}), source, 3)["properties"]
    assert found["apiVersion"] == {"description": "Which version.", "type": "string"}
    assert found["kind"] == {"description": "Which kind.", "type": "string"}
    assert "data" not in found and "description" not in found["metadata"]


def test_what_takes_any_field_at_its_root_is_any_object_in_version_2() -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}}
    assert object_schema(CustomResource(RESOURCE, schema), SILENT, 2) == {"type": "object", **MARKER}
    found = object_schema(CustomResource(RESOURCE, schema), SILENT, 3)
    assert found["x-kubernetes-preserve-unknown-fields"] is True
    assert set(found["properties"]) == {"a", "apiVersion", "kind", "metadata"}


def test_version_2_refuses_nothing_that_the_server_takes() -> None:
    maybe = {"type": "object", "nullable": True, "properties": {"a": {"type": "string"}}, "description": "Or null."}
    any_fields = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"minimum": 1}}}
    found = published(
        2,
        maybe=maybe,
        anyFields=any_fields,
        word={"type": "string", "default": "a", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
        items={"type": "array", "items": maybe},
        values={"type": "object", "additionalProperties": {"type": "integer", "nullable": True}},
    )
    assert found == {
        "maybe": {"description": "Or null."},
        "anyFields": {"x-kubernetes-preserve-unknown-fields": True},
        "word": {"type": "string"},
        "items": {"type": "array", "items": {"description": "Or null."}},
        "values": {"type": "object", "additionalProperties": {}},
    }


def test_markers_are_written_out_in_version_3() -> None:
    marked = {"x-kubernetes-int-or-string": True}
    limits = [{"minimum": 42}]
    found = published(
        3,
        bare=marked,
        said={**marked, "anyOf": EITHER},
        limited={**marked, "anyOf": limits},
        both={**marked, "anyOf": limits, "allOf": [{"maximum": 50}]},
        saidBelow={**marked, "allOf": [{"anyOf": EITHER}, {"anyOf": limits}]},
        pod={"type": "object", "x-kubernetes-embedded-resource": True, "required": ["spec"]},
    )
    pod = found.pop("pod")
    assert found == {
        "bare": {**marked, "anyOf": EITHER},
        "said": {**marked, "anyOf": EITHER},
        "limited": {**marked, "anyOf": limits, "allOf": [{"anyOf": EITHER}]},
        "both": {**marked, "anyOf": limits, "allOf": [{"anyOf": EITHER}, {"maximum": 50}]},
        "saidBelow": {**marked, "allOf": [{"anyOf": EITHER}, {"anyOf": limits}]},
    }
    assert pod["required"] == ["spec", "kind", "apiVersion"]
    assert set(pod["properties"]) == {"apiVersion", "kind", "metadata"}
    assert published(2, bare={**marked, "anyOf": EITHER}) == {"bare": marked}


def test_lists_hold_the_objects() -> None:
    item = CustomResource(RESOURCE, {"type": "object"})
    assert item.definition_name == "com.example.stable.v1.Ship"
    for version, place in ((2, "definitions"), (3, "components/schemas")):
        found = list_schema(item, SILENT, version)
        assert found["properties"]["items"]["items"] == {"$ref": f"#/{place}/com.example.stable.v1.Ship"}
        assert found["required"] == ["items"]
        assert found["x-kubernetes-group-version-kind"][0]["kind"] == "ShipList"

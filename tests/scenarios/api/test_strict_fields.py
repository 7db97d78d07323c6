"""What strict field validation finds and how it says so, for kinds that are built in and for custom resources."""

from __future__ import annotations

from typing import Any

import pytest
from api_site import Answer, Site
from resource_case import APPLY, NUMBERS

from tiphys.aio.clock import settle

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEPLOYMENTS = "/apis/apps/v1/namespaces/one/deployments"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TEXT = {"type": "string"}
PORTS: dict[str, Any] = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
    "items": {
        "type": "object",
        "required": ["containerPort", "protocol"],
        "properties": {"containerPort": {"type": "integer", "format": "int32"}, "name": TEXT, "protocol": TEXT},
    },
}
EMBEDDED: dict[str, Any] = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "properties": {"metadata": {"type": "object", "properties": {"name": TEXT}}, "spec": {"type": "object"}},
}
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "crontab": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
        "name": TEXT,
        "ports": PORTS,
        "template": EMBEDDED,
    },
}
OPEN = {**CLOSED, "x-kubernetes-preserve-unknown-fields": True}
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEPLOYMENT = """{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"%s},
    "spec": {%s"selector": {"matchLabels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}
"""
RESOURCE = """
apiVersion: %s
kind: Thing
metadata:
  name: thing
  finalizers:
  - test-finalizer
%s
  crontab: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP
"""


@pytest.mark.parametrize(
    ("metadata", "spec", "words"),
    [
        ("", '"odd": 1, "replicas": 2, "replicas": 3, ', 'unknown field "spec.odd", duplicate field "spec.replicas"'),
        (', "odd": "x"', "", 'unknown field "metadata.odd"'),
    ],
)
async def test_built_in_kinds(site: Site, metadata: str, spec: str, words: str) -> None:
    body = (DEPLOYMENT % (metadata, spec)).encode()
    answer = await site("POST", f"{DEPLOYMENTS}?fieldManager=one&fieldValidation=Strict", body)
    assert answer.outcome == (400, "BadRequest")
    assert f"strict decoding error: {words}" in answer.body["message"]
    assert (await site("POST", f"{DEPLOYMENTS}?fieldValidation=Ignore&dryRun=All", body)).code == 201


async def applied(site: Site, schema: dict[str, Any], text: str) -> Answer:
    """What becomes of a custom resource with these lines in it, of a new definition whose spec has this schema."""
    group = f"strict-{next(NUMBERS)}.example.com"
    whole = schema if schema is ANYTHING else {"type": "object", "properties": {"spec": schema}}
    definition = {
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [
                {"name": name, "served": True, "storage": name == "v1beta1", "schema": {"openAPIV3Schema": whole}}
                for name in ("v1beta1", "v1beta2")
            ],
        },
    }
    assert (await site("POST", DEFINITIONS, definition)).code == 201
    await settle(100)
    path = f"/apis/{group}/v1beta1/things/thing?fieldManager=one&fieldValidation=Strict"
    return await site("PATCH", path, (RESOURCE % (f"{group}/v1beta1", text)).encode(), media=APPLY)


@pytest.mark.parametrize("schema", [CLOSED, OPEN, ANYTHING], ids=["closed", "open", "anything"])
async def test_a_custom_resource_that_fits(site: Site, schema: dict[str, Any]) -> None:
    answer = await applied(site, schema, "spec:\n  name: x")
    assert (answer.code, answer.body["spec"]["crontab"]) == (201, "* * * * */5")


@pytest.mark.parametrize("schema", [OPEN, ANYTHING], ids=["open", "anything"])
async def test_a_custom_resource_with_more_than_its_schema_names(site: Site, schema: dict[str, Any]) -> None:
    answer = await applied(site, schema, "spec:\n  unknown: x")
    assert (answer.code, answer.body["spec"]["unknown"]) == (201, "x")


TEMPLATE = """spec:
  template:
    apiVersion: foo/v1
    kind: Sub
    metadata:
      odd: x
      name: subobject
      namespace: one"""


@pytest.mark.parametrize(
    ("schema", "text", "words"),
    [
        (CLOSED, "unknown: x\nspec:\n  name: x", ".unknown: field not declared in schema"),
        (CLOSED, "spec:\n  unknown: x", ".spec.unknown: field not declared in schema"),
        (CLOSED, "  odd: x\nspec:\n  name: x", ".metadata.odd: field not declared in schema"),
        (OPEN, TEMPLATE, ".spec.template.metadata.odd: field not declared in schema"),
        (OPEN, "spec:\n  unknown: x\n  name: x\n  name: y", 'line 11: key "name" already set in map'),
    ],
    ids=["root", "spec", "metadata", "embedded metadata", "twice"],
)
async def test_an_applied_custom_resource_that_does_not_fit(
    site: Site, schema: dict[str, Any], text: str, words: str
) -> None:
    answer = await applied(site, schema, text)
    assert answer.outcome == (400, "BadRequest"), answer.body
    assert words in answer.body["message"]

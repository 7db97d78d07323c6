"""The server keeps what its OpenAPI documents promise: Schemathesis reads every group-version's document and makes up
requests from it, good ones and bad ones, and every answer is held against the document.

What is asked is the same in every run; FUZZ_TIMES=20 asks twenty times as much.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from api_process import ApiProcess, running_process
from minimal_objects import OBJECTS
from openapi_cases import as_meant, cases, collected
from refusals import wrong_refusal
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tiphys.kinds import registry

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
EXAMPLES = {GenerationMode.POSITIVE: 2 * TIMES, GenerationMode.NEGATIVE: TIMES}
GROUP, KIND, PLURAL = "fuzz.example.com", "Sail", "sails"
GROUP_VERSIONS = sorted({resource.api_version for resource in registry.all_resources()} | {f"{GROUP}/v1"})

DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": PLURAL, "singular": "sail", "kind": KIND, "listKind": f"{KIND}List"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.masts", "statusReplicasPath": ".status.masts"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["area"],
                                "properties": {
                                    "area": {"type": "number", "minimum": 0, "maximum": 1000},
                                    "masts": {"type": "integer", "format": "int32", "minimum": 0, "default": 1},
                                    "colour": {"type": "string", "enum": ["white", "brown"]},
                                    "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 8},
                                    "knots": {
                                        "type": "array",
                                        "maxItems": 4,
                                        "items": {
                                            "type": "object",
                                            "required": ["at"],
                                            "properties": {
                                                "at": {"type": "string"},
                                                "length": {"x-kubernetes-int-or-string": True},
                                                "tied": {"type": "boolean"},
                                            },
                                        },
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["at"],
                                    },
                                    "loose": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "lines": {"type": "object", "additionalProperties": {"type": "integer"}},
                                },
                            },
                            "status": {"type": "object", "properties": {"masts": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}
SAIL = {"apiVersion": f"{GROUP}/v1", "kind": KIND, "metadata": {"name": "sail"}, "spec": {"area": 12.5}}


@dataclass
class Shore:
    """The server, the administrator's connection, and what there is in a group-version: a whole object by plural."""

    process: ApiProcess
    session: requests.Session
    documents: dict[str, str]
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(20, 10**6)))

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.session.request(method, self.process.base + path, json=body, timeout=60)

    def document(self, group_version: str) -> dict[str, Any]:
        key = f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"
        found: dict[str, Any] = self.call("GET", self.documents[key]).json()
        return found

    @property
    def revision(self) -> str:
        found: str = self.call("GET", "/api/v1/namespaces?limit=1").json()["metadata"]["resourceVersion"]
        return found

    def populated(self, group_version: str, namespace: str) -> dict[str, dict[str, Any]]:
        """One object of every resource that is stored, by plural."""
        for made in (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}},
        ):
            where = "/api/v1/namespaces" + (f"/{namespace}/serviceaccounts" if made["kind"] != "Namespace" else "")
            assert self.call("POST", where, made).status_code == 201
        if group_version == f"{GROUP}/v1":
            self.call("POST", f"/apis/{GROUP}/v1/namespaces/{namespace}/{PLURAL}", SAIL).raise_for_status()
            return {PLURAL: SAIL}
        found = {}
        for resource in registry.all_resources():
            if resource.api_version != group_version or not resource.storage:
                continue
            minimal = OBJECTS[resource.group, resource.version, resource.plural]
            document = minimal.document(resource, next(self.numbers), namespace)
            root = f"/apis/{group_version}" if resource.group else f"/api/{group_version}"
            where = f"{root}/namespaces/{namespace}" if resource.namespaced else root
            answer = self.call("POST", f"{where}/{resource.plural}", document)
            assert answer.status_code == 201, answer.text
            found[resource.plural] = document
        return found


@pytest.fixture(scope="module")
def shore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shore]:
    with running_process(tmp_path_factory.mktemp("shore")) as process, process.session() as session:
        found = Shore(process, session, {})
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        watch = f"{definitions}?watch=1&timeoutSeconds=30&fieldSelector=metadata.name%3D{PLURAL}.{GROUP}"
        found.call("POST", definitions, DEFINITION).raise_for_status()
        with session.get(process.base + watch, stream=True, timeout=60) as events:
            for line in events.iter_lines():
                conditions = json.loads(line)["object"].get("status", {}).get("conditions", ())
                if {"Established": "True"}.items() <= {c["type"]: c["status"] for c in conditions}.items():
                    break
        index = found.call("GET", "/openapi/v3").json()["paths"]
        found.documents.update({name: entry["serverRelativeURL"] for name, entry in index.items()})
        yield found
        assert not [line for line in process.log if "Traceback" in line], "".join(process.log)


# -- what is held against the document


def broken_promise(case: Any, answer: requests.Response) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if answer.status_code >= 400:
        return wrong_refusal(answer.status_code, answer.headers, answer.content)
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    try:
        case.validate_response(answer, checks=checks)
    except FailureGroup as group:
        return "; ".join(str(failure) for failure in group.exceptions)
    return ""


def wrong_answer(shore: Shore, case: Any) -> str:
    """The request, its answer and what is wrong with that; empty when nothing is."""
    before = shore.revision
    asked = case.as_transport_kwargs(base_url=shore.process.base)
    with shore.session.request(**asked, stream=True, timeout=60, allow_redirects=False) as answer:
        if "stream=watch" in answer.headers["Content-Type"] or answer.headers.get("Transfer-Encoding") == "chunked":
            return ""  # a watch: it ends when we go
        found = broken_promise(case, answer)
    if not found and answer.status_code >= 400 and shore.revision != before:
        found = "it was refused and changed something"
    return f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:500]}\n{found}" if found else ""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(len(GROUP_VERSIONS)), ids=lambda number: GROUP_VERSIONS[number])
def test_every_answer_is_as_published(shore: Shore, number: int) -> None:
    namespace = f"fuzz-{number}"
    objects = shore.populated(GROUP_VERSIONS[number], namespace)
    schema = schemathesis.openapi.from_dict(as_meant(shore.document(GROUP_VERSIONS[number])))
    wrong: list[str] = []
    for operation in (result.ok() for result in schema.get_all_operations()):
        for mode, examples in EXAMPLES.items():
            for case in collected(cases(operation, mode, objects, namespace), examples):
                wrong += [text for text in [wrong_answer(shore, case)] if text]
    assert wrong == []

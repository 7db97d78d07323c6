"""Which flow schema a request belongs to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_world import World

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes
from tiphys.apiserver.bootstrap.flow import wanted_flow
from tiphys.apiserver.flow import in_order, matches
from tiphys.kinds.types.flowcontrol_v1 import FlowSchema

SCHEMAS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
LEVELS = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"
ANYBODY = {"kind": "Group", "group": {"name": "*"}}


def asked(name: str, *groups: str, **question: Any) -> Attributes:
    return Attributes(user=UserInfo(name, "", groups), **question)


def resource(**question: Any) -> Attributes:
    return asked("u", "g", **{"verb": "get", "group": "apps", "resource": "deployments", "namespace": "n", **question})


def path(text: str) -> Attributes:
    return asked("u", "g", verb="get", path=text, is_resource=False)


def schema(subject: dict[str, Any], *resources: dict[str, Any], urls: tuple[str, ...] = ()) -> FlowSchema:
    rule: dict[str, Any] = {"subjects": [subject], "resourceRules": list(resources)}
    if urls:
        rule["nonResourceRules"] = [{"verbs": ["get"], "nonResourceURLs": list(urls)}]
    return msgspec.convert({"spec": {"rules": [rule]}}, FlowSchema)


def rule(**changes: Any) -> dict[str, Any]:
    return {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "namespaces": ["n"], **changes}


@pytest.mark.parametrize(
    ("question", "name"),
    [
        (asked("admin", "system:masters", "system:authenticated", verb="get", resource="pods"), "exempt"),
        (asked("system:node:a", "system:nodes", "system:authenticated", verb="update", resource="nodes",
               subresource="status"), "system-node-high"),
        (asked("system:kube-scheduler", "system:authenticated", verb="get", resource="pods", namespace="n"),
         "kube-scheduler"),
        (asked("system:serviceaccount:kube-system:x", "system:serviceaccounts", "system:authenticated", verb="get",
               resource="pods", namespace="n"), "kube-system-service-accounts"),
        (asked("system:serviceaccount:n:x", "system:serviceaccounts", "system:authenticated", verb="get",
               resource="pods", namespace="n"), "service-accounts"),
        (asked("jane", "system:authenticated", verb="get", resource="pods", namespace="n"), "global-default"),
        (asked("system:anonymous", "system:unauthenticated", verb="get", path="/healthz", is_resource=False), "probes"),
    ],
)  # fmt: skip
def test_the_senders_of_a_new_cluster(question: Attributes, name: str) -> None:
    schemas = in_order(found for found in wanted_flow() if isinstance(found, FlowSchema))
    assert next(found.metadata.name for found in schemas if matches(found, question)) == name


@pytest.mark.parametrize(
    ("subject", "user", "expected"),
    [
        ({"kind": "User", "user": {"name": "u"}}, "u", True),
        ({"kind": "User", "user": {"name": "*"}}, "x", True),
        ({"kind": "User", "user": {"name": "u"}}, "x", False),
        ({"kind": "Group", "group": {"name": "g"}}, "x", True),
        ({"kind": "Group", "group": {"name": "h"}}, "x", False),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}},
         "system:serviceaccount:a:b", True),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "c"}},
         "system:serviceaccount:a:b", False),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}},
         "system:serviceaccount:ab:b", False),
    ],
)  # fmt: skip
def test_senders(subject: dict[str, Any], user: str, expected: bool) -> None:
    question = asked(user, "g", verb="get", group="apps", resource="deployments", namespace="n")
    assert matches(schema(subject, rule()), question) is expected


@pytest.mark.parametrize(
    ("found", "question", "expected"),
    [
        (rule(), resource(), True),
        (rule(verbs=["*"], apiGroups=["*"], resources=["*"], namespaces=["*"]), resource(subresource="scale"), True),
        (rule(), resource(verb="list"), False),
        (rule(), resource(group=""), False),
        (rule(), resource(namespace="m"), False),
        (rule(), resource(subresource="scale"), False),
        (rule(resources=["deployments/scale"]), resource(subresource="scale"), True),
        (rule(namespaces=["*"]), resource(namespace=""), False),
        (rule(namespaces=[], clusterScope=True), resource(namespace=""), True),
        (rule(), path("/healthz"), False),
    ],
)
def test_resources(found: dict[str, Any], question: Attributes, expected: bool) -> None:
    assert matches(schema(ANYBODY, found), question) is expected


@pytest.mark.parametrize(
    ("urls", "text", "expected"),
    [(("/a",), "/a", True), (("/a",), "/a/b", False), (("/a/*",), "/a/b", True), (("*",), "/x", True)],
)
def test_paths(urls: tuple[str, ...], text: str, expected: bool) -> None:
    assert matches(schema(ANYBODY, urls=urls), path(text)) is expected


async def test_answers_name_what_they_matched(world: World) -> None:
    async def named() -> tuple[str, str]:
        headers = (await world.http("GET", "/api/v1/nodes")).headers
        names = ("X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid")
        return headers.get(names[0], ""), headers.get(names[1], "")

    async def made(name: str, precedence: int) -> str:
        nodes = {"verbs": ["list"], "apiGroups": [""], "resources": ["nodes"], "clusterScope": True}
        body = {
            "metadata": {"name": name},
            "spec": {
                "matchingPrecedence": precedence,
                "priorityLevelConfiguration": {"name": "mine"},
                "rules": [{"subjects": [ANYBODY], "resourceRules": [nodes]}],
            },
        }
        answer = await world.http("POST", SCHEMAS, body)
        assert answer.code == 201, answer.text
        uid: str = answer.body["metadata"]["uid"]
        return uid

    assert await named() == ("", "")
    first = await made("first", 100)
    assert await named() == ("", "")  # its level is missing
    limited = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}
    answer = await world.http(
        "POST", LEVELS, {"metadata": {"name": "mine"}, "spec": {"type": "Limited", "limited": limited}}
    )
    level = answer.body["metadata"]["uid"]
    assert await named() == (first, level)
    before = await made("before", 99)
    assert await named() == (before, level)
    await world.http("DELETE", f"{SCHEMAS}/before")
    assert await named() == (first, level)

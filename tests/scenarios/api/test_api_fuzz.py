"""Whatever is sent: never a fault of the server's, always a Status that says what was wrong, and nothing written by a
request that was refused.

What is asked is the same in every run; FUZZ_TIMES=20 asks twenty times as much.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from api_site import Answer, Site
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from minimal_objects import OBJECTS
from refusals import wrong_refusal

from tiphys.kinds import protobuf_encoding, registry
from tiphys.kinds.resource import Resource
from tiphys.machinery.digits import is_number

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORED = [found for found in registry.all_resources() if found.storage]
MEDIA = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
    "",
)
SUBRESOURCES = ("status", "scale", "eviction", "binding", "token", "approval", "finalize", "resize")
EXAMPLES = 250 * int(os.environ.get("FUZZ_TIMES", "1"))
few = settings(max_examples=EXAMPLES, database=None, suppress_health_check=[*HealthCheck])

names = st.sampled_from(
    ["name", "metadata", "spec", "status", "kind", "labels", "finalizers", "op", "path", "value", "$patch"]
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1Gi", "a"]),
)
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
QUERY_NAMES = (
    "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector", "dryRun",
    "fieldValidation", "fieldManager", "force", "pretty", "timeoutSeconds", "allowWatchBookmarks", "sendInitialEvents",
    "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "includeObject", "timeout",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
)  # fmt: skip
query_values = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        ["", "0", "-1", "1", "1e3", "99999999999999999999", "true", "false", "All", "Exact", "NotOlderThan", "a=b",
         "a in (b", "metadata.name=x", "spec.nodeName!=", "Orphan", "Strict", "None", "e30",
         "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTd9"]
    ),
)  # fmt: skip
queries = st.dictionaries(st.sampled_from(QUERY_NAMES), query_values, max_size=4)


def root(resource: Resource) -> str:
    start = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
    return f"{start}/namespaces/one/{resource.plural}" if resource.namespaced else f"{start}/{resource.plural}"


def check(site: Site, answer: Answer, revision: int, told: str) -> None:
    """A refusal is a right Status and has changed nothing."""
    if answer.code >= 400:
        assert wrong_refusal(answer.code, answer.headers, answer.data) == "", told
        assert site.server.caches.revision == revision, (told, answer.data)


def mutated(document: Any, draw: Any) -> Any:
    """The document with something at a random place replaced, added or taken away."""
    place, way = document, []
    while isinstance(place, dict | list) and place and (not way or draw(st.booleans())):
        step = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        way.append(step)
        place = place[step]
    copy = json.loads(json.dumps(document))
    target = copy
    for step in way[:-1]:
        target = target[step]
    if draw(st.booleans()):
        target[way[-1]] = draw(values)
    elif isinstance(target, dict):
        target[draw(names)] = draw(values)
    else:
        target.append(draw(values))
    return copy


def sent(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


async def target_of(site: Site) -> str:
    """An object that there is, to change."""
    await site("POST", "/api/v1/namespaces/one/configmaps", {"metadata": {"name": "target"}, "data": {"a": "b"}})
    return "target"


async def run(site: Site, examples: list[tuple[str, str, bytes | None, str]]) -> None:
    for method, path, body, media in examples:
        revision = site.server.caches.revision
        answer = await site(method, path, body, media=media)
        check(site, answer, revision, f"{method} {path} {media} {body!r}")


def collected(make: Any, number: int) -> list[tuple[str, str, bytes | None, str]]:
    """What a strategy makes, gathered first: Hypothesis calls plain functions, requests belong to the event loop."""
    found: list[tuple[str, str, bytes | None, str]] = []

    @seed(number)
    @few
    @given(make)
    def gather(example: tuple[str, str, bytes | None, str]) -> None:
        found.append(example)

    gather()
    return found


@st.composite
def creations(draw: Any) -> tuple[str, str, bytes | None, str]:
    resource = draw(st.sampled_from(STORED))
    minimal = OBJECTS[resource.group, resource.version, resource.plural]
    document = minimal.document(resource, draw(st.integers(20, 99)), "one")
    for _ in range(draw(st.integers(1, 3))):
        document = mutated(document, draw)
    return "POST", root(resource) + "?dryRun=All", sent(document), "application/json"


@st.composite
def bodies(draw: Any) -> tuple[str, str, bytes | None, str]:
    resource = draw(st.sampled_from(STORED))
    text = st.binary(max_size=8).map(lambda data: b'{"metadata":{"name":"%s"}}' % data)
    body = draw(st.binary(max_size=30) | text | values.map(sent))
    method = draw(st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]))
    path = root(resource) + ("" if method == "POST" else "/target")
    if draw(st.booleans()):
        path += f"/{draw(st.sampled_from(SUBRESOURCES))}"
    return method, path, body, draw(st.sampled_from(MEDIA))


@st.composite
def patches(draw: Any) -> tuple[str, str, bytes | None, str]:
    media = draw(st.sampled_from(MEDIA[3:7]))
    pointers = st.sampled_from(
        ["/metadata/labels/a", "/metadata", "", "/data/a", "/data/-", "/x/0", "/metadata/name", "a", "/~2"]
    )
    steps = st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "odd"]), "path": pointers},
        optional={"value": values, "from": pointers},
    )
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "target"}, "data": {"a": "b"}}
    body = draw(st.lists(steps, max_size=3)) if media == MEDIA[3] else mutated(document, draw)
    query = draw(st.sampled_from(["", "?force=true&fieldManager=x", "?fieldManager=x", "?fieldValidation=Strict"]))
    return "PATCH", f"/api/v1/namespaces/one/configmaps/target{query}", sent(body), media


@st.composite
def questions(draw: Any) -> tuple[str, str, bytes | None, str]:
    resource = draw(st.sampled_from(STORED))
    method, tail = draw(st.sampled_from([("GET", ""), ("GET", "/target"), ("DELETE", "/none"), ("PATCH", "/none")]))
    query = draw(queries)
    if is_number(query.get("resourceVersion", "")) and int(query["resourceVersion"]) > 1:
        del query["resourceVersion"]  # waiting for it takes seconds
    body = b"{}" if method == "PATCH" else None
    return method, f"{root(resource)}{tail}?{urlencode(query, quote_via=quote, errors='replace')}", body, MEDIA[4]


YAML_WORDS = (
    "? ", ": ", "- ", "!!bool ", "!!int ", "!!float ", "!!map ", "!!seq ", "!!str ", "!!binary ", "!x ", "&a ", "*a",
    "{", "}", "[", "]", ",", "\n", "\n  ", "a", "metadata: ", "name: x", "~", "'", '"', "|\n", ">\n", "%", "---\n",
    "<<: ", ".nan", "-.inf", "1e9", "0x", "0o8", "1_0", "#", "=", "\t", "\x85", "\ufeff",
)  # fmt: skip


@st.composite
def yamls(draw: Any) -> tuple[str, str, bytes | None, str]:
    body = "".join(draw(st.lists(st.sampled_from(YAML_WORDS), max_size=12))).encode()
    method, tail, media = draw(st.sampled_from([("POST", "", MEDIA[1]), ("PUT", "/target", MEDIA[1]), APPLYING]))
    return method, f"/api/v1/namespaces/one/configmaps{tail}", body, media


APPLYING = ("PATCH", "/target?fieldManager=x", MEDIA[6])


@st.composite
def messages(draw: Any) -> tuple[str, str, bytes | None, str]:
    """Protobuf with bytes changed, added and cut off."""
    resource = draw(st.sampled_from(STORED))
    document = OBJECTS[resource.group, resource.version, resource.plural].document(resource, 20, "one")
    body = bytearray(protobuf_encoding.encode(document))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(body) - 1))
        body[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return "POST", root(resource) + "?dryRun=All", bytes(body[: draw(st.integers(1, len(body) + 20))]), MEDIA[2]


@pytest.mark.parametrize(
    "make", [creations, bodies, patches, questions, yamls, messages], ids=lambda make: make.__name__
)
async def test_refusals_are_clear_and_change_nothing(site: Site, make: Any) -> None:
    await target_of(site)
    await run(site, collected(make(), 1))


SEGMENTS = (
    "api", "apis", "v1", "apps", "namespaces", "one", "configmaps", "target", "deployments", "status", "scale", "proxy",
    "pods", "log", "", ".", "..", "%2e%2e", "%2f", "%00", "%ff", "%zz", "%", "a%20b", "\u00e9", "openapi", "v3",
    "livez", "metrics", "version", "customresourcedefinitions", ";", "a=b", "*", "~", "%25",
)  # fmt: skip
addresses = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"]),
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=7).map("/".join),
)


async def test_any_path_is_answered(site: Site) -> None:
    """Every method on every kind of path; nothing of it is a request that could change anything."""
    await target_of(site)
    before = await site.state()
    asked: list[tuple[str, str]] = []

    @seed(2)
    @few
    @given(addresses)
    def gather(example: tuple[str, str]) -> None:
        asked.append(example)

    gather()
    for method, path in asked:
        if method == "DELETE" and path.endswith(("configmaps", "configmaps/", "target", "pods", "deployments")):
            continue
        answer = await site.answer(f"{method} /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
        if answer.code >= 400:
            assert wrong_refusal(answer.code, answer.headers, answer.data) == "", (method, path)
    assert await site.state() == before

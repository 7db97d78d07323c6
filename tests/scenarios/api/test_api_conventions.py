"""Conventions of the API that kubectl and client libraries rely on without saying so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_site import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAPS = "/api/v1/namespaces/one/configmaps"
REVISIONS = "/apis/apps/v1/namespaces/one/controllerrevisions"
YAML = "application/yaml"
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
UNFOUND = "the server could not find the requested resource"


async def made(site: Site, name: str, **labels: str) -> dict[str, Any]:
    answer = await site("POST", MAPS, {"metadata": {"name": name, "labels": labels}, "data": {"x": "y"}})
    assert answer.code == 201, answer.body
    found: dict[str, Any] = answer.body
    return found


def head_and_body(data: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


# -- methods and paths


async def test_head_is_get_without_the_body_but_built_in_resources_have_no_head(site: Site) -> None:
    await made(site, "head")
    for path, code in ((f"{MAPS}/head", 405), (MAPS, 405), ("/version", 200), ("/livez", 200)):
        answer = await site("HEAD", path)
        assert (answer.code, answer.data) == (code, b"")
        assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "LINK"])
@pytest.mark.parametrize("path", [MAPS, f"{MAPS}/a", "/version"])
async def test_methods_that_mean_nothing(site: Site, method: str, path: str) -> None:
    assert (await site(method, path)).outcome == (405, "MethodNotAllowed")


@pytest.mark.parametrize("path", ["/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", MAPS])
async def test_a_slash_at_the_end_changes_nothing(site: Site, path: str) -> None:
    assert (await site("GET", path + "/")).data == (await site("GET", path)).data


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v2",
        "/api//v1/namespaces",
        "/apis/none.example.com",
        "/apis/none.example.com/v1",
        "/apis/none.example.com/v1/things",
        "/apis/apps/v9/deployments",
        "/api/v1/wombats",
        "/api/v1/namespaces/one/nodes",
        "/api/v1/namespaces/one/pods/x/wombat",
        "/api/v1/watch",
        "/openapi/v3/apis/none",
        "/healthz/none",
    ],
)
async def test_what_is_not_served(site: Site, path: str) -> None:
    answer = await site("GET", path)
    assert (answer.outcome, answer.body["message"]) == ((404, "NotFound"), UNFOUND)


async def test_names_in_paths_are_percent_decoded(site: Site) -> None:
    await made(site, "coded")
    assert (await site("GET", f"{MAPS}/%63oded")).body["metadata"]["name"] == "coded"
    for name in ("a%2Fb", "%ff"):
        data = await site.raw(f"GET {MAPS}/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert head_and_body(data)[0] == 404


async def test_nothing_is_in_a_namespace_that_is_not_there(site: Site) -> None:
    assert (await site("GET", "/api/v1/namespaces/none/configmaps")).body["items"] == []
    refused = await site("POST", "/api/v1/namespaces/none/configmaps", {"metadata": {"name": "a"}})
    assert (refused.outcome, refused.body["message"]) == ((404, "NotFound"), 'namespaces "none" not found')


# -- watches and versions in the query


async def test_old_ways_to_watch(site: Site) -> None:
    await made(site, "old-watch")
    one = await site("GET", f"{MAPS}/old-watch?watch=1")
    assert one.body["kind"] == "ConfigMap"  # a name is read, never watched
    for path in (f"/api/v1/watch{MAPS.removeprefix('/api/v1')}/old-watch", MAPS):
        query = "?fieldSelector=metadata.name%3Dold-watch&watch=true&timeoutSeconds=5"
        async with site.watch(path + query) as lines:
            event = json.loads(await lines.readline())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "old-watch")
    assert (await site("GET", f"{MAPS}?watch=false&limit=1")).body["kind"] == "ConfigMapList"


@pytest.mark.parametrize("version", ["x", "-1", "1.5", "18446744073709551616", "9" * 50])
@pytest.mark.parametrize("path", [MAPS, f"{MAPS}?watch=1"])
async def test_versions_that_are_none(site: Site, path: str, version: str) -> None:
    answer = await site("GET", f"{path}{'&' if '?' in path else '?'}resourceVersion={version}")
    assert answer.outcome == (400, "BadRequest")
    assert "resourceVersion" in answer.body["message"]


async def test_versions_in_bodies(site: Site) -> None:
    found = await made(site, "versions")
    body = {"metadata": {"name": "versions", "resourceVersion": "0"}}
    assert (await site("PUT", f"{MAPS}/versions", body)).code == 200
    body["metadata"]["resourceVersion"] = "abc"
    assert (await site("PUT", f"{MAPS}/versions", body)).outcome == (400, "BadRequest")
    fresh = {"metadata": {"name": "fresh", "resourceVersion": found["metadata"]["resourceVersion"]}}
    refused = await site("POST", MAPS, fresh)
    assert refused.body["message"] == "resourceVersion should not be set on objects to be created"


async def test_limits_with_selectors(site: Site) -> None:
    for number in range(5):
        await made(site, f"limit-{number}", limit="yes" if number % 2 == 0 else "no")
    names, token = [], ""
    while True:
        page = (await site("GET", f"{MAPS}?labelSelector=limit%3Dyes&limit=1&continue={token}")).body
        names += [item["metadata"]["name"] for item in page["items"]]
        assert "remainingItemCount" not in page["metadata"]  # it would have to be counted
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert names == ["limit-0", "limit-2", "limit-4"]
    for bad in ("limit=x", "continue=x", "limit=1&continue=e30"):
        assert (await site("GET", f"{MAPS}?{bad}")).outcome == (400, "BadRequest")


# -- deleting with options that mean nothing deletes nothing


@pytest.mark.parametrize(
    ("query", "body", "media", "outcome"),
    [
        ("", b"{", "application/json", (400, "BadRequest")),
        ("", b"[]", "application/json", (400, "BadRequest")),
        ("", b'{"kind":"Pod","apiVersion":"v1"}', "application/json", (400, "BadRequest")),
        ("", b'{"gracePeriodSeconds":"x"}', "application/json", (400, "BadRequest")),
        ("", b"{}", "text/plain", (415, "UnsupportedMediaType")),
        ("?gracePeriodSeconds=x", None, "", (400, "BadRequest")),
        ("?propagationPolicy=Odd", None, "", (422, "Invalid")),
        ("?orphanDependents=true&propagationPolicy=Orphan", None, "", (422, "Invalid")),
    ],
)
async def test_deletes_that_are_refused(
    site: Site, query: str, body: bytes | None, media: str, outcome: tuple[int, str]
) -> None:
    if (await site("GET", f"{MAPS}/doomed")).code == 404:
        await made(site, "doomed")
    for path in (f"{MAPS}/doomed", MAPS):
        assert (await site("DELETE", path + query, body, media=media)).outcome == outcome
    assert (await site("GET", f"{MAPS}/doomed")).code == 200


@pytest.mark.parametrize("query", ["limit=x", "resourceVersion=x", "labelSelector=a%20in%20(", "fieldSelector=odd%3D1"])
async def test_collections_are_not_deleted_by_a_selection_that_means_nothing(site: Site, query: str) -> None:
    revision = site.server.caches.revision
    assert (await site("DELETE", f"{MAPS}?{query}")).outcome == (400, "BadRequest")
    assert site.server.caches.revision == revision


async def test_delete_options_in_every_form(site: Site) -> None:
    forms = (
        (b'{"kind":"DeleteOptions","apiVersion":"apps/v1","propagationPolicy":"Background"}', "application/json"),
        (b"kind: DeleteOptions\napiVersion: v1\n", YAML),
        (b"", "application/json"),
    )
    for body, media in forms:
        await made(site, "forms")
        assert (await site("DELETE", f"{MAPS}/forms", body, media=media)).code == 200


# -- bodies


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"name":"n"},"data":{"a":NaN}}',
        b'{"metadata":{"name":"n"},"data":{"a":"\xff\xfe"}}',
        b'{"metadata":{"name":"n"},"data":{"a":"\\ud800"}}',
        b'\xef\xbb\xbf{"metadata":{"name":"n"}}',
        b'{"metadata":{"name":"n"}}{"metadata":{"name":"m"}}',
        b"null",
        b'"text"',
        b"1",
        b"\x1f\x8b\x08\x00",
    ],
    ids=["nan", "not utf-8", "surrogate", "mark", "two", "null", "text", "number", "gzip"],
)
async def test_bodies_that_are_no_object(site: Site, body: bytes) -> None:
    revision = site.server.caches.revision
    assert (await site("POST", MAPS, body)).outcome == (400, "BadRequest")
    assert site.server.caches.revision == revision


async def test_duplicate_keys(site: Site) -> None:
    body = b'{"metadata":{"name":"dup-1","name":"dup-2"}}'
    refused = await site("POST", f"{MAPS}?fieldValidation=Strict", body)
    assert refused.body["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'strict decoding error: duplicate field "metadata.name"'
    )
    answer = await site("POST", f"{MAPS}?dryRun=All", body)
    assert (answer.code, answer.body["metadata"]["name"]) == (201, "dup-2")
    assert answer.headers["Warning"] == '299 - "duplicate field \\"metadata.name\\""'


@pytest.mark.parametrize("media", ["application/json", YAML])
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001],
    ids=["lists", "objects"],
)
async def test_deep_nesting_ends_nothing(site: Site, media: str, body: bytes) -> None:
    assert (await site("POST", MAPS, body, media=media)).outcome == (400, "BadRequest")
    assert (await site("GET", "/livez")).code == 200


@pytest.mark.parametrize("media", PATCHES)
async def test_deep_patches_end_nothing(site: Site, media: str) -> None:
    for body in (b"[" * 100_000, b'{"x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001):
        assert (await site("PATCH", f"{MAPS}/deep?fieldManager=x", body, media=media)).outcome == (400, "BadRequest")


async def test_what_is_deep_and_accepted_can_be_read_and_deleted(site: Site) -> None:
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    body = b'{"metadata":{"name":"deep"},"revision":1,"data":%s}' % deep
    assert (await site("POST", REVISIONS, body)).code == 201
    assert deep in (await site("GET", f"{REVISIONS}/deep")).data
    labels = {"metadata": {"labels": {"a": "b"}}}
    assert (await site("PATCH", f"{REVISIONS}/deep", labels, media=PATCHES[1])).code == 200
    assert (await site("DELETE", f"{REVISIONS}/deep")).code == 200


async def test_sizes_of_bodies(site: Site) -> None:
    def body(size: int) -> bytes:
        return b'{"metadata":{"name":"big"},"data":{"a":"%s"}}' % (b"x" * size)

    assert (await site("POST", f"{MAPS}?dryRun=All", body(1024 * 1024 - 100))).code == 201
    assert (await site("POST", MAPS, body(1024 * 1024 + 1))).outcome == (422, "Invalid")
    assert (await site("POST", MAPS, body(3 * 1024 * 1024 - 100))).outcome == (422, "Invalid")
    assert (await site("POST", MAPS, body(3 * 1024 * 1024))).outcome == (413, "RequestEntityTooLarge")


# -- HTTP


CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"


async def test_connections_that_close(site: Site) -> None:
    for request in (b"GET /livez HTTP/1.1\r\n" + CLOSE, b"GET /livez HTTP/1.0\r\n\r\n"):
        code, headers, body = head_and_body(await site.raw(request))
        assert (code, headers["connection"], body) == (200, "close", b"ok")


async def test_a_proxy_style_request_line(site: Site) -> None:
    data = await site.raw(b"GET http://cluster.example.com/livez?x=1 HTTP/1.1\r\n" + CLOSE)
    assert head_and_body(data)[::2] == (200, b"ok")


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    keep = b"Host: x\r\n\r\n"
    data = await site.raw(
        b"GET /livez HTTP/1.1\r\n" + keep + b"GET /nothing HTTP/1.1\r\n" + keep + b"GET /livez HTTP/1.1\r\n" + CLOSE
    )
    assert [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + CLOSE, 431),
        (b"GET /livez HTTP/1.1\r\nX-Long: " + b"a" * 200_000 + b"\r\n" + CLOSE, 431),
        (b"\x00\x01junk\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (f"POST {MAPS} HTTP/1.1\r\nContent-Length: -1\r\n".encode() + CLOSE, 400),
        (f"POST {MAPS} HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n".encode() + CLOSE, 400),
        (f"POST {MAPS} HTTP/1.1\r\nContent-Length: 99999999999\r\n".encode() + CLOSE, 413),
    ],
    ids=["address", "header", "junk", "http/2", "negative length", "two lengths", "endless"],
)
async def test_requests_that_cannot_be_read(site: Site, request_bytes: bytes, code: int) -> None:
    found, headers, body = head_and_body(await site.first(request_bytes))
    assert (found, headers["connection"], json.loads(body)["code"]) == (code, "close", code)


async def test_what_clients_accept(site: Site) -> None:
    await made(site, "accept")
    path = f"{MAPS}/accept"
    for accept, media in (
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.5", "application/json"),
        ("application/yaml", YAML),
        ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"),
    ):
        answer = await site("GET", path, headers={"Accept": accept} if accept else None)
        assert (answer.code, answer.headers["Content-Type"]) == (200, media)
    assert (await site("GET", path, accept="text/html")).outcome == (406, "NotAcceptable")
    assert (await site("GET", path, accept="application/json;as=Wombat;v=v1;g=x")).outcome == (406, "NotAcceptable")


# -- deletions


@pytest.mark.parametrize(
    ("kind", "plural", "content"),
    [
        ("StorageClass", "storageclasses", {"provisioner": "example.com/none"}),
        ("CSIDriver", "csidrivers", {"spec": {}}),
        ("CSINode", "csinodes", {"spec": {"drivers": []}}),
        (
            "VolumeAttachment",
            "volumeattachments",
            {"spec": {"attacher": "a.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}},
        ),
    ],
)
async def test_deleting_what_concerns_storage_answers_with_the_object(
    site: Site, kind: str, plural: str, content: dict[str, Any]
) -> None:
    collection = f"/apis/storage.k8s.io/v1/{plural}"
    assert (await site("POST", collection, {"metadata": {"name": "gone"}, **content})).code == 201
    answer = await site("DELETE", f"{collection}/gone")
    assert (answer.code, answer.body["kind"], answer.body["metadata"]["name"]) == (200, kind, "gone")


@pytest.mark.parametrize("policy", ["Foreground", "Orphan", "Background"])
async def test_events_go_at_once_for_they_own_nothing(site: Site, policy: str) -> None:
    collection, about = "/api/v1/namespaces/one/events", {"kind": "Pod", "name": "p", "namespace": "one"}
    event = {"metadata": {"name": "gone"}, "involvedObject": about, "reason": "R", "type": "Normal"}
    assert (await site("POST", collection, event)).code == 201
    answer = await site("DELETE", f"{collection}/gone", {"propagationPolicy": policy})
    assert (answer.code, answer.body["kind"]) == (200, "Status")
    assert (await site("GET", f"{collection}/gone")).code == 404

"""Requests that are broken, ambiguous or meant to do harm: each is answered by the right Status, the server goes on,
and not one byte of the store has changed."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from api_site import Site
from refusals import wrong_refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAPS = "/api/v1/namespaces/one/configmaps"
TARGET = f"{MAPS}/hostile"
JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
MEBIBYTE = 1024 * 1024
GOOD = b'{"metadata":{"name":"x"}}'
BIG = "x" * 1000


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(site: Site, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    """The site with one object to attack; nothing of its whole state may have changed afterwards."""
    body = {"metadata": {"name": "hostile", "labels": {"a": "b"}}, "data": {"long": BIG, "list": "1"}}
    await site("POST", MAPS, body)
    before = await site.state()
    yield site
    assert await site.state() == before
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def request(method: str, path: str, body: bytes | None = None, media: str = JSON, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x"]
    if body is not None:
        lines += [f"Content-Length: {len(body)}", f"Content-Type: {media}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


async def refused(site: Site, data: bytes) -> int:
    """The code of the first answer, which must be a whole and right refusal."""
    answer = await site.answer(data)
    assert wrong_refusal(answer.code, answer.headers, answer.data) == ""
    return answer.code


def yaml_bomb() -> bytes:
    levels = [b"a0: &a0 [" + b",".join([b"x"] * 9) + b"]"]
    levels += [b"a%d: &a%d [%b]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)]
    return b"\n".join(levels)


BODIES = {
    "truncated": (b'{"metadata":', JSON, 400),
    "nothing": (b"", JSON, 400),
    "null": (b"null", JSON, 400),
    "list": (b"[]", JSON, 400),
    "text": (b'"a"', JSON, 400),
    "two documents": (GOOD + GOOD, JSON, 400),
    "nan": (b'{"metadata":{"name":"x","generation":NaN}}', JSON, 400),
    "infinity": (b'{"metadata":{"name":"x","generation":1e999}}', JSON, 400),
    "huge number": (b'{"metadata":{"name":"x","generation":' + b"9" * 6000 + b"}}", JSON, 400),
    "fraction": (b'{"metadata":{"name":"x","generation":1.5}}', JSON, 400),
    "lone surrogate": (b'{"metadata":{"name":"x"},"data":{"a":"\\ud800"}}', JSON, 400),
    "encoded surrogate": (b'{"metadata":{"name":"x"},"data":{"a":"\xed\xa0\x80"}}', JSON, 400),
    "not utf-8": (b'{"metadata":{"name":"x"},"data":{"a":"\xff"}}', JSON, 400),
    "overlong utf-8": (b'{"metadata":{"name":"x"},"data":{"a":"\xc0\xaf"}}', JSON, 400),
    "utf-16": (GOOD.decode().encode("utf-16"), JSON, 400),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, JSON, 400),
    "trailing comma": (b'{"metadata":{"name":"x",}}', JSON, 400),
    "comment": (b'{"metadata":{"name":"x"}/**/}', JSON, 400),
    "control character": (b'{"metadata":{"name":"x"},"data":{"a":"\x01"}}', JSON, 400),
    "null byte in the name": (b'{"metadata":{"name":"x\\u0000y"}}', JSON, 422),
    "dots as the name": (b'{"metadata":{"name":".."}}', JSON, 422),
    "slash in the name": (b'{"metadata":{"name":"a/b"}}', JSON, 422),
    "no name": (b'{"metadata":{}}', JSON, 422),
    "long name": (b'{"metadata":{"name":"%b"}}' % (b"x" * 300), JSON, 422),
    "number as the name": (b'{"metadata":{"name":5}}', JSON, 400),
    "other kind": (b'{"kind":"Pod","metadata":{"name":"x"}}', JSON, 400),
    "other version": (b'{"apiVersion":"v2","metadata":{"name":"x"}}', JSON, 400),
    "other namespace": (b'{"metadata":{"name":"x","namespace":"two"}}', JSON, 400),
    "deep": (b'{"metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, JSON, 400),
    "deep list": (b"[" * 500_000, JSON, 400),
    "gzip": (gzip.compress(GOOD), JSON, 400),
    "too large": (b'{"metadata":{"name":"x"}}'.ljust(3 * MEBIBYTE + 1), JSON, 413),
    "yaml truncated": (b"metadata: {name: x", YAML, 400),
    "yaml tag": (b'metadata: !!python/object/apply:os.system ["true"]', YAML, 400),
    "yaml bomb": (yaml_bomb(), YAML, 400),
    "yaml of two documents": (b"metadata: {name: x}\n---\nmetadata: {name: y}\n", YAML, 400),
    "yaml of itself": (b"metadata: &a [*a]", YAML, 400),
    "yaml with a list as key": (b"? [a, b]\n: c\n", YAML, 400),
    "yaml without number": (b"data: {a: .nan}", YAML, 400),
    "yaml tabs": (b"metadata:\n\tname: x", YAML, 400),
    "yaml deep": (b"[" * 20_000, YAML, 400),
    "protobuf without its mark": (b"abc", PROTOBUF, 400),
    "protobuf of nothing": (b"k8s\x00", PROTOBUF, 400),
    "protobuf truncated": (b"k8s\x00\x0a\xff\xff\xff\xff\x0f", PROTOBUF, 400),
    "protobuf groups": (b"k8s\x00" + b"\x0b" * 5000, PROTOBUF, 400),
    "protobuf endless number": (b"k8s\x00" + b"\xff" * 5000, PROTOBUF, 400),
    "json as protobuf": (GOOD, PROTOBUF, 400),
    "plain text": (GOOD, "text/plain", 415),
    "form": (b"a=b", "application/x-www-form-urlencoded", 415),
    "cbor": (b"\xd9\xd9\xf7\xa0", "application/cbor", 415),
    "no media type": (GOOD, ";;;", 415),
    "a patch": (GOOD, MERGE, 415),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(guarded: Site, name: str) -> None:
    body, media, code = BODIES[name]
    assert await refused(guarded, request("POST", MAPS, body, media)) == code
    if code not in (415, 422):  # a name or namespace is compared with the path first
        assert await refused(guarded, request("PUT", TARGET, body, media)) == code


PATCHES = {
    "truncated": (b"[{", JSON_PATCH, 400),
    "no list": (b"{}", JSON_PATCH, 400),
    "step that is none": (b"[1]", JSON_PATCH, 400),
    "unknown operation": (b'[{"op":"spin","path":"/data"}]', JSON_PATCH, 400),
    "no path": (b'[{"op":"remove"}]', JSON_PATCH, 400),
    "failing test": (b'[{"op":"test","path":"/data/list","value":"2"}]', JSON_PATCH, 422),
    "missing place": (b'[{"op":"remove","path":"/data/none"}]', JSON_PATCH, 422),
    "whole document": (b'[{"op":"replace","path":"","value":[]}]', JSON_PATCH, 400),
    "other name": (b'[{"op":"replace","path":"/metadata/name","value":"b"}]', JSON_PATCH, 400),
    "other kind": (b'[{"op":"replace","path":"/kind","value":"Pod"}]', JSON_PATCH, 400),
    "too many steps": (
        json.dumps([{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001).encode(), JSON_PATCH, 413,
    ),
    "doubling": (
        json.dumps(
            [{"op": "add", "path": "/data/c", "value": {}}]
            + [{"op": "copy", "from": "/data", "path": f"/data/c/{n}"} for n in range(60)]
        ).encode(), JSON_PATCH, 413,
    ),
    "merge of a list": (b"[]", MERGE, 400),
    "merge of nothing": (b"", MERGE, 400),
    "merge of a wrong type": (b'{"data":{"a":[1]}}', MERGE, 422),
    "merge of another name": (b'{"metadata":{"name":"b"}}', MERGE, 400),
    "merge of another version": (b'{"metadata":{"resourceVersion":"1"}}', MERGE, 409),
    "merge of no version": (b'{"metadata":{"resourceVersion":"x"}}', MERGE, 400),
    "merge that is deep": (b'{"metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, MERGE, 400),
    "strategic directive": (b'{"metadata":{"finalizers":[{"$patch":"spin"}]}}', STRATEGIC, 400),
    "strategic list": (b"[]", STRATEGIC, 400),
    "apply without a manager": (b'{"apiVersion":"v1","kind":"ConfigMap"}', APPLY, 422),
    "apply of nothing": (b"", APPLY, 400),
    "apply of another kind": (b'{"apiVersion":"v1","kind":"Pod"}', APPLY, 400),
    "apply that is no yaml": (b"{", APPLY, 400),
    "an object": (b"{}", JSON, 415),
    "no media type": (b"{}", ";", 415),
}  # fmt: skip


@pytest.mark.parametrize("name", PATCHES)
async def test_patches(guarded: Site, name: str) -> None:
    body, media, code = PATCHES[name]
    manager = "" if media != APPLY or "manager" in name else "?fieldManager=m"
    assert await refused(guarded, request("PATCH", TARGET + manager, body, media)) == code


def raw(head: str, body: bytes = b"") -> bytes:
    return f"POST {MAPS} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body


CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = request("DELETE", TARGET)
FRAMES = {
    "length and chunks": (raw(f"Content-Length: 4\r\n{CHUNKED}", b"0\r\n\r\n" + SMUGGLED), 400),
    "two lengths": (raw("Content-Length: 4\r\nContent-Length: 5", b"abcde" + SMUGGLED), 400),
    "the same length twice": (raw("Content-Length: 4\r\nContent-Length: 4", b"null" + SMUGGLED), 400),
    "signed length": (raw("Content-Length: +4", b"null" + SMUGGLED), 400),
    "negative length": (raw("Content-Length: -1", SMUGGLED), 400),
    "length beyond 64 bits": (raw("Content-Length: 18446744073709551617", SMUGGLED), 400),
    "length beyond 32 bits": (raw("Content-Length: 4294967297", SMUGGLED), 413),
    "two codings": (raw("Transfer-Encoding: gzip, chunked", b"0\r\n\r\n" + SMUGGLED), 400),
    "chunked that is not last": (raw("Transfer-Encoding: chunked, identity", b"0\r\n\r\n" + SMUGGLED), 400),
    "almost chunked": (raw("Transfer-Encoding: xchunked", b"0\r\n\r\n" + SMUGGLED), 400),
    "space before the colon": (raw("Transfer-Encoding : chunked", b"0\r\n\r\n" + SMUGGLED), 400),
    "folded header": (raw("Transfer-Encoding:\r\n chunked", b"0\r\n\r\n" + SMUGGLED), 400),
    "bad chunk size": (raw(CHUNKED, b"zz\r\n" + SMUGGLED), 400),
    "negative chunk": (raw(CHUNKED, b"-1\r\n" + SMUGGLED), 400),
    "endless chunk": (raw(CHUNKED, b"f" * 17 + b"\r\n" + SMUGGLED), 400),
    "chunk longer than it says": (raw(CHUNKED, b"4\r\nnullX0\r\n\r\n" + SMUGGLED), 400),
    "chunks with bare line feeds": (raw(CHUNKED, b"4\nnull\n0\n\n" + SMUGGLED), 400),
    "huge trailers": (raw(CHUNKED, b"0\r\n" + b"A: bbbbbbbbbbbbbbbbbb\r\n" * 20_000 + b"\r\n"), 431),
    "bare line feeds": (b"POST %b HTTP/1.1\nHost: x\n\n" % MAPS.encode() + SMUGGLED, 400),
    "bare carriage return": (raw("X: a\rContent-Length: 40"), 400),
    "null byte in a header": (raw("X: a\x00b"), 400),
    "header without a name": (raw(": a"), 400),
    "header without a colon": (raw("abc"), 400),
    "no host": (f"DELETE {TARGET} HTTP/1.1\r\n\r\n".encode(), 400),
    "two hosts": (request("DELETE", TARGET, host="y"), 400),
    "old version": (f"DELETE {TARGET}\r\n\r\n".encode(), 400),
    "next version": (f"DELETE {TARGET} HTTP/2.0\r\nHost: x\r\n\r\n".encode(), 400),
    "no version": (f"DELETE {TARGET} HTTP/9.9\r\nHost: x\r\n\r\n".encode(), 400),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "unknown method": (request("SPIN", TARGET), 400),
    "lower-case method": (request("delete", TARGET), 400),
    "upgrade with a body": (request("POST", MAPS, GOOD, Connection="Upgrade", Upgrade="x"), 400),
    "unknown expectation": (request("POST", MAPS, GOOD, Expect="miracle"), 417),
    "large header": (request("DELETE", TARGET, X="a" * 70_000), 431),
    "many headers": (request("DELETE", TARGET, **{f"X-{n}": "a" * 20 for n in range(3000)}), 431),
    "long address": (request("DELETE", f"{TARGET}?a={'b' * 70_000}"), 431),
    "null byte in the address": (request("DELETE", f"{MAPS}/\x00"), 400),
    "space in the address": (request("DELETE", f"{TARGET} a"), 400),
    "bad escape": (request("DELETE", f"{MAPS}/%zz"), 400),
    "cut escape": (request("DELETE", f"{MAPS}/hostile%"), 400),
    "watch of an old client": (f"GET {MAPS}?watch=1 HTTP/1.0\r\n\r\n".encode(), 400),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_frames(guarded: Site, name: str) -> None:
    data, code = FRAMES[name]
    assert await refused(guarded, data) == code


PATHS = {
    "up": ("DELETE", "/api/v1/namespaces/two/../one/configmaps/hostile", 404),
    "up, encoded": ("DELETE", "/api/v1/namespaces/two/%2e%2e/one/configmaps/hostile", 404),
    "up as a name": ("DELETE", f"{MAPS}/..", 400),
    "here as a name": ("DELETE", f"{MAPS}/.", 400),
    "null byte": ("DELETE", f"{TARGET}%00", 404),
    "not utf-8": ("DELETE", f"{MAPS}/%ff", 404),
    "slash in a name": ("DELETE", f"{MAPS}/a%2fhostile", 404),
    "two slashes": ("DELETE", f"/{TARGET}", 404),
    "two slashes inside": ("DELETE", TARGET.replace("/one/", "//one/"), 404),
    "create at a name": ("POST", TARGET, 405),
    "replace a collection": ("PUT", MAPS, 405),
    "patch a collection": ("PATCH", MAPS, 405),
    "create nowhere": ("POST", "/api/v1/configmaps", 405),
    "delete everywhere": ("DELETE", "/api/v1/configmaps", 405),
    "body of garbage": ("DELETE", TARGET, 400),
    "options": ("OPTIONS", TARGET, 405),
    "trace": ("TRACE", TARGET, 405),
    "purge": ("PURGE", TARGET, 405),
    "options of all": ("OPTIONS", "*", 404),
    "tunnel": ("CONNECT", "x:1", 404),
}


@pytest.mark.parametrize("name", PATHS)
async def test_paths(guarded: Site, name: str) -> None:
    method, path, code = PATHS[name]
    body = b"garbage" if name == "body of garbage" else GOOD if method in ("POST", "PUT", "PATCH") else None
    assert await refused(guarded, request(method, path, body, MERGE if method == "PATCH" else JSON)) == code


READ_QUERIES = [
    "labelSelector=%00", "labelSelector=%ff", "labelSelector=a%20b", "labelSelector=a%20in%20(b", "labelSelector==",
    "labelSelector=a,", "labelSelector=a%3D%21", "labelSelector=a%3Ex", "fieldSelector=a",
    "fieldSelector=spec.none%3Da",
    "fieldSelector=metadata.name%3Da%5C", "limit=x", "limit=1e3", "limit=99999999999999999999", "continue=x",
    "continue=e30", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTd9", "resourceVersion=x", "resourceVersion=-1",
    "resourceVersion=1.5", "resourceVersionMatch=Exact", "resourceVersionMatch=Much&resourceVersion=0",
    "resourceVersionMatch=Exact&resourceVersion=0", "timeoutSeconds=x", "sendInitialEvents=true",
    "watch=1&timeoutSeconds=x", "watch=1&resourceVersion=x", "watch=1&labelSelector=%00", "watch=1&fieldSelector=a",
    "watch=1&sendInitialEvents=true", "watch=1&resourceVersionMatch=Exact&resourceVersion=0",
]  # fmt: skip


@pytest.mark.parametrize("query", READ_QUERIES)
async def test_queries_of_reads(guarded: Site, query: str) -> None:
    assert await refused(guarded, request("GET", f"{MAPS}?{query}")) in (400, 422)


WRITE_QUERIES = {
    "POST": ("dryRun=Some", "dryRun=all", "fieldValidation=Much", f"fieldManager={'x' * 129}", "fieldManager=%00"),
    "PUT": ("dryRun=Some", "fieldValidation=Much", f"fieldManager={'x' * 129}", "fieldManager=%0a"),
    "PATCH": ("dryRun=Some", "fieldValidation=Much", "force=true", f"fieldManager={'x' * 129}"),
    "DELETE": (
        "dryRun=Some", "gracePeriodSeconds=x", "gracePeriodSeconds=99999999999999999999", "propagationPolicy=Some",
        "orphanDependents=true&propagationPolicy=Orphan",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "query"), [(method, query) for method, queries in WRITE_QUERIES.items() for query in queries]
)
async def test_queries_of_writes(guarded: Site, method: str, query: str) -> None:
    body = json.dumps({"metadata": {"name": "x" if method == "POST" else "hostile"}}).encode()
    path = MAPS if method == "POST" else TARGET
    sent = None if method == "DELETE" else body
    assert await refused(guarded, request(method, f"{path}?{query}", sent, MERGE if method == "PATCH" else JSON)) in (
        400, 422,
    )  # fmt: skip


COLLECTION_QUERIES = [query for query in READ_QUERIES if not query.startswith("watch") and "timeout" not in query]


@pytest.mark.parametrize("query", COLLECTION_QUERIES)
async def test_a_deletion_of_what_cannot_be_understood_deletes_nothing(guarded: Site, query: str) -> None:
    assert await refused(guarded, request("DELETE", f"{MAPS}?{query}")) in (400, 422)


@pytest.mark.parametrize("accept", ["text/html", ";;=,,", "application/cbor", "application/json;as=Wombat;v=v1;g=x"])
async def test_answers_that_cannot_be_given(guarded: Site, accept: str) -> None:
    for method, path, body in (("GET", TARGET, None), ("POST", MAPS, GOOD), ("DELETE", TARGET, None)):
        assert await refused(guarded, request(method, path, body, Accept=accept)) == 406


async def test_a_connection_goes_on_after_refusals(guarded: Site) -> None:
    """Pipelined: five requests that are refused, two that are not, answered in order on one connection."""
    data = b"".join(
        [
            request("POST", MAPS, b"{"),
            request("GET", f"{MAPS}/none"),
            request("HEAD", "/version"),
            request("OPTIONS", TARGET),
            request("GET", f"{MAPS}?limit=x"),
            request("GET", f"{MAPS}/%zz"),
            request("GET", TARGET, Connection="close"),
        ]
    )
    answers = (await guarded.raw(data)).split(b"HTTP/1.1 ")[1:]
    assert [int(answer[:3]) for answer in answers] == [400, 404, 200, 405, 400, 400, 200]
    assert answers[2].endswith(b"\r\n\r\n")
    assert json.loads(answers[-1].partition(b"\r\n\r\n")[2])["metadata"]["name"] == "hostile"


async def test_bodies_that_nobody_asked_for_are_read_past(guarded: Site) -> None:
    data = request("GET", TARGET, SMUGGLED) + request("GET", TARGET, b"x" * 1000, Connection="close")
    answers = (await guarded.raw(data)).split(b"HTTP/1.1 ")[1:]
    assert [int(answer[:3]) for answer in answers] == [200, 200]


async def test_what_comes_after_a_broken_request_is_not_read(guarded: Site) -> None:
    answer = await guarded.answer(raw("Content-Length: 4\r\nContent-Length: 5", b"abcde" + SMUGGLED))
    assert answer.headers["Connection"] == "close"

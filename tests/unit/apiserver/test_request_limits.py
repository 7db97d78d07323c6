"""Over real HTTPS: how large, deep and strange a request may be, what is warned of, what is compressed and kept."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tiphys.aio.clock import SystemClock
from tiphys.apiserver import encoding
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.apiserver.io.handler import Limits
from tiphys.apiserver.warning_headers import warning_headers
from tiphys.kinds import protobuf_encoding
from tiphys.pki import layout
from tiphys.pki.io import ensure_cluster_pki
from tiphys.store.drivers.memory import MemoryStore

NAMESPACES = "/api/v1/namespaces"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEBIBYTE = 1024 * 1024


class Api:
    def __init__(self, session: aiohttp.ClientSession, base: str, store: MemoryStore) -> None:
        self.session = session
        self.base = base
        self.store = store

    async def __call__(
        self, method: str, path: str, data: Any = None, **headers: str
    ) -> tuple[int, Mapping[str, Any], bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.base + path, data=data, headers=named, skip_auto_headers=["Content-Type", "Accept-Encoding"],
            allow_redirects=False,
        ) as response:  # fmt: skip
            return response.status, response.headers.copy(), await response.read()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    clock = SystemClock()
    pki = ensure_cluster_pki(tmp_path, layout.PkiOptions(cluster="t", server="https://127.0.0.1"), clock.now())
    store = MemoryStore(clock=clock)
    await store.start()
    config = ApiServerConfig(
        addresses=(("127.0.0.1", 0),),
        tls_cert_file=str(pki.apiserver.certificate),
        tls_key_file=str(pki.apiserver.key),
        authorize=False,
        limits=Limits(gzip=True),
    )
    server = ApiServer(config, store, clock)
    await server.start()
    context = ssl.create_default_context(cafile=str(pki.authority.certificate))
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        yield Api(session, f"https://127.0.0.1:{server.ports[0]}", store)
    await server.stop()
    await store.close()


def message(data: bytes) -> str:
    found: str = msgspec.json.decode(data)["message"]
    return found


def namespace(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


async def test_bodies_up_to_three_mebibytes(api: Api) -> None:
    body = msgspec.json.encode(namespace("large"))
    fitting = body + b" " * (3 * MEBIBYTE - len(body))
    code, _, _ = await api("POST", NAMESPACES, fitting, Content_Type="application/json")
    assert code == 201
    revision = api.store.revision

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * MEBIBYTE

    for too_large in (fitting + b" ", pieces()):
        code, _, answer = await api("POST", NAMESPACES, too_large, Content_Type="application/json")
        assert (code, msgspec.json.decode(answer)["reason"]) == (413, "RequestEntityTooLarge")
        assert message(answer) == "Request entity too large: limit is 3145728"
    assert api.store.revision == revision


async def test_long_headers(api: Api) -> None:
    code, _, _ = await api("GET", NAMESPACES, X_Long="x" * 7000)
    assert code == 200
    headers = {f"X-{number}": "x" * 7000 for number in range(10)}
    code, _, answer = await api("GET", NAMESPACES, **headers)
    assert (code, msgspec.json.decode(answer)["kind"]) == (431, "Status")


@pytest.mark.parametrize("depth", [300, 900, 20_000])
@pytest.mark.parametrize(
    ("method", "path", "media"),
    [
        ("POST", "", "application/json"),
        ("POST", "", "application/yaml"),
        ("PATCH", "/n", "application/merge-patch+json"),
        ("PATCH", "/n", "application/strategic-merge-patch+json"),
        ("PATCH", "/n", "application/json-patch+json"),
        ("PATCH", "/n?fieldManager=m", "application/apply-patch+yaml"),
        ("DELETE", "/n", "application/json"),
    ],
)
async def test_deep_bodies_are_refused(api: Api, method: str, path: str, media: str, depth: int) -> None:
    await api("POST", NAMESPACES, msgspec.json.encode(namespace("n")), Content_Type="application/json")
    revision = api.store.revision
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    body = b'{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n","labels":%s}}' % deep
    if "json-patch" in media:
        body = b'[{"op":"add","path":"/metadata/labels","value":%s}]' % deep
    if method == "DELETE":
        body = b'{"dryRun":%s}' % deep
    code, _, answer = await api(method, NAMESPACES + path, body, Content_Type=media)
    assert (code in (400, 413, 422), msgspec.json.decode(answer)["status"]) == (True, "Failure")
    assert api.store.revision == revision


UNKNOWN_AND_TWICE = {
    "application/json": (
        b'{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n","name":"n","nope":1},"spec":{"what":2}}',
        ['unknown field "metadata.nope"', 'unknown field "spec.what"', 'duplicate field "metadata.name"'],
    ),
    "application/yaml": (
        b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: x\n  nope: 1\n  name: nn\nspec:\n  what: 2\n",
        [
            'line 6: key "name" already set in map',
            'unknown field "metadata.nope"',
            'unknown field "spec.what"',
        ],
    ),
}


@pytest.mark.parametrize("media", UNKNOWN_AND_TWICE)
async def test_unknown_and_duplicate_fields(api: Api, media: str) -> None:
    body, findings = UNKNOWN_AND_TWICE[media]
    code, _, answer = await api("POST", f"{NAMESPACES}?fieldValidation=Strict", body, Content_Type=media)
    prefix = 'Namespace in version "v1" cannot be handled as a Namespace: strict decoding error: '
    assert (code, message(answer)) == (400, prefix + ", ".join(findings))
    code, headers, _ = await api("POST", f"{NAMESPACES}?dryRun=All&fieldValidation=Ignore", body, Content_Type=media)
    assert (code, "Warning" in headers) == (201, False)
    expected = ['299 - "{}"'.format(finding.replace('"', '\\"')) for finding in findings]
    for query in ("?dryRun=All", "?dryRun=All&fieldValidation=Warn"):
        code, headers, _ = await api("POST", NAMESPACES + query, body, Content_Type=media)
        assert (code, headers.getall("Warning")) == (201, expected)  # type: ignore[attr-defined]
    code, _, answer = await api("POST", f"{NAMESPACES}?fieldValidation=Much", body, Content_Type=media)
    assert code == 422


PATCHES_WITH_KEYS_TWICE = {
    "application/merge-patch+json": (
        b'{"metadata":{"labels":{"a":"x","a":"y"}},"nope":1}',
        'strict decoding error: duplicate field "metadata.labels.a", unknown field "nope"',
    ),
    "application/strategic-merge-patch+json": (
        b'{"metadata": {"labels":{"a":"x","a":"y"}}}',
        'strict decoding error: duplicate field "metadata.labels.a"',
    ),
    "application/json-patch+json": (
        b'[{"op":"test","op":"add","path":"/metadata/labels/a","value":"y"}]',
        'strict decoding error: json patch duplicate field "[0].op"',
    ),
    "application/apply-patch+yaml": (
        b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: 'n'\n  labels:\n    a: x\n    a: 'y'\n",
        'yaml: unmarshal errors:\n  line 7: key "a" already set in map',
    ),
}


@pytest.mark.parametrize("media", PATCHES_WITH_KEYS_TWICE)
async def test_patches_with_keys_twice(api: Api, media: str) -> None:
    await api(
        "POST", NAMESPACES, msgspec.json.encode(namespace("n", labels={"b": "z"})), Content_Type="application/json"
    )
    body, wanted = PATCHES_WITH_KEYS_TWICE[media]
    path = f"{NAMESPACES}/n?fieldManager=m"
    code, _, answer = await api("PATCH", f"{path}&fieldValidation=Strict", body, Content_Type=media)
    assert code == (400 if "apply" in media else 422)
    assert message(answer).endswith(wanted)
    code, headers, answer = await api("PATCH", path, body, Content_Type=media)
    assert (code, msgspec.json.decode(answer)["metadata"]["labels"]["a"]) == (200, "y")
    findings = wanted.partition("errors:\n  " if "apply" in media else ": ")[2].replace('"', '\\"')
    assert ", ".join(headers.getall("Warning")) == ", ".join(f'299 - "{one}"' for one in findings.split(", "))  # type: ignore[attr-defined]
    code, headers, _ = await api("PATCH", f"{path}&fieldValidation=Ignore", body, Content_Type=media)
    assert (code, "Warning" in headers) == (200, False)


async def test_protobuf_has_no_unknown_fields(api: Api) -> None:
    body = protobuf_encoding.encode(namespace("n")) + b"\xfa\x3e\x01x"
    code, headers, _ = await api("POST", f"{NAMESPACES}?fieldValidation=Strict", body, Content_Type=PROTOBUF)
    assert (code, "Warning" in headers) == (201, False)


async def test_compressed_bodies_are_not_understood(api: Api) -> None:
    body = gzip.compress(msgspec.json.encode(namespace("n")))
    code, _, _ = await api("POST", NAMESPACES, body, Content_Type="application/json", Content_Encoding="gzip")
    assert code == 400


async def test_long_answers_are_compressed_for_those_who_ask(api: Api) -> None:
    for number in range(2):
        large = namespace(f"n{number}", annotations={"a": "x" * 100_000})
        await api("POST", NAMESPACES, msgspec.json.encode(large), Content_Type="application/json")
    code, headers, plain = await api("GET", NAMESPACES)
    assert (code, "Content-Encoding" in headers) == (200, False)
    for asking in ("gzip", "deflate, gzip;q=0.5"):
        code, headers, packed = await api("GET", NAMESPACES, Accept_Encoding=asking)
        assert (headers["Content-Encoding"], headers["Vary"]) == ("gzip", "Accept-Encoding")
        assert gzip.decompress(packed) == plain
    for path, asking in ((NAMESPACES, "gzip;q=0, identity"), (f"{NAMESPACES}/n0", "gzip")):
        _, headers, _ = await api("GET", path, Accept_Encoding=asking)
        assert "Content-Encoding" not in headers


async def test_documents_are_not_sent_again(api: Api) -> None:
    for path in ("/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"):
        code, headers, _ = await api("GET", path)
        assert (code, headers["Vary"], headers["Cache-Control"]) == (200, "Accept", "no-cache, private")
        code, again, body = await api("GET", path, If_None_Match=headers["Etag"])
        assert (code, again["Etag"], body) == (304, headers["Etag"], b"")
        assert "Content-Length" not in again  # caches would take it for the document's


async def test_openapi_is_compressed_and_dated(api: Api) -> None:
    for path in ("/openapi/v2", "/openapi/v3/api/v1"):
        _, plain_headers, plain = await api("GET", path)
        _, headers, packed = await api("GET", path, Accept_Encoding="gzip")
        assert gzip.decompress(packed) == plain
        assert headers["Content-Encoding"] == "gzip"
        since = headers["Last-Modified"]
        assert since == plain_headers["Last-Modified"]
        for moment, code in ((since, 304), ("Tue, 14 Nov 2023 22:13:19 GMT", 200), ("nonsense", 200)):
            assert (await api("GET", path, If_Modified_Since=moment))[0] == code
        assert (await api("GET", path, If_Modified_Since=since, If_None_Match='"other"'))[0] == 200


async def test_aggregated_discovery_may_be_kept_by_all(api: Api) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    _, headers, _ = await api("GET", "/apis", Accept=accept)
    assert (headers["Cache-Control"], headers["Vary"]) == ("public", "Accept")
    assert (await api("GET", "/apis", Accept=accept, If_None_Match=headers["Etag"]))[0] == 304


async def test_addresses_with_a_hash_are_kept_for_ever(api: Api) -> None:
    _, _, index = await api("GET", "/openapi/v3")
    address = msgspec.json.decode(index)["paths"]["apis/apps/v1"]["serverRelativeURL"]
    path, _, current = address.partition("?hash=")
    code, headers, _ = await api("GET", address)
    assert (code, headers["Cache-Control"], headers["Etag"]) == (200, "public, immutable", f'"{current}"')
    assert headers["Expires"].endswith("GMT")
    code, headers, body = await api("GET", f"{path}?hash=OLD")
    assert (code, headers["Location"], body) == (301, address, b"")


async def test_openapi_as_go_clients_ask_for_it(api: Api) -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    code, headers, body = await api("GET", "/openapi/v2?timeout=32s", Accept=accept)
    assert (code, headers["Content-Type"]) == (200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
    assert body[:5] == b"\x0a\x032.0"
    path, encoded = "/openapi/v3/apis/apps/v1", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
    for accept, media in (("application/json, */*", "application/json"), (encoded, encoded)):
        code, headers, plain = await api("GET", path, Accept=accept)
        assert (code, headers["Content-Type"]) == (200, media)
        _, _, packed = await api("GET", path, Accept=accept, Accept_Encoding="gzip")
        assert gzip.decompress(packed) == plain


def test_warnings_stay_within_bounds() -> None:
    assert warning_headers(["a", "b", "a", ""]) == b'Warning: 299 - "a"\r\nWarning: 299 - "b"\r\n'
    assert warning_headers(['say "x" \\ \r\n']) == b'Warning: 299 - "say \\"x\\" \\\\   "\r\n'
    lines = warning_headers([f"{number:04}" + "x" * 400 for number in range(100)]).split(b"\r\n")[:-1]
    assert [len(line) for line in lines] == [len('Warning: 299 - ""') + 256] * 16


@pytest.mark.parametrize(("method", "media"), [("POST", "application/yaml"), ("PATCH", "application/apply-patch+yaml")])
async def test_much_yaml_holds_up_nobody(api: Api, method: str, media: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    read = encoding.yaml_as_json

    def noted(data: bytes) -> tuple[bytes, list[str]]:
        threads.append(threading.current_thread())
        return read(data)

    monkeypatch.setattr(encoding, "yaml_as_json", noted)
    text = b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: big\n  name: big\n  annotations:\n"
    text += b"".join(b"    k%d: v\n" % number for number in range(10_000))
    path = NAMESPACES if method == "POST" else f"{NAMESPACES}/big?fieldManager=m"
    code, headers, answer = await api(method, path, text, Content_Type=media)
    assert threading.main_thread() not in threads and len(threads) == 1
    assert (code, len(msgspec.json.decode(answer)["metadata"]["annotations"])) == (201, 10_000)
    assert 'line 5: key \\"name\\" already set in map' in headers.getall("Warning")[0]  # type: ignore[attr-defined]

"""Versions that a webhook converts between: over real HTTPS, for reads, writes, lists and watches."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import pathlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from api_world import World
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from test_custom_resources import CRDS, MERGE, WIDGETS, condition, definition

from tiphys.client.interface import ApiRequest

V2 = WIDGETS.replace("/v1/", "/v2/")


class Webhook:
    """Renames spec.color (v1) to spec.colour (v2). `broken` makes it answer nonsense."""

    def __init__(self, port: int, authority: bytes) -> None:
        self.port = port
        self.authority = authority
        self.reviews: list[dict[str, Any]] = []
        self.broken = ""
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None


def certificate(folder: pathlib.Path) -> tuple[pathlib.Path, bytes]:
    """(PEM file with key and certificate for 127.0.0.1, the certificate)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "webhook")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    address = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
    found = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([address]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = found.public_bytes(serialization.Encoding.PEM)
    path = folder / "webhook.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + pem)
    return path, pem


@pytest.fixture
async def webhook(tmp_path: pathlib.Path) -> AsyncIterator[Webhook]:
    path, pem = certificate(tmp_path)

    async def convert(request: web.Request) -> web.Response:
        review = await request.json()
        found.reviews.append(review)
        meanwhile, found.meanwhile = found.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        wanted = review["request"]["desiredAPIVersion"]
        old, new = ("color", "colour") if wanted.endswith("v2") else ("colour", "color")
        objects = []
        for obj in review["request"]["objects"]:
            obj["apiVersion"] = wanted
            if old in obj["spec"]:
                obj["spec"][new] = obj["spec"].pop(old)
            if found.broken == "name":
                obj["metadata"]["name"] = "another"
            if found.broken == "labels":
                obj["metadata"]["labels"] = 1
            if found.broken == "version":
                obj["apiVersion"] = "v1"
            if found.broken == "kind":
                obj["kind"] = "Gadget"
            objects.append(obj)
        response: dict[str, Any] = {"uid": review["request"]["uid"], "result": {"status": "Success"}}
        response["convertedObjects"] = objects
        if found.broken == "refused":
            response["result"] = {"status": "Failed", "message": "not today"}
        if found.broken == "silent":
            del response["result"]
        if found.broken == "fewer":
            objects.pop()
        if found.broken in ("empty", "500", "404"):
            code = 200 if found.broken == "empty" else int(found.broken)
            return web.Response(status=code, content_type="application/json")
        answer = {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}
        if found.broken == "none":
            del answer["response"]
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/convert", convert)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    found = Webhook(runner.addresses[0][1], pem)
    yield found
    await runner.cleanup()


def versions(field_by_version: dict[str, str], stored: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "served": True,
            "storage": name == stored,
            "schema": {
                "openAPIV3Schema": {
                    "type": "object",
                    "properties": {"spec": {"type": "object", "properties": {field: {"type": "string"}}}},
                }
            },
        }
        for name, field in field_by_version.items()
    ]


FIELDS = {"v1": "color", "v2": "colour"}


def conversion(webhook: Webhook) -> dict[str, Any]:
    """That a definition's versions are converted by this webhook."""
    return {
        "strategy": "Webhook",
        "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {
                "url": f"https://127.0.0.1:{webhook.port}/convert",
                "caBundle": base64.b64encode(webhook.authority).decode(),
            },
        },
    }


@pytest.fixture
async def converted(world: World, webhook: Webhook) -> World:
    body = definition(versions=versions(FIELDS, "v1"))
    body["spec"]["conversion"] = conversion(webhook)
    assert (await world.http("POST", CRDS, body)).code == 201
    await condition(world, "widgets.example.com", "Established")
    return world


def shade(version: str, name: str, text: str) -> dict[str, Any]:
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {FIELDS[version]: text},
    }


async def test_reads_and_writes_in_another_version(converted: World, webhook: Webhook) -> None:
    created = await converted.http("POST", V2, shade("v2", "w", "red"))
    assert (created.code, created.body["apiVersion"], created.body["spec"]) == (
        201, "example.com/v2", {"colour": "red"},
    )  # fmt: skip
    assert (await converted.http("GET", f"{WIDGETS}/w")).body["spec"] == {"color": "red"}
    patched = await converted.http("PATCH", f"{V2}/w", {"spec": {"colour": "blue"}}, media=MERGE)
    assert (patched.body["spec"], patched.body["metadata"]["generation"]) == ({"colour": "blue"}, 2)
    assert (await converted.http("GET", f"{WIDGETS}/w")).body["spec"] == {"color": "blue"}
    assert [r["request"]["desiredAPIVersion"] for r in webhook.reviews[:1]] == ["example.com/v1"]


async def test_lists_are_converted_at_once_and_remembered(converted: World, webhook: Webhook) -> None:
    for name in ("a", "b", "c"):
        await converted.http("POST", WIDGETS, shade("v1", name, name))
    for _ in range(2):
        listed = (await converted.http("GET", V2)).body
        assert listed["metadata"]["continue"] == ""
        assert [item["spec"] for item in listed["items"]] == [{"colour": "a"}, {"colour": "b"}, {"colour": "c"}]
    assert [len(review["request"]["objects"]) for review in webhook.reviews] == [3]


async def test_watches_show_converted_objects_in_order(converted: World, webhook: Webhook) -> None:
    await converted.http("POST", WIDGETS, shade("v1", "a", "1"))
    url = f"{converted.http.base}{V2}?watch=true"
    async with converted.http.session.get(f"{url}&resourceVersion=0") as answer:
        seen = [msgspec.json.decode(await answer.content.readline())]
        for text in ("2", "3"):
            await converted.http("PATCH", f"{WIDGETS}/a", {"spec": {"color": text}}, media=MERGE)
        seen += [msgspec.json.decode(await answer.content.readline()) for _ in range(2)]
    assert [(event["type"], event["object"]["apiVersion"], event["object"]["spec"]) for event in seen] == [
        ("ADDED", "example.com/v2", {"colour": "1"}),
        ("MODIFIED", "example.com/v2", {"colour": "2"}),
        ("MODIFIED", "example.com/v2", {"colour": "3"}),
    ]


async def test_what_happens_during_a_conversion_is_not_lost(converted: World, webhook: Webhook) -> None:
    await converted.http("POST", WIDGETS, shade("v1", "a", "1"))
    webhook.meanwhile = lambda: converted.http("PATCH", f"{WIDGETS}/a", {"spec": {"color": "2"}}, media=MERGE)
    transport = converted.server.transport("admin", ("system:masters",))
    request = ApiRequest(verb="watch", group="example.com", version="v2", resource="widgets", namespace="default")
    seen: list[tuple[str, Any]] = []
    async with contextlib.aclosing(transport.watch(request)) as batches:
        async for batch in batches:
            seen += [(event.type, event.object.content["spec"]) for event in batch]
            if len(seen) == 2:
                break
    assert seen == [("ADDED", {"colour": "1"}), ("MODIFIED", {"colour": "2"})]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("refused", "failed: not today"),
        ("silent", "failed: response.result.status was '', not 'Success'"),
        ("none", "failed: no response provided"),
        ("fewer", "returned 0 objects, expected 1"),
        ("name", "returned invalid object: must have the same name: w != another"),
        ("labels", "returned invalid metadata: invalid metadata.labels of type int64 in converted object"),
        (
            "version",
            "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received v1)",
        ),
        ("kind", "returned invalid object at index 0: invalid kind (expected Widget, received Gadget)"),
        ("empty", "failed: 0-length response with status code: 200 and content type: application/json"),
        ("500", 'failed: an error on the server ("unknown") has prevented the request from succeeding'),
        ("404", "failed: the server could not find the requested resource"),
    ],
)
async def test_a_failing_webhook_fails_the_request_alone(
    converted: World, webhook: Webhook, broken: str, words: str
) -> None:
    await converted.http("POST", WIDGETS, shade("v1", "w", "red"))
    webhook.broken = broken
    failed = await converted.http("GET", f"{V2}/w")
    message = f"conversion webhook for example.com/v1, Kind=Widget {words}"
    assert (failed.code, failed.body.get("reason"), failed.body["message"]) == (500, None, message)
    assert (await converted.http("DELETE", f"{V2}/w")).body["message"] == message
    assert (await converted.http("GET", f"{WIDGETS}/w")).code == 200


async def test_the_storage_version_changes(converted: World, webhook: Webhook) -> None:
    await converted.http("POST", WIDGETS, shade("v1", "old", "red"))
    change = {"spec": {"versions": versions(FIELDS, "v2")}}
    changed = await converted.http("PATCH", f"{CRDS}/widgets.example.com?fieldManager=me", change, media=MERGE)
    assert (changed.code, changed.body["status"]["storedVersions"]) == (200, ["v1", "v2"])
    (mine,) = [entry for entry in changed.body["metadata"]["managedFields"] if entry["manager"] == "me"]
    assert mine["fieldsV1"] == {"f:spec": {"f:versions": {}}}, "what the server notes in the status is not theirs"
    await converted.http("POST", V2, shade("v2", "new", "blue"))
    assert [i["spec"] for i in (await converted.http("GET", V2)).body["items"]] == [
        {"colour": "blue"},
        {"colour": "red"},
    ]
    assert [i["spec"] for i in (await converted.http("GET", WIDGETS)).body["items"]] == [
        {"color": "blue"},
        {"color": "red"},
    ]


RED = {"v1": "spec.color%3Dred", "v2": "spec.colour%3Dred"}
SEEN = [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]


async def test_fields_of_each_version_select_what_is_listed_watched_and_deleted(world: World, webhook: Webhook) -> None:
    body = definition(versions=versions(FIELDS, "v1"))
    body["spec"]["conversion"] = conversion(webhook)
    for version in body["spec"]["versions"]:
        version["selectableFields"] = [{"jsonPath": f".spec.{FIELDS[version['name']]}"}]
    assert (await world.http("POST", CRDS, body)).code == 201
    await condition(world, "widgets.example.com", "Established")
    paths = {"v1": f"{WIDGETS}?fieldSelector={RED['v1']}", "v2": f"{V2}?fieldSelector={RED['v2']}"}
    begin = (await world.http("GET", V2)).body["metadata"]["resourceVersion"]

    async def names(version: str, query: str = "") -> list[str]:
        return [item["metadata"]["name"] for item in (await world.http("GET", paths[version] + query)).body["items"]]

    async with contextlib.AsyncExitStack() as stack:
        watches = []
        for version in FIELDS:
            answer = world.http.session.get(f"{world.http.base}{paths[version]}&watch=true")
            watches.append((version, (await stack.enter_async_context(answer)).content))
        for name, text in (("a", "red"), ("b", "red"), ("c", "blue")):
            assert (await world.http("POST", V2, shade("v2", name, text))).code == 201
        middle = (await world.http("GET", V2)).body["metadata"]["resourceVersion"]
        for version in FIELDS:
            assert await names(version) == ["a", "b"]
        assert (await world.http("GET", f"{V2}?fieldSelector={RED['v1']}")).code == 400
        assert (await world.http("DELETE", f"{paths['v2']},metadata.name%3Da")).code == 200
        assert (await world.http("PATCH", f"{V2}/b", {"spec": {"colour": "blue"}}, media=MERGE)).code == 200
        for version in FIELDS:
            assert await names(version) == []
            assert await names(version, f"&resourceVersionMatch=Exact&resourceVersion={middle}") == ["a", "b"]
            again = world.http.session.get(f"{world.http.base}{paths[version]}&watch=true&resourceVersion={begin}")
            watches.append((version, (await stack.enter_async_context(again)).content))
        for version, lines in watches:
            seen = [msgspec.json.decode(await lines.readline()) for _ in range(4)]
            assert [(event["type"], event["object"]["metadata"]["name"]) for event in seen] == SEEN
            assert {event["object"]["apiVersion"] for event in seen} == {f"example.com/{version}"}


async def test_versions_that_differ_in_nothing_but_what_selects(world: World) -> None:
    body = definition(versions=versions({"v1": "color", "v2": "color"}, "v1"))
    body["spec"]["versions"][1]["selectableFields"] = [{"jsonPath": ".spec.color"}]
    assert (await world.http("POST", CRDS, body)).code == 201
    await condition(world, "widgets.example.com", "Established")
    async with world.http.session.get(f"{world.http.base}{V2}?fieldSelector={RED['v1']}&watch=true") as answer:
        for name, text in (("a", "red"), ("c", "blue")):
            assert (await world.http("POST", WIDGETS, shade("v1", name, text))).code == 201
        assert (await world.http("PATCH", f"{WIDGETS}/a", {"spec": {"color": "blue"}}, media=MERGE)).code == 200
        seen = [msgspec.json.decode(await answer.content.readline()) for _ in range(2)]
        assert [(e["type"], e["object"]["spec"]["color"]) for e in seen] == [("ADDED", "red"), ("DELETED", "red")]
    blue = (await world.http("GET", f"{V2}?fieldSelector=spec.color%3Dblue")).body["items"]
    assert [item["metadata"]["name"] for item in blue] == ["a", "c"]
    assert (await world.http("GET", f"{WIDGETS}?fieldSelector={RED['v1']}")).code == 400

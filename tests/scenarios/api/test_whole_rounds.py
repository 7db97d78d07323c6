"""The whole life of an object of every resource, as its clients see it: each way to write it, from the same beginning,
while two watches by label follow, one of everything and one of the namespace."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from api_site import Answer, Site
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from minimal_objects import KEY, TIME, Minimal
from resource_case import (
    APPLY,
    BACKGROUND,
    JSON_PATCH,
    MERGE,
    NUMBERS,
    OTHER,
    STORED,
    STRATEGIC,
    WITH_STATUS,
    Case,
    name_of,
)

from tiphys.aio.clock import settle
from tiphys.kinds import codec, protobuf, protobuf_encoding
from tiphys.kinds.resource import Resource
from tiphys.pki.certificates import build_authority

pytestmark = pytest.mark.asyncio(loop_scope="module")

Object = dict[str, Any]
MADE, CHANGED, GONE = r"ADDED,(MODIFIED,)*", r"(MODIFIED,)+", r"(MODIFIED,)*DELETED,"
LABEL = "round.example.com/number"
CHANGED_LABEL = "round.example.com/changed"
RECREATED = MADE.replace("*", "+")


# -- what is written


def changed_by(document: Object, change: Object) -> Object:
    """The document with every field of the change, maps merged."""
    merged = dict(document)
    for name, value in change.items():
        both = isinstance(value, dict) and isinstance(document.get(name), dict)
        merged[name] = changed_by(document[name], value) if both else value
    return merged


def operations(document: Object, change: Object, path: str = "") -> list[Object]:
    """The same as a JSON patch."""
    found = []
    for name, value in change.items():
        where = f"{path}/{name.replace('/', '~1')}"
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            found += operations(document[name], value, where)
        else:
            found.append({"op": "add", "path": where, "value": value})
    return found


def lacking(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Where something that was sent is not; null says nothing, and what is there beside it does not count."""
    if wanted is None:
        return []
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [text for name, value in wanted.items() for text in lacking(found.get(name), value, f"{path}.{name}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [text for n, value in enumerate(wanted) for text in lacking(found[n], value, f"{path}[{n}]")]
    return [] if found == wanted else [f"{path}: {found!r}, not {wanted!r}"]


def without_empty(value: Any) -> Any:
    """What is left when nothing is said of empty maps, lists and nulls."""
    if isinstance(value, dict):
        found = {name: without_empty(one) for name, one in value.items()}
        return {name: one for name, one in found.items() if one not in (None, {}, [])}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


# -- what watches tell


@dataclass
class Follower:
    """What a watch told; `rounds` go on where the one before ended."""

    lines: asyncio.StreamReader
    version: int = 0
    told: list[Object] = field(default_factory=list)

    async def until(self, made: Object, pattern: str) -> None:
        """Up to this version of an object, or its end; all that is told fits the pattern and is of this object."""
        last, types = int(made["metadata"]["resourceVersion"]), []
        while self.version < last or (pattern == GONE and types[-1:] != ["DELETED"]):
            event = json.loads(await asyncio.wait_for(self.lines.readline(), 5))
            meta = event["object"]["metadata"]
            assert int(meta["resourceVersion"]) > self.version, event
            assert (meta["name"], meta["uid"]) == (name_of(made), made["metadata"]["uid"])
            self.version = int(meta["resourceVersion"])
            types.append(event["type"])
        assert re.fullmatch(pattern, "".join(f"{word}," for word in types)), types


@dataclass
class Round:
    """An object that is made, changed and deleted again and again under the same name."""

    case: Case
    document: Object
    selector: str
    followers: list[Follower]
    in_protobuf: bool = False

    @property
    def site(self) -> Site:
        return self.case.site

    @property
    def name(self) -> str:
        return name_of(self.document)

    async def send(self, method: str, path: str, body: Object) -> Answer:
        """A whole object, in the form that its client speaks, and what comes back, as JSON."""
        if not self.in_protobuf:
            return await self.site(method, path, body)
        media = protobuf.MEDIA_TYPE
        answer = await self.site(method, path, protobuf_encoding.encode(body), media=media, accept=media)
        assert answer.headers["Content-Type"] == media, answer.data
        decoded = protobuf.decode(answer.data)
        if answer.code >= 400:
            return Answer(answer.code, answer.headers, msgspec.json.encode(decoded))
        return Answer(answer.code, answer.headers, codec.encode(codec.convert(decoded, self.case.resource.type)))

    def comparable(self, value: Object) -> Object:
        """Protobuf does not tell what is empty from what is not there."""
        found: Object = without_empty(value) if self.in_protobuf else value
        return found

    async def followed(self, made: Object, pattern: str) -> None:
        for follower in self.followers:
            await follower.until(made, pattern)

    async def told(self, answer: Answer, sent: Object, pattern: str) -> Object:
        """The object of an answer, which holds what was sent, as every watch tells."""
        assert answer.code in (200, 201), answer.body
        assert lacking(self.comparable(answer.body), self.comparable(sent)) == []
        await self.followed(answer.body, pattern)
        found: Object = answer.body
        return found

    async def make(self, query: str = "") -> Object:
        answer = await self.send("POST", self.case.collection() + query, self.document)
        assert answer.code == 201, answer.body
        await settle(100 if self.case.resource.plural == "customresourcedefinitions" else 0)
        found: Object = answer.body
        return found

    async def update(self, change: Object, subresource: str = "") -> Answer:
        """What an update with a change comes to; it starts again where something else changed the object."""
        while True:
            found = (await self.site("GET", self.case.path(self.name, subresource))).body
            answer = await self.send("PUT", self.case.path(self.name, subresource), changed_by(found, change))
            if answer.code != 409:
                return answer

    async def patch(self, media: str, change: Object, subresource: str = "") -> Answer:
        found = await self.case.get(self.name)
        names = ("name", "namespace", "uid")
        identity = {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {name: found["metadata"][name] for name in names if name in found["metadata"]},
        }
        body = operations(found, change) if media == JSON_PATCH else changed_by(identity, change)
        query = "?fieldValidation=Strict" + ("&fieldManager=round&force=true" if media == APPLY else "")
        return await self.site("PATCH", self.case.path(self.name, subresource) + query, body, media=media)

    async def delete(self) -> None:
        made = await self.case.get(self.name)
        await self.case.gone(self.name)
        await self.followed(made, GONE)


@asynccontextmanager
async def beginning(case: Case, in_protobuf: bool) -> AsyncIterator[Round]:
    """Watches that go on from empty lists, and a document that they will tell of."""
    number = str(next(NUMBERS))
    selector = f"labelSelector={LABEL.replace('/', '%2F')}%3D{number}"
    followers = []
    async with AsyncExitStack() as stack:
        for path in {case.everywhere, case.collection()}:
            listed = (await case.site("GET", f"{path}?{selector}")).body
            assert listed["items"] == []
            version = listed["metadata"]["resourceVersion"]
            query = f"watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=120&{selector}"
            lines = await stack.enter_async_context(case.site.watch(f"{path}?{query}"))
            followers.append(Follower(lines))
        yield Round(case, case.document(labels={LABEL: number}), selector, followers, in_protobuf)


async def whole_round(case: Case, with_status: bool, in_protobuf: bool = False) -> None:
    change = changed_by({"metadata": {"labels": {CHANGED_LABEL: "yes"}}}, case.filled(case.minimal.change))
    status = {"status": case.filled(case.minimal.status)}
    listed = {entry["name"] for entry in (await case.site("GET", case.root)).body["resources"]}
    assert {case.resource.plural, *([f"{case.resource.plural}/status"] if with_status else [])} <= listed
    async with beginning(case, in_protobuf) as found:
        made = await found.make("?fieldValidation=Strict")
        sent = found.comparable({**found.document, "stringData": None})
        assert lacking(found.comparable(made), sent) == []
        await found.followed(made, MADE)
        updated = await found.told(await found.update(change), change, CHANGED)
        assert int(updated["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
        if with_status:
            updated = await found.told(await found.update(status, "status"), status, CHANGED)
            shown = (await case.site("GET", case.path(found.name, "status"))).body
            assert lacking(found.comparable(shown), found.comparable(updated)) == []
        for media in (STRATEGIC, APPLY, MERGE, JSON_PATCH):
            await found.delete()
            await found.make()
            await found.told(await found.patch(media, change), change, RECREATED)
        for media in (STRATEGIC, APPLY, MERGE, JSON_PATCH) if with_status else ():
            await found.delete()
            await found.make()
            await found.update(change)
            answer = await found.patch(media, status, "status")
            await found.told(answer, changed_by(change, status), RECREATED)
        await ends_with_its_collection(found)


async def ends_with_its_collection(found: Round) -> None:
    case = found.case
    last = await case.get(found.name)
    assert await case.names(case.collection(), f"?{found.selector}") == [found.name]
    assert await case.names(case.everywhere, f"?{found.selector}") == [found.name]
    if case.resource.namespaced:
        assert await case.names(case.collection(OTHER), f"?{found.selector}") == []
    if "deletecollection" not in case.resource.verbs:
        await found.delete()
        return
    answer = await case.site("DELETE", f"{case.collection()}?{found.selector}", BACKGROUND)
    assert answer.code == 200, answer.body
    await settle(300 if case.resource.plural == "customresourcedefinitions" else 0)
    await case.released(found.name)
    assert (await case.site("GET", case.path(found.name))).outcome == (404, "NotFound")
    await found.followed(last, GONE)
    assert await case.names(case.everywhere, f"?{found.selector}") == []


@pytest.mark.parametrize("in_protobuf", [False, True], ids=["json", "protobuf"])
@pytest.mark.parametrize("resource", STORED, ids=str)
async def test_a_whole_round(site: Site, resource: Resource, in_protobuf: bool) -> None:
    with_status = resource in WITH_STATUS and resource.plural != "csinodes"
    await whole_round(Case(site, resource), with_status, in_protobuf)


# -- objects with more to them than the smallest have


def pod_certificate_request() -> Minimal:
    """One that a signer answers with a chain for its key."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(KEY, hashes.SHA256())
    begin = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(minutes=1)
    moments = [begin, begin + datetime.timedelta(hours=1), begin + datetime.timedelta(minutes=15)]
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pod.example.com")])
    chain = (
        x509.CertificateBuilder(subject, subject, KEY.public_key(), 7, moments[0], moments[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(KEY, hashes.SHA256())
    )
    times = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in moments]
    issued = {"type": "Issued", "status": "True", "reason": "Test", "message": "issued", "lastTransitionTime": TIME}
    return Minimal(
        {
            "spec": {
                "signerName": "example.com/signer",
                "podName": "pod",
                "podUID": "12345678-1234-1234-1234-123456789012",
                "serviceAccountName": "default",
                "serviceAccountUID": "12345678-1234-1234-1234-123456789013",
                "nodeName": "node",
                "nodeUID": "12345678-1234-1234-1234-123456789014",
                "maxExpirationSeconds": 86400,
                "stubPKCS10Request": base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode(),
            }
        },
        status={
            "certificateChain": chain.public_bytes(serialization.Encoding.PEM).decode(),
            **dict(zip(("notBefore", "notAfter", "beginRefreshAt"), times, strict=True)),
            "conditions": [issued],
        },
    )


def trust_bundle(number: int) -> str:
    """PEM."""
    certificate = build_authority("trusted", KEY, number, 1767225600.0).certificate
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


SPECIAL = {
    "podcertificaterequests that are issued": pod_certificate_request(),
    "clustertrustbundles of a signer": Minimal(
        {"spec": {"signerName": "example.com/signer", "trustBundle": trust_bundle(1)}},
        name="example.com:signer:thing-@",
        generates=False,
        change={"spec": {"trustBundle": trust_bundle(2)}},
    ),
    "resourceclaims that need no device": Minimal(
        {"spec": {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "class.example.com"}}]}}},
        status={"allocation": {}},
    ),
    "deviceclasses with a selector": Minimal(
        {"spec": {"selectors": [{"cel": {"expression": "false"}}]}},
        change={"spec": {"selectors": [{"cel": {"expression": "1 == 0"}}]}},
    ),
    "resourceslices without a device": Minimal(
        {
            "spec": {
                "driver": "example.com",
                "nodeName": "no-such-node",
                "pool": {"name": "cluster", "generation": 1, "resourceSliceCount": 1},
            }
        },
        change={"spec": {"devices": [{"name": "device-0"}]}},
    ),
    "storageclasses whose mount options change": Minimal(
        {"provisioner": "example.com/none", "parameters": {"a": "b"}}, change={"mountOptions": ["ro", "soft"]}
    ),
    "csinodes without drivers": Minimal({"spec": {"drivers": None}}),
    "storageversionmigrations of nothing": Minimal(
        {"spec": {"resource": {"group": "", "resource": "nothing"}}},
        status={
            "conditions": [
                {"type": "Tested", "status": "True", "reason": "Test", "message": "x", "lastTransitionTime": TIME}
            ]
        },
    ),
}


@pytest.mark.parametrize("what", SPECIAL)
async def test_a_whole_round_of(site: Site, what: str) -> None:
    plural = what.split()[0]
    resource = next(found for found in STORED if found.plural == plural)
    await whole_round(Case(site, resource, SPECIAL[what]), bool(SPECIAL[what].status))

"""Approving a certificate signing request: who approves writes conditions and nothing else."""

from __future__ import annotations

import base64
from typing import Any

from api_world import World
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNED = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(Ed25519PrivateKey.generate(), None)


def request() -> dict[str, Any]:
    spec = {
        "request": base64.b64encode(SIGNED.public_bytes(Encoding.PEM)).decode(),
        "signerName": "example.com/tests",
        "usages": ["client auth"],
    }
    return {"metadata": {"name": "mine"}, "spec": spec}


async def test_an_approval_is_a_condition_with_its_times(world: World) -> None:
    made = (await world.http("POST", REQUESTS, request())).body
    approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "by hand"}
    changed = {**made, "spec": {**made["spec"], "signerName": "other.example/x"}, "status": {"conditions": [approved]}}
    answer = await world.http("PUT", f"{REQUESTS}/mine/approval", changed)
    assert answer.code == 200
    (condition,) = answer.body["status"]["conditions"]
    now = made["metadata"]["creationTimestamp"]
    assert condition == {**approved, "lastUpdateTime": now, "lastTransitionTime": now}
    assert answer.body["spec"]["signerName"] == "example.com/tests"


async def test_the_status_of_a_request_approves_nothing(world: World) -> None:
    made = (await world.http("POST", REQUESTS, request())).body
    approved = {"type": "Approved", "status": "True", "reason": "Test"}
    answer = await world.http("PUT", f"{REQUESTS}/mine/status", {**made, "status": {"conditions": [approved]}})
    assert answer.code == 422
    assert answer.body["details"]["causes"] == [
        {
            "reason": "FieldValueForbidden",
            "message": 'Forbidden: updates may not add a condition of type "Approved"',
            "field": "status.conditions",
        }
    ]


async def test_the_status_of_a_request_keeps_its_approval(world: World) -> None:
    made = (await world.http("POST", REQUESTS, request())).body
    approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "by hand"}
    decided = (
        await world.http("PUT", f"{REQUESTS}/mine/approval", {**made, "status": {"conditions": [approved]}})
    ).body
    (kept,) = decided["status"]["conditions"]
    other = {**approved, "message": "by another hand"}
    failed = {"type": "Failed", "status": "True", "reason": "Broken"}
    answer = await world.http("PUT", f"{REQUESTS}/mine/status", {**decided, "status": {"conditions": [failed, other]}})
    assert answer.code == 200
    assert [(each["type"], each.get("message")) for each in answer.body["status"]["conditions"]] == [
        ("Failed", None),
        ("Approved", kept["message"]),
    ]
    lost = await world.http("PUT", f"{REQUESTS}/mine/status", {**answer.body, "status": {"conditions": [failed]}})
    assert (lost.code, lost.body["message"].split("Forbidden: ")[1]) == (
        422,
        'updates may not remove a condition of type "Approved"',
    )


async def test_who_asks_is_who_sends(world: World) -> None:
    forged = request()
    forged["spec"] |= {"username": "system:node:n", "groups": ["system:nodes"], "uid": "1", "extra": {"a": ["b"]}}
    made = (await world.http("POST", REQUESTS, forged)).body
    asker = {key: made["spec"].get(key) for key in ("username", "groups", "uid", "extra")}
    assert asker == {"username": "system:anonymous", "groups": ["system:unauthenticated"], "uid": None, "extra": None}
    changed = {**made, "spec": forged["spec"]}
    assert (await world.http("PUT", f"{REQUESTS}/mine", changed)).body["spec"] == made["spec"]

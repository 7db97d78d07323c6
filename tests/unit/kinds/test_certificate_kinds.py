"""Bundles of authorities, requests for the certificates of pods, and how those end."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from documents import changed, create_findings, created, stored, told, update_findings

from tiphys.kinds.certificates import certificate_signing_request as signing
from tiphys.kinds.certificates import cluster_trust_bundle as bundles
from tiphys.kinds.certificates import pod_certificate_request as requests
from tiphys.kinds.core import secret as secrets

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NOBODY = x509.Name([])
KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
HOUR = datetime.timedelta(hours=1)


def certificate(
    key: ec.EllipticCurvePrivateKey, *, authority: bool = False, life: datetime.timedelta = 2 * HOUR
) -> str:
    builder = (
        x509.CertificateBuilder(NOBODY, NOBODY, key.public_key(), serial_number=1)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + life)
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def asking(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    request = x509.CertificateSigningRequestBuilder(NOBODY).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.DER)


def told_der(request: bytes) -> str:
    return base64.b64encode(request).decode()


ROOT = certificate(KEY, authority=True)
BUNDLE = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "ClusterTrustBundle",
    "metadata": {"name": "roots"},
    "spec": {"trustBundle": f"some words\n{ROOT}"},
}
OMITTED = 'Invalid value: "<value omitted>": '


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (ROOT, []),
        ("", ["at least one trust anchor must be provided"]),
        (ROOT + ROOT, ["duplicate trust anchor (indices [0 1])"]),
        (certificate(KEY), ["entry 0 does not have the CA bit set"]),
        (ROOT + ROOT.replace("CERTIFICATE", "PRIVATE KEY"), ["entry 1 has bad block type: PRIVATE KEY"]),
        (ROOT.replace("E-----\n", "E-----\na: b\n", 1), ["entry 0 has PEM block headers"]),
        ("-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----", ["entry 0 does not parse as X.509"]),
        ("-----BEGIN CERTIFICATE-----\n" + ROOT, []),
        ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n" + ROOT, []),
    ],
)
def test_anchors(text: str, problems: list[str]) -> None:
    found = create_findings(changed(BUNDLE, {"spec.trustBundle": text}))
    assert found == [("spec.trustBundle", "Invalid", OMITTED + problem) for problem in problems]


def test_anchors_are_looked_at_when_they_change() -> None:
    old = stored(changed(BUNDLE, {"spec.trustBundle": "of old"}))
    new = stored(changed(BUNDLE, {"spec.trustBundle": "of old", "metadata.labels": {"a": "b"}}))
    assert bundles.validate_changed(new, old) == []
    new.spec.trustBundle = "of new"
    assert len(bundles.validate_changed(new, old)) == 1


def test_bundles_are_named_after_their_signers() -> None:
    assert (
        create_findings(changed(BUNDLE, {"metadata.name": "example.com:a:b", "spec.signerName": "example.com/a"})) == []
    )
    for name, signer, message in (
        ("a:b", "", 'ClusterTrustBundle without signer name must not have ":" in its name'),
        (
            "roots",
            "example.com/a",
            "ClusterTrustBundle for signerName example.com/a must be named with prefix example.com:a:",
        ),
    ):
        found = create_findings(changed(BUNDLE, {"metadata.name": name, "spec.signerName": signer}))
        assert found == [("metadata.name", "Invalid", f'Invalid value: "{name}": {message}')]


ASKED = asking(KEY)
REQUEST = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "PodCertificateRequest",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {
        "signerName": "example.com/signer",
        "podName": "p",
        "podUID": "1",
        "serviceAccountName": "s",
        "serviceAccountUID": "2",
        "nodeName": "n",
        "nodeUID": "3",
        "stubPKCS10Request": told_der(ASKED),
    },
}
STUB = "spec.stubPKCS10Request"
SMALL = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"spec.podUID": ""}, [("spec.podUID", 'Invalid value: "": must not be empty')]),
        (
            {"spec.signerName": "kubernetes.io/signer", "spec.maxExpirationSeconds": 86401},
            [("spec.maxExpirationSeconds", "Invalid value: 86401: must be in the range [3600, 86400]")],
        ),
        (
            {"spec.unverifiedUserAnnotations": {"plain": "x", "Example.com/a": "y"}},
            [
                (
                    "spec.unverifiedUserAnnotations",
                    'Invalid value: "plain": must be a domain-prefixed key (such as "acme.io/foo")',
                )
            ],
        ),
        ({STUB: ""}, [(STUB, "Required value: must not be empty")]),
        (
            {STUB: told_der(asking(SMALL))},
            [(STUB, 'Invalid value: "2048-bit modulus": RSA keys must have modulus size 3072 or 4096')],
        ),
        ({STUB: "eA=="}, [(STUB, "Invalid value: must be a valid PKCS#10 certificate signing request in DER form")]),
        (
            {STUB: told_der(ASKED[:-1] + bytes([ASKED[-1] ^ 1]))},
            [(STUB, "Invalid value: could not verify the signature of the request")],
        ),
    ],
)
def test_requests_for_the_certificates_of_pods(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(field, message) for field, _, message in create_findings(changed(REQUEST, changes))] == expected


def ending(kind: str, value: str = "True") -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": value, "reason": "R", "message": "m", "lastTransitionTime": moment}


ISSUED = {
    "conditions": [ending("Issued")],
    "certificateChain": certificate(KEY) + certificate(OTHER_KEY),
    "notBefore": "2026-01-01T00:00:00Z",
    "notAfter": "2026-01-01T02:00:00Z",
    "beginRefreshAt": "2026-01-01T01:00:00Z",
}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, ISSUED, []),
        ({}, {"conditions": [ending("Denied")]}, []),
        ({}, {}, []),
        (
            {},
            {"certificateChain": "x"},
            [("status", 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"')],
        ),
        (
            {"conditions": [ending("Failed")]},
            ISSUED,
            [("status", "immutable after PodCertificateRequest is issued, denied, or failed")],
        ),
        (
            {},
            {**ISSUED, "conditions": [ending("Failed")]},
            [
                (
                    "status",
                    "non-condition status fields must be empty when denying or failing the PodCertificateRequest",
                )
            ],
        ),
        (
            {},
            {"conditions": [ending("Issued"), ending("Denied", "False"), ending("Else")]},
            [
                (
                    "status.conditions[1].type",
                    '"Denied": There may be at most one condition with type "Issued", "Denied", or "Failed"',
                ),
                ("status.conditions[1].status", '"False": supported values: "True"'),
                ("status.conditions[2].type", '"Else": supported values: "Issued", "Denied", "Failed"'),
            ],
        ),
        (
            {},
            {**ISSUED, "certificateChain": ""},
            [("status.certificateChain", '"": issued certificate chain must contain at least one certificate')],
        ),
        (
            {},
            {"conditions": [ending("Issued")], "certificateChain": certificate(KEY)},
            [
                ("status.notBefore", "must be present and consistent with the issued certificate"),
                ("status.notAfter", "must be present and consistent with the issued certificate"),
                ("status.beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]"),
            ],
        ),
        (
            {},
            {**ISSUED, "notAfter": "2026-01-01T03:00:00Z"},
            [
                (
                    "status.notAfter",
                    '"2026-01-01T03:00:00Z": must be set to the NotAfter time encoded in the leaf certificate',
                )
            ],
        ),
        (
            {},
            {**ISSUED, "beginRefreshAt": "2026-01-01T01:55:00Z"},
            [
                (
                    "status.beginRefreshAt",
                    '"2026-01-01T01:55:00Z": must be at least 10 minutes before status.notAfter',
                )
            ],
        ),
        (
            {},
            {**ISSUED, "certificateChain": certificate(KEY, life=HOUR / 2), "notAfter": "2026-01-01T00:30:00Z"},
            [("status.certificateChain", "1800000000000: leaf certificate lifetime must be >= 1 hour")],
        ),
    ],
)
def test_how_requests_end(before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = told(requests.STRATEGY.validate_status_update(stored(REQUEST, after), stored(REQUEST, before)))
    prefixes = ("Invalid value: ", "Unsupported value: ", "Required value: ")
    plain = []
    for field, _, message in found:
        for prefix in prefixes:
            message = message.removeprefix(prefix)
        plain.append((field, message))
    assert plain == expected


def test_certificates_are_of_the_requested_key() -> None:
    new = stored(REQUEST, {**ISSUED, "certificateChain": certificate(OTHER_KEY)})
    found = told(requests.STRATEGY.validate_status_update(new, stored(REQUEST, {})))
    assert [field for field, _, _ in found] == ["status.certificateChain"]
    assert found[0][2].endswith(": leaf certificate was not issued to the requested public key")


def test_requests_stay_as_they_are() -> None:
    found = update_findings(stored(REQUEST), changed(REQUEST, {"spec.podName": "q"}))
    assert [(field, message.rpartition(": ")[2]) for field, _, message in found] == [("spec", "field is immutable")]


def of_key(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


SWITCHED = (
    "tls: failed to find certificate PEM data in certificate input, but did find a private key;"
    " PEM inputs may have been switched"
)


@pytest.mark.parametrize(
    ("certificate_pem", "key_pem", "expected"),
    [
        (ROOT, of_key(KEY), []),
        (ROOT, of_key(OTHER_KEY), ["tls: private key does not match public key"]),
        (ROOT, of_key(SMALL), ["tls: private key type does not match public key type"]),
        (ROOT, ROOT, ["tls: found a certificate rather than a key in the PEM for the private key"]),
        (of_key(KEY), ROOT, [SWITCHED]),
        ("", "", ["tls: failed to find any PEM data in certificate input"]),
        (ROOT, "key", ["tls: failed to find any PEM data in key input"]),
        (ROOT, of_key(KEY).replace("MIG", "xxx"), ["tls: failed to parse private key"]),
    ],
)
def test_keys_of_servers_are_those_of_their_certificates(
    certificate_pem: str, key_pem: str, expected: list[str]
) -> None:
    data = {"tls.crt": told_der(certificate_pem.encode()), "tls.key": told_der(key_pem.encode())}
    metadata = {"name": "a", "namespace": "default"}
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
    thing = created(document)
    assert secrets.STRATEGY.warnings(thing, None) == expected
    thing.type = "Opaque"
    assert secrets.STRATEGY.warnings(thing, None) == []


def in_pem(kind: str, content: bytes, headers: str = "") -> bytes:
    return f"-----BEGIN {kind}-----\n{headers}{told_der(content)}\n-----END {kind}-----\n".encode()


SIGNING = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "CertificateSigningRequest",
    "metadata": {"name": "a"},
    "spec": {
        "request": told_der(in_pem("CERTIFICATE REQUEST", ASKED)),
        "signerName": "example.com/a.b",
        "usages": ["client auth"],
    },
}
CHANGED_SIGNATURE = ASKED[:-1] + bytes([ASKED[-1] ^ 1])


@pytest.mark.parametrize(
    ("request_sent", "problem"),
    [
        (in_pem("CERTIFICATE REQUEST", ASKED), None),
        (b"", "PEM block type must be CERTIFICATE REQUEST"),
        (in_pem("CERTIFICATE", ASKED), "PEM block type must be CERTIFICATE REQUEST"),
        (in_pem("CERTIFICATE REQUEST", b"x"), "x509: malformed certificate request"),
        (in_pem("CERTIFICATE REQUEST", CHANGED_SIGNATURE), "x509: ECDSA verification failure"),
    ],
)
def test_requests_prove_that_the_asker_has_the_key(request_sent: bytes, problem: str | None) -> None:
    found = create_findings(changed(SIGNING, {"spec.request": told_der(request_sent)}))
    assert [path for path, _, _ in found] == ([] if problem is None else ["spec.request"])
    assert problem is None or found[0][2].endswith(f": {problem}")


@pytest.mark.parametrize(
    ("signer", "problems"),
    [
        ("example.com/a", []),
        ("example/a", ['"example": should be a domain with at least two segments separated by dots']),
        ("Bad.Other.com/a", ['"Bad.Other.com": validating label "Bad": a lowercase RFC 1123 label']),
        ("example.com/a.B.C", ['"a.B.C": validating label "B": a lowercase RFC 1123 subdomain']),
    ],
)
def test_signers_are_a_domain_and_a_path(signer: str, problems: list[str]) -> None:
    found = create_findings(changed(SIGNING, {"spec.signerName": signer}))
    assert [path for path, _, _ in found] == ["spec.signerName" for _ in problems]
    for (_, _, text), problem in zip(found, problems, strict=True):
        assert text.startswith(f"Invalid value: {problem}")


ISSUED_ONCE = "status.certificate: Forbidden: updates may not modify existing certificate content"
UNLIKE_DATA = 'status.certificate: Invalid value: "<certificate data>": '


@pytest.mark.parametrize(
    ("before", "after", "problems"),
    [
        (b"", ROOT.encode(), []),
        (b"stored", b"stored", []),
        (b"stored", b"other", [ISSUED_ONCE]),
        (b"", b"words", [UNLIKE_DATA + "must contain at least one CERTIFICATE PEM block"]),
        (b"", in_pem("KEY", b"x"), [UNLIKE_DATA + 'only CERTIFICATE PEM blocks are allowed, found "KEY"']),
        (b"", in_pem("CERTIFICATE", b"x", "a: b\n"), [UNLIKE_DATA + "no PEM block headers are permitted"]),
        (b"", in_pem("CERTIFICATE", b""), [UNLIKE_DATA + "found CERTIFICATE PEM block containing 0 certificates"]),
        (b"", in_pem("CERTIFICATE", b"x"), [UNLIKE_DATA + "x509: malformed certificate"]),
    ],
)
def test_certificates_are_issued_once(before: bytes, after: bytes, problems: list[str]) -> None:
    old, new = (stored(SIGNING, {"certificate": told_der(found)}) for found in (before, after))
    assert [str(finding) for finding in signing.STRATEGY.validate_status_update(new, old)] == problems


def test_requests_are_approved_or_denied() -> None:
    told_both = [{"type": kind, "status": "True"} for kind in ("Denied", "Approved")]
    approve = signing.STRATEGY.subresource_validators["approval"]
    found = approve(stored(SIGNING, {"conditions": told_both}), stored(SIGNING, {}))
    assert [str(finding) for finding in found] == [
        'status.conditions: Invalid value: "Approved": Approved and Denied conditions are mutually exclusive'
    ]

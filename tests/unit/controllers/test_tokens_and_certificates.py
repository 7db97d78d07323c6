"""Tokens in Secrets, and certificate requests: whole action lists for a given view."""

from __future__ import annotations

import ipaddress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.client.cache import Cache
from tiphys.client.interface import ObjectKey
from tiphys.controllers import certificate_signing, service_account_tokens
from tiphys.controllers.actions import Answer, Ask, Update, delete_of
from tiphys.controllers.controller import Controller, View
from tiphys.kinds import codec
from tiphys.kinds.types import authorization_v1, certificates_v1, core_v1, meta_v1
from tiphys.machinery import errors
from tiphys.pki.certificates import build_authority

NOW = 1_700_000_000.0
AUTHORITY = build_authority("kubernetes", ec.generate_private_key(ec.SECP256R1()), 1, NOW)
KEY = ObjectKey("", "csr")


def view(controller: Controller, *objects: Any) -> View:
    caches: dict[type[Any], Cache[Any]] = {kind: Cache() for kind in controller.kinds}
    for index in controller.indexes:
        caches[index.kind].add_index(index.name, index.function)
    for obj in objects:
        caches[type(obj)].apply(obj)
    return View(caches)


# -- tokens

TOKENS = service_account_tokens.controller(lambda account, secret: f"token of {account.metadata.uid}", "CA")
ACCOUNT = core_v1.ServiceAccount(
    metadata=meta_v1.ObjectMeta(name="robot", namespace="a", uid="u1", resourceVersion="1")
)


def token_secret(**annotations: str) -> core_v1.Secret:
    wanted = {service_account_tokens.NAME: "robot", **annotations}
    meta = meta_v1.ObjectMeta(name="s", namespace="a", uid="s1", resourceVersion="2", annotations=wanted)
    return core_v1.Secret(metadata=meta, type=service_account_tokens.TYPE)


def settled(secret: core_v1.Secret, answer: Any) -> list[Any]:
    seen = view(TOKENS, secret)
    asked = TOKENS.reconcile(seen, ObjectKey("a", "s"), NOW)
    assert len(asked) == 1
    assert isinstance(asked[0], Ask)
    request = asked[0].requests[0]
    assert (request.verb, request.resource, request.namespace, request.name) == ("get", "serviceaccounts", "a", "robot")
    found = answer if not isinstance(answer, errors.ApiError) else None
    error = answer if isinstance(answer, errors.ApiError) else None
    assert TOKENS.answered is not None
    answers = [Answer(request=request, result=found, error=error)]
    return list(TOKENS.answered(seen, ObjectKey("a", "s"), NOW, answers, None))


def test_a_secret_gets_the_token_of_its_account() -> None:
    (action,) = settled(token_secret(), ACCOUNT)
    assert isinstance(action, Update)
    assert action.object.data == {"token": b"token of u1", "ca.crt": b"CA", "namespace": b"a"}
    assert action.object.metadata.annotations[service_account_tokens.UID] == "u1"
    assert TOKENS.reconcile(view(TOKENS, action.object, ACCOUNT), ObjectKey("a", "s"), NOW) == []


def test_a_secret_goes_with_its_account() -> None:
    secret = token_secret()
    assert settled(secret, errors.not_found("serviceaccounts", "", "robot")) == [delete_of(secret)]
    another = token_secret(**{service_account_tokens.UID: "u0"})
    assert settled(another, ACCOUNT) == [delete_of(another)]


# -- certificate requests


def request_pem(common_name: str, organization: str = "system:nodes", *names: x509.GeneralName) -> bytes:
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def signing_request(pem: bytes, signer: str, usage: str, approved: bool = False) -> Any:
    spec = certificates_v1.CertificateSigningRequestSpec(
        request=pem, signerName=signer, usages=["digital signature", usage], username="system:node:n",
        groups=["system:nodes"], expirationSeconds=3600,
    )  # fmt: skip
    made = certificates_v1.CertificateSigningRequest(
        metadata=meta_v1.ObjectMeta(name="csr", uid="c1", resourceVersion="1"), spec=spec
    )
    if approved:
        made.status.conditions = [certificates_v1.CertificateSigningRequestCondition(type="Approved", status="True")]
    return made


SERVING_NAMES = (x509.DNSName("n"), x509.IPAddress(ipaddress.ip_address("10.0.0.1")))


def test_kubelets_serving_certificates_are_approved_for_their_own_addresses() -> None:
    pem = request_pem("system:node:n", "system:nodes", *SERVING_NAMES)
    request = signing_request(pem, certificate_signing.KUBELET_SERVING, "server auth")
    addresses = [
        core_v1.NodeAddress(type="Hostname", address="n"),
        core_v1.NodeAddress(type="InternalIP", address="10.0.0.1"),
    ]
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n", resourceVersion="1"))
    approver = certificate_signing.APPROVER
    assert approver.reconcile(view(approver, request, node), KEY, NOW) == []
    node = codec.copy(node)
    node.status.addresses = addresses
    (action,) = approver.reconcile(view(approver, request, node), KEY, NOW)
    assert isinstance(action, Update)
    assert action.subresource == "approval"
    assert [(c.type, c.status, c.reason) for c in action.object.status.conditions] == [
        ("Approved", "True", "AutoApproved")
    ]


def test_kubelets_client_certificates_are_approved_when_the_api_allows_it() -> None:
    request = signing_request(request_pem("system:node:n"), certificate_signing.KUBELET_CLIENT, "client auth")
    approver = certificate_signing.APPROVER
    seen = view(approver, request)
    (asked,) = approver.reconcile(seen, KEY, NOW)
    assert isinstance(asked, Ask)
    review = asked.requests[0].body
    assert (review.spec.user, review.spec.resourceAttributes.subresource) == ("system:node:n", "selfnodeclient")
    assert approver.answered is not None
    for allowed, kinds in ((False, []), (True, [Update])):
        answered = codec.copy(review)
        answered.status = authorization_v1.SubjectAccessReviewStatus(allowed=allowed)
        answer = Answer(request=asked.requests[0], result=answered)
        assert [type(action) for action in approver.answered(seen, KEY, NOW, [answer], None)] == kinds


def test_what_was_approved_is_signed() -> None:
    pem = request_pem("system:node:n", "system:nodes", *SERVING_NAMES)
    request = signing_request(pem, certificate_signing.KUBELET_SERVING, "server auth", approved=True)
    controller = certificate_signing.signer(AUTHORITY)
    (action,) = controller.reconcile(view(controller, request), KEY, NOW)
    assert isinstance(action, Update)
    assert action.subresource == "status"
    made = x509.load_pem_x509_certificate(action.object.status.certificate)
    made.verify_directly_issued_by(AUTHORITY.certificate)
    assert made.public_key() == x509.load_pem_x509_csr(pem).public_key()
    assert made.not_valid_after_utc.timestamp() == NOW + 3600
    assert list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == list(SERVING_NAMES)
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert controller.reconcile(view(controller, action.object), KEY, NOW) == []


def test_what_the_signer_does_not_sign_fails_for_good() -> None:
    controller = certificate_signing.signer(AUTHORITY)
    for pem, signer, usage, message in (
        (request_pem("u", "system:masters"), certificate_signing.CLIENT, "client auth",
         "organizations may not hold system:masters"),
        (request_pem("u", "team"), certificate_signing.KUBELET_CLIENT, "client auth",
         "subject organization is not system:nodes"),
        (request_pem("system:node:n"), certificate_signing.KUBELET_SERVING, "server auth",
         "at least one DNS or IP subjectAltName is required"),
    ):  # fmt: skip
        request = signing_request(pem, signer, usage, approved=True)
        (action,) = controller.reconcile(view(controller, request), KEY, NOW)
        assert isinstance(action, Update)
        last = action.object.status.conditions[-1]
        assert (last.type, last.reason, last.message) == ("Failed", "SignerValidationFailure", message)
    waiting = signing_request(request_pem("u", "team"), certificate_signing.CLIENT, "client auth")
    assert controller.reconcile(view(controller, waiting), KEY, NOW) == []

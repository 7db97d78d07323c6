"""Signing requests say who asks, and only who may act for a signer approves, signs and attests."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import NO_OPINION, Attributes, Decision
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.signing_hooks import PodCertificates, SigningRequests, TrustBundles
from tiphys.kinds import codec, registry
from tiphys.kinds.types import certificates_v1
from tiphys.machinery.errors import ApiError

NOW = 1767225600.0
JANE = UserInfo("jane", "u-1", ("devs", "system:authenticated"), {"scopes": ("a", "b")})


class Allows:
    """Lets exactly one verb on one signer through."""

    def __init__(self, verb: str, name: str) -> None:
        self.verb, self.name = verb, name

    def authorize(self, attributes: Attributes) -> Decision:
        asked = (attributes.group, attributes.resource, attributes.verb, attributes.name)
        return Decision(True) if asked == ("certificates.k8s.io", "signers", self.verb, self.name) else NO_OPINION


def writing(plural: str, subresource: str = "", user: UserInfo = JANE) -> WriteContext:
    resource = registry.find("certificates.k8s.io", "v1", plural)
    assert resource is not None
    return WriteContext(
        resource=resource,
        namespace="",
        user=user,
        now=NOW,
        new_uid=lambda: "u",
        new_suffix=lambda: "s",
        name="mine",
        subresource=subresource,
    )


def request(**status: Any) -> certificates_v1.CertificateSigningRequest:
    document = {
        "metadata": {"name": "mine"},
        "spec": {"request": "", "signerName": "example.com/tests", "username": "root"},
        "status": status,
    }
    return codec.convert(document, certificates_v1.CertificateSigningRequest)


def test_who_asks_is_said_by_the_server() -> None:
    new = request()
    SigningRequests(Allows("", "")).before_write(writing("certificatesigningrequests"), new, None)
    spec = codec.plain(new.spec)
    assert {key: spec[key] for key in ("username", "uid", "groups", "extra")} == {
        "username": "jane",
        "uid": "u-1",
        "groups": ["devs", "system:authenticated"],
        "extra": {"scopes": ["a", "b"]},
    }
    SigningRequests(Allows("", "")).before_write(
        writing("certificatesigningrequests", user=UserInfo("plain")), new, None
    )
    assert (new.spec.username, new.spec.uid, new.spec.groups, new.spec.extra) == ("plain", None, None, None)


@pytest.mark.parametrize(("subresource", "verb"), [("approval", "approve"), ("status", "sign")])
def test_who_may_act_for_a_signer(subresource: str, verb: str) -> None:
    context = writing("certificatesigningrequests", subresource)
    new = request(conditions=[{"type": "Failed", "status": "True"}])
    for name in ("example.com/tests", "example.com/*"):
        SigningRequests(Allows(verb, name)).before_write(context, new, request())
    with pytest.raises(ApiError) as refused:
        SigningRequests(Allows(verb, "example.com/others")).before_write(context, new, request())
    assert (refused.value.code, refused.value.message) == (
        403,
        'certificatesigningrequests.certificates.k8s.io "mine" is forbidden: user not permitted to'
        f' {verb} requests with signerName "example.com/tests"',
    )


def test_a_status_that_stays_needs_no_permission_and_a_new_one_gets_its_times() -> None:
    context = writing("certificatesigningrequests", "status")
    SigningRequests(Allows("", "")).before_write(context, request(), request())
    new = request(conditions=[{"type": "Failed", "status": "True"}])
    SigningRequests(Allows("sign", "example.com/*")).before_write(context, new, request())
    (condition,) = new.status.conditions or ()
    assert (condition.lastUpdateTime, condition.lastTransitionTime) == ("2026-01-01T00:00:00Z",) * 2


def bundle(text: str, signer: str | None = "example.com/tests") -> certificates_v1.ClusterTrustBundle:
    spec = certificates_v1.ClusterTrustBundleSpec(signerName=signer, trustBundle=text)
    found = certificates_v1.ClusterTrustBundle(spec=spec)
    found.metadata.name = "example.com:tests:a"
    return found


def test_who_may_attest() -> None:
    context = writing("clustertrustbundles")
    TrustBundles(Allows("attest", "example.com/tests")).before_write(context, bundle("a"), None)
    TrustBundles(Allows("", "")).before_write(context, bundle("a", None), None)
    TrustBundles(Allows("", "")).before_write(context, bundle("a"), bundle("a"))
    with pytest.raises(ApiError, match="user not permitted to attest for signerName"):
        TrustBundles(Allows("", "")).before_write(context, bundle("b"), bundle("a"))


def pod_request(chain: str | None = None) -> certificates_v1.PodCertificateRequest:
    spec = certificates_v1.PodCertificateRequestSpec(signerName="example.com/tests")
    status = certificates_v1.PodCertificateRequestStatus(certificateChain=chain)
    return certificates_v1.PodCertificateRequest(spec=spec, status=status)


def test_who_writes_the_certificate_of_a_pod() -> None:
    context = writing("podcertificaterequests", "status")
    PodCertificates(Allows("sign", "example.com/*")).before_write(context, pod_request("a"), pod_request())
    PodCertificates(Allows("", "")).before_write(context, pod_request("a"), pod_request("a"))
    PodCertificates(Allows("", "")).before_write(writing("podcertificaterequests"), pod_request(), None)
    with pytest.raises(ApiError) as refused:
        PodCertificates(Allows("", "")).before_write(context, pod_request("a"), pod_request())
    (cause,) = refused.value.status()["details"]["causes"]
    assert (refused.value.code, cause["field"], cause["message"]) == (
        422,
        "spec.signerName",
        'Forbidden: User "jane" is not permitted to "sign" for signer "example.com/tests"',
    )

"""Who asks: service accounts' tokens, static tokens, certificates, impersonation, and the reviews."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tiphys.apiserver.authn import certificate, impersonation, reviews, token_file
from tiphys.apiserver.authn.authenticator import Authenticator, websocket_authorization
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authn.service_accounts import ServiceAccountTokens, secret_token_claims
from tiphys.apiserver.authn.token_request import TokenIssuer, validate
from tiphys.apiserver.authn.tokens import BadToken, TokenSigner, TokenVerifier
from tiphys.apiserver.authz.interface import Attributes, Decision
from tiphys.kinds.types import authentication_v1, core_v1
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.errors import ApiError
from tiphys.machinery.timestamps import time_of
from tiphys.pki.certificates import LeafProfile, build_authority, key_pem
from tiphys.pki.io import generate_key, issue

ISSUER = "https://kubernetes.default.svc.cluster.local"
NOW = 1_800_000_000.0
KEY = key_pem(generate_key())


class Stored:
    """An ObjectSource of a few objects."""

    def __init__(self, *objects: Any) -> None:
        self.objects = {(type(o), o.metadata.namespace or "", o.metadata.name): o for o in objects}

    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        return self.objects.get((kind, namespace, name))

    def list(self, kind: type[Any]) -> Iterable[Any]:
        return [o for key, o in self.objects.items() if key[0] is kind]

    def subscribe(self, kind: type[Any], handler: Callable[[Any, Any], None]) -> None:
        raise AssertionError("not followed")


def account(uid: str = "sa-uid", **meta: Any) -> core_v1.ServiceAccount:
    return core_v1.ServiceAccount(metadata=ObjectMeta(name="builder", namespace="ci", uid=uid, **meta))


def pod(uid: str = "pod-uid", **meta: Any) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=ObjectMeta(name="p", namespace="ci", uid=uid, **meta),
        spec=core_v1.PodSpec(serviceAccountName="builder", nodeName="n"),
    )


def node() -> core_v1.Node:
    return core_v1.Node(metadata=ObjectMeta(name="n", uid="node-uid"))


def setup(*objects: Any) -> tuple[Stored, TokenIssuer, Authenticator]:
    stored = Stored(*objects)
    verifier = TokenVerifier.of_pem([KEY])
    tokens = ServiceAccountTokens(verifier, stored, (ISSUER,), (ISSUER,))
    authenticator = Authenticator(service_accounts=tokens, audiences=(ISSUER,))
    return stored, TokenIssuer(TokenSigner(KEY), stored, ISSUER, (ISSUER,)), authenticator


def request(**spec: Any) -> authentication_v1.TokenRequest:
    return authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(**spec))


def bound(kind: str, name: str, uid: str = "") -> authentication_v1.BoundObjectReference:
    return authentication_v1.BoundObjectReference(kind=kind, apiVersion="v1", name=name, uid=uid or None)


def issued(issuer: TokenIssuer, **spec: Any) -> str:
    answer = issuer.issue("ci", "builder", request(**spec), NOW, "id-1")
    assert answer.status.token
    return answer.status.token


def test_an_issued_token_names_its_service_account() -> None:
    _, issuer, authenticator = setup(account())
    user = authenticator.authenticate(f"Bearer {issued(issuer)}", None, NOW)
    assert user == UserInfo(
        "system:serviceaccount:ci:builder",
        "sa-uid",
        ("system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"),
        {"authentication.kubernetes.io/credential-id": ("JTI=id-1",)},
    )


def test_the_claims_of_a_pods_token() -> None:
    _, issuer, authenticator = setup(account(), pod(), node())
    token = issued(issuer, expirationSeconds=3607, boundObjectRef=bound("Pod", "p", "pod-uid"))
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "aud": [ISSUER],
        "exp": int(NOW) + 365 * 86_400,
        "iat": int(NOW),
        "iss": ISSUER,
        "jti": "id-1",
        "kubernetes.io": {
            "namespace": "ci",
            "node": {"name": "n", "uid": "node-uid"},
            "pod": {"name": "p", "uid": "pod-uid"},
            "serviceaccount": {"name": "builder", "uid": "sa-uid"},
            "warnafter": int(NOW) + 3607,
        },
        "nbf": int(NOW),
        "sub": "system:serviceaccount:ci:builder",
    }
    assert authenticator.authenticate(f"Bearer {token}", None, NOW).extra == {
        "authentication.kubernetes.io/credential-id": ("JTI=id-1",),
        "authentication.kubernetes.io/node-name": ("n",),
        "authentication.kubernetes.io/node-uid": ("node-uid",),
        "authentication.kubernetes.io/pod-name": ("p",),
        "authentication.kubernetes.io/pod-uid": ("pod-uid",),
    }


def test_the_answer_says_when_the_token_should_be_renewed() -> None:
    _, issuer, _ = setup(account(), pod())
    answer = issuer.issue(
        "ci", "builder", request(expirationSeconds=3607, boundObjectRef=bound("Pod", "p")), NOW, "id-1"
    )
    assert answer.status.expirationTimestamp == time_of(NOW + 3607)
    assert answer.spec.audiences == [ISSUER]


def refused(authenticator: Authenticator, token: str, now: float = NOW) -> None:
    with pytest.raises(ApiError) as caught:
        authenticator.authenticate(f"Bearer {token}", None, now)
    assert (caught.value.code, caught.value.message) == (401, "Unauthorized")


def test_a_token_ends() -> None:
    _, issuer, authenticator = setup(account())
    token = issued(issuer, expirationSeconds=600)
    authenticator.authenticate(f"Bearer {token}", None, NOW + 599)
    refused(authenticator, token, NOW + 600)


@pytest.mark.parametrize("gone", [core_v1.ServiceAccount, core_v1.Pod])
def test_a_token_is_worthless_without_what_it_is_bound_to(gone: type[Any]) -> None:
    stored, issuer, authenticator = setup(account(), pod())
    token = issued(issuer, boundObjectRef=bound("Pod", "p"))
    authenticator.authenticate(f"Bearer {token}", None, NOW)
    for key in [key for key in stored.objects if key[0] is gone]:
        del stored.objects[key]
    refused(authenticator, token)


def test_a_namesake_does_not_inherit_tokens() -> None:
    stored, issuer, authenticator = setup(account())
    token = issued(issuer)
    stored.objects[core_v1.ServiceAccount, "ci", "builder"] = account("another-uid")
    refused(authenticator, token)


def test_a_deleted_pods_token_lives_a_minute_longer() -> None:
    stored, issuer, authenticator = setup(account(), pod())
    token = issued(issuer, boundObjectRef=bound("Pod", "p"))
    stored.objects[core_v1.Pod, "ci", "p"] = pod(deletionTimestamp=time_of(NOW))
    authenticator.authenticate(f"Bearer {token}", None, NOW + 59)
    refused(authenticator, token, NOW + 61)


def test_tokens_for_others_and_of_others_are_refused() -> None:
    _, issuer, authenticator = setup(account())
    refused(authenticator, issued(issuer, audiences=["vault"]))
    stranger = TokenSigner(key_pem(generate_key()))
    claims = jwt.decode(issued(issuer), options={"verify_signature": False})
    refused(authenticator, stranger.sign(claims))
    refused(authenticator, TokenSigner(KEY).sign({**claims, "iss": "https://elsewhere"}))
    refused(authenticator, TokenSigner(KEY).sign({**claims, "sub": "system:serviceaccount:ci:admin"}))
    refused(authenticator, jwt.encode(claims, key=None, algorithm="none"))
    refused(authenticator, "not.a.token")


def test_the_public_key_is_no_shared_secret() -> None:
    """A token signed with the public key as if it were a password is not one of ours."""
    _, issuer, authenticator = setup(account())
    claims = jwt.decode(issued(issuer), options={"verify_signature": False})
    public = TokenSigner(KEY).public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"}, claims)
    )
    signature = hmac.digest(public, header + b"." + body, "sha256")
    forged = b".".join([header, body, base64.urlsafe_b64encode(signature).rstrip(b"=")])
    refused(authenticator, forged.decode())


def test_a_secrets_token_lives_as_long_as_the_secret_holds_it() -> None:
    secret = core_v1.Secret(metadata=ObjectMeta(name="s", namespace="ci", uid="s-uid"))
    token = TokenSigner(KEY).sign(secret_token_claims(account(), secret))
    stored, _, authenticator = setup(account(), secret)
    refused(authenticator, token)
    stored.objects[core_v1.Secret, "ci", "s"] = core_v1.Secret(metadata=secret.metadata, data={"token": token.encode()})
    user = authenticator.authenticate(f"Bearer {token}", None, NOW)
    assert (user.name, user.extra) == ("system:serviceaccount:ci:builder", {})


WEBHOOK = authentication_v1.BoundObjectReference(
    apiVersion="admissionregistration.k8s.io/v1", kind="MutatingWebhookConfiguration", name="w"
)
GROUPS = "admissionReviewAPIGroups"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"audiences": ["a"], "attestations": {GROUPS: ["apps"]}}, []),
        (
            {"audiences": []},
            [
                "spec.audiences: Invalid value: []: must be length 1 when bound to a webhook config",
                "spec.attestations: Invalid value: {}: webhook bound requests require exactly one"
                " admissionReviewAPIGroups attestation",
            ],
        ),
        (
            {"audiences": ["a"], "attestations": {"b": ["c"]}},
            [f'spec.attestations[b]: Unsupported value: "b": supported values: "{GROUPS}"'],
        ),
        (
            {"audiences": ["a"], "attestations": {GROUPS: ["a", "b"]}},
            [f'spec.attestations[{GROUPS}]: Invalid value: ["a","b"]: must specify a single value'],
        ),
        (
            {"audiences": ["a"], "attestations": {GROUPS: [""]}},
            [f'spec.attestations[{GROUPS}][0]: Invalid value: "": may not be an empty string'],
        ),
    ],
)
def test_what_a_token_for_a_webhook_attests(spec: dict[str, Any], found: list[str]) -> None:
    assert [str(finding) for finding in validate(request(boundObjectRef=WEBHOOK, **spec))] == found


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        (
            {"expirationSeconds": 599},
            422,
            'TokenRequest.authentication.k8s.io "builder" is invalid: spec.expirationSeconds: Invalid value: 599: '
            "may not specify a duration less than 10 minutes",
        ),
        (
            {"expirationSeconds": 2**32 + 1},
            422,
            'TokenRequest.authentication.k8s.io "builder" is invalid: spec.expirationSeconds: '
            "Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
        ),
        ({"boundObjectRef": bound("Pod", "q")}, 404, 'pods "q" not found'),
        ({"boundObjectRef": bound("Job", "j")}, 400, "cannot bind token for object of type /v1, Kind=Job"),
        (
            {"attestations": {"a": ["b"]}},
            422,
            'TokenRequest.authentication.k8s.io "builder" is invalid: spec.attestations: Invalid value: {"a":["b"]}: '
            "attestations may only be specified with a webhook bound object reference",
        ),
        (
            {"boundObjectRef": WEBHOOK, "audiences": ["a"], "attestations": {"admissionReviewAPIGroups": ["*"]}},
            400,
            "cannot bind token for object of type admissionregistration.k8s.io/v1, Kind=MutatingWebhookConfiguration",
        ),
        (
            {"boundObjectRef": bound("Pod", "p", "old")},
            409,
            'Operation cannot be fulfilled on pods "p": the UID in the bound object reference (old) does not match the '
            "UID in record. The object might have been deleted and then recreated",
        ),
    ],
)
def test_requests_that_are_refused(spec: dict[str, Any], code: int, message: str) -> None:
    _, issuer, _ = setup(account(), pod())
    with pytest.raises(ApiError) as caught:
        issuer.issue("ci", "builder", request(**spec), NOW, "id-1")
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_pod_of_another_account_is_not_bound() -> None:
    other = core_v1.ServiceAccount(metadata=ObjectMeta(name="other", namespace="ci", uid="o"))
    _, issuer, _ = setup(other, pod())
    with pytest.raises(ApiError) as caught:
        issuer.issue("ci", "other", request(boundObjectRef=bound("Pod", "p")), NOW, "id-1")
    assert caught.value.message == (
        'cannot bind token for serviceaccount "other" to pod running with different serviceaccount name.'
    )


def test_static_tokens() -> None:
    users = token_file.parse('s3cret,alice,42,"dev,ops"\n# a comment\nother, bob, 43\n')
    authenticator = Authenticator(static_tokens=users, audiences=("api",))
    assert authenticator.authenticate("bearer s3cret", None, NOW) == UserInfo(
        "alice", "42", ("dev", "ops", "system:authenticated")
    )
    assert authenticator.authenticate("Bearer other", None, NOW).name == "bob"
    assert authenticator.authenticate(" Bearer other and more ", None, NOW).name == "bob"
    for nothing in ("Bearer", "Bearer ", "Bearer  other", "Basic other", "other"):
        assert authenticator.authenticate(nothing, None, NOW).name == "system:anonymous"
    refused(authenticator, "s3cre")
    for bad in ("token,user", ",user,1", "a,b,1\na,c,2"):
        with pytest.raises(ValueError, match=r"token file, line \d"):
            token_file.parse(bad)


def test_nobody_is_anonymous_where_that_is_allowed() -> None:
    assert Authenticator().authenticate("", None, NOW) == UserInfo("system:anonymous", "", ("system:unauthenticated",))
    with pytest.raises(ApiError):
        Authenticator(anonymous_allowed=False).authenticate("", None, NOW)


def test_a_certificate_names_its_user() -> None:
    authority = build_authority("ca", generate_key(), 1, NOW)
    pem = issue(LeafProfile(common_name="jane", organizations=("dev", "ops"), days=1), authority, NOW).certificate
    found = certificate.CertificateIdentities().of(_der(pem))
    assert found is not None
    assert (found.user.name, found.user.groups) == ("jane", ("dev", "ops", "system:authenticated"))
    assert list(found.user.extra) == ["authentication.kubernetes.io/credential-id"]
    authenticator = Authenticator()
    assert authenticator.authenticate("Bearer ignored", found, NOW).name == "jane"
    with pytest.raises(ApiError):
        authenticator.authenticate("", found, NOW + 86_400)


def _der(pem: bytes) -> bytes:
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def test_a_browser_sends_its_token_as_a_protocol() -> None:
    protocols = "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.czNjcmV0"
    assert websocket_authorization(protocols) == "Bearer s3cret"
    assert websocket_authorization("v4.channel.k8s.io") == ""


class Allowing:
    """Allows impersonation of some names and records what it was asked."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[tuple[str, str, str, str]] = []

    def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append((attributes.group, attributes.resource, attributes.subresource, attributes.name))
        return Decision(attributes.name in self.names)


REAL = UserInfo("root", "", ("system:authenticated",))


def test_impersonation_asks_for_every_word() -> None:
    headers = [
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-Reason%2Fwhy", "test"),
    ]
    authorizer = Allowing("jane", "dev", "7", "test")
    assert impersonation.impersonate(REAL, headers, authorizer) == UserInfo(
        "jane", "7", ("dev", "system:authenticated"), {"reason/why": ("test",)}
    )
    assert authorizer.asked == [
        ("", "users", "", "jane"),
        ("", "groups", "", "dev"),
        ("authentication.k8s.io", "uids", "", "7"),
        ("authentication.k8s.io", "userextras", "reason/why", "test"),
    ]


def test_impersonation_of_a_service_account_and_refusals() -> None:
    headers = [("impersonate-user", "system:serviceaccount:ci:builder")]
    found = impersonation.impersonate(REAL, headers, Allowing("builder"))
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated")
    with pytest.raises(ApiError) as caught:
        impersonation.impersonate(REAL, [("Impersonate-User", "jane")], Allowing())
    assert caught.value.message == (
        'users "jane" is forbidden: User "root" cannot impersonate resource "users" in API group "" '
        "at the cluster scope"
    )
    with pytest.raises(ApiError) as caught:
        impersonation.impersonate(REAL, [("Impersonate-Group", "dev")], Allowing("dev"))
    assert caught.value.code == 400
    assert impersonation.impersonate(REAL, [("Accept", "x")], Allowing()) is REAL


def test_reviews() -> None:
    _, issuer, authenticator = setup(account())
    token = issued(issuer, audiences=["vault", "other"])
    review = authentication_v1.TokenReview(
        spec=authentication_v1.TokenReviewSpec(token=token, audiences=["x", "vault"])
    )
    status = reviews.review_token(review, authenticator, NOW).status
    assert (status.authenticated, status.audiences) == (True, ["vault"])
    assert status.user is not None and status.user.username == "system:serviceaccount:ci:builder"
    for_api = authentication_v1.TokenReview(spec=authentication_v1.TokenReviewSpec(token=token))
    assert reviews.review_token(for_api, authenticator, NOW).status.authenticated is False
    bad = authentication_v1.TokenReview(spec=authentication_v1.TokenReviewSpec(token="x"))
    status = reviews.review_token(bad, authenticator, NOW).status
    assert (status.authenticated, status.error) == (False, "[invalid bearer token]")
    myself = reviews.review_self(UserInfo("jane", "", ("dev",), {"k": ("v",)}), NOW).status.userInfo
    assert myself == authentication_v1.UserInfo(username="jane", groups=["dev"], extra={"k": ["v"]})


def test_the_key_set_verifies_our_tokens() -> None:
    _, issuer, _ = setup(account())
    keys = jwt.PyJWKSet.from_json(TokenVerifier.of_pem([KEY]).key_set().decode())
    token = issued(issuer)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(
        token, key, audience=ISSUER, options={"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    )


def test_rsa_keys_work_too() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    token = TokenSigner(pem).sign({"a": 1})
    assert TokenVerifier.of_pem([KEY, pem]).claims(token) == {"a": 1}
    with pytest.raises(BadToken):
        TokenVerifier.of_pem([KEY]).claims(token)

"""What a service account's token claims, whether it is still good, and whom it names.

A token is bound to its service account and perhaps to a Pod, Secret or Node: it is worthless as soon as one of these
is gone or has another uid. That is looked up on every request (the objects are in memory), so only the signature is
cached. Two forms exist: tokens of TokenRequest (this cluster's issuer, audiences, expiry) and those in Secrets of
type `kubernetes.io/service-account-token` (the issuer `kubernetes/serviceaccount`, no expiry, valid while the Secret
holds them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.authn.certificate import CREDENTIAL_ID
from tiphys.apiserver.authn.identity import UserInfo, authenticated, service_account_groups, service_account_name
from tiphys.apiserver.authn.source import ObjectSource
from tiphys.apiserver.authn.tokens import BadToken, TokenVerifier
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import timestamps

SECRET_ISSUER = "kubernetes/serviceaccount"
SECRET_TOKEN_TYPE = "kubernetes.io/service-account-token"
PRIVATE_CLAIM = "kubernetes.io"
POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
NODE_NAME = "authentication.kubernetes.io/node-name"
NODE_UID = "authentication.kubernetes.io/node-uid"

DELETION_LEEWAY_SECONDS = 60
NOT_BEFORE_LEEWAY_SECONDS = 60
CACHE_CAPACITY = 20_000


@dataclass(frozen=True, slots=True)
class TokenUser:
    """Whom a token names and for which audiences it was made."""

    user: UserInfo
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Verified:
    """The claims of a token with a good signature, taken apart. Times are seconds since the epoch (0: none)."""

    namespace: str
    account: tuple[str, str]
    pod: tuple[str, str] | None
    secret: tuple[str, str] | None
    node: tuple[str, str] | None
    audiences: tuple[str, ...]
    not_before: float
    expires: float
    user: UserInfo
    from_secret: bool


class ServiceAccountTokens:
    """Verifies service accounts' tokens. `issuers`: the first is the one that new tokens carry; `audiences` are the
    API server's own."""

    def __init__(
        self, verifier: TokenVerifier, source: ObjectSource, issuers: Sequence[str], audiences: Sequence[str]
    ) -> None:
        self._verifier = verifier
        self._source = source
        self._issuers = frozenset(issuers)
        self._audiences = tuple(audiences)
        self._cache: dict[bytes, _Verified] = {}

    def authenticate(self, token: str, now: float) -> TokenUser:
        """BadToken when the token is not (or no longer) good. Audiences are for the caller to compare."""
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._cache.get(digest)
        if verified is None:
            verified = self._verify(token)
            if len(self._cache) >= CACHE_CAPACITY:
                self._cache.clear()
            self._cache[digest] = verified
        if verified.expires and now >= verified.expires:
            self._cache.pop(digest, None)
            raise BadToken("service account token has expired")
        if now < verified.not_before - NOT_BEFORE_LEEWAY_SECONDS:
            raise BadToken("service account token is not valid yet")
        self._check_bound(verified, token, now)
        return TokenUser(verified.user, verified.audiences)

    def _verify(self, token: str) -> _Verified:
        claims = self._verifier.claims(token)
        issuer = claims.get("iss")
        if issuer == SECRET_ISSUER:
            return _of_secret_claims(claims, self._audiences)
        if issuer not in self._issuers:
            raise BadToken("the token was issued by somebody else")
        return _of_claims(claims)

    def _check_bound(self, verified: _Verified, token: str, now: float) -> None:
        source, namespace = self._source, verified.namespace
        _check(source, core_v1.ServiceAccount, namespace, verified.account, now, "service account")
        if verified.secret is not None:
            secret = _check(source, core_v1.Secret, namespace, verified.secret, now, "secret")
            if verified.from_secret and (secret.data or {}).get("token") != token.encode():
                raise BadToken("service account token has been invalidated: the secret holds another token")
        if verified.pod is not None:
            _check(source, core_v1.Pod, namespace, verified.pod, now, "pod")
        elif verified.node is not None:
            _check(source, core_v1.Node, "", verified.node, now, "node")


def _check(
    source: ObjectSource, kind: type[Any], namespace: str, wanted: tuple[str, str], now: float, word: str
) -> Any:
    """The object that a token is bound to. BadToken when it is not there as it was."""
    name, uid = wanted
    found = source.get(kind, namespace, name)
    if found is None:
        raise BadToken(f'service account token has been invalidated: {word} "{name}" is gone')
    meta: meta_v1.ObjectMeta = found.metadata
    if uid and meta.uid != uid:
        raise BadToken(f'service account token has been invalidated: {word} "{name}" has another UID')
    deleted = meta.deletionTimestamp
    if deleted is not None and timestamps.seconds(deleted) + DELETION_LEEWAY_SECONDS < now:
        raise BadToken(f'service account token has been invalidated: {word} "{name}" is being deleted')
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _reference(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, Mapping) or not value.get("name"):
        return None
    return _text(value["name"]), _text(value.get("uid"))


def _of_claims(claims: Mapping[str, Any]) -> _Verified:
    private = claims.get(PRIVATE_CLAIM)
    if not isinstance(private, Mapping):
        raise BadToken("the token lacks the claims of a service account")
    namespace, account = _text(private.get("namespace")), _reference(private.get("serviceaccount"))
    if not namespace or account is None or not account[1]:
        raise BadToken("the token does not name a service account")
    if claims.get("sub") != service_account_name(namespace, account[0]):
        raise BadToken("the token's subject is not its service account")
    expires, not_before, audiences = claims.get("exp"), claims.get("nbf", 0), claims.get("aud", [])
    if not isinstance(expires, int | float) or not isinstance(not_before, int | float):
        raise BadToken("the token lacks its times")
    if isinstance(audiences, str):
        audiences = [audiences]
    pod, node = _reference(private.get("pod")), _reference(private.get("node"))
    extra: dict[str, tuple[str, ...]] = {}
    if _text(claims.get("jti")):
        extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
    if pod is not None:
        extra[POD_NAME], extra[POD_UID] = (pod[0],), (pod[1],)
    if node is not None:
        extra[NODE_NAME] = (node[0],)
        if node[1]:
            extra[NODE_UID] = (node[1],)
    return _Verified(
        namespace=namespace,
        account=account,
        pod=pod,
        secret=_reference(private.get("secret")),
        node=node,
        audiences=tuple(map(str, audiences)),
        not_before=float(not_before),
        expires=float(expires),
        user=_user(namespace, account, extra),
        from_secret=False,
    )


def _of_secret_claims(claims: Mapping[str, Any], audiences: tuple[str, ...]) -> _Verified:
    prefix = "kubernetes.io/serviceaccount/"
    namespace = _text(claims.get(f"{prefix}namespace"))
    name = _text(claims.get(f"{prefix}service-account.name"))
    uid = _text(claims.get(f"{prefix}service-account.uid"))
    secret = _text(claims.get(f"{prefix}secret.name"))
    if not namespace or not name or not uid or not secret or claims.get("sub") != service_account_name(namespace, name):
        raise BadToken("the token does not name a service account and its secret")
    return _Verified(
        namespace=namespace,
        account=(name, uid),
        pod=None,
        secret=(secret, ""),
        node=None,
        audiences=audiences,
        not_before=0.0,
        expires=0.0,
        user=_user(namespace, (name, uid), {}),
        from_secret=True,
    )


def _user(namespace: str, account: tuple[str, str], extra: Mapping[str, tuple[str, ...]]) -> UserInfo:
    name, uid = account
    user = UserInfo(service_account_name(namespace, name), uid, service_account_groups(namespace), extra)
    return authenticated(user)


def secret_token_claims(account: core_v1.ServiceAccount, secret: core_v1.Secret) -> dict[str, Any]:
    """The claims of the token in a Secret of type `kubernetes.io/service-account-token`."""
    prefix = "kubernetes.io/serviceaccount/"
    namespace, name = account.metadata.namespace or "", account.metadata.name or ""
    return {
        "iss": SECRET_ISSUER,
        f"{prefix}namespace": namespace,
        f"{prefix}secret.name": secret.metadata.name or "",
        f"{prefix}service-account.name": name,
        f"{prefix}service-account.uid": account.metadata.uid or "",
        "sub": service_account_name(namespace, name),
    }

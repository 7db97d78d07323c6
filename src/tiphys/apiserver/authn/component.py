"""Authentication of an API server, put together from its configuration: keys and token file in, an Authenticator
out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tiphys.aio.clock import Clock
from tiphys.apiserver.authn import token_file, tokens
from tiphys.apiserver.authn.authenticator import Authenticator, websocket_authorization
from tiphys.apiserver.authn.certificate import CertificateIdentities, CertificateIdentity
from tiphys.apiserver.authn.identity import UserInfo, authenticated
from tiphys.apiserver.authn.interface import HttpRequestHead, PeerCertificate
from tiphys.apiserver.authn.service_accounts import ServiceAccountTokens
from tiphys.apiserver.authn.source import ObjectSource
from tiphys.apiserver.authn.token_request import TokenIssuer
from tiphys.apiserver.authn.tokens import TokenSigner, TokenVerifier

KEY_SET_PATH = "/openid/v1/jwks"
FOREVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthnConfig:
    """`issuer` is the URL in new tokens (`https://kubernetes.default.svc.<cluster domain>`); tokens of
    `accepted_issuers` are good too. `audiences` default to the issuer. `verification_keys` are more key files, for
    the time of a change of keys. `key_set_url` is the address of the key set in the issuer's document ("": below the
    issuer)."""

    signing_key: Path
    issuer: str
    verification_keys: tuple[Path, ...] = ()
    accepted_issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    token_file: Path | None = None
    anonymous_allowed: bool = True
    key_set_url: str = ""


@dataclass(slots=True)
class Authn:
    """Everything about who asks. `authenticate` is what the HTTP layer calls; the rest serves the reviews, the token
    subresource and the issuer's two documents."""

    authenticator: Authenticator
    issuer: TokenIssuer
    signer: TokenSigner
    clock: Clock
    issuer_document: bytes
    key_set: bytes
    certificates: CertificateIdentities = field(default_factory=CertificateIdentities)

    async def authenticate(self, request: HttpRequestHead, peer_certificate: PeerCertificate | None) -> UserInfo | None:
        """None for a request without credentials (the caller makes it anonymous or refuses). ApiError 401."""
        headers: Mapping[str, str] = request.headers
        authorization = headers.get("authorization", "")
        if not authorization and "sec-websocket-protocol" in headers:
            authorization = websocket_authorization(headers["sec-websocket-protocol"])
        if peer_certificate is None and not authorization:
            return None
        certificate = self._identity(peer_certificate) if peer_certificate is not None else None
        return self.authenticator.authenticate(authorization, certificate, self.clock.now())

    def _identity(self, peer: PeerCertificate) -> CertificateIdentity | None:
        if peer.der:
            return self.certificates.of(peer.der)
        if not peer.common_name:
            return None
        user = authenticated(UserInfo(peer.common_name, "", peer.organizations, peer.extra))
        return CertificateIdentity(user, FOREVER)


def build_authn(config: AuthnConfig, source: ObjectSource, clock: Clock) -> Authn:
    """Reads the files that the configuration names. OSError, ValueError (a file that is not what it should be)."""
    private_pem = config.signing_key.read_bytes()
    signer = TokenSigner(private_pem)
    pems: Sequence[bytes] = [private_pem, *(path.read_bytes() for path in config.verification_keys)]
    verifier = TokenVerifier.of_pem(pems)
    audiences = config.audiences or (config.issuer,)
    issuers = (config.issuer, *config.accepted_issuers)
    static = token_file.parse(config.token_file.read_text()) if config.token_file is not None else {}
    authenticator = Authenticator(
        service_accounts=ServiceAccountTokens(verifier, source, issuers, audiences),
        static_tokens=static,
        audiences=audiences,
        anonymous_allowed=config.anonymous_allowed,
    )
    key_set_url = config.key_set_url or config.issuer.rstrip("/") + KEY_SET_PATH
    return Authn(
        authenticator=authenticator,
        issuer=TokenIssuer(signer, source, config.issuer, audiences),
        signer=signer,
        clock=clock,
        issuer_document=tokens.issuer_document(config.issuer, key_set_url, verifier.algorithms),
        key_set=verifier.key_set(),
    )

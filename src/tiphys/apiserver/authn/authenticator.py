"""Who makes a request, from its client certificate or bearer token.

Order: certificate, then token. Credentials that are there but bad are refused (401); a request without any is the
anonymous user, where that is allowed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

from tiphys.apiserver.authn.certificate import CertificateIdentity
from tiphys.apiserver.authn.identity import UserInfo, anonymous
from tiphys.apiserver.authn.service_accounts import ServiceAccountTokens, TokenUser
from tiphys.apiserver.authn.tokens import BadToken
from tiphys.machinery import errors

WEBSOCKET_TOKEN_PREFIX = "base64url.bearer.authorization.k8s.io."


class Authenticator:
    """`static_tokens` come from `token_file.parse`; `audiences` are those under which this API server accepts tokens.
    `anonymous_allowed`: a request without credentials is system:anonymous."""

    def __init__(
        self,
        *,
        service_accounts: ServiceAccountTokens | None = None,
        static_tokens: Mapping[str, UserInfo] | None = None,
        audiences: Sequence[str] = (),
        anonymous_allowed: bool = True,
    ) -> None:
        self._service_accounts = service_accounts
        self._static_tokens = dict(static_tokens or {})
        self.audiences = tuple(audiences)
        self._audience_set = frozenset(audiences)
        self._anonymous = anonymous() if anonymous_allowed else None

    def authenticate(self, authorization: str, certificate: CertificateIdentity | None, now: float) -> UserInfo:
        """The user of a request with this Authorization header ("" for none) on a connection with this certificate.
        `now` is seconds since the epoch. ApiError 401."""
        if certificate is not None:
            if now >= certificate.not_after_seconds:
                raise errors.unauthorized()
            return certificate.user
        scheme, *words = authorization.strip().split(" ")
        if scheme.lower() == "bearer" and words and words[0]:
            return self._accepted(words[0], now)
        if self._anonymous is None:
            raise errors.unauthorized()
        return self._anonymous

    def _accepted(self, token: str, now: float) -> UserInfo:
        try:
            found = self.token_user(token, now)
        except BadToken as error:
            raise errors.unauthorized() from error
        if not self._audience_set.isdisjoint(found.audiences):
            return found.user
        raise errors.unauthorized()

    def token_user(self, token: str, now: float) -> TokenUser:
        """Whom a bearer token names, whatever audience it was made for. BadToken."""
        for known, user in self._static_tokens.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return TokenUser(user, self.audiences)
        if self._service_accounts is None:
            raise BadToken("invalid bearer token")
        return self._service_accounts.authenticate(token, now)


def websocket_authorization(protocols: str) -> str:
    """The Authorization header that a browser hides in Sec-WebSocket-Protocol ("" when there is none)."""
    for word in protocols.split(","):
        word = word.strip()
        if word.startswith(WEBSOCKET_TOKEN_PREFIX):
            encoded = word[len(WEBSOCKET_TOKEN_PREFIX) :]
            try:
                token = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError, ValueError):
                return ""
            return f"Bearer {token}"
    return ""

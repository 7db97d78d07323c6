"""What authentication is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tiphys.apiserver.authn.identity import UserInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """The client certificate of a connection, verified in the TLS handshake; parsed once a connection. `der` is
    the whole certificate (b"" where only the names are known)."""

    common_name: str
    organizations: tuple[str, ...] = ()
    der: bytes = b""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class HttpRequestHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request without its body. `headers` has lower-case names; repeated headers are joined with ", ", but for
    those that may not be joined (`all_headers` has every one in the order sent)."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    all_headers: tuple[tuple[str, str], ...] = ()
    remote_address: str = ""


class Authenticator(Protocol):
    async def authenticate(self, request: HttpRequestHead, peer_certificate: PeerCertificate | None) -> UserInfo | None:
        """Who asks; None when the request carries no credentials (the caller makes it anonymous or refuses). ApiError
        401 for credentials that do not hold."""
        ...

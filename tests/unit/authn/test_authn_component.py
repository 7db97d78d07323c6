"""Authentication put together from files: what the HTTP layer hands in, who comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiphys.aio.clock import VirtualClock
from tiphys.apiserver.authn.component import AuthnConfig, build_authn
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authn.interface import HttpRequestHead, PeerCertificate
from tiphys.kinds.types import authentication_v1, core_v1
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.errors import ApiError
from tiphys.pki.certificates import LeafProfile, build_authority, key_pem
from tiphys.pki.io import generate_key, issue

ACCOUNT = core_v1.ServiceAccount(metadata=ObjectMeta(name="builder", namespace="ci", uid="u"))


class OneAccount:
    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        wanted = (kind, namespace, name) == (core_v1.ServiceAccount, "ci", "builder")
        return ACCOUNT if wanted else None

    def list(self, kind: type[Any]) -> Iterable[Any]:
        return ()

    def subscribe(self, kind: type[Any], handler: Callable[[Any, Any], None]) -> None: ...


def head(**headers: str) -> HttpRequestHead:
    return HttpRequestHead(
        method="GET", path="/api", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


async def test_every_way_to_say_who_one_is(tmp_path: Path) -> None:
    clock = VirtualClock()
    (tmp_path / "sa.key").write_bytes(key_pem(generate_key()))
    (tmp_path / "tokens.csv").write_text("s3cret,alice,1\n")
    config = AuthnConfig(signing_key=tmp_path / "sa.key", issuer="https://issuer", token_file=tmp_path / "tokens.csv")
    authn = build_authn(config, OneAccount(), clock)
    assert await authn.authenticate(head(), None) is None
    assert await authn.authenticate(head(authorization="Bearer s3cret"), None) == UserInfo(
        "alice", "1", ("system:authenticated",)
    )
    browser = head(sec_websocket_protocol="v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.czNjcmV0")
    found = await authn.authenticate(browser, None)
    assert found is not None and found.name == "alice"
    answer = authn.issuer.issue("ci", "builder", authentication_v1.TokenRequest(), clock.now(), "id")
    found = await authn.authenticate(head(authorization=f"Bearer {answer.status.token}"), None)
    assert found is not None and found.name == "system:serviceaccount:ci:builder"
    with pytest.raises(ApiError):
        await authn.authenticate(head(authorization="Bearer wrong"), None)
    named = PeerCertificate(common_name="jane", organizations=("dev",))
    assert await authn.authenticate(head(), named) == UserInfo("jane", "", ("dev", "system:authenticated"))


async def test_a_certificate_that_ends_while_its_connection_stays(tmp_path: Path) -> None:
    clock = VirtualClock()
    (tmp_path / "sa.key").write_bytes(key_pem(generate_key()))
    authn = build_authn(AuthnConfig(signing_key=tmp_path / "sa.key", issuer="https://issuer"), OneAccount(), clock)
    authority = build_authority("ca", generate_key(), 1, clock.now())
    pem = issue(LeafProfile(common_name="jane", days=1), authority, clock.now()).certificate
    peer = PeerCertificate(common_name="jane", der=x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
    found = await authn.authenticate(head(), peer)
    assert found is not None and found.name == "jane"
    await clock.advance(86_400)
    with pytest.raises(ApiError):
        await authn.authenticate(head(), peer)

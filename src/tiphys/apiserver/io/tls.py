"""TLS of the API server: its context, and who a client's certificate says it is."""

from __future__ import annotations

import asyncio
import ssl

from tiphys.apiserver.authn.interface import PeerCertificate


def server_context(cert_file: str, key_file: str, client_ca_file: str) -> ssl.SSLContext:
    """Clients may show a certificate of the cluster's CA; one of any other CA fails the handshake. HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file)
    if client_ca_file:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def peer_certificate(transport: asyncio.BaseTransport) -> PeerCertificate | None:
    """The names in the client's certificate, which the handshake has verified; None when it showed none."""
    tls = transport.get_extra_info("ssl_object")
    found = tls.getpeercert() if tls is not None else None
    if not found:
        return None
    names: dict[str, list[str]] = {}
    for group in found.get("subject", ()):
        for key, value in group:
            names.setdefault(key, []).append(value)
    return PeerCertificate(
        common_name=(names.get("commonName") or [""])[-1],
        organizations=tuple(names.get("organizationName", ())),
        der=tls.getpeercert(binary_form=True) or b"",
    )

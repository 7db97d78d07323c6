"""The identity in a client certificate: common name -> user, organizations -> groups.

The chain, its validity at the handshake and the `clientAuth` usage are checked by TLS before anything gets here. A
connection lives longer than a handshake, so the end of the certificate's validity is kept beside the identity and
looked at on every request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from tiphys.apiserver.authn.identity import UserInfo, authenticated

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """Who a certificate names, and until when (seconds since the epoch)."""

    user: UserInfo
    not_after_seconds: float


def identity_of(der: bytes) -> CertificateIdentity | None:
    """The identity of a certificate in DER form; None when it names nobody (no common name) or cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = [str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = [str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        uids = [str(item.value) for item in certificate.subject.get_attributes_for_oid(_UID)]
    except ValueError:
        return None
    if not names or not names[-1] or len(uids) > 1:
        return None
    digest = hashlib.sha256(der).hexdigest()
    extra = {CREDENTIAL_ID: (f"X509SHA256={digest}",)}
    user = authenticated(UserInfo(names[-1], uids[0] if uids else "", tuple(groups), extra))
    return CertificateIdentity(user, certificate.not_valid_after_utc.timestamp())


class CertificateIdentities:
    """Parses each certificate once, however many connections bring it."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._known: dict[bytes, CertificateIdentity | None] = {}

    def of(self, der: bytes) -> CertificateIdentity | None:
        """See `identity_of`."""
        try:
            return self._known[der]
        except KeyError:
            pass
        if len(self._known) >= self._capacity:
            self._known.clear()
        found = self._known[der] = identity_of(der)
        return found

"""Whether the certificates that a signer answers a PodCertificateRequest with are what was asked for.

The first is the pod's: of the requested key, for at most the requested time; the status says from when to when it
holds and when to ask for the next one. The others are intermediates.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tiphys.kinds.certificates import pem_blocks
from tiphys.kinds.types.certificates_v1 import PodCertificateRequest
from tiphys.machinery import timestamps
from tiphys.machinery.field_errors import FieldError, Path, invalid, required, too_long

STATUS = Path("status")
CHAIN = STATUS.child("certificateChain")
CHAIN_LIMIT_BYTES = 100 * 1024
SHORTEST_LIFE_SECONDS = 3600
REFRESH_MARGIN_SECONDS = 600
_CONSISTENT = "must be present and consistent with the issued certificate"
_WANTED = {
    "notBefore": _CONSISTENT,
    "notAfter": _CONSISTENT,
    "beginRefreshAt": "must be present and in the range [notbefore+10min, notafter-10min]",
}


def issue_findings(request: PodCertificateRequest) -> list[FieldError]:
    chain = request.status.certificateChain or ""
    if len(chain.encode()) > CHAIN_LIMIT_BYTES:
        return [too_long(CHAIN, CHAIN_LIMIT_BYTES)]
    entries = list(pem_blocks.blocks(chain))
    if not entries:
        return [invalid(CHAIN, chain, "issued certificate chain must contain at least one certificate")]
    if any(entry.kind != pem_blocks.CERTIFICATE for entry in entries):
        detail = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
        return [invalid(CHAIN, chain, detail)]
    leaf = pem_blocks.certificate_of(entries[0])
    if leaf is None:
        return [invalid(CHAIN, chain, "leaf certificate does not parse as valid X.509")]
    if any(pem_blocks.certificate_of(entry) is None for entry in entries[1:]):
        return [invalid(CHAIN, chain, "intermediate certificate does not parse as valid X.509")]
    if not _is_of_requested_key(leaf, request.spec.stubPKCS10Request or b""):
        return [invalid(CHAIN, chain, "leaf certificate was not issued to the requested public key")]
    status = request.status
    missing = [required(STATUS.child(name), text) for name, text in _WANTED.items() if not getattr(status, name)]
    return missing or _time_findings(request, leaf)


def _is_of_requested_key(leaf: x509.Certificate, request: bytes) -> bool:
    def encoded(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
        return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    try:
        return encoded(leaf) == encoded(x509.load_der_x509_csr(request))
    except ValueError:
        return False


def _time_findings(request: PodCertificateRequest, leaf: x509.Certificate) -> list[FieldError]:
    """The first that is wrong; what follows would be measured by it."""
    status, longest = request.status, request.spec.maxExpirationSeconds
    begin, end, refresh = (timestamps.seconds(getattr(status, name) or "") for name in _WANTED)
    for name, said, meant in (
        ("notBefore", begin, leaf.not_valid_before_utc),
        ("notAfter", end, leaf.not_valid_after_utc),
    ):
        if not _is_moment(said, meant):
            word = name[0].upper() + name[1:]
            detail = f"must be set to the {word} time encoded in the leaf certificate"
            return [invalid(STATUS.child(name), getattr(status, name), detail)]
    life = round((end - begin) * 1e9)
    if end - begin < SHORTEST_LIFE_SECONDS:
        return [invalid(CHAIN, life, "leaf certificate lifetime must be >= 1 hour")]
    if longest is not None and end - begin > longest:
        detail = f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})"
        return [invalid(CHAIN, life, detail)]
    at = STATUS.child("beginRefreshAt")
    if refresh < begin + REFRESH_MARGIN_SECONDS:
        return [invalid(at, status.beginRefreshAt, "must be at least 10 minutes after status.notBefore")]
    if refresh > end - REFRESH_MARGIN_SECONDS:
        return [invalid(at, status.beginRefreshAt, "must be at least 10 minutes before status.notAfter")]
    return []


def _is_moment(seconds: float, moment: datetime) -> bool:
    return seconds == moment.timestamp()

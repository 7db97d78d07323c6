"""Whether a certificate and a private key belong together, in the words that servers refuse them with."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_BEGIN = re.compile(rb"^-----BEGIN ([^\r\n]*)-----[ \t\r]*$", re.MULTILINE)
_FAMILIES = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
CERTIFICATE, PRIVATE_KEY = "CERTIFICATE", "PRIVATE KEY"


def key_pair_problem(certificate: bytes, key: bytes) -> str:
    """Both are PEM. "" when the key is that of the first certificate."""
    problem = _missing_certificate(certificate) or _missing_key(key)
    if problem:
        return problem
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
        held = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm, IndexError):
        return "x509: malformed certificate"
    try:
        given = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    families = [next((f for f in _FAMILIES if isinstance(each, f)), None) for each in (held, given)]
    if families[0] is None:
        return "tls: unknown public key algorithm"
    if families[0] is not families[1]:
        return "tls: private key type does not match public key type"
    if _encoded(held) != _encoded(given):
        return "tls: private key does not match public key"
    return ""


def _encoded(key: object) -> bytes:
    assert isinstance(key, _FAMILIES)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _kinds(pem: bytes) -> list[str]:
    return [kind.decode(errors="replace") for kind in _BEGIN.findall(pem)]


def _missing_certificate(pem: bytes) -> str:
    kinds = _kinds(pem)
    if not kinds:
        return "tls: failed to find any PEM data in certificate input"
    if CERTIFICATE in kinds:
        return ""
    if len(kinds) == 1 and kinds[0].endswith(PRIVATE_KEY):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key;"
            " PEM inputs may have been switched"
        )
    skipped = " ".join(kinds)
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following'
        f" types: [{skipped}]"
    )


def _missing_key(pem: bytes) -> str:
    kinds = _kinds(pem)
    if not kinds:
        return "tls: failed to find any PEM data in key input"
    if any(kind.endswith(PRIVATE_KEY) for kind in kinds):
        return ""
    if kinds == [CERTIFICATE]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    skipped = " ".join(kinds)
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the'
        f" following types: [{skipped}]"
    )

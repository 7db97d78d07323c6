"""Certificates for keys that others hold: what a certificate signing request says, and signing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.pki.certificates import BACKDATE_SECONDS, Authority, moment

EXTENDED_USAGES = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedNames:
    """The subject and the alternative names of a request; `others` counts those that are neither DNS names nor
    addresses."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    others: int


def parse_request(pem: bytes) -> x509.CertificateSigningRequest:
    """ValueError for what is no request or is not signed by its own key."""
    request = x509.load_pem_x509_csr(pem)
    if not request.is_signature_valid:
        raise ValueError("the request is not signed by its own key")
    return request


def _alternative_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def requested_names(request: x509.CertificateSigningRequest) -> RequestedNames:
    common_names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    names = list(_alternative_names(request) or ())
    dns = [name.value for name in names if isinstance(name, x509.DNSName)]
    addresses = [str(name.value) for name in names if isinstance(name, x509.IPAddress)]
    return RequestedNames(
        common_name=str(common_names[0].value) if common_names else "",
        organizations=tuple(str(attribute.value) for attribute in organizations),
        dns_names=tuple(dns),
        addresses=tuple(addresses),
        others=len(names) - len(dns) - len(addresses),
    )


def sign_request(
    request: x509.CertificateSigningRequest,
    usages: Sequence[str],
    authority: Authority,
    serial: int,
    now: float,
    lifetime_seconds: float,
) -> bytes:
    """The PEM of a certificate with the request's subject, key and alternative names; it ends with the authority at the
    latest. ValueError for a key of an unknown kind."""
    key = request.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ValueError("the request's key is of a kind that is not signed")
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority_identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(moment(now - BACKDATE_SECONDS))
        .not_valid_after(min(moment(now + lifetime_seconds), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("key encipherment" in usages), critical=True)
        .add_extension(authority_identifier, critical=False)
    )
    extended = [EXTENDED_USAGES[usage] for usage in usages if usage in EXTENDED_USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    names = _alternative_names(request)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(key_encipherment: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=key_encipherment,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )

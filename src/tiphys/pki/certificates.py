"""X.509 certificates and keys as PEM bytes: what a cluster's certificates say, and when they have to be made anew.

Keys are ECDSA P-256. Nothing here reads a clock or a file: the moment (`now`, seconds since the epoch), the serial
number and the keys are arguments. Invariants: a leaf never outlives its authority; every certificate is valid from
five minutes before `now`, so that clocks that differ a little do no harm. Which certificates a cluster has is decided
in `layout.py`; who writes them is `io.py`.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Usage = Literal["server", "client"]

BACKDATE_SECONDS = 300
DAY_SECONDS = 86_400
AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
RENEWAL_MARGIN_SECONDS = 30 * DAY_SECONDS

_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafProfile:
    """What a leaf certificate says. `addresses` are IP addresses as text; order of names does not matter."""

    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    usages: tuple[Usage, ...] = ("client",)
    days: int = LEAF_DAYS


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority ready to sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def moment(now: float) -> datetime.datetime:
    """The UTC time of seconds since the epoch, whole seconds."""
    return datetime.datetime.fromtimestamp(int(now), datetime.UTC)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """An ECDSA private key. ValueError for anything else."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the private key is not an elliptic curve key")
    return key


def load_authority(pair: KeyPair) -> Authority:
    """ValueError when the certificate and the key do not belong together."""
    certificate, key = x509.load_pem_x509_certificate(pair.certificate), load_key(pair.key)
    if certificate.public_key() != key.public_key():
        raise ValueError("the private key does not belong to the certificate of the authority")
    return Authority(certificate, key)


def build_authority(common_name: str, key: ec.EllipticCurvePrivateKey, serial: int, now: float) -> Authority:
    """A self-signed authority that lasts ten years."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(moment(now - BACKDATE_SECONDS))
        .not_valid_after(moment(now + AUTHORITY_DAYS * DAY_SECONDS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def build_leaf(
    profile: LeafProfile, public_key: ec.EllipticCurvePublicKey, authority: Authority, serial: int, now: float
) -> bytes:
    """The PEM of a certificate with this profile for this public key, signed by the authority."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, word) for word in profile.organizations]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name))
    issuer = authority.certificate
    issuer_identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    until = min(moment(now + profile.days * DAY_SECONDS), issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(moment(now - BACKDATE_SECONDS))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in profile.usages]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier), critical=False
        )
    )
    names = alternative_names(profile)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def alternative_names(profile: LeafProfile) -> list[x509.GeneralName]:
    """The subject alternative names of a profile, each once, sorted."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(set(profile.dns_names))]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in sorted(set(profile.addresses))]
    return names


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def must_renew(pair: KeyPair, profile: LeafProfile, authority: Authority, now: float) -> str:
    """Why a leaf has to be made anew ("" when it is good): unreadable, expiring, of another authority, or with other
    names."""
    try:
        certificate, key = x509.load_pem_x509_certificate(pair.certificate), load_key(pair.key)
    except ValueError:
        return "unreadable"
    if certificate.public_key() != key.public_key():
        return "the key does not belong to the certificate"
    if not _signed_by(certificate, authority):
        return "signed by another authority"
    last_moment = certificate.not_valid_after_utc.timestamp()
    authority_ends = authority.certificate.not_valid_after_utc.timestamp()
    if last_moment - now < RENEWAL_MARGIN_SECONDS and last_moment < authority_ends:
        return "expires soon"
    if certificate.not_valid_before_utc.timestamp() > now:
        return "not valid yet"
    if subject_of(certificate) != (profile.common_name, tuple(sorted(profile.organizations))):
        return "the subject changed"
    if _names_in(certificate) != set(alternative_names(profile)):
        return "the names changed"
    return ""


def _signed_by(certificate: x509.Certificate, authority: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # cryptography raises several types for the several ways not to match
        return False
    return True


def subject_of(certificate: x509.Certificate) -> tuple[str, tuple[str, ...]]:
    """The common name ("" for none) and the organizations, sorted."""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (str(common[0].value) if common else "", tuple(sorted(str(item.value) for item in organizations)))


def _names_in(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        found: Iterable[x509.GeneralName] = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        return set()
    return set(found)

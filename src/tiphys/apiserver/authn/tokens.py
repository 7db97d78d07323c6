"""JSON Web Tokens of the cluster's own key: signing, verifying the signature, and the public keys as a key set.

Only the signature is decided here; what the claims mean is `service_accounts.py`. The algorithm follows from the key
(ES256, ES384, ES512 or RS256) and never from what a token says of itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class BadToken(Exception):
    """A token that is not what it should be; the message says why."""


def algorithm_of(key: PrivateKey | PublicKey) -> str:
    """ValueError for a key that no token is signed with."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return "RS256"
    found = _CURVES.get(key.curve.name)
    if found is None:
        raise ValueError(f"tokens are not signed with keys on the curve {key.curve.name}")
    return found


def key_id(key: PublicKey) -> str:
    """The name of a key in token headers: the digest of its public part."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


class TokenSigner:
    """Signs claims with one private key (PEM). ValueError for a key of another kind."""

    def __init__(self, private_key_pem: bytes) -> None:
        key = serialization.load_pem_private_key(private_key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("tokens are signed with elliptic curve or RSA keys")
        self._key = key
        self._algorithm = algorithm_of(key)
        self._headers = {"kid": key_id(key.public_key())}

    @property
    def public_key(self) -> PublicKey:
        return self._key.public_key()

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self._key, algorithm=self._algorithm, headers=self._headers)


class TokenVerifier:
    """Checks signatures against a list of public keys; several, so that a key can be replaced without a break."""

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys = {key_id(key): (key, algorithm_of(key)) for key in keys}

    @classmethod
    def of_pem(cls, pems: Sequence[bytes]) -> TokenVerifier:
        """From public or private keys in PEM form. ValueError."""
        return cls([_public_key(pem) for pem in pems])

    @property
    def algorithms(self) -> list[str]:
        """The algorithms in use, sorted."""
        return sorted({algorithm for _, algorithm in self._keys.values()})

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed. BadToken. Times, issuer and audience are not looked
        at."""
        try:
            named = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise BadToken("invalid bearer token") from error
        candidates = [self._keys[named]] if named in self._keys else list(self._keys.values())
        for key, algorithm in candidates:
            try:
                found = jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
            except jwt.InvalidTokenError:
                continue
            return dict(found)
        raise BadToken("invalid bearer token")

    def key_set(self) -> bytes:
        """The public keys as a JSON Web Key Set."""
        keys = []
        for name, (key, algorithm) in self._keys.items():
            if isinstance(key, rsa.RSAPublicKey):
                fields = RSAAlgorithm.to_jwk(key, as_dict=True)
            else:
                fields = ECAlgorithm.to_jwk(key, as_dict=True)
            fields.pop("key_ops", None)
            keys.append({"use": "sig", **fields, "kid": name, "alg": algorithm})
        return json.dumps({"keys": keys}, separators=(",", ":")).encode()


_SIGNATURE_ONLY: Any = {
    "verify_signature": True, "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
    "verify_iss": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip


def _public_key(pem: bytes) -> PublicKey:
    key: Any
    if b"PRIVATE KEY" in pem:
        key = serialization.load_pem_private_key(pem, None).public_key()
    else:
        key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("tokens are signed with elliptic curve or RSA keys")
    return key


def issuer_document(issuer: str, key_set_url: str, algorithms: Sequence[str]) -> bytes:
    """The OpenID provider configuration that tells others how to verify this cluster's tokens."""
    document = {
        "issuer": issuer,
        "jwks_uri": key_set_url,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted(set(algorithms)),
    }
    return json.dumps(document, separators=(",", ":")).encode()

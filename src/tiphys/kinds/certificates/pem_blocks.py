"""The PEM blocks of a text that may say other things between them, and the certificates in them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509

CERTIFICATE, REQUEST = "CERTIFICATE", "CERTIFICATE REQUEST"
_BEGIN, _END, _DASHES = "-----BEGIN ", "-----END ", "-----"


class Block(NamedTuple):
    kind: str
    has_headers: bool
    content: bytes


def blocks(text: str) -> Iterator[Block]:
    """Every block that is well formed, in order; what is not is passed over like other text."""
    kind: str | None = None
    lines: list[str] = []
    for line in map(str.rstrip, text.split("\n")):
        if line.startswith(_BEGIN) and line.endswith(_DASHES):
            kind, lines = line.removeprefix(_BEGIN).removesuffix(_DASHES), []
        elif line.startswith(_END) and line.endswith(_DASHES):
            if line.removeprefix(_END).removesuffix(_DASHES) == kind:
                yield from _block(kind, lines)
            kind = None
        elif kind is not None:
            lines.append(line)


def _block(kind: str, lines: list[str]) -> Iterator[Block]:
    content = [line for line in lines if ":" not in line]
    try:
        decoded = base64.b64decode("".join("".join(content).split()), validate=True)
    except binascii.Error:
        return
    yield Block(kind, len(content) < len(lines), decoded)


def certificate_of(block: Block) -> x509.Certificate | None:
    """None for what is no certificate."""
    try:
        return x509.load_der_x509_certificate(block.content)
    except ValueError:
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False

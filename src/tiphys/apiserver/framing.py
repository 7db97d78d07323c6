"""Whether the head of a request leaves no doubt where the request ends and what it is.

Two readers that disagree about that (a proxy and this server) can be made to see different requests, so whatever is
ambiguous is refused, also where much software is lenient. Specified in RFC 9112 (sections 3.2, 6 and 7.8) and RFC 9110
(sections 7.8 and 10.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERSIONS = ("1.0", "1.1")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not read; `code` is the HTTP status."""

    code: int
    message: str = "the request cannot be read as HTTP/1.1"


def refusal(version: str, headers: Mapping[str, str], upgrade: bool, body_bytes_limit: int) -> Refusal | None:
    """What is wrong with a head; None when nothing is. `headers` has lower-case names, repeated ones joined by commas;
    `upgrade`: another protocol is asked for."""
    if version not in VERSIONS:
        return Refusal(400, f"HTTP/{version} is not spoken here")
    host = headers.get("host")
    if host is None:
        if version == "1.1":
            return Refusal(400, "missing required Host header")
    elif "," in host or " " in host:
        return Refusal(400, "malformed Host header")
    coding, length = headers.get("transfer-encoding"), headers.get("content-length", "0")
    if coding is not None and (coding.lower() != "chunked" or version != "1.1"):
        return Refusal(400, f"unsupported transfer encoding: {coding!r}")
    if upgrade and (coding is not None or length != "0"):
        return Refusal(400, "a request that asks for another protocol cannot have a body")
    if not length.isascii() or not length.isdigit():
        return Refusal(400, "malformed Content-Length header")
    if len(length) > 18 or int(length) > body_bytes_limit:
        return Refusal(413)
    if headers.get("expect", "100-continue").lower() != "100-continue":
        return Refusal(417, "only 100-continue can be expected")
    return None


def waits_to_be_told(headers: Mapping[str, str]) -> bool:
    """Whether the client sends the body only once it is told to go on."""
    return "expect" in headers and (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers)

"""Documents that the server builds once and sends many times, and which of their forms a client accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Document:
    """`etag` is the strong entity tag, with its quotes; a request whose If-None-Match holds it gets 304."""

    content_type: str
    body: bytes
    etag: str

    def matches(self, if_none_match: str) -> bool:
        """Whether the client has this document already."""
        return any(word.strip() in (self.etag, "*", f"W/{self.etag}") for word in if_none_match.split(",") if word)


def json_document(content: Any, content_type: str = JSON) -> Document:
    return document(msgspec.json.encode(content), content_type)


def document(body: bytes, content_type: str) -> Document:
    return Document(content_type, body, f'"{hashlib.sha512(body).hexdigest().upper()}"')


@dataclass(frozen=True, slots=True)
class AcceptedType:
    """One clause of an Accept header: `application/json` and its parameters (without q)."""

    media_type: str
    parameters: Mapping[str, str]


def accepted_types(accept: str) -> Sequence[AcceptedType]:
    """The clauses of an Accept header ("" is anything), most wanted first; those with q=0 are left out."""
    ranked: list[tuple[float, int, AcceptedType]] = []
    for position, clause in enumerate(accept.split(",")):
        words = [word.strip() for word in clause.split(";")]
        media_type = words[0].lower()
        if not media_type:
            continue
        parameters = dict(part.split("=", 1) for part in words[1:] if "=" in part)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        if quality > 0:
            ranked.append((-quality, position, AcceptedType(media_type, parameters)))
    if not ranked:
        return (AcceptedType("*/*", {}),)
    return tuple(item for _, _, item in sorted(ranked, key=lambda entry: entry[:2]))


def is_json(accepted: AcceptedType) -> bool:
    return accepted.media_type in (JSON, "application/*", "*/*")

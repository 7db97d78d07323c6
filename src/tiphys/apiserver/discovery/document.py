"""Documents that the server builds once and sends many times, and which of their forms a client accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

JSON = "application/json"
REVALIDATED = "no-cache, private"
PLAIN_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Document:
    """`etag` is the strong entity tag, with its quotes; a request whose If-None-Match holds it gets 304. Without one
    the document is `kept_seconds` at most, 0 for not at all."""

    content_type: str
    body: bytes
    etag: str
    kept_seconds: int = 0

    @property
    def control(self) -> str:
        """How it may be kept, where the entity tag does not decide."""
        return f"public, max-age={self.kept_seconds}" if self.kept_seconds else REVALIDATED

    def matches(self, if_none_match: str) -> bool:
        """Whether the client has this document already."""
        return any(word.strip() in (self.etag, "*", f"W/{self.etag}") for word in if_none_match.split(",") if word)


KEPT_SECONDS = 365 * 24 * 3600
HASHED_PATHS = "/openapi/v3/"
AGGREGATED = ";as="


@dataclass(frozen=True, slots=True)
class Caching:
    """How a document is answered: whole (200), as known already (304), or from another address (301); and for how long
    the answer may be kept without asking again."""

    code: int
    control: str = REVALIDATED
    kept_seconds: int = 0
    location: str = ""


def document_caching(
    document: Document, path: str, raw_query: str, headers: Mapping[str, str], since: int | None = None
) -> Caching:
    """An address with the hash of its content (`?hash=`, from the index of OpenAPI version 3) can be kept for ever; one
    with an old hash leads to the present one. `since`: when the document became what it is, in seconds since the epoch,
    where that is told; `headers` are the request's."""
    control, kept_seconds = "public" if AGGREGATED in document.content_type else REVALIDATED, 0
    wanted = parse_qs(raw_query).get("hash", [""])[0] if path.startswith(HASHED_PATHS) else ""
    if wanted:
        current = document.etag.strip('"')
        if wanted != current:
            return Caching(301, location=f"{path}?hash={current}")
        control, kept_seconds = "public, immutable", KEPT_SECONDS
    return Caching(304 if _is_known(document, headers, since) else 200, control, kept_seconds)


def _is_known(document: Document, headers: Mapping[str, str], since: int | None) -> bool:
    """Whether the client has this document: by its tag, else by its time."""
    tags, moment = headers.get("if-none-match", ""), headers.get("if-modified-since", "")
    if tags or not moment or since is None:
        return document.matches(tags)
    try:
        return since <= parsedate_to_datetime(moment).timestamp()
    except ValueError:
        return False


def json_document(content: Any, content_type: str = JSON) -> Document:
    return document(msgspec.json.encode(content), content_type)


def indented_document(content: Any) -> Document:
    """For people, who read it as it is."""
    return Document(JSON, msgspec.json.format(msgspec.json.encode(content), indent=2), "")


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

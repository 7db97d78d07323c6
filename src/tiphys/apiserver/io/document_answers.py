"""Answers with documents that are made once and sent many times: discovery, OpenAPI and whatever else is no resource.

Remembers since when each OpenAPI document has been as it is, and its compressed bytes: those documents are large,
seldom change, and are fetched by every client that starts.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from email.utils import formatdate

import msgspec

from tiphys.apiserver import negotiation
from tiphys.apiserver.discovery.document import JSON, PLAIN_TEXT, Document, document_caching
from tiphys.apiserver.documents import ServerDocuments
from tiphys.apiserver.io.http import HttpConnection, HttpRequest
from tiphys.apiserver.request import parse_query

OPENAPI = "/openapi/"
# Browsers are not to take a text for a page.
NOT_SNIFFED = b"X-Content-Type-Options: nosniff\r\n"
GZIP_FROM_BYTES = 1400
REMEMBERED_LIMIT = 256


class DocumentAnswers:
    def __init__(self, documents: ServerDocuments, now: Callable[[], float]) -> None:
        self._documents = documents
        self._now = now
        self._since: dict[str, int] = {}
        self._compressed: dict[tuple[str, str], bytes] = {}

    def answer(self, request: HttpRequest, connection: HttpConnection, path: str) -> int:
        """The HTTP status of what was sent. ApiError 404, 405, 406."""
        headers = request.headers
        found = self._documents.document(request.method, path, request.query, headers.get("accept", ""))
        if found is None:
            raise self._documents.missing(path)
        code, document = found
        content_type = document.content_type.encode()
        if not document.etag:
            body, control = self._shown(document, request), document.control.encode()
            extra = NOT_SNIFFED if document.content_type == PLAIN_TEXT else b""
            connection.respond(request, code, body, content_type, extra, control)
            return code
        published = path.startswith(OPENAPI)
        since = self._known_since(document) if published else None
        caching = document_caching(document, request.path, request.query, headers, since)
        extra = b"Etag: %s\r\nVary: Accept\r\n" % document.etag.encode()
        if since is not None:
            extra += b"Last-Modified: %s\r\n" % formatdate(since, usegmt=True).encode()
        if caching.location:
            extra += b"Location: %s\r\n" % caching.location.encode()
        if caching.kept_seconds:
            extra += b"Expires: %s\r\n" % formatdate(self._now() + caching.kept_seconds, usegmt=True).encode()
        body = self._shown(document, request) if caching.code == 200 else b""
        if published and len(body) >= GZIP_FROM_BYTES and negotiation.takes_gzip(headers.get("accept-encoding", "")):
            body = self._gzip(document)
            extra += b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        connection.respond(request, caching.code, body, content_type, extra, caching.control.encode())
        return caching.code

    def _shown(self, document: Document, request: HttpRequest) -> bytes:
        """The document with line breaks, where it is for people to read. OpenAPI documents never are."""
        if request.path.startswith(OPENAPI) or not document.content_type.startswith(JSON):
            return document.body
        if negotiation.wants_indentation(parse_query(request.query), request.headers.get("user-agent", "")):
            return msgspec.json.format(document.body, indent=2)
        return document.body

    def _known_since(self, document: Document) -> int:
        """In seconds since the epoch."""
        found = self._since.get(document.etag)
        if found is None:
            if len(self._since) >= REMEMBERED_LIMIT:
                self._since.clear()
            found = self._since[document.etag] = int(self._now())
        return found

    def _gzip(self, document: Document) -> bytes:
        key = (document.etag, document.content_type)
        found = self._compressed.get(key)
        if found is None:
            if len(self._compressed) >= REMEMBERED_LIMIT:
                self._compressed.clear()
            found = self._compressed[key] = gzip.compress(document.body, 1, mtime=0)
        return found

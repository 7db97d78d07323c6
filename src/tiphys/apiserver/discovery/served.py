"""Everything that the server answers beside resources: discovery, OpenAPI, version, health, the token issuer's
documents, metrics, and at `/` the list of all these paths.

A path is decided here alone; who may read it was decided before (non-resource rules).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tiphys.apiserver.discovery.document import JSON, Document, json_document
from tiphys.apiserver.discovery.health import HealthChecks
from tiphys.apiserver.discovery.resources import ResourceDiscovery
from tiphys.apiserver.openapi.documents import OpenApiDocuments
from tiphys.machinery import errors

log = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
ISSUER_PATH = "/.well-known/openid-configuration"
KEY_SET_PATH = "/openid/v1/jwks"
KEY_SET_TYPE = "application/jwk-set+json"


@dataclass(frozen=True, slots=True)
class Served:
    """An answer: `etag` is "" for what is made anew each time."""

    content_type: str
    body: bytes
    code: int = 200
    etag: str = ""


@dataclass(slots=True, kw_only=True)
class ServedDocuments:
    """`version` is what `version_document` made; `issuer` and `key_set` come from authentication; `metrics` gives the
    text of /metrics."""

    discovery: ResourceDiscovery
    openapi: OpenApiDocuments
    health: HealthChecks
    version: Document
    issuer: bytes = b""
    key_set: bytes = b""
    metrics: Callable[[], bytes] | None = None
    _fixed: dict[str, Served] = field(default_factory=dict)

    def __post_init__(self) -> None:
        version = _served(self.version)
        self._fixed |= {"/version": version, "/version/": version}
        if self.issuer:
            self._fixed[ISSUER_PATH] = Served(JSON, self.issuer)
            self._fixed[KEY_SET_PATH] = Served(KEY_SET_TYPE, self.key_set)

    def document(
        self, method: str, path: str, query: Mapping[str, str], accept: str, headers: Mapping[str, str]
    ) -> Served | None:
        """The answer; None when there is nothing at that path. ApiError 405 or 406."""
        found = self._find(path, query, accept)
        if found is not None and method not in ("GET", "HEAD"):
            raise errors.method_not_allowed()
        return found

    def _find(self, path: str, query: Mapping[str, str], accept: str) -> Served | None:
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        if path == "/":
            return _served(json_document({"paths": self.paths()}))
        if path == "/metrics" and self.metrics is not None:
            return Served(METRICS_TEXT, self.metrics())
        if path.startswith("/openapi/"):
            return _maybe(self.openapi.document(path, accept))
        if path.startswith("/api"):
            return _maybe(self.discovery.document(path, accept))
        exclude = [word for word in query.get("exclude", "").split(",") if word]
        answer = self.health.answer(path, exclude, "verbose" in query)
        if answer is None:
            return None
        for name, reason in answer.failures:
            log.warning("health check %s failed: %s", name, reason)
        return Served(TEXT, answer.text.encode(), answer.code)

    def paths(self) -> list[str]:
        """Every path that is served, sorted."""
        found = {"/api", "/apis", "/openapi/v2", "/openapi/v3", "/version", *self.health.paths()}
        if self.issuer:
            found |= {ISSUER_PATH, KEY_SET_PATH}
        if self.metrics is not None:
            found.add("/metrics")
        for group, version in self.discovery.group_versions():
            if group:
                found |= {f"/apis/{group}", f"/apis/{group}/{version}", f"/openapi/v3/apis/{group}/{version}"}
            else:
                found |= {f"/api/{version}", f"/openapi/v3/api/{version}"}
        return sorted(found)


def _served(document: Document) -> Served:
    return Served(document.content_type, document.body, 200, document.etag)


def _maybe(document: Document | None) -> Served | None:
    return None if document is None else _served(document)

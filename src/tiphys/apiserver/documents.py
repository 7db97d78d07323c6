"""Everything that is served beside resources: discovery, OpenAPI, version, health, metrics, the token issuer's
documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from tiphys.apiserver.discovery.document import PLAIN_TEXT, Document, indented_document
from tiphys.apiserver.discovery.health import HealthChecks
from tiphys.apiserver.discovery.resources import ResourceDiscovery
from tiphys.apiserver.openapi.documents import OpenApiDocuments
from tiphys.machinery import errors

METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class ServerDocuments:
    """`fixed` are documents at paths of their own; `metrics` makes the text of /metrics."""

    def __init__(
        self,
        discovery: ResourceDiscovery,
        openapi: OpenApiDocuments,
        health: HealthChecks,
        fixed: Mapping[str, Document],
        metrics: Callable[[], bytes],
    ) -> None:
        self._discovery = discovery
        self._openapi = openapi
        self._health = health
        self._fixed = fixed
        self._metrics = metrics

    def document(self, method: str, path: str, raw_query: str, accept: str) -> tuple[int, Document] | None:
        """(HTTP status, document); None when there is nothing at that path. ApiError 405, 406."""
        if path.startswith("/openapi/"):
            found = self._openapi.document(path, accept)
        elif path == "/metrics":
            found = Document(METRICS_TEXT, self._metrics(), "")
        elif path == "/metrics/slis":
            found = Document(METRICS_TEXT, self._health.indicators(), "")
        elif path in ("/", "/index.html"):
            found = indented_document({"paths": self._paths()})
        else:
            found = self._fixed.get(path.removesuffix("/")) or self._discovery.document(path, accept)
        if found is None:
            return self._checked(path, raw_query)
        if method not in ("GET", "HEAD"):
            raise errors.method_not_allowed()
        return 200, found

    def missing(self, path: str) -> errors.ApiError:
        """What is to be said when there is nothing at a path."""
        roots = ("/api", *self._fixed, *(f"/apis/{group}" for group in self._discovery.built_in_groups))
        return errors.path_not_found(with_details=path.startswith(tuple(f"{root}/" for root in roots)))

    def _checked(self, path: str, raw_query: str) -> tuple[int, Document] | None:
        query = parse_qs(raw_query, keep_blank_values=True)
        answer = self._health.answer(path, query.get("exclude", ()), "verbose" in query)
        if answer is None:
            return None
        return answer.code, Document(PLAIN_TEXT, answer.text.encode(), "")

    def _paths(self) -> list[str]:
        groups = sorted({group for group, _ in self._discovery.group_versions() if group})
        versions = [f"/apis/{group}/{version}" for group, version in self._discovery.group_versions() if group]
        paths = {
            "/api",
            "/api/v1",
            "/apis",
            "/metrics",
            "/metrics/slis",
            "/openapi/v2",
            "/openapi/v3",
            *self._fixed,
            *versions,
        }
        return sorted({*paths, *(f"/apis/{group}" for group in groups), *self._health.paths()})

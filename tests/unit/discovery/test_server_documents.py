"""Documents beside the resources: found with and without a slash at the end, as clients ask for them."""

from __future__ import annotations

import pytest

from tiphys.apiserver.discovery.document import Document
from tiphys.apiserver.discovery.health import HealthChecks
from tiphys.apiserver.discovery.resources import ResourceDiscovery
from tiphys.apiserver.documents import ServerDocuments
from tiphys.apiserver.openapi.documents import OpenApiDocuments
from tiphys.machinery.errors import ApiError

VERSION = Document("application/json", b"{}", "")


def documents() -> ServerDocuments:
    return ServerDocuments(
        ResourceDiscovery((), "10.0.0.1:6443"),
        OpenApiDocuments((), dict, "", "v1.37.0"),
        HealthChecks({"livez": {"ping": lambda: ""}}),
        {"/version": VERSION},
        lambda: b"",
    )


@pytest.mark.parametrize("path", ["/version", "/version/"])
def test_fixed_documents(path: str) -> None:
    assert documents().document("GET", path, "", "") == (200, VERSION)


def test_what_is_not_there_and_what_is_only_read() -> None:
    assert documents().document("GET", "/nothing", "", "") is None
    with pytest.raises(ApiError) as refused:
        documents().document("POST", "/version", "", "")
    assert refused.value.code == 405

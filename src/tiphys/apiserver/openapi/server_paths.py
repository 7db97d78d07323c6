"""What the server says of itself, as paths in OpenAPI v3 form: its groups, its version, the token issuer's documents.

The index names a document for each, after its path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.openapi.operations import JSON, META, Operation, group_words

ENCODINGS = (JSON, "application/yaml", "application/vnd.kubernetes.protobuf")
_AVAILABLE = "which versions of the API there are"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """`definition` is what the answer is; "" for a text."""

    tag: str
    words: str
    description: str
    definition: str = ""
    media_types: Collection[str] = (JSON,)

    def item(self) -> dict[str, Operation]:
        schema = {"$ref": f"#/components/schemas/{self.definition}"} if self.definition else {"type": "string"}
        content = {media_type: {"schema": schema} for media_type in self.media_types}
        responses = {"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}}
        operation = {
            "tags": [self.tag],
            "description": self.description,
            "operationId": self.words,
            "responses": responses,
        }
        return {"get": operation}


_ROOTS = {
    "api": _Path(
        tag="core",
        words="getCoreAPIVersions",
        description=_AVAILABLE,
        definition=f"{META}.APIVersions",
        media_types=ENCODINGS,
    ),
    "apis": _Path(
        tag="apis",
        words="getAPIVersions",
        description=_AVAILABLE,
        definition=f"{META}.APIGroupList",
        media_types=ENCODINGS,
    ),
}
_OTHERS = {
    ".well-known/openid-configuration": _Path(
        tag="WellKnown",
        words="getServiceAccountIssuerOpenIDConfiguration",
        description="the OpenID Connect discovery document of the issuer of service accounts' tokens",
    ),
    "openid/v1/jwks": _Path(
        tag="openid",
        words="getServiceAccountIssuerOpenIDKeyset",
        description="the public keys by which service accounts' tokens are verified",
        media_types=("application/jwk-set+json",),
    ),
    "version": _Path(
        tag="version",
        words="getCodeVersion",
        description="which version the server has",
        definition="io.k8s.apimachinery.pkg.version.Info",
    ),
}


def _group(group: str) -> _Path:
    words = group_words(group)
    return _Path(
        tag=words[0].lower() + words[1:],
        words=f"get{words}APIGroup",
        description="which versions the group has",
        definition=f"{META}.APIGroup",
        media_types=ENCODINGS,
    )


def paths_by_document(groups: Iterable[str], others: Collection[str]) -> Mapping[str, dict[str, Any]]:
    """The paths in each document, by its name in the index. `others` are the paths of what is served beside groups."""
    found = {**_ROOTS, **{f"apis/{group}": _group(group) for group in groups if group}}
    found |= {name: path for name, path in _OTHERS.items() if f"/{name}" in others}
    return {name: {f"/{name}/": path.item()} for name, path in found.items()}

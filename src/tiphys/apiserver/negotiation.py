"""What form an answer takes, from the Accept header: the objects, a Table of them, or their metadata alone; JSON,
YAML or protobuf.

Specified in "API concepts", "Alternate representations of resources" and "Receiving resources as Tables". JSON is what
the server has at hand: whoever takes it gets it, also where protobuf stands before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiphys.machinery import errors
from tiphys.machinery.bounded_cache import bounded_cache

_META_VERSIONS = ("v1", "v1beta1")
_SHAPES = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_JSON_RANGES = ("application/json", "application/*", "*/*")
YAML = "application/yaml"
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_SHOWN_TO_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON_TYPE, _YAML_TYPE, _PROTOBUF_TYPE = b"application/json", YAML.encode(), PROTOBUF.encode()
OFFERED = f"application/json, application/yaml, {PROTOBUF}"
OFFERED_STREAMS = f"application/json;stream=watch, {PROTOBUF};stream=watch"


@dataclass(frozen=True, slots=True)
class Accepted:
    """`shape` is "" for the objects themselves, or Table, PartialObjectMetadata, PartialObjectMetadataList in
    meta.k8s.io/`meta_version`. `indented`: the clause asks for line breaks in JSON."""

    shape: str = ""
    meta_version: str = "v1"
    yaml: bool = False
    protobuf: bool = False
    indented: bool = False

    @property
    def content_type(self) -> bytes:
        """As the answer's header says it."""
        return _PROTOBUF_TYPE if self.protobuf else _YAML_TYPE if self.yaml else _JSON_TYPE


PLAIN = Accepted()
FOR_PEOPLE = Accepted(indented=True)


def _clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[float, int, str, dict[str, str]]] = []
    for position, clause in enumerate(header.split(",")):
        media, *parameters = [part.strip() for part in clause.split(";")]
        values = dict(part.split("=", 1) for part in parameters if "=" in part)
        try:
            quality = float(values.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if quality > 0:
            found.append((-quality, position, media.lower(), values))
    found.sort(key=lambda item: item[:2])
    return [(media, values) for _, _, media, values in found]


@bounded_cache(512)
def negotiate(header: str, stream: bool = False) -> Accepted:
    """The first clause of an Accept header that can be served, JSON before protobuf; nothing asked for means JSON.
    YAML has no stream of events. ApiError 406."""
    if not header:
        return PLAIN
    found = [accepted for media, values in _clauses(header) if (accepted := _served(media, values)) is not None]
    if not found:
        raise errors.not_acceptable(f"only the following media types are accepted: {OFFERED}")
    if stream:
        found = [accepted for accepted in found if not accepted.yaml]
        if not found:
            raise errors.not_acceptable(f"only the following media types are accepted: {OFFERED_STREAMS}")
    if found[0].protobuf:
        return next((accepted for accepted in found if not accepted.protobuf and not accepted.yaml), found[0])
    return found[0]


def _served(media: str, values: Mapping[str, str]) -> Accepted | None:
    """What one clause asks for, if it can be had."""
    is_yaml, is_protobuf = media == YAML, media == PROTOBUF
    if not is_yaml and not is_protobuf and media not in _JSON_RANGES:
        return None
    shape, indented = values.get("as", ""), values.get("pretty") == "1"
    if not shape:
        return Accepted(yaml=is_yaml, protobuf=is_protobuf, indented=indented)
    version = values.get("v", "")
    if values.get("g") == "meta.k8s.io" and version in _META_VERSIONS and shape in _SHAPES:
        return Accepted(shape, version, is_yaml, is_protobuf, indented)
    return None


@bounded_cache(512)
def negotiate_error(header: str) -> Accepted:
    """How a refusal is sent: as the client wants it, or as JSON for people when there is nothing that it takes. A
    Status has no other shape."""
    plain = ",".join(clause for clause in header.split(",") if "as=" not in clause.replace(" ", ""))
    if header and not plain.strip(" ,"):
        return FOR_PEOPLE
    try:
        return negotiate(plain)
    except errors.ApiError:
        return FOR_PEOPLE


def wants_indentation(query: Mapping[str, str], user_agent: str, accepted: Accepted = PLAIN) -> bool:
    """Whether JSON is to have line breaks: as the query says; if it says nothing, programs that show it to people get
    them, and whoever asked for them in the Accept header."""
    said = query.get("pretty")
    if said:
        return said in _TRUE
    return accepted.indented or user_agent.startswith(_SHOWN_TO_PEOPLE)


def takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    return "gzip" in header and any(coding == "gzip" for coding, _ in _clauses(header))

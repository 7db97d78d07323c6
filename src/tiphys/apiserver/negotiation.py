"""What form an answer takes, from the Accept header: the objects, a Table of them, or their metadata alone; JSON or
YAML.

Specified in "API concepts", "Alternate representations of resources" and "Receiving resources as Tables". Protobuf is
never answered: clients that prefer it take JSON as well, and one that takes nothing else gets 406.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tiphys.machinery import errors

_META_VERSIONS = ("v1", "v1beta1")
_JSON_RANGES = ("application/json", "application/*", "*/*")
OFFERED = "application/json, application/yaml"


@dataclass(frozen=True, slots=True)
class Accepted:
    """`shape` is "" for the objects themselves, or Table, PartialObjectMetadata, PartialObjectMetadataList in
    meta.k8s.io/`meta_version`."""

    shape: str = ""
    meta_version: str = "v1"
    yaml: bool = False

    @property
    def content_type(self) -> str:
        return "application/yaml" if self.yaml else "application/json"


PLAIN = Accepted()


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


@functools.lru_cache(maxsize=512)
def negotiate(header: str) -> Accepted:
    """The first clause of an Accept header that can be served; nothing asked for means JSON. ApiError 406."""
    if not header:
        return PLAIN
    for media, values in _clauses(header):
        is_yaml = media in ("application/yaml", "text/yaml")
        if not is_yaml and media not in _JSON_RANGES:
            continue
        shape = values.get("as", "")
        if not shape:
            return Accepted(yaml=is_yaml) if is_yaml else PLAIN
        version = values.get("v", "")
        if values.get("g") == "meta.k8s.io" and version in _META_VERSIONS and shape in (
            "Table", "PartialObjectMetadata", "PartialObjectMetadataList",
        ):  # fmt: skip
            return Accepted(shape, version, is_yaml)
    raise errors.not_acceptable(f"only the following media types are accepted: {OFFERED}")

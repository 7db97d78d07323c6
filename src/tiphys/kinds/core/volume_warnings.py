"""Advice on volumes: kinds that no longer work, files that lie over each other, and claims for parts of a byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tiphys.kinds.types.core_v1 import PersistentVolumeClaimSpec, Volume, VolumeProjection
from tiphys.machinery.field_errors import Path, shown
from tiphys.machinery.quantity import Quantity

OLD_STORAGE_CLASS = 'deprecated since v1.8; use "storageClassName" attribute instead'
# Sources of volumes that are only kept for old objects: field -> what has become of it.
DEPRECATED_SOURCES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
OTHER_NAMESPACES = "this server does not let claims be filled from other namespaces: the field has no effect"
FRACTIONS = ("m", "u", "n")
_SHOWN_NAMES = {"storageos": "storageOS"}


def source_warnings(holder: Any, path: Path) -> list[str]:
    """Of what holds the sources: a pod's volume, or the spec of a persistent one."""
    return [
        f"{path.child(_SHOWN_NAMES.get(source, source))}: {text}"
        for source, text in DEPRECATED_SOURCES.items()
        if getattr(holder, source, None) is not None
    ]


def fraction_warnings(amounts: Mapping[str, Quantity] | None, names: Iterable[str], path: Path) -> list[str]:
    """Bytes come whole. Quantities are canonical here: a fraction has a unit for it."""
    if not amounts:
        return []
    return [
        f"{path.key(name)}: fractional byte value {shown(amounts[name])} is invalid, must be an integer"
        for name in names
        if name in amounts and amounts[name].endswith(FRACTIONS) and amounts[name].milli_value % 1000
    ]


def claim_warnings(spec: PersistentVolumeClaimSpec, path: Path) -> list[str]:
    reference, resources = spec.dataSourceRef, spec.resources
    found: list[str] = []
    if reference is not None and reference.namespace:
        found.append(f"{path.child('dataSourceRef', 'namespace')}: {OTHER_NAMESPACES}")
    if resources is None:
        return found
    at = path.child("resources")
    found += fraction_warnings(resources.requests, ("storage",), at.child("requests"))
    return found + fraction_warnings(resources.limits, ("storage",), at.child("limits"))


# -- files that lie over each other


def overlap_warnings(volume: Volume) -> list[str]:
    """Two items of one volume that mean the same path, or one the directory of the other."""
    found: list[str] = []
    for held, kind in ((volume.configMap, "ConfigMap"), (volume.secret, "Secret"), (volume.downwardAPI, "DownwardAPI")):
        if held is not None and held.items:
            for pair in _collisions([item.path for item in held.items]):
                found.append(_collision_text(volume, kind, _name(held), pair))
    if volume.projected is not None:
        found += _projected_warnings(volume)
    return found


def _projected_warnings(volume: Volume) -> list[str]:
    assert volume.projected is not None
    found: list[str] = []
    before: set[str] = set()
    for source in volume.projected.sources or ():
        kind, held, paths = _projection(source)
        if not kind:
            found.append(f"volume {shown(volume.name)} (Projected) has no sources provided")
            continue
        pairs = _collisions(paths)
        if before and paths:
            pairs += _collisions(sorted({*paths, *before}))
        found += [_collision_text(volume, f"Projected {kind}", _name(held), pair) for pair in pairs]
        before.update(paths)
    return found


def _projection(source: VolumeProjection) -> tuple[str, Any, list[str]]:
    """(what it is, the source itself, the paths it names); "" for one that is nothing."""
    lists = (("ConfigMap", source.configMap), ("Secret", source.secret), ("DownwardAPI", source.downwardAPI))
    for kind, listing in lists:
        if listing is not None:
            return kind, listing, [item.path for item in listing.items or ()]
    for kind, held in (
        ("ServiceAccountToken", source.serviceAccountToken),
        ("ClusterTrustBundle", source.clusterTrustBundle),
    ):
        if held is not None:
            return kind, held, [held.path]
    certificate = source.podCertificate
    if certificate is not None:
        paths = (certificate.credentialBundlePath, certificate.certificateChainPath, certificate.keyPath)
        return "PodCertificate", None, [path for path in paths if path]
    return "", None, []


def _name(held: Any) -> str | None:
    """What a source is named by; None when it has no name."""
    for field in ("secretName", "name", "signerName"):
        if getattr(held, field, None):
            return str(getattr(held, field))
    return "" if hasattr(held, "name") or hasattr(held, "secretName") else None


def _collision_text(volume: Volume, kind: str, name: str | None, pair: tuple[str, str]) -> str:
    what = kind if name is None else f"{kind} {shown(name)}"
    return f"volume {shown(volume.name)} ({what}): overlapping paths: {shown(pair[0])} with {shown(pair[1])}"


def _collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Each path that meets one before it, with that one."""
    seen: list[str] = []
    found: list[tuple[str, str]] = []
    for path in (given.rstrip("/") for given in paths):
        other = next((each for each in seen if path and each and _meet(path, each)), None)
        if other is not None:
            found.append((path, other))
        seen.append(path)
    return found


def _meet(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")

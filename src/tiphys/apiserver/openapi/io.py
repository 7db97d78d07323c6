"""Reads the schemas of the built-in kinds, and their descriptions from an optional package.

The package `kubernetes-validate` holds the published descriptions; without it `kubectl explain` shows names and types
alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pathlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.apiserver.openapi.definitions import NO_DESCRIPTION, Description, SchemaSource

DESCRIPTIONS = "kubernetes-json-schema/v1.37.0-local/_definitions.json"


def _compact_bytes() -> bytes:
    data = pkgutil.get_data("tiphys.kinds", "schema/api.json")
    assert data is not None
    return data


def _descriptions_path() -> pathlib.Path | None:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        return None
    path = pathlib.Path(spec.origin).parent / DESCRIPTIONS
    return path if path.is_file() else None


def load_schemas() -> SchemaSource:
    """Everything, read anew: some 20 ms, and a few megabytes that the caller lets go."""
    compact = msgspec.json.decode(_compact_bytes())
    path = _descriptions_path()
    described = _descriptions(path.read_bytes()) if path is not None else {}
    return SchemaSource(compact, described | _derived(compact, described))


def _derived(compact: dict[str, Any], described: Mapping[str, Description]) -> dict[str, Description]:
    """Of versions that are not published (`like` names what they were made from, which is taken out here): what is
    said of the newer version, where nothing else is."""
    found = {}
    for name, schema in compact.items():
        if "like" in schema:
            newer = described.get(schema.pop("like"), NO_DESCRIPTION)
            parts = schema.get("properties", {})
            own = {key: part.pop("description") for key, part in parts.items() if "description" in part}
            kept = {key: text for key, text in newer.properties.items() if key in parts}
            found[name] = Description(newer.text, kept | own)
    return found


class _Described(msgspec.Struct):
    description: str = ""


class _Definition(msgspec.Struct):
    description: str = ""
    properties: dict[str, _Described] = {}


class _Definitions(msgspec.Struct):
    definitions: dict[str, _Definition] = msgspec.field(name="$defs")


def _descriptions(data: bytes) -> dict[str, Description]:
    decoded: Any = msgspec.json.decode(data, type=_Definitions)
    return {
        name: Description(found.description, {key: part.description for key, part in found.properties.items()})
        for name, found in decoded.definitions.items()
    }


def schemas_identity() -> str:
    """Changes when `load_schemas` gives something else."""
    path = _descriptions_path()
    described = f"{path.stat().st_size}-{path.stat().st_mtime_ns}" if path is not None else "none"
    return f"{hashlib.sha256(_compact_bytes()).hexdigest()}-{described}"

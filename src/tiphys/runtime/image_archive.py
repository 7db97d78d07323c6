"""Container images as OCI archives (one tar file), made from files given as bytes.

Deterministic: the same input gives the same bytes and digests, so an image is told from another by its digest. One
layer, not compressed: such an archive goes to the same machine's containerd.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A regular file, or a symbolic link when `link_target` is set. `path` is relative to the root, without a
    leading slash."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link_target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an archive is made from. `references` are full names ("docker.io/library/web:1"). `directories` maps
    paths to modes; the parents of files need not be named."""

    references: tuple[str, ...]
    architecture: str
    files: Sequence[ImageFile]
    directories: Mapping[str, int] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    working_directory: str = "/"
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _layer(image: Image) -> bytes:
    directories = dict(image.directories)
    for path in (*image.directories, *(file.path for file in image.files)):
        for parent in _parents(path):
            directories.setdefault(parent, 0o755)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, mode in sorted(directories.items()):
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        for file in sorted(image.files, key=lambda each: each.path):
            entry = tarfile.TarInfo(file.path)
            entry.mode = file.mode
            if file.link_target:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link_target, 0o777
                archive.addfile(entry)
            else:
                entry.size = len(file.content)
                archive.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content), **more}


def _runtime_config(image: Image) -> dict[str, Any]:
    config: dict[str, Any] = {"Env": list(image.environment), "WorkingDir": image.working_directory}
    optional = {
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.command),
        "User": image.user,
        "ExposedPorts": {port: {} for port in image.exposed_ports},
        "Labels": dict(image.labels),
    }
    return config | {key: value for key, value in optional.items() if value}


def oci_archive(image: Image) -> bytes:
    """The archive's bytes, as `ctr images import` reads them: each reference names the one image in it."""
    layer = _layer(image)
    config = _json(
        {
            "architecture": image.architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": _runtime_config(image),
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "tiphys"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer)],
        }
    )
    platform = {"architecture": image.architecture, "os": "linux"}
    index = {
        "schemaVersion": 2,
        "manifests": [
            _descriptor(
                _MANIFEST,
                manifest,
                platform=platform,
                annotations={
                    "io.containerd.image.name": reference,
                    "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
                },
            )
            for reference in image.references
        ],
    }
    entries = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    for blob in (layer, config, manifest):
        entries[f"blobs/sha256/{_digest(blob).partition(':')[2]}"] = blob
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in entries.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

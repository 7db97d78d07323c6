"""Brings image archives into a node's containerd, and reads the programs that our own images are made of."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
from pathlib import Path

from tiphys.aio.clock import Clock
from tiphys.runtime.images import PAUSE_IMAGE, pause_archive, sample_archive
from tiphys.runtime.io.cri_probe import CriProbe

CRI_NAMESPACE = "k8s.io"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SETTLE_SECONDS = 0.01
_SETTLE_ATTEMPTS = 500


class ImageError(Exception):
    """An archive could not be made or imported; the message says why."""


def architecture() -> str:
    """This machine's, as images name it ("amd64", "arm64")."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


async def import_archive(socket: str, archive: bytes | Path) -> list[str]:
    """Import an OCI or Docker archive (bytes or a file) for CRI; the references that it brought, in the archive's
    order. Raises ImageError."""
    if isinstance(archive, Path) and not os.path.isfile(archive):  # noqa: ASYNC240 (one look at the disk)
        raise ImageError(f"{archive}: no such file")
    program = shutil.which("ctr")
    if program is None:
        raise ImageError("the program ctr is missing: it comes with containerd")
    source = str(archive) if isinstance(archive, Path) else "-"
    process = await asyncio.create_subprocess_exec(
        program,
        *("--address", socket, "--namespace", CRI_NAMESPACE, "images", "import", source),
        stdin=subprocess.DEVNULL if isinstance(archive, Path) else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, error = await process.communicate(None if isinstance(archive, Path) else archive)
    if process.returncode != 0:
        name = source if isinstance(archive, Path) else "archive"
        raise ImageError(f"importing the {name} failed: {error.decode(errors='replace').strip()}")
    # "unpacking docker.io/library/web:1 (sha256:...)...done"
    lines = output.decode(errors="replace").splitlines()
    return [line.split()[1] for line in lines if line.startswith("unpacking ")]


async def ensure_pause_image(socket: str, clock: Clock, reference: str = PAUSE_IMAGE) -> None:
    """Import our pause image unless it is there, and return when CRI knows it. Raises ImageError."""
    probe = CriProbe(socket)
    try:
        if await probe.has_image(reference):
            return
        await import_archive(socket, pause_archive(architecture(), reference))
        for _ in range(_SETTLE_ATTEMPTS):  # CRI hears of new images by an event of containerd's
            if await probe.has_image(reference):
                return
            await clock.sleep(_SETTLE_SECONDS)
        raise ImageError(f"the image {reference} was imported, but CRI does not list it")
    finally:
        await probe.close()


def build_sample_archive() -> bytes:
    """The sample application's image, from this machine's static busybox. Blocks. Raises ImageError."""
    path = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/bin:/usr/bin")
    if path is None:
        raise ImageError("the program busybox is missing: install the package busybox-static")
    content = Path(path).read_bytes()
    if b"ld-linux" in content[:4096] or b"ld-musl" in content[:4096]:
        raise ImageError(f"{path} is linked dynamically: install the package busybox-static")
    applets = subprocess.run([path, "--list"], capture_output=True, check=True, text=True).stdout.split()
    return sample_archive(architecture(), content, applets)

"""The images that Tiphys makes itself, so that a cluster starts where no registry answers: pause, and the sample
application.

Pure: programs come in as bytes. Their names are reserved to the machine they are made on: "localhost/" is asked of
no registry.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.runtime.image_archive import Image, ImageFile, oci_archive
from tiphys.runtime.pause_binary import pause_binary

PAUSE_IMAGE = "localhost/tiphys/pause:1"
SAMPLE_IMAGE = "localhost/tiphys/sample:1"

_SAMPLE_PORT = 8080
_SAMPLE_DIRECTORY = "www"


def pause_archive(architecture: str, reference: str = PAUSE_IMAGE) -> bytes:
    """The pause image as an OCI archive for "amd64" or "arm64"."""
    program = ImageFile(path="pause", content=pause_binary(architecture), mode=0o755)
    return oci_archive(
        Image(
            references=(reference,),
            architecture=architecture,
            files=(program,),
            entrypoint=("/pause",),
            user="65535:65535",
        )
    )


def sample_archive(architecture: str, busybox: bytes, applets: Sequence[str], reference: str = SAMPLE_IMAGE) -> bytes:
    """The sample application's image: busybox (a static one) with its applets, whose web server shows /www on port
    8080. `applets` are the names that `busybox --list` prints."""
    files = [ImageFile(path="bin/busybox", content=busybox, mode=0o755)]
    files += [
        ImageFile(path=f"bin/{applet}", link_target="busybox") for applet in sorted(set(applets)) if applet != "busybox"
    ]
    files += [
        ImageFile(
            path="etc/passwd", content=b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
        ),
        ImageFile(path="etc/group", content=b"root:x:0:\nnogroup:x:65534:\n"),
        ImageFile(path=f"{_SAMPLE_DIRECTORY}/index.html", content=b"The sample application of Tiphys\n"),
    ]
    return oci_archive(
        Image(
            references=(reference,),
            architecture=architecture,
            files=files,
            directories={"tmp": 0o1777, "root": 0o700, "dev": 0o755, "proc": 0o755, "sys": 0o755},
            command=("httpd", "-f", "-p", str(_SAMPLE_PORT), "-h", f"/{_SAMPLE_DIRECTORY}"),
            exposed_ports=(f"{_SAMPLE_PORT}/tcp",),
        )
    )

"""containerd's configuration, image archives, the pause program."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from tiphys.linux.io.processes import ProcessIdentity, identity_of, is_alive, parse_identity
from tiphys.runtime.containerd_config import ContainerdConfig, containerd_toml
from tiphys.runtime.image_archive import Image, ImageFile, oci_archive
from tiphys.runtime.images import PAUSE_IMAGE, pause_archive, sample_archive
from tiphys.runtime.io.containerd import ContainerdPaths, running_containerd
from tiphys.runtime.io.images import architecture
from tiphys.runtime.pause_binary import pause_binary


def test_configuration_is_toml_that_says_what_it_should() -> None:
    config = ContainerdConfig(
        root="/n/root",
        state='/n/st"ate',
        socket="/n/containerd.sock",
        sandbox_image=PAUSE_IMAGE,
        cni_plugin_directory="/usr/lib/cni",
        cni_configuration_directory="/n/cni",
        registry_configuration_directory="/n/registries",
        restrict_oom_score_adj=True,
        snapshotter="native",
    )
    document = tomllib.loads(containerd_toml(config))
    cri = document["plugins"]["io.containerd.grpc.v1.cri"]
    assert (document["version"], document["state"]) == (2, '/n/st"ate')
    assert document["grpc"] == {"address": "/n/containerd.sock"}
    assert (cri["sandbox_image"], cri["restrict_oom_score_adj"]) == (PAUSE_IMAGE, True)
    assert cri["netns_mounts_under_state_dir"] is True
    assert cri["containerd"]["snapshotter"] == "native"
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"Root": '/n/st"ate/runc', "SystemdCgroup": False}
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": "/n/cni", "max_conf_num": 1}
    assert cri["registry"] == {"config_path": "/n/registries"}


def read_archive(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_an_archive_is_consistent_and_always_the_same() -> None:
    image = Image(
        references=("localhost/a:1", "localhost/b:2"),
        architecture="arm64",
        files=[
            ImageFile(path="usr/bin/b", content=b"x", mode=0o755),
            ImageFile(path="bin/a", link_target="../usr/bin/b"),
        ],
        directories={"tmp": 0o1777},
        entrypoint=("/bin/a",),
        user="65535",
    )
    assert oci_archive(image) == oci_archive(image)
    entries = read_archive(oci_archive(image))
    for name, content in entries.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]
    index = json.loads(entries["index.json"])
    assert [each["annotations"]["io.containerd.image.name"] for each in index["manifests"]] == list(image.references)
    blob = lambda digest: entries[f"blobs/sha256/{digest.partition(':')[2]}"]  # noqa: E731
    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    layer = blob(manifest["layers"][0]["digest"])
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert (config["architecture"], config["config"]["Entrypoint"], config["config"]["User"]) == (
        "arm64",
        ["/bin/a"],
        "65535",
    )
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(each.name, each.mode, each.linkname) for each in tar] == [
            ("bin", 0o755, ""),
            ("tmp", 0o1777, ""),
            ("usr", 0o755, ""),
            ("usr/bin", 0o755, ""),
            ("bin/a", 0o777, "../usr/bin/b"),
            ("usr/bin/b", 0o755, ""),
        ]


def test_our_own_images() -> None:
    pause = json.loads(read_archive(pause_archive("amd64"))["index.json"])
    assert pause["manifests"][0]["annotations"]["io.containerd.image.name"] == PAUSE_IMAGE
    assert b"busybox" in sample_archive("amd64", b"program", ["sh", "httpd", "busybox"])
    with pytest.raises(ValueError, match="s390x"):
        pause_archive("s390x")


def test_pause_binaries_are_small_executables() -> None:
    for name, machine in (("amd64", 62), ("arm64", 183)):
        binary = pause_binary(name)
        assert binary[:7] == b"\x7fELF\x02\x01\x01"
        assert int.from_bytes(binary[18:20], "little") == machine
        assert len(binary) < 400
        assert int.from_bytes(binary[24:32], "little") - 0x400000 == 120


@pytest.mark.skipif(architecture() not in ("amd64", "arm64"), reason="no pause program for this machine")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_pause_ends_well_on_request_alone(tmp_path: Path, ending: signal.Signals) -> None:
    path = tmp_path / "pause"
    path.write_bytes(pause_binary(architecture()))
    path.chmod(0o755)
    process = subprocess.Popen([path])
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0] != "S":
        os.sched_yield()  # it sleeps nowhere but where it waits for signals
    process.send_signal(signal.SIGCHLD)
    process.send_signal(ending)
    assert process.wait(timeout=10) == 0


def test_a_process_is_told_from_another_with_its_number() -> None:
    own = identity_of(os.getpid())
    assert own is not None and is_alive(own)
    assert parse_identity(own.text()) == own
    assert not is_alive(ProcessIdentity(own.pid, own.start_ticks + 1))
    assert parse_identity("12") is None


def test_a_process_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    paths = ContainerdPaths(directory=tmp_path)
    assert running_containerd(paths) is None
    own = identity_of(os.getpid())
    assert own is not None
    paths.process.write_text(own.text())
    assert running_containerd(paths) is None


def test_a_socket_path_that_is_too_long_goes_under_run() -> None:
    assert ContainerdPaths(directory=Path("/n")).socket == Path("/n/containerd.sock")
    long = ContainerdPaths(directory=Path("/" + "d" * 120)).socket
    assert len(str(long)) < 60 and str(long).startswith("/run/tiphys-")

"""Volumes on the disk: layout, modes, restarts, host path checks. The kernel's part is played by a dictionary."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.io.mounts import MountError, VolumeHost
from tiphys.kubelet.volumes.payload import VolumeFile
from tiphys.kubelet.volumes.plan import VolumeKind, VolumePlan
from tiphys.kubelet.volumes.sources import VolumeError

POD = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="u1"))


class RecordingMounter:
    """Remembers mounts instead of making them."""

    def __init__(self) -> None:
        self.mounts: dict[str, tuple[Any, ...]] = {}

    def mounts_below(self, path: str) -> list[str]:
        return [point for point in reversed(self.mounts) if point == path or point.startswith(f"{path}/")]

    def tmpfs(self, path: str, mode: int, size_bytes: int | None) -> None:
        self.mounts[path] = ("tmpfs", oct(mode), size_bytes)

    def huge_pages(self, path: str, page_size_bytes: int) -> None:
        self.mounts[path] = ("hugetlbfs", page_size_bytes)

    def bind(self, source: str, target: str) -> None:
        self.mounts[target] = ("bind", os.path.realpath(source))

    def unmount(self, path: str) -> None:
        del self.mounts[path]


@pytest.fixture
def mounter() -> RecordingMounter:
    return RecordingMounter()


@pytest.fixture
def host(tmp_path: Path, mounter: RecordingMounter) -> VolumeHost:
    return VolumeHost(str(tmp_path / "kubelet"), mounter)


def files(**contents: str) -> VolumePlan:
    return VolumePlan(
        name="settings",
        plugin="kubernetes.io~configmap",
        kind=VolumeKind.FILES,
        files=tuple(VolumeFile(path=k, data=v.encode(), mode=0o640) for k, v in contents.items()),
    )


def host_path(path: Path, path_type: str) -> VolumePlan:
    return VolumePlan(
        name="v",
        plugin="kubernetes.io~host-path",
        kind=VolumeKind.HOST_PATH,
        host_path=str(path),
        host_path_type=path_type,
    )


def empty(kind: VolumeKind = VolumeKind.DIRECTORY, **rest: Any) -> VolumePlan:
    return VolumePlan(name="scratch", plugin="kubernetes.io~empty-dir", kind=kind, **rest)


def kind_of(path: str) -> str:
    if os.path.isdir(path):
        return "directory"
    return "file" if os.path.exists(path) else "nothing"


def real(path: str) -> str:
    return os.path.realpath(path)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


async def test_files_are_where_the_kubelet_has_them(host: VolumeHost, tmp_path: Path) -> None:
    paths = await host.setup(POD, [files(a="1")])
    assert paths == {"settings": str(tmp_path / "kubelet/pods/u1/volumes/kubernetes.io~configmap/settings")}
    directory = Path(paths["settings"])
    assert (directory / "a").read_text() == "1"
    assert os.readlink(directory / "a") == "..data/a"
    assert mode_of(str(directory / "a")) == 0o640


async def test_refresh_writes_only_what_changed(host: VolumeHost) -> None:
    paths = await host.setup(POD, [files(a="1")])
    assert await host.refresh(POD, [files(a="1")]) == []
    before = os.readlink(os.path.join(paths["settings"], "..data"))
    assert await host.refresh(POD, [files(a="2", b="3")]) == ["settings"]
    directory = Path(paths["settings"])
    assert {name: (directory / name).read_text() for name in ("a", "b")} == {"a": "2", "b": "3"}
    assert not (directory / before).exists()


async def test_an_empty_dir_is_open_to_all_and_keeps_its_content_over_a_restart(
    host: VolumeHost, mounter: RecordingMounter
) -> None:
    paths = await host.setup(POD, [empty()])
    file = Path(paths["scratch"]) / "work"
    file.write_text("done")
    os.chmod(paths["scratch"], 0o700)
    again = VolumeHost(host.root_dir, mounter)
    assert await again.setup(POD, [empty()]) == paths
    assert file.read_text() == "done"
    assert mode_of(paths["scratch"]) == 0o700


async def test_an_empty_dir_belongs_to_its_group(host: VolumeHost) -> None:
    group = os.getgid()
    paths = await host.setup(POD, [empty(fs_group=group)])
    found = os.stat(paths["scratch"])
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (group, 0o2777)


async def test_memory_is_mounted_once_and_taken_down(host: VolumeHost, mounter: RecordingMounter) -> None:
    plan = empty(VolumeKind.TMPFS, size_bytes=1 << 20)
    paths = await host.setup(POD, [plan])
    await host.setup(POD, [plan])
    assert mounter.mounts == {paths["scratch"]: ("tmpfs", "0o777", 1 << 20)}
    await host.teardown("u1")
    assert mounter.mounts == {}
    assert kind_of(paths["scratch"]) == "nothing"
    await host.teardown("u1")


async def test_a_pod_directory_can_be_removed_wholly(host: VolumeHost) -> None:
    await host.setup(POD, [empty()])
    assert host.pods_on_disk() == ["u1"]
    await host.remove_pod_dir("u1")
    assert host.pods_on_disk() == []


@pytest.mark.parametrize(
    ("path_type", "text"),
    [
        ("Directory", "a directory"),
        ("File", "a file"),
        ("Socket", "a socket file"),
        ("CharDevice", "a character device"),
        ("BlockDevice", "a block device"),
    ],
)
async def test_host_paths_must_be_what_they_are_said_to_be(
    host: VolumeHost, tmp_path: Path, path_type: str, text: str
) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(MountError) as caught:
        await host.setup(POD, [host_path(missing, path_type)])
    assert str(caught.value) == (
        f'MountVolume.SetUp failed for volume "v" : hostPath type check failed: {missing} is not {text}'
    )


async def test_host_paths_that_are_right_or_can_be_made(host: VolumeHost, tmp_path: Path) -> None:
    listening = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
    cases = [
        (tmp_path / "anything", ""),
        (tmp_path / "made/deep", "DirectoryOrCreate"),
        (tmp_path / "file", "FileOrCreate"),
        (tmp_path / "file", "File"),
        (tmp_path / "made", "Directory"),
        (listening, "Socket"),
        (Path("/dev/null"), "CharDevice"),
    ]
    for path, path_type in cases:
        assert await host.setup(POD, [host_path(path, path_type)]) == {"v": str(path)}
    assert (tmp_path / "made/deep").is_dir()
    assert (tmp_path / "file").is_file()


async def test_sub_paths_are_made_inside_the_volume(host: VolumeHost, mounter: RecordingMounter) -> None:
    volume = (await host.setup(POD, [empty()]))["scratch"]
    os.chmod(volume, 0o755)
    target = await host.prepare_sub_path("u1", "scratch", volume, "main", 0, "a/b")
    assert target.endswith("pods/u1/volume-subpaths/scratch/main/0")
    assert mounter.mounts[target] == ("bind", os.path.join(volume, "a/b"))
    assert mode_of(os.path.join(volume, "a/b")) == 0o755


async def test_a_sub_path_of_files_is_the_file_itself(host: VolumeHost, mounter: RecordingMounter) -> None:
    volume = (await host.setup(POD, [files(a="1")]))["settings"]
    target = await host.prepare_sub_path("u1", "settings", volume, "main", 1, "a")
    assert mounter.mounts[target] == ("bind", real(os.path.join(volume, "a")))
    assert kind_of(target) == "file"


async def test_a_symlink_cannot_lead_a_sub_path_out(host: VolumeHost, tmp_path: Path) -> None:
    volume = (await host.setup(POD, [empty()]))["scratch"]
    os.symlink("/etc", os.path.join(volume, "out"))
    os.symlink("a", os.path.join(volume, "in"))
    with pytest.raises(VolumeError) as caught:
        await host.prepare_sub_path("u1", "scratch", volume, "main", 0, "out/passwd")
    assert str(caught.value) == f"subpath '/etc/passwd' not within volume path '{volume}'"
    await host.prepare_sub_path("u1", "scratch", volume, "main", 0, "in")
    assert kind_of(os.path.join(volume, "a")) == "directory"

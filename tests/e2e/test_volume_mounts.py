"""Volumes that need the kernel: tmpfs with a size, bind mounts of sub paths, and that nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.io.mounting import LinuxMounter
from tiphys.kubelet.io.mounts import VolumeHost
from tiphys.kubelet.volumes.payload import VolumeFile
from tiphys.kubelet.volumes.plan import VolumeKind, VolumePlan

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")]

POD = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="u1"))
MEMORY = VolumePlan(
    name="scratch", plugin="kubernetes.io~empty-dir", kind=VolumeKind.TMPFS, size_bytes=1 << 20, fs_group=3000
)
SECRET = VolumePlan(
    name="login",
    plugin="kubernetes.io~secret",
    kind=VolumeKind.FILES,
    in_memory=True,
    files=(VolumeFile(path="password", data=b"hush", mode=0o400, user=1000),),
    fs_group=2000,
)


def read(path: str) -> str:
    return Path(path).read_text()


async def test_tmpfs_sub_paths_and_their_end(tmp_path: Path) -> None:
    host = VolumeHost(str(tmp_path))
    mounter = LinuxMounter()
    try:
        paths = await host.setup(POD, [MEMORY, SECRET])
        sizes = os.statvfs(paths["scratch"])
        assert sizes.f_blocks * sizes.f_frsize == 1 << 20
        assert (os.stat(paths["scratch"]).st_gid, oct(os.stat(paths["scratch"]).st_mode & 0o7777)) == (3000, "0o2777")
        password = os.stat(os.path.join(paths["login"], "password"))
        assert (password.st_uid, password.st_gid, oct(password.st_mode & 0o777)) == (1000, 2000, "0o440")

        (Path(paths["scratch"]) / "kept").write_text("yes")
        again = VolumeHost(str(tmp_path))
        assert await again.setup(POD, [MEMORY, SECRET]) == paths
        assert (Path(paths["scratch"]) / "kept").read_text() == "yes"

        target = await host.prepare_sub_path("u1", "scratch", paths["scratch"], "main", 0, "below/here")
        (Path(target) / "file").write_text("seen")
        assert (Path(paths["scratch"]) / "below/here/file").read_text() == "seen"
        assert await again.prepare_sub_path("u1", "scratch", paths["scratch"], "main", 0, "below/here") == target
        assert len(mounter.mounts_below(target)) == 1

        file = await host.prepare_sub_path("u1", "login", paths["login"], "main", 1, "password")
        assert read(file) == "hush"
    finally:
        await host.remove_pod_dir("u1")
    assert mounter.mounts_below(str(tmp_path)) == []
    assert host.pods_on_disk() == []

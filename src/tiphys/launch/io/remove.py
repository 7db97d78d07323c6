"""Removes what a node leaves on the machine when it is taken down: containers, mounts, cgroups. Blocking; works from
names alone, also long after a kill -9."""

from __future__ import annotations

import ctypes
import os
import pathlib
import shutil

from tiphys.launch.cluster import ClusterNode, Layout
from tiphys.runtime.io.containerd import ContainerdPaths, remove_containerd
from tiphys.runtime.io.processes import kill_and_wait

CGROUPS = pathlib.Path("/sys/fs/cgroup")
_MNT_DETACH = 2


def remove_node(layout: Layout, node: ClusterNode) -> None:
    """End everything of one node and remove its traces; its images and pod logs stay."""
    remove_containerd(ContainerdPaths(directory=layout.containerd(node.name)))
    unmount_below(layout.node(node.name))
    remove_cgroups(node.cgroup.strip("/"))
    shutil.rmtree(layout.kubelet(node.name) / "pods", ignore_errors=True)
    shutil.rmtree(layout.cni_data(node.name), ignore_errors=True)  # pod addresses that were taken are free again


def mounts_below(directory: pathlib.Path) -> list[str]:
    """The mount points in a directory, the deepest first."""
    prefix = f"{directory}/"
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(prefix):
            found.append(point)
    return sorted(found, key=len, reverse=True)


def unmount_below(directory: pathlib.Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_below(directory):
        libc.umount2(os.fsencode(point), _MNT_DETACH)


def remove_cgroups(name: str) -> None:
    """Remove a node's cgroup from every hierarchy, with whatever still runs in it."""
    for top in [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]:
        if not top.is_dir():
            continue
        groups = sorted((path for path in [top, *top.rglob("*")] if path.is_dir()), key=lambda p: -len(p.parts))
        pids = {int(pid) for group in groups for pid in (group / "cgroup.procs").read_text().split()}
        if pids:
            kill_and_wait(pids)
        for group in groups:
            group.rmdir()

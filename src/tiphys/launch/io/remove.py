"""Removes what a node leaves on the machine when it is taken down: containers, mounts, cgroups. Blocking; works from
names alone, also long after a kill -9."""

from __future__ import annotations

import pathlib
import shutil

from tiphys.launch.cluster import ClusterNode, Layout
from tiphys.linux.io.mounts import unmount_below
from tiphys.linux.io.processes import kill_and_wait
from tiphys.runtime.io.containerd import ContainerdPaths, remove_containerd

CGROUPS = pathlib.Path("/sys/fs/cgroup")


def remove_node(layout: Layout, node: ClusterNode) -> None:
    """End everything of one node and remove its traces; its images and pod logs stay."""
    remove_containerd(ContainerdPaths(directory=layout.containerd(node.name)))
    unmount_below(layout.node(node.name))
    remove_cgroups(node.cgroup.strip("/"))
    shutil.rmtree(layout.kubelet(node.name) / "pods", ignore_errors=True)
    shutil.rmtree(layout.cni_data(node.name), ignore_errors=True)  # pod addresses that were taken are free again


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

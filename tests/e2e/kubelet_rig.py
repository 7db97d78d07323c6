"""A real node for tests: containerd in a network namespace of its own, and a kubelet against an API in memory.

The namespace is entered by the calling thread (threads that are started in it inherit it) and left again; everything is
in one directory that is removed afterwards with what runs in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tiphys.aio.clock import SystemClock
from tiphys.kinds.types import core_v1
from tiphys.kubelet.component import Kubelet, KubeletConfig
from tiphys.kubelet.io.cgroups import Cgroups
from tiphys.kubelet.io.mounting import LinuxMounter
from tiphys.network.cni import PLUGIN_DIRECTORIES, PodNetwork, conflist
from tiphys.runtime.images import SAMPLE_IMAGE
from tiphys.runtime.io.containerd import Containerd, ContainerdPaths, containerd_config
from tiphys.runtime.io.images import build_sample_archive, ensure_pause_image, import_archive
from tiphys.testing.fake_api import FakeApi

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
NODE = "node-1"
POD_CIDR = "10.199.7.0/24"
IMAGE = SAMPLE_IMAGE


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """A network namespace that is gone afterwards."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        _libc.setns(before, _CLONE_NEWNET)
        os.close(before)


@dataclass
class NodeRig:
    """`kubelet` runs; `restart` replaces it by a new one, as after a crash of the agent."""

    directory: Path
    api: FakeApi
    containerd: Containerd
    kubelet: Kubelet
    failures: list[tuple[str, BaseException]]

    @property
    def socket(self) -> str:
        return str(self.containerd.paths.socket)

    def make_kubelet(self) -> Kubelet:
        config = KubeletConfig(
            node_name=NODE,
            node_addresses=("127.0.0.1",),
            root_dir=str(self.directory / "kubelet"),
            log_dir=str(self.directory / "logs"),
            runtime_endpoint=self.socket,
            cluster_dns=("10.96.0.10",),
            cgroup_root=cgroup_name(self.directory),
        )
        return Kubelet(
            config, self.api.transport("system:node:" + NODE), SystemClock(), lambda *each: self.failures.append(each)
        )

    async def restart(self) -> None:
        await self.kubelet.stop()
        self.kubelet = self.make_kubelet()
        await self.kubelet.start()


def cgroup_name(directory: Path) -> str:
    return f"tiphys-test-{directory.name[-12:]}"


@contextlib.asynccontextmanager
async def running_containerd(directory: Path) -> AsyncIterator[Containerd]:
    """containerd with the pause image, the sample image and a pod network; all of it is removed afterwards. Must be
    entered in a network namespace of its own."""
    paths = ContainerdPaths(directory=directory / "containerd")
    cni = directory / "cni"
    cni.mkdir(parents=True)
    network = PodNetwork(
        pod_cidr=POD_CIDR,
        data_directory=str(directory / "cni-data"),
        mtu=1500,
        filtered_bridge=False,
        has_port_mapping=False,
    )
    (cni / "10-test.conflist").write_bytes(conflist(network))
    config = containerd_config(
        paths,
        cni_plugin_directory=next(each for each in PLUGIN_DIRECTORIES if os.path.isdir(each)),  # noqa: ASYNC240
        cni_configuration_directory=str(cni),
    )
    containerd = Containerd(config, paths, SystemClock(), lambda *_: None)
    await containerd.start()
    try:
        await ensure_pause_image(str(paths.socket), SystemClock())
        await import_archive(str(paths.socket), build_sample_archive())
        yield containerd
    finally:
        await containerd.shut_down()


@contextlib.asynccontextmanager
async def running_node(directory: Path) -> AsyncIterator[NodeRig]:
    """A Ready node with nothing on it."""
    try:
        async with running_containerd(directory) as containerd:
            api = FakeApi(SystemClock(), namespaces=("default", "kube-system", "kube-node-lease"))
            rig = NodeRig(directory, api, containerd, None, [])  # type: ignore[arg-type]
            rig.kubelet = rig.make_kubelet()
            await rig.kubelet.start()
            try:
                yield rig
            finally:
                await rig.kubelet.stop()
    finally:
        for point in LinuxMounter().mounts_below(str(directory)):
            LinuxMounter().unmount(point)
        Cgroups().remove(f"/{cgroup_name(directory)}")
        shutil.rmtree(directory, ignore_errors=True)


def new_directory() -> Path:
    """Short, because sockets are in it."""
    path = Path("/tmp") / f"kubelet-{uuid.uuid4().hex[:8]}"
    path.mkdir()
    return path


def pod(name: str, *command: str, **spec: object) -> core_v1.Pod:
    from tiphys.kinds.types import meta_v1

    container = core_v1.Container(name="main", image=IMAGE, command=list(command) or None)
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=core_v1.PodSpec(**{"containers": [container], "nodeName": NODE, **spec}),  # type: ignore[arg-type]
    )

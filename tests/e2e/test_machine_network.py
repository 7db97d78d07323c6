"""The machine's network and containerd, for real."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_lab import needs_nft, needs_root
from pyroute2 import IPRoute

from tiphys.aio.clock import SystemClock
from tiphys.linux.io import namespace
from tiphys.linux.io.nft import open_nft
from tiphys.linux.io.processes import is_alive, kill_and_wait
from tiphys.network.io.machine import MachineNetwork, MachineNetworkError
from tiphys.runtime.images import PAUSE_IMAGE, pause_archive
from tiphys.runtime.io.containerd import Containerd, ContainerdPaths, containerd_config, remove_containerd
from tiphys.runtime.io.cri_probe import CriProbe
from tiphys.runtime.io.images import ensure_pause_image, import_archive

pytestmark = [pytest.mark.root, needs_root]


def snapshot() -> tuple[list[str], list[str], list[str], str]:
    with IPRoute() as netlink:
        links = sorted(each.get_attr("IFLA_IFNAME") for each in netlink.get_links())
        routes = sorted(f"{each.get_attr('RTA_DST')}/{each['dst_len']}" for each in netlink.get_routes(family=2))
    packet_filter = open_nft()
    try:
        return links, routes, namespace.names(), packet_filter.run("list tables")
    finally:
        packet_filter.close()


@pytest.fixture
def machines() -> Iterator[tuple[MachineNetwork, MachineNetwork]]:
    made = MachineNetwork("e2etesta"), MachineNetwork("e2etestb")
    before = snapshot()
    try:
        yield made
    finally:
        for each in made:
            each.remove()
            each.remove()
        # Other clusters of the machine may come and go meanwhile: only what is ours must be gone.
        after = snapshot()
        assert not [name for name in after[2] if "e2etest" in name]
        assert "e2etest" not in after[3]
        assert [name for name in before[0] if name not in after[0]] == []


@needs_nft
def test_two_clusters_side_by_side(machines: tuple[MachineNetwork, MachineNetwork]) -> None:
    first, second = machines
    state = first.ensure(["one", "two"])
    other = second.ensure(["one"])
    assert state.addresses.number != other.addresses.number
    assert first.ensure(["one", "two"]) == state
    assert first.number() == state.addresses.number
    with pytest.raises(MachineNetworkError, match="in use already"):
        MachineNetwork("e2etestc").ensure(["one"], number=state.addresses.number)
    namespace.delete("tiphys-e2etestc")

    listener = namespace.run_in(
        state.nodes[1].namespace_path, lambda: socket.create_server((state.nodes[1].address, 0))
    )
    with listener:
        port = listener.getsockname()[1]
        for path in (state.nodes[0].namespace_path, Path("/proc/self/ns/net")):
            connection = namespace.run_in(
                path, lambda: socket.create_connection((state.nodes[1].address, port), timeout=5)
            )
            connection.close()


@needs_nft
def test_what_a_killed_process_left_is_finished_and_removed(machines: tuple[MachineNetwork, MachineNetwork]) -> None:
    first, _ = machines
    namespace.create("tiphys-e2etesta")  # killed right after its first step
    assert first.number() is None
    state = first.ensure(["one"])
    first.remove()
    assert first.number() is None
    with IPRoute() as netlink:
        assert netlink.link_lookup(ifname=state.host_interface) in ([], ())
    assert first.ensure(["one"], number=state.addresses.number) == state


def ctr(address: str, *arguments: str) -> str:
    command = ["ctr", "-a", address, "-n", "k8s.io", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="tiphys-containerd-"))
    try:
        yield made
    finally:
        remove_containerd(ContainerdPaths(directory=made))
        assert str(made) not in Path("/proc/self/mountinfo").read_text()
        assert list(Path("/sys/fs/cgroup").glob("*/k8s.io/lives")) == []
        for parent in Path("/sys/fs/cgroup").glob("*/k8s.io"):  # ctr's own, not CRI's
            with contextlib.suppress(OSError):
                parent.rmdir()
        shutil.rmtree(made)


@pytest.mark.skipif(shutil.which("containerd") is None, reason="needs containerd")
async def test_containerd_is_started_adopted_restarted_and_removed(directory: Path) -> None:
    paths = ContainerdPaths(directory=directory)
    config = containerd_config(
        paths, cni_plugin_directory="/usr/lib/cni", cni_configuration_directory=str(directory / "cni")
    )
    faults: list[BaseException] = []

    def make() -> Containerd:
        return Containerd(config, paths, SystemClock(), lambda _, error: faults.append(error))

    first = make()
    await first.start()
    await ensure_pause_image(config.socket, SystemClock())
    assert await import_archive(config.socket, pause_archive("amd64", "localhost/other:1")) == ["localhost/other:1"]
    await first.stop()

    second = make()
    await second.start()
    assert second.pid == first.pid
    probe = CriProbe(config.socket)
    assert await probe.has_image(PAUSE_IMAGE)
    assert not await probe.has_image("localhost/absent:1")
    await probe.close()

    await asyncio.to_thread(ctr, config.socket, "run", "-d", PAUSE_IMAGE, "lives")
    kill_and_wait([first.pid])
    async with asyncio.timeout(20):
        await second.restarted.wait()
    assert (second.restarts, second.pid != first.pid) == (1, True)
    assert "RUNNING" in await asyncio.to_thread(ctr, config.socket, "task", "ls")

    last = second.identity
    assert last is not None
    await second.shut_down()
    assert not is_alive(last)
    assert not paths.state.exists()
    assert faults == []

"""One suite for every container runtime: the shipped fake and a real containerd keep the same rules."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubelet_rig import IMAGE, new_directory, own_network, running_containerd

from tiphys.aio.clock import SystemClock
from tiphys.kubelet import interface
from tiphys.kubelet.interface import ContainerRuntime, CriMessage, ImageFailure, RuntimeFailure
from tiphys.kubelet.io.cri import CriRuntime
from tiphys.testing.fake_runtime import FakeRuntime, Program

POD_UID = "11111111-2222-3333-4444-555555555555"
ENDS, STUBBORN, FAILS = ("sh", "-c", "exit 3"), ("sleep", "1000"), ("no-such-program",)


@dataclass(frozen=True)
class Rig:
    runtime: ContainerRuntime
    logs: str
    image_id: str

    def sandbox(self, attempt: int = 0) -> CriMessage:
        return {
            "metadata": {"name": "web", "namespace": "default", "uid": POD_UID, "attempt": attempt},
            "log_directory": self.logs,
            "labels": {interface.POD_NAME: "web", interface.POD_NAMESPACE: "default", interface.POD_UID: POD_UID},
            "annotations": {"a": "b"},
            "linux": {"security_context": {"namespace_options": {"network": 0, "pid": 1, "ipc": 0}}},
        }

    def container(self, name: str, *command: str, attempt: int = 0) -> CriMessage:
        return {
            "metadata": {"name": name, "attempt": attempt},
            "image": {"image": self.image_id},
            "command": list(command),
            "labels": {interface.POD_UID: POD_UID, interface.CONTAINER_NAME: name},
            "annotations": {interface.HASH: "abc", interface.RESTART_COUNT: str(attempt)},
            "log_path": f"{name}-{attempt}.log",
            "linux": {"resources": {}, "security_context": {"namespace_options": {"network": 0, "pid": 1, "ipc": 0}}},
        }

    async def started(self, sandbox_id: str, name: str, *command: str, attempt: int = 0) -> str:
        config = self.container(name, *command, attempt=attempt)
        container_id = await self.runtime.create_container(sandbox_id, config, self.sandbox())
        await self.runtime.start_container(container_id)
        return container_id


@pytest.fixture(params=["fake", pytest.param("containerd", marks=pytest.mark.root)])
def network(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "fake":
        yield "fake"
        return
    with own_network():
        yield "containerd"


@pytest.fixture
async def rig(network: str, tmp_path: Path) -> AsyncIterator[Rig]:
    if network == "fake":
        fake = FakeRuntime(SystemClock())
        fake.programs = {
            "ends": Program(run_seconds=0.0, exit_code=3),
            "stubborn": Program(stop_seconds=None),
            "fails": Program(start_error="no such program"),
        }
        image = fake.add_image(IMAGE)
        yield Rig(fake, str(tmp_path), image.id)
        await fake.shut_down()
        return
    directory = new_directory()
    try:
        async with running_containerd(directory) as containerd:
            runtime = CriRuntime(str(containerd.paths.socket))
            found = await runtime.image(IMAGE)
            assert found is not None
            yield Rig(runtime, str(tmp_path), found.id)
            for sandbox in (await runtime.pod(POD_UID)).sandboxes:
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
            await runtime.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def test_a_pod_lives_and_is_taken_down(rig: Rig) -> None:
    runtime = rig.runtime
    assert (await runtime.conditions()).ready and (await runtime.conditions()).network_ready
    sandbox_id = await runtime.run_sandbox(rig.sandbox(), "")
    sandbox = (await runtime.pod(POD_UID)).sandbox
    assert sandbox is not None
    assert (sandbox.id, sandbox.uid, sandbox.name, sandbox.ready, sandbox.attempt) == (
        sandbox_id,
        POD_UID,
        "web",
        True,
        0,
    )
    assert len(sandbox.ips) == 1 and not sandbox.host_network and sandbox.annotations["a"] == "b"

    created = await runtime.create_container(sandbox_id, rig.container("stubborn", *STUBBORN), rig.sandbox())
    assert [each.state for each in (await runtime.pod(POD_UID)).containers] == ["created"]
    await runtime.start_container(created)
    (record,) = (await runtime.pod(POD_UID)).containers
    assert (record.id, record.name, record.state, record.sandbox_id) == (created, "stubborn", "running", sandbox_id)
    assert record.started_at >= record.created_at > 0 and record.definition_hash == "abc"
    assert record.log_path == f"{rig.logs}/stubborn-0.log"
    assert list(await runtime.pods()) == [POD_UID]

    await runtime.stop_container(created, 1)
    (record,) = (await runtime.pod(POD_UID)).containers
    assert (record.state, record.exit_code) == ("exited", 137)
    assert record.finished_at >= record.started_at

    await runtime.stop_sandbox(sandbox_id)
    found = await runtime.pod(POD_UID)
    assert found.sandbox is not None and not found.sandbox.ready
    await runtime.remove_sandbox(sandbox_id)
    assert await runtime.pods() == {}


async def test_an_exit_is_told_and_kept(rig: Rig) -> None:
    runtime = rig.runtime
    sandbox_id = await runtime.run_sandbox(rig.sandbox(), "")
    events = runtime.events()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    while not first.done():
        # A subscription has no acknowledgement, so exits go on until one is heard.
        await rig.started(sandbox_id, "ends", *ENDS, attempt=len((await runtime.pod(POD_UID)).containers))
        await asyncio.wait([first], timeout=0.5)
    event = first.result()
    await events.aclose()  # type: ignore[attr-defined]
    records = {each.id: each for each in (await runtime.pod(POD_UID)).containers}
    assert event.kind == "changed" and event.container_id in records
    assert (records[event.container_id].state, records[event.container_id].exit_code) == ("exited", 3)
    assert records[event.container_id].reason == "Error"


async def test_what_is_gone_can_be_stopped_and_removed(rig: Rig) -> None:
    for name in ("stop_container",):
        await getattr(rig.runtime, name)("0" * 64, 0)
    for name in ("remove_container", "stop_sandbox", "remove_sandbox"):
        await getattr(rig.runtime, name)("0" * 64)


async def test_names_are_taken_until_removed(rig: Rig) -> None:
    runtime = rig.runtime
    sandbox_id = await runtime.run_sandbox(rig.sandbox(), "")
    with pytest.raises(RuntimeFailure):
        await runtime.run_sandbox(rig.sandbox(), "")
    await rig.started(sandbox_id, "ends", *ENDS)
    with pytest.raises(RuntimeFailure):
        await runtime.create_container(sandbox_id, rig.container("ends", *ENDS), rig.sandbox())
    await rig.started(sandbox_id, "ends", *ENDS, attempt=1)
    runs = (await runtime.pod(POD_UID)).containers
    assert [(each.attempt, each.restart_count) for each in runs] == [(1, 1), (0, 0)]


async def test_a_container_that_cannot_start_has_ended(rig: Rig) -> None:
    sandbox_id = await rig.runtime.run_sandbox(rig.sandbox(), "")
    with pytest.raises(RuntimeFailure):
        await rig.started(sandbox_id, "fails", *FAILS)
    (record,) = (await rig.runtime.pod(POD_UID)).containers
    assert (record.state, record.exit_code, record.reason) == ("exited", 128, "StartError")


async def test_commands_run_in_containers(rig: Rig) -> None:
    sandbox_id = await rig.runtime.run_sandbox(rig.sandbox(), "")
    container_id = await rig.started(sandbox_id, "stubborn", *STUBBORN)
    assert (await rig.runtime.exec_sync(container_id, ["true"], 5)).exit_code == 0
    await rig.runtime.stop_container(container_id, 0)
    with pytest.raises(RuntimeFailure):
        await rig.runtime.exec_sync(container_id, ["true"], 5)


async def test_stopping_a_sandbox_ends_its_containers(rig: Rig) -> None:
    sandbox_id = await rig.runtime.run_sandbox(rig.sandbox(), "")
    await rig.started(sandbox_id, "stubborn", *STUBBORN)
    await rig.runtime.stop_sandbox(sandbox_id)
    (record,) = (await rig.runtime.pod(POD_UID)).containers
    assert record.state == "exited"


async def test_images_are_known_by_every_name(rig: Rig) -> None:
    assert await rig.runtime.image("localhost:1/nothing:1") is None
    found = await rig.runtime.image(IMAGE)
    assert found is not None and found.id == rig.image_id and IMAGE in found.tags
    assert await rig.runtime.image(rig.image_id) == found
    assert found in await rig.runtime.images()
    with pytest.raises(ImageFailure):
        await rig.runtime.pull_image("localhost:1/nothing:1", None, rig.sandbox())

"""What the kubelet throws away: dead containers, old sandboxes, grown logs, what gone pods left behind."""

from __future__ import annotations

import os
from pathlib import Path

from hollow_node import HollowNode, make_pod

from tiphys.kubelet.io.housekeeping import Limits
from tiphys.testing.fake_runtime import Program


async def test_one_dead_container_is_kept(node: HollowNode) -> None:
    node.runtime.programs["main"] = Program(run_seconds=1, exit_code=1)
    await node.create(make_pod())
    await node.run(120)
    attempts = [each.attempt for each in node.runtime.containers()]
    assert attempts == [node.restarts() - 1, node.restarts()] and node.restarts() >= 4


async def test_an_old_sandbox_goes_when_it_is_empty(node: HollowNode) -> None:
    await node.create(make_pod())
    for _ in range(3):
        await node.runtime.stop_sandbox(node.runtime.sandboxes()[-1].id)
        await node.run(15)
    await node.run(200)
    assert [each.attempt for each in node.runtime.sandboxes() if each.ready] == [3]
    assert len(node.runtime.sandboxes()) <= 2


async def test_logs_are_rotated(tmp_path: Path) -> None:
    node = HollowNode(tmp_path, limits=Limits(log_bytes=1000, log_files=3))
    await node.start()
    await node.create(make_pod())
    path = node.runtime.containers()[0].log_path
    for _ in range(4):
        with open(path, "w", encoding="utf-8") as file:  # noqa: ASYNC230
            file.write("x" * 2000)
        await node.run(60)
    names = sorted(os.listdir(os.path.dirname(path)))
    assert len(names) == 2 and all(name.startswith("0.log.") for name in names)
    assert len(node.runtime.named("reopen_log")) == 4
    await node.stop()


async def test_leftovers_of_unknown_pods_go(tmp_path: Path) -> None:
    node = HollowNode(tmp_path)
    (tmp_path / "kubelet" / "pods" / "gone" / "containers").mkdir(parents=True)
    (tmp_path / "logs" / "default_old_gone").mkdir(parents=True)
    await node.start()
    await node.run(61)
    assert os.listdir(tmp_path / "kubelet" / "pods") == [] and os.listdir(tmp_path / "logs") == []
    await node.stop()

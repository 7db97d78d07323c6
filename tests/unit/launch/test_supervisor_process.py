"""The supervisor with real (tiny) processes: it starts, restarts, adopts and stops them."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from tiphys.launch.cluster import CONTROL_PLANE, Cluster, Layout
from tiphys.launch.io import state, supervisor, up
from tiphys.launch.supervision import Unit
from tiphys.linux.io import processes

SLEEP = (sys.executable, "-c", "import signal; signal.pause()")


@pytest.fixture
def layout(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    made = Layout(tmp_path)
    state.save(made, Cluster(number=0, nodes=1, api_port=6443))
    monkeypatch.setattr(supervisor, "units_of", lambda *_: [Unit(name=CONTROL_PLANE, command=SLEEP)])
    return made


@pytest.fixture
def running(layout: Layout) -> Iterator[int]:
    """A supervisor in a child process; its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            supervisor.Supervisor(layout).run()
        finally:
            os._exit(0)
    yield pid
    for left in (processes.running_pid(layout.unit_pid(CONTROL_PLANE)), pid):
        if left is not None:
            processes.send_signal(left, signal.SIGKILL)
    os.waitpid(pid, 0)


def new_unit_pid(layout: Layout, other_than: int | None = None) -> int:
    """The pid of the unit once its pid file names a running process, heard of through the log."""
    descriptor = threading.Event()
    for _ in range(1000):
        pid = processes.running_pid(layout.unit_pid(CONTROL_PLANE))
        if pid is not None and pid != other_than:
            return pid
        descriptor.wait(0.01)
    raise AssertionError("the unit was not started")


def test_a_killed_unit_is_started_again_and_stopped_with_the_supervisor(layout: Layout, running: int) -> None:
    first = new_unit_pid(layout)
    os.kill(first, signal.SIGKILL)
    second = new_unit_pid(layout, other_than=first)
    os.kill(running, signal.SIGTERM)
    assert processes.wait_gone(second, 10)
    descriptor = os.pidfd_open(running)
    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)
    assert not layout.notify_socket.exists()


def test_a_new_supervisor_takes_over_what_runs(layout: Layout) -> None:
    pid = processes.spawn(SLEEP, layout.unit_log(CONTROL_PLANE), dict(os.environ))
    processes.write_pid_file(layout.unit_pid(CONTROL_PLANE), pid)
    made = supervisor.Supervisor(layout)
    made._reload()
    assert made.states[CONTROL_PLANE].pid == pid
    processes.send_signal(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_pid_file_of_another_process_is_not_believed(layout: Layout) -> None:
    path = layout.unit_pid(CONTROL_PLANE)
    path.parent.mkdir(parents=True)
    path.write_text(f"{os.getpid()} 1\n")
    assert processes.running_pid(path) is None
    processes.write_pid_file(path, os.getpid())
    assert processes.running_pid(path) == os.getpid()


def test_a_signal_that_comes_before_the_supervisor_listens_does_not_end_it(tmp_path: pathlib.Path) -> None:
    """Without a cluster it ends by itself, with the reason; the signal alone would end it with none."""
    layout = Layout(tmp_path)
    pid = up.start_supervisor(layout)
    processes.send_signal(pid, signal.SIGHUP)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert layout.supervisor_log.read_text() == f"no cluster in {tmp_path}\n"
    assert not layout.supervisor_pid.exists()


def test_the_supervisor_is_known_from_the_moment_it_is_started(layout: Layout) -> None:
    first = up.start_supervisor(Layout(layout.state / "other"))
    try:
        assert processes.running_pid(layout.state / "other" / "supervisor.pid") == first
    finally:
        processes.send_signal(first, signal.SIGKILL)
        os.waitpid(first, 0)

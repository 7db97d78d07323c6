"""Processes are known by pid and start time; pid files hold both."""

from __future__ import annotations

import os
import pathlib
import signal
import sys

from tiphys.linux.io import processes

SLEEP = (sys.executable, "-c", "import signal; signal.pause()")


def test_damaged_and_missing_pid_files_name_nobody(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "unit.pid"
    assert processes.running_pid(path) is None
    for content in (b"", b"12", b"x y", b"-1 5", b"\xff\xfe", f"{os.getpid()} 1\n".encode()):
        path.write_bytes(content)
        assert processes.running_pid(path) is None, content


def test_a_process_is_spawned_recorded_signalled_and_waited_for(tmp_path: pathlib.Path) -> None:
    pid = processes.spawn(SLEEP, tmp_path / "logs" / "unit.log", dict(os.environ))
    path = tmp_path / "run" / "unit.pid"
    processes.write_pid_file(path, pid)
    assert processes.running_pid(path) == pid
    assert os.getsid(pid) == pid
    assert pid in processes.descendants([os.getpid()])
    assert not processes.wait_gone(pid, 0.0)
    processes.send_signal(pid, signal.SIGTERM)
    assert processes.wait_gone(pid, 10.0)
    assert processes.running_pid(path) is None, "a zombie runs no more"
    os.waitpid(pid, 0)
    processes.send_signal(pid, signal.SIGTERM)
    assert processes.wait_gone(pid, 0.0)
    assert [entry.name for entry in path.parent.iterdir()] == ["unit.pid"]

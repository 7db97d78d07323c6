"""A Go program with the unmodified client-go against our server: what every controller and operator is made of.

`go_client/` is the program, `go_client/seen.jsonl` what it has to see, line by line, and `go_client/wire-*.txt` every
kind of request it makes: its body's form, the answer's code and the answer's form.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from loopback_control_plane import running

HERE = pathlib.Path(__file__).parent / "go_client"
CANNOT_BUILD = 75
PROTOBUF = "application/vnd.kubernetes.protobuf"
# What may be in the logs: a renewal that the program itself broke off, and the garbage collector that finds the
# custom resource gone before it has heard of its definition's deletion.
EXPECTED_IN_LOGS = re.compile("context canceled|^following Gadget: the server could not find the requested resource$")


@pytest.fixture(scope="module")
def program() -> pathlib.Path:
    built = subprocess.run([HERE / "build.sh", sys.executable], capture_output=True, text=True, check=False)
    if built.returncode == CANNOT_BUILD and not os.environ.get("CI"):
        pytest.skip(f"the Go program cannot be built here: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    return pathlib.Path(built.stdout.strip())


@pytest.mark.timeout(1200)  # the first build of client-go
@pytest.mark.parametrize(("accept", "wire"), [("", "wire-preferred.txt"), (PROTOBUF, "wire-protobuf.txt")])
def test_a_controller_in_go(program: pathlib.Path, tmp_path: pathlib.Path, accept: str, wire: str) -> None:
    with running(tmp_path) as kubeconfig:
        command = [program, f"--kubeconfig={kubeconfig}", f"--accept={accept}", "--v=2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *seen, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert seen == [json.loads(line) for line in (HERE / "seen.jsonl").read_text().splitlines()]
    wanted = (HERE / wire).read_text().splitlines()
    assert "\n".join(last["wire"]) == "\n".join(wanted)  # as text, because pytest then shows the lines that differ
    assert last == {"step": "end", "wire": wanted}
    # klog begins lines of warnings with W, of errors with E
    complaints = [line for line in done.stderr.splitlines() if line[0] in "WE" or "fall" in line.lower()]
    complaints += (tmp_path / "log").read_text().splitlines()
    assert [line for line in complaints if not EXPECTED_IN_LOGS.search(line)] == []

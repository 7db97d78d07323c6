"""An API server as a process of its own, on an SQLite file: it can be killed and started again where it was."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import requests

TOKEN = "administrator-of-this-test"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class ApiProcess:
    """`python -m tiphys.apiserver` in `directory`; `log` holds the lines that it said."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        (directory / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def authority(self) -> str:
        return str(self.directory / "pki" / "ca.crt")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it serves."""
        words = ["--state", str(self.directory), "--address", f"127.0.0.1:{self.port}"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tiphys.apiserver", *words, "--token-file", str(self.directory / "tokens.csv")],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        serving, ended = threading.Event(), threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, serving, ended), daemon=True)
        self._reader.start()
        assert serving.wait(60), "".join(self.log)
        assert not ended.is_set(), "".join(self.log)

    def _read(self, process: subprocess.Popen[str], serving: threading.Event, ended: threading.Event) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line)
            if "serving on" in line:
                serving.set()
        ended.set()
        serving.set()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        assert self._process is not None and self._reader is not None
        self._process.send_signal(number)
        self._process.wait(30)
        self._reader.join(30)

    def session(self) -> requests.Session:
        """The administrator's connections."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.authority
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        return session


@contextlib.contextmanager
def running_process(directory: pathlib.Path) -> Iterator[ApiProcess]:
    process = ApiProcess(directory)
    process.start()
    try:
        yield process
    finally:
        process.stop()

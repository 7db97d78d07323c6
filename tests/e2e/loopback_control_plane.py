"""An API server and its controllers on the loopback interface, for tests of clients that need no nodes.

Run as `python loopback_control_plane.py DIRECTORY PORT`; it prints a line when it serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import uvloop

from tiphys.aio.clock import SystemClock
from tiphys.apiserver.__main__ import _arguments, configuration
from tiphys.apiserver.component import ApiServer
from tiphys.controllers.component import ControllerManager
from tiphys.controllers.config import ControllersConfig
from tiphys.store.drivers.memory import MemoryStore

ADVERTISED = "192.0.2.1"  # of no machine: nobody is sent there


async def serve(directory: pathlib.Path, port: str) -> None:
    clock, ended = SystemClock(), asyncio.Event()

    def failed(name: str, error: BaseException) -> None:
        sys.stderr.write(f"{name} failed: {error!r}\n")
        ended.set()

    words = ["--state", str(directory), "--address", f"127.0.0.1:{port}", "--advertise-address", ADVERTISED]
    config = configuration(_arguments([*words, "--dns-address", "10.96.0.10"]), clock.now())
    store = MemoryStore(clock=clock)
    server = ApiServer(config, store, clock, failed)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await store.start()
    await server.start()
    authority = (directory / "pki" / "ca.crt").read_text()
    settings = ControllersConfig(root_ca_pem=authority, cluster_cidrs=("10.244.0.0/16",))
    controllers = ControllerManager(server.transport, clock, settings, failed)
    await controllers.start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await ended.wait()
    await controllers.stop()
    await server.stop()
    await store.close()


@contextlib.contextmanager
def running(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """The administrator's kubeconfig of a control plane that runs as long as this context."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    log = (directory / "log").open("w")
    command = [sys.executable, __file__, str(directory), str(port)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "serving\n", (directory / "log").read_text()
        yield directory / "kubeconfig"
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


if __name__ == "__main__":
    uvloop.run(serve(pathlib.Path(sys.argv[1]), sys.argv[2]))

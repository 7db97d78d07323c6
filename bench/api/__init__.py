"""The API server under load, over TLS: reads, durable writes, custom resources, watches, quotas. One line a figure.

    python -m bench.api [--runs 3] [--only ROW ...]

The project's own server runs in a process of its own on SQLite; wrk (or a loader in this process) puts the load on it.
Rows say how many requests a second were answered, how long the slowest percent took, and how much processor time of
the server a request cost: the last hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.api import custom, quotas, reads, watches, writes
from bench.api.server import Server
from bench.figures import show

ROWS = {**reads.ROWS, **watches.ROWS, **writes.ROWS, **quotas.ROWS, **custom.ROWS}


def main(words: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(ROWS), help="may be given more than once")
    arguments = parser.parse_args(words)
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as directory:
        server = Server(Path(directory))
        try:
            show("API server: command to ready", [server.start_seconds], "s", "5.4 - 7.2")
            show("memory, empty", [server.resident_mib], "MiB")
            for name in arguments.only or ROWS:
                ROWS[name](server, arguments.runs)
        finally:
            server.stop()

"""The API server in a process of its own, and the clients that put load on it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.figures import show
from bench.processes import processor_seconds, resident_mebibytes

TOKEN = "bench-token"
ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = Path(__file__).with_name("load.lua")
JSON = "application/json"
CLIENT_LIMIT = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk sends all the time. NAME and NUMBER in `path` and `body` stand for the next name and a growing number;
    names are `prefix` and a number: ever new ones, or those below `names`, in turn."""

    path: str
    method: str = "GET"
    media: str = JSON
    body: object = None
    prefix: str = ""
    names: int = 0
    connections: int = 32
    seconds: float = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of a load; `cost_us` is the server's processor time a request, in microseconds."""

    rate: float
    megabytes: float
    late_ms: float
    cost_us: float


class Server:
    """Started at once; `start_seconds` is how long it took until it was ready."""

    def __init__(self, state: Path) -> None:
        self.state = state
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        tokens = state / "tokens.csv"
        tokens.write_text(f'{TOKEN},bench,1,"system:masters"\n')
        words = [sys.executable, "-m", "tiphys.apiserver", "--state", str(state), "--token-file", str(tokens)]
        words += ["--address", f"127.0.0.1:{self.port}", "--advertise-address", "10.201.0.1"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        began = time.monotonic()
        with open(state / "log", "wb") as log:
            self.process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        self.url = f"https://127.0.0.1:{self.port}"
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE
        while True:
            try:
                self.call("GET", "/readyz")
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit((state / "log").read_text()) from None
                time.sleep(0.01)
        self.start_seconds = time.monotonic() - began

    def call(self, method: str, path: str, body: object = None, media: str = JSON) -> bytes:
        """One request; the body of the answer. urllib.error.HTTPError."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", media)
        with urllib.request.urlopen(request, context=self.tls) as answer:
            found: bytes = answer.read()
            return found

    def namespace(self, name: str) -> str:
        """Make a namespace that pods can be created in, unless it is there; its path in the core group."""
        path = f"/api/v1/namespaces/{name}"
        for where, body in (("/api/v1/namespaces", name), (f"{path}/serviceaccounts", "default")):
            try:
                self.call("POST", where, {"metadata": {"name": body}})
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    raise
        return path

    def wrk(self, load: Load) -> Figures:
        """Put a load on; every answer has to be a success, and wrk must not be what limits the rate."""
        body = compact(load.body) if load.body is not None else ""
        media = load.media if load.body is not None else ""
        arguments = [TOKEN, load.method, media, load.prefix, str(load.names), load.path, body]
        words = ["wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s", "--latency"]
        words += ["-s", str(SCRIPT), self.url]
        before, began = self._times()
        text = subprocess.run([*words, "--", *arguments], capture_output=True, text=True, check=True).stdout
        after, ended = self._times()
        if "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"{load.method} {load.path}:\n{text}")
        share = (ended - began) / load.seconds
        if share > CLIENT_LIMIT:
            print(f"# wrk took {share:.0%} of a processor: the server may be faster than the next figure")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
        number, unit = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", text).groups()  # type: ignore[union-attr]
        value, of_time = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
        answered = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
        return Figures(
            rate=rate,
            megabytes=float(number) * {"": 1e-6, "K": 1e-3, "M": 1.0, "G": 1e3}[unit],
            late_ms=float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[of_time],
            cost_us=(after - before) * 1e6 / answered,
        )

    def _times(self) -> tuple[float, float]:
        """Processor seconds of the server and of the clients that have ended."""
        clients = resource.getrusage(resource.RUSAGE_CHILDREN)
        return processor_seconds(self.process.pid), clients.ru_utime + clients.ru_stime

    def fill(self, path: str, bodies: Sequence[object]) -> None:
        """Create many objects over a few connections."""
        uvloop.run(create_all(self, path, [compact(body).encode() for body in bodies]))

    @property
    def resident_mib(self) -> float:
        return resident_mebibytes(self.process.pid)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def compact(body: object) -> str:
    """JSON as most clients write it, without spaces."""
    return json.dumps(body, separators=(",", ":"))


async def create_all(server: Server, path: str, bodies: Sequence[bytes]) -> None:
    """See `Server.fill`."""

    async def worker(part: Sequence[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=server.tls)
        for body in part:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
            writer.write(f"{head}Content-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", answer)[1])  # type: ignore[index]
            text = await reader.readexactly(length)
            if not answer.startswith(b"HTTP/1.1 201"):
                raise SystemExit(text.decode())
        writer.close()

    await asyncio.gather(*(worker(bodies[start::32]) for start in range(32)))


def show_load(name: str, found: Sequence[Figures], peer_rate: str = "", peer_late: str = "") -> None:
    """The three figures of a load that was put on several times."""
    show(name, [figures.rate for figures in found], "1/s", peer_rate)
    show("  p99", [figures.late_ms for figures in found], "ms", peer_late)
    show("  processor time of the server", [figures.cost_us for figures in found], "us/request")

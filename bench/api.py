"""The API server under load: durable creates, reads, lists, watch fan-out, memory. One line a figure.

    python -m bench.api [--runs 3] [--only ROW]

The project's own server runs in a process of its own on SQLite; wrk and a loader process put the load on it over TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from bench.figures import show

TOKEN = "bench-token"
ROOT = Path(__file__).resolve().parent.parent
SECONDS = 5
LIST_SIZE = 10_834
PODS = 8_500
WATCHERS, CREATES = 1000, 200

HEADERS = f'wrk.headers["Authorization"] = "Bearer {TOKEN}"\n'
CREATE = (
    HEADERS
    + """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local threads = 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
function init(args) salt = args[1]; n = 0 end
function request()
  n = n + 1
  return wrk.format(nil, nil, nil, body(salt .. "-" .. id .. "-" .. n))
end
failures = 0
function response(status) if status ~= 201 then failures = failures + 1; print("failed", status) end end
"""
)
CONFIG_MAP = (
    CREATE
    + """
local filling = string.rep("x", 200)
function body(name)
  return '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"' .. name .. '"},"data":{"k":"' .. filling .. '"}}'
end
"""
)
CUSTOM = (
    CREATE
    + """
local filling = string.rep("x", 200)
function body(name)
  local head = '{"apiVersion":"bench.example.com/v1","kind":"Note","metadata":{"name":"' .. name .. '"}'
  return head .. ',"spec":{"text":"' .. filling .. '","lines":3}}'
end
"""
)
NOTE_SPEC = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "maxLength": 1000},
        "lines": {"type": "integer", "minimum": 0},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
    },
}
NOTES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "notes.bench.example.com"},
    "spec": {
        "group": "bench.example.com",
        "scope": "Namespaced",
        "names": {"plural": "notes", "kind": "Note"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": NOTE_SPEC}}},
            }
        ],
    },
}
POD = (
    CREATE
    + """
local resources = '{"requests":{"cpu":"10m","memory":"10Mi"}}'
local containers = '[{"name":"c","image":"example.com/pause:3.9","resources":' .. resources .. '}]'
function body(name)
  local head = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"' .. name .. '","labels":{"app":"bench"}}'
  return head .. ',"spec":{"containers":' .. containers .. '}}'
end
"""
)


class Server:
    """The API server in a process of its own."""

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

    def call(self, method: str, path: str, body: object = None) -> bytes:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=self.tls) as answer:
            found: bytes = answer.read()
            return found

    def wrk(
        self, script: str, path: str, connections: int, salt: str = "", seconds: int = SECONDS
    ) -> tuple[float, float, float]:
        """(requests a second, megabytes a second, p99 in milliseconds)"""
        file = self.state / "load.lua"
        file.write_text(script)
        words = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            str(file),
            self.url + path,
            "--",
            salt,
        ]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        if "failed" in text or "Non-2xx" in text:
            print(text[:2000])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
        number, unit = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", text).groups()  # type: ignore[union-attr]
        scale = {"": 1e-6, "K": 1e-3, "M": 1.0, "G": 1e3}[unit]
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
        return rate, float(number) * scale, float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]

    @property
    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def creates(
    server: Server, runs: int, script: str, plural: str, root: str = "/api/v1"
) -> tuple[list[float], list[float]]:
    found = []
    for run in range(runs):
        namespace = f"bench-{plural}-{run}"
        server.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        server.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        found.append(server.wrk(script, f"{root}/namespaces/{namespace}/{plural}", 32, f"r{run}"))
    return [rate for rate, _, _ in found], [late for _, _, late in found]


async def _fill(server: Server, path: str, bodies: list[bytes]) -> None:
    """Create many objects over a few connections."""

    async def worker(part: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=server.tls)
        for body in part:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", answer)[1])  # type: ignore[index]
            text = await reader.readexactly(length)
            if not answer.startswith(b"HTTP/1.1 201"):
                raise SystemExit(text.decode())
        writer.close()

    await asyncio.gather(*(worker(bodies[start::32]) for start in range(32)))


class _Watcher(asyncio.Protocol):
    """Counts the events that one watch receives."""

    count = 0

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        both = self.rest + data
        _Watcher.count += both.count(b'{"type":"ADDED"')
        self.rest = both[-14:]


async def _fan_out(server: Server, namespace: str) -> float:
    """Events delivered a second, from the first create to the last event."""
    loop = asyncio.get_running_loop()
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    head = f"Host: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    request = f"GET {path}?watch=1 HTTP/1.1\r\n{head}".encode()
    made = []
    for start in range(0, WATCHERS, 50):
        some = range(start, min(start + 50, WATCHERS))
        made += await asyncio.gather(
            *(loop.create_connection(lambda: _Watcher(request), "127.0.0.1", server.port, ssl=server.tls) for _ in some)
        )
    await asyncio.sleep(1)
    _Watcher.count = 0
    bodies = [json.dumps({"metadata": {"name": f"w-{n}"}, "data": {"k": "x" * 200}}).encode() for n in range(CREATES)]
    began = time.monotonic()
    creating = asyncio.create_task(_fill(server, path, bodies))
    while _Watcher.count < WATCHERS * CREATES:
        await asyncio.sleep(0.002)
        if time.monotonic() - began > 60:
            raise SystemExit(f"only {_Watcher.count} events came")
    seconds = time.monotonic() - began
    await creating
    for transport, _ in made:
        transport.abort()
    return WATCHERS * CREATES / seconds


def fan_out(server: Server, runs: int) -> list[float]:
    found = []
    for run in range(runs):
        namespace = f"bench-watch-{run}"
        server.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        found.append(uvloop.run(_fan_out(server, namespace)))
    return found


def config_maps(count: int) -> list[bytes]:
    return [json.dumps({"metadata": {"name": f"cm-{n:05}"}, "data": {"k": "x" * 200}}).encode() for n in range(count)]


def pods(count: int) -> list[bytes]:
    resources = {"requests": {"cpu": "10m", "memory": "10Mi"}}
    container = {"name": "c", "image": "example.com/pause:3.9", "resources": resources}
    spec = {"containers": [container]}
    return [json.dumps({"metadata": {"name": f"p-{n:05}"}, "spec": spec}).encode() for n in range(count)]


def rows(server: Server, runs: int) -> dict[str, Callable[[], None]]:
    base = "/api/v1/namespaces/bench-list"

    def listing() -> None:
        server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "bench-list"}})
        server.call("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
        uvloop.run(_fill(server, f"{base}/configmaps", config_maps(LIST_SIZE)))
        one = [server.wrk(HEADERS, f"{base}/configmaps/cm-00042", 32) for _ in range(runs)]
        show("get one object, 32 connections", [found[0] for found in one], "1/s", "2,780")
        show("get one object, p99", [found[2] for found in one], "ms", "53")
        many = [server.wrk(HEADERS, f"{base}/configmaps", 8) for _ in range(runs)]
        show(f"list {LIST_SIZE} ConfigMaps, 8 connections", [found[0] for found in many], "1/s", "12.3")
        show(f"list {LIST_SIZE} ConfigMaps, 8 connections", [found[1] for found in many], "MB/s", "81")
        some = [server.wrk(HEADERS, f"{base}/configmaps?limit=500", 8) for _ in range(runs)]
        show("list 500 of them, 8 connections", [found[0] for found in some], "1/s", "110")

    def memory() -> None:
        uvloop.run(_fill(server, f"{base}/pods", pods(PODS)))
        show(f"memory after {LIST_SIZE} ConfigMaps + {PODS} Pods", [server.resident_mib], "MiB", "900")

    def create_config_maps() -> None:
        rates, late = creates(server, runs, CONFIG_MAP, "configmaps")
        show("create ConfigMap 200 B, 32 connections", rates, "1/s", "1,070")
        show("create ConfigMap, p99", late, "ms", "158")

    def create_pods() -> None:
        rates, late = creates(server, runs, POD, "pods")
        show("create Pod, 32 connections", rates, "1/s", "850")
        show("create Pod, p99", late, "ms", "100")

    def create_custom() -> None:
        server.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", NOTES)
        time.sleep(1.0)  # by then a definition is served
        rates, late = creates(server, runs, CUSTOM, "notes", "/apis/bench.example.com/v1")
        show("create custom resource 200 B, 32 connections", rates, "1/s")
        show("create custom resource, p99", late, "ms")

    def watching() -> None:
        show(f"watch fan-out, {WATCHERS} x {CREATES}", fan_out(server, runs), "events/s", "38,000")

    return {
        "list": listing,
        "memory": memory,
        "watch": watching,
        "configmaps": create_config_maps,
        "pods": create_pods,
        "custom": create_custom,
    }


def main(words: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", action="append", help="list, memory, watch, configmaps, pods, custom")
    arguments = parser.parse_args(words)
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as directory:
        server = Server(Path(directory))
        try:
            show("API server: command to ready", [server.start_seconds], "s", "5.4 - 7.2")
            show("memory, empty", [server.resident_mib], "MiB")
            for name, row in rows(server, arguments.runs).items():
                if not arguments.only or name in arguments.only:
                    row()
        finally:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])

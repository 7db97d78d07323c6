"""Fan-out: many watchers of what a few connections create, of a built-in and of a custom resource."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import uvloop

from bench.api.custom import served
from bench.api.objects import Plain, config_map, note
from bench.api.server import TOKEN, Server, compact, create_all
from bench.figures import show

WATCHERS, CREATES = 1000, 200
LONGEST_SECONDS = 60


class _Watcher(asyncio.Protocol):
    """Counts the events that one watch receives, and whether its answer has begun."""

    count = begun = 0

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.rest:
            _Watcher.begun += 1
        both = self.rest + data
        _Watcher.count += both.count(b'{"type":"ADDED"')
        self.rest = both[-14:]


async def _until(server: Server, done: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not done():
        await asyncio.sleep(0.002)
        if time.monotonic() - began > LONGEST_SECONDS:
            raise SystemExit(f"only {_Watcher.begun} watches began, {_Watcher.count} events came")


async def _fan_out(server: Server, path: str, make: Callable[[str], Plain]) -> float:
    """Events delivered a second, from the first create to the last event."""
    loop = asyncio.get_running_loop()
    head = f"Host: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    request = f"GET {path}?watch=1 HTTP/1.1\r\n{head}".encode()
    made = []
    _Watcher.count = _Watcher.begun = 0
    for start in range(0, WATCHERS, 50):
        some = range(start, min(start + 50, WATCHERS))
        made += await asyncio.gather(
            *(loop.create_connection(lambda: _Watcher(request), "127.0.0.1", server.port, ssl=server.tls) for _ in some)
        )
    await _until(server, lambda: _Watcher.begun == WATCHERS)
    bodies = [compact(make(f"w-{n}")).encode() for n in range(CREATES)]
    began = time.monotonic()
    creating = asyncio.create_task(create_all(server, path, bodies))
    await _until(server, lambda: _Watcher.count >= WATCHERS * CREATES)
    seconds = time.monotonic() - began
    await creating
    for transport, _ in made:
        transport.abort()
    return WATCHERS * CREATES / seconds


def _rates(server: Server, runs: int, where: str, make: Callable[[str], Plain]) -> list[float]:
    found = []
    for run in range(runs):
        namespace = f"bench-watch-{run}"
        server.namespace(namespace)
        found.append(uvloop.run(_fan_out(server, where.format(namespace), make)))
    return found


def config_maps(server: Server, runs: int) -> None:
    rates = _rates(server, runs, "/api/v1/namespaces/{}/configmaps", config_map)
    show(f"watch fan-out, {WATCHERS} x {CREATES}", rates, "events/s", "38,000")


def custom(server: Server, runs: int) -> None:
    served(server)
    rates = _rates(server, runs, "/apis/bench.example.com/v1/namespaces/{}/notes", note)
    show(f"watch fan-out of a custom resource, {WATCHERS} x {CREATES}", rates, "events/s")


ROWS = {"watch": config_maps, "custom-watch": custom}

"""The listening sockets of the API server: accepts connections, sweeps away stuck ones, stops gracefully."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.apiserver.io.answer_heads import AnswerHeads
from tiphys.apiserver.io.http import SWEEP_SECONDS, Handler, HttpConnection, HttpServerState
from tiphys.linux.io.limits import allow_open_files

HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024
POLL_SECONDS = 0.02
TURNS = 20
IP_FREEBIND = 15
# A peer that has gone without a word: nothing heard for this long, then asked so often before it is given up. What was
# sent and is not acknowledged for UNACKNOWLEDGED_MILLISECONDS gives it up, too. Accepted sockets inherit all of it.
SILENT_SECONDS, ASKING_SECONDS, QUESTIONS = 60, 15, 4
UNACKNOWLEDGED_MILLISECONDS = 120_000


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket bound to a literal address, also to one that no interface has yet: the machine's network may still be in
    the making when the server starts. OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASKING_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, QUESTIONS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


class HttpServer:
    """`addresses` are (host, port); port 0 takes any free one, which `ports` then tells."""

    def __init__(
        self,
        handler: Handler,
        addresses: Sequence[tuple[str, int]],
        tls: ssl.SSLContext | None,
        clock: Clock,
        owner: TaskOwner,
    ) -> None:
        self._addresses = addresses
        self._tls = tls
        self._clock = clock
        self._owner = owner
        self.state = HttpServerState(handler, clock.monotonic, AnswerHeads(clock.now))
        self._servers: list[asyncio.Server] = []
        self.ports: list[int] = []

    async def start(self) -> None:
        """OSError when an address cannot be listened on."""
        loop = asyncio.get_running_loop()
        allow_open_files()
        limit = HANDSHAKE_SECONDS if self._tls is not None else None
        try:
            for host, port in self._addresses:
                server = await loop.create_server(
                    lambda: HttpConnection(self.state),
                    sock=bound_socket(host, port),
                    ssl=self._tls,
                    backlog=BACKLOG,
                    ssl_handshake_timeout=limit,
                )
                self._servers.append(server)
                self.ports.append(server.sockets[0].getsockname()[1])
        except OSError:
            await self.stop(0.0)
            raise
        self._owner.start(self._sweep(), "sweep of connections")

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            self.state.sweep()

    async def stop(self, grace_seconds: float) -> None:
        """Accept nothing new, let requests under way finish for up to `grace_seconds`, then close everything."""
        self.state.stopping = True
        for server in self._servers:
            server.close()
        for connection in [*self.state.connections]:
            connection.close_when_sent()
        for _ in range(TURNS):  # what only has to be told (watches) ends in a few turns of the loop
            await asyncio.sleep(0)
        deadline = self._clock.monotonic() + grace_seconds
        while self._busy() and self._clock.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        for connection in [*self.state.connections]:
            task = connection.task
            if task is None and not connection.busy:
                connection.close_when_sent()
                continue
            connection.abort()
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._servers.clear()

    def _busy(self) -> bool:
        return any(connection.busy for connection in self.state.connections)

"""Answers load balancers that ask whether a service has ready endpoints on this node, and who asks for the proxy's
own health."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence

from tiphys.client.interface import ObjectKey

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 5.0


class HealthServers:
    """A tiny HTTP server for each health check node port, on the node's addresses."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = list(addresses)
        self._wanted: dict[ObjectKey, tuple[int, int]] = {}
        self._servers: dict[ObjectKey, tuple[int, asyncio.Server]] = {}
        self._proxy: asyncio.Server | None = None
        self._healthy: Callable[[], bool] = lambda: True

    async def serve_proxy(self, address: str, port: int, healthy: Callable[[], bool]) -> None:
        """GET /healthz and /livez: 200 while `healthy()`. Raises OSError when the port is taken."""
        self._healthy = healthy
        self._proxy = await asyncio.start_server(
            lambda reader, writer: self._answer(None, reader, writer), address, port
        )

    async def serve(self, wanted: Mapping[ObjectKey, tuple[int, int]]) -> None:
        """Serve exactly these: service -> (port, ready endpoints on this node)."""
        self._wanted = dict(wanted)
        for key, (port, server) in list(self._servers.items()):
            if key not in wanted or wanted[key][0] != port:
                del self._servers[key]
                server.close()
        for key, (port, _) in wanted.items():
            if key not in self._servers:
                await self._open(key, port)

    async def _open(self, key: ObjectKey, port: int) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._answer(key, reader, writer)

        try:
            server = await asyncio.start_server(answer, self._addresses or ["127.0.0.1"], port)
        except OSError as error:
            log.warning("the health check port %d of service %s is not served: %s", port, key, error)
            return
        self._servers[key] = (port, server)

    async def _answer(self, key: ObjectKey | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                status, document = self._health_of(key)
                body = json.dumps(document).encode()
                head = (
                    f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _health_of(self, key: ObjectKey | None) -> tuple[str, object]:
        healthy = self._healthy()
        if key is None:
            return ("200 OK" if healthy else "503 Service Unavailable"), {"healthy": healthy}
        count = self._wanted.get(key, (0, 0))[1]
        document = {
            "service": {"namespace": key.namespace, "name": key.name},
            "localEndpoints": count,
            "serviceProxyHealthy": healthy,
        }
        return ("200 OK" if count and healthy else "503 Service Unavailable"), document

    async def close(self) -> None:
        await self.serve({})
        if self._proxy is not None:
            self._proxy.close()
            self._proxy = None

"""Carries out one probe or one lifecycle hook: exec, httpGet, tcpSocket, grpc, sleep. What the result means is
`probes.py`'s decision."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import grpc
import grpc.aio

from tiphys.kinds.types import core_v1
from tiphys.kubelet.probes import Outcome, ProbeResult, http_headers, http_url, resolve_port, timeout_seconds

# (command, timeout in seconds) -> (exit code, output); TimeoutError when it took longer.
Exec = Callable[[Sequence[str], int], Awaitable[tuple[int, bytes]]]
MAXIMUM_OUTPUT_BYTES = 10 * 1024
_HEALTH_METHOD = "/grpc.health.v1.Health/Check"
_HEALTH = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")  # HealthCheckResponse.ServingStatus, by number


class Prober:
    """Probes containers from the node. One for the whole kubelet; `close` ends its connections."""

    def __init__(self) -> None:
        # A probe looks at the server, not at its certificate, and never follows what it keeps open.
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def probe(
        self, probe: core_v1.Probe, container: core_v1.Container, pod_address: str, execute: Exec
    ) -> ProbeResult:
        """The result of one probe; never raises for what the container does."""
        seconds = timeout_seconds(probe)
        try:
            if probe.exec is not None:
                return await self._exec(probe.exec, execute, seconds)
            if probe.httpGet is not None:
                return await self._http(probe.httpGet, container, pod_address, seconds)
            if probe.tcpSocket is not None:
                return await self._tcp(probe.tcpSocket, container, pod_address, seconds)
            if probe.grpc is not None:
                return await self._grpc(probe.grpc, pod_address, seconds)
        except ValueError as error:
            return ProbeResult(outcome=Outcome.UNKNOWN, message=str(error))
        return ProbeResult(outcome=Outcome.UNKNOWN, message="missing probe handler")

    async def _exec(self, action: core_v1.ExecAction, execute: Exec, seconds: int) -> ProbeResult:
        try:
            code, output = await execute(action.command or (), seconds)
        except TimeoutError:
            words = " ".join(action.command or ())
            message = f'command timed out: "{words}" timed out after {seconds}s'
            return ProbeResult(outcome=Outcome.FAILURE, message=message)
        text = output[:MAXIMUM_OUTPUT_BYTES].decode(errors="replace")
        return ProbeResult(outcome=Outcome.SUCCESS if code == 0 else Outcome.FAILURE, message=text)

    def _http_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False)
        return self._session

    async def _http(
        self, action: core_v1.HTTPGetAction, container: core_v1.Container, pod_address: str, seconds: float
    ) -> ProbeResult:
        url = http_url(action, container, pod_address)
        try:
            status, body = await self.http_get(url, http_headers(action), seconds)
        except TimeoutError:
            message = f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
            return ProbeResult(outcome=Outcome.FAILURE, message=message)
        except (aiohttp.ClientError, OSError) as error:
            return ProbeResult(outcome=Outcome.FAILURE, message=f'Get "{url}": {_reason(error)}')
        if 200 <= status < 400:
            return ProbeResult(outcome=Outcome.SUCCESS, message=body.decode(errors="replace"))
        return ProbeResult(outcome=Outcome.FAILURE, message=f"HTTP probe failed with statuscode: {status}")

    async def http_get(self, url: str, headers: Sequence[tuple[str, str]], seconds: float) -> tuple[int, bytes]:
        """Status and the beginning of the body. Redirects are followed on the same host only; another host counts as a
        good answer, as it shows a server at work. Raises TimeoutError, aiohttp.ClientError, OSError."""
        from yarl import URL

        timeout = aiohttp.ClientTimeout(total=seconds)
        target = URL(url, encoded=True)
        for _ in range(10):
            async with self._http_session().get(
                target, headers=list(headers), timeout=timeout, allow_redirects=False
            ) as response:
                location = response.headers.get("Location")
                if not (300 <= response.status < 400 and location):
                    return response.status, await response.content.read(MAXIMUM_OUTPUT_BYTES)
                following = target.join(URL(location))
                if following.host != target.host:
                    return response.status, b""
                target = following
        raise aiohttp.ClientError("stopped after 10 redirects")

    async def _tcp(
        self, action: core_v1.TCPSocketAction, container: core_v1.Container, pod_address: str, seconds: float
    ) -> ProbeResult:
        host, port = action.host or pod_address, resolve_port(action.port, container)
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return ProbeResult(outcome=Outcome.FAILURE, message=f"dial tcp {host}:{port}: i/o timeout")
        except OSError as error:
            return ProbeResult(outcome=Outcome.FAILURE, message=f"dial tcp {host}:{port}: {_reason(error)}")
        writer.close()
        return ProbeResult(outcome=Outcome.SUCCESS)

    async def _grpc(self, action: core_v1.GRPCAction, pod_address: str, seconds: float) -> ProbeResult:
        host = f"[{pod_address}]" if ":" in pod_address else pod_address
        service = (action.service or "").encode()
        request = b"\x0a" + _varint(len(service)) + service if service else b""
        async with grpc.aio.insecure_channel(f"{host}:{action.port}") as channel:
            check = channel.unary_unary(
                _HEALTH_METHOD, request_serializer=lambda data: data, response_deserializer=lambda data: data
            )
            try:
                answer = await check(request, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                return ProbeResult(outcome=Outcome.FAILURE, message=f"error: {error.details()}")
        number = answer[1] if answer[:1] == b"\x08" else 0
        status = _HEALTH[number] if number < len(_HEALTH) else str(number)
        if status == "SERVING":
            return ProbeResult(outcome=Outcome.SUCCESS, message="service healthy")
        return ProbeResult(outcome=Outcome.FAILURE, message=f'service unhealthy (responded with "{status}")')


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _reason(error: BaseException) -> str:
    """The kernel's words for a failed connection, else the library's."""
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ConnectionRefusedError):
        return "connect: connection refused"
    return str(getattr(inner, "strerror", None) or inner)

"""The kubelet's HTTPS server: logs, exec, attach, port-forward, pods, metrics, for the API server and for monitoring.

Clients prove themselves with a certificate of the cluster's authority or a bearer token. Members of system:masters
(the API server) may do everything; anybody else is looked up through the API (`Access`). exec, attach and port-forward
are not interpreted: the runtime gives the address of its streaming server, and the connection is joined to that one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from tiphys.aio.clock import Clock
from tiphys.aio.tunnel import request_head, tunnel
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.kubelet import server_request
from tiphys.kubelet.io.logs import read_log
from tiphys.kubelet.server_request import BadRequest, Target
from tiphys.machinery.digits import is_number

log = logging.getLogger(__name__)

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
ACCESS_SECONDS = 120.0
ACCESS_ENTRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRef:
    """A container of the runtime: its id ("" when it was never created), its log, whether it runs now."""

    id: str
    log_path: Path
    is_running: Callable[[], bool]
    ended: asyncio.Event | None = None


class ServerBackend(Protocol):
    """What the server asks of the kubelet. `container` gives None for an unknown one and raises BadRequest with the
    reason for one that has not been started."""

    def pods(self) -> Sequence[core_v1.Pod]: ...

    def pod(self, namespace: str, name: str) -> core_v1.Pod | None: ...

    def container(self, pod: core_v1.Pod, name: str, previous: bool) -> ContainerRef | None: ...

    def sandbox_id(self, pod: core_v1.Pod) -> str: ...

    async def exec_url(self, container_id: str, options: server_request.StreamOptions) -> str: ...

    async def attach_url(self, container_id: str, options: server_request.StreamOptions) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: int) -> tuple[int, bytes]: ...

    async def stats(self) -> Mapping[str, Any]: ...

    def metrics(self) -> str: ...

    async def resource_metrics(self) -> str: ...


class Access(Protocol):
    """Asks the API who a token belongs to and who may do what."""

    async def authenticate(self, token: str) -> Caller | None: ...

    async def authorize(self, caller: Caller, verb: str, subresource: str) -> bool: ...


class KubeletServer:
    """Listens on one address. `start` raises OSError when it cannot."""

    def __init__(
        self, address: str, port: int, tls: ssl.SSLContext, backend: ServerBackend, access: Access, clock: Clock
    ) -> None:
        self.address = address
        self.port = port
        self._tls = tls
        self._backend = backend
        self._access = access
        self._clock = clock
        self._runner: web.ServerRunner | None = None
        self._decisions: dict[tuple[str, str, str], tuple[bool, float]] = {}
        self._tokens: dict[bytes, tuple[Caller | None, float]] = {}
        self._routes: dict[str, Callable[[web.BaseRequest, list[str]], Awaitable[web.StreamResponse]]] = {
            "healthz": self._health,
            "pods": self._pods,
            "containerLogs": self._logs,
            "exec": self._exec,
            "attach": self._attach,
            "portForward": self._port_forward,
            "run": self._run,
            "stats": self._stats,
            "metrics": self._metrics,
        }

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None, keepalive_timeout=60.0))
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.address, self.port, ssl_context=self._tls, shutdown_timeout=0.5)
        await site.start()
        if self.port == 0:
            self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = request.rel_url.raw_path.strip("/").split("/")
        route = self._routes.get(parts[0])
        if route is None:
            return web.Response(status=404, text="404 page not found\n")
        try:
            if parts[0] != "healthz":
                refusal = await self._refusal(request, parts[0])
                if refusal is not None:
                    return refusal
            return await route(request, parts[1:])
        except BadRequest as error:
            return web.Response(status=400, text=f"{error}\n")
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.rel_url)
            return web.Response(status=500, text=f"{error}\n")

    # -- who may

    async def _refusal(self, request: web.BaseRequest, first: str) -> web.Response | None:
        caller = await self._caller(request)
        if caller is None:
            return web.Response(status=401, text="Unauthorized\n")
        if MASTERS in caller.groups:
            return None
        verb, subresource = server_request.needed_access(request.method, first)
        if await self._allowed(caller, verb, subresource):
            return None
        text = f"Forbidden (user={caller.name}, verb={verb}, resource=nodes, subresource={subresource})\n"
        return web.Response(status=403, text=text)

    async def _caller(self, request: web.BaseRequest) -> Caller | None:
        certificate = request.get_extra_info("peercert")
        if certificate:
            subject = [pair for part in certificate["subject"] for pair in part]
            names = [value for key, value in subject if key == "commonName"]
            groups = [value for key, value in subject if key == "organizationName"]
            return Caller(name=names[-1] if names else "", groups=(*groups, AUTHENTICATED))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock.monotonic()
        found = self._tokens.get(digest)
        if found is None or found[1] < now:
            found = (await self._access.authenticate(token), now + ACCESS_SECONDS)
            _remember(self._tokens, digest, found)
        return found[0]

    async def _allowed(self, caller: Caller, verb: str, subresource: str) -> bool:
        key, now = (f"{caller.name}\0{','.join(caller.groups)}", verb, subresource), self._clock.monotonic()
        found = self._decisions.get(key)
        if found is None or found[1] < now:
            found = (await self._access.authorize(caller, verb, subresource), now + ACCESS_SECONDS)
            _remember(self._decisions, key, found)
        return found[0]

    # -- what

    def _pod(self, target: Target) -> core_v1.Pod:
        pod = self._backend.pod(target.namespace, target.pod)
        if pod is None or (target.uid and pod.metadata.uid != target.uid):
            raise BadRequest(f'pod "{target.pod}" in namespace "{target.namespace}" is not on this node')
        return pod

    def _container(self, target: Target, previous: bool = False) -> ContainerRef:
        pod = self._pod(target)
        found = self._backend.container(pod, target.container, previous)
        if found is None:
            raise BadRequest(f'container "{target.container}" in pod "{target.pod}" is not available')
        return found

    async def _health(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        return web.Response(text="ok")

    async def _pods(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        items = b",".join(codec.encode(pod) for pod in self._backend.pods())
        body = b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[' + items + b"]}"
        return web.Response(body=body, content_type="application/json")

    async def _logs(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        options, previous = server_request.log_options(request.query, self._clock.now())
        target = server_request.container_target(parts)
        container = self._container(target, previous)
        chunks = read_log(container.log_path, options, container.is_running, container.ended)
        try:
            first = await anext(chunks, b"")
        except FileNotFoundError:
            raise BadRequest(f'the log of container "{target.container}" in pod "{target.pod}" is not there') from None
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            await response.write(first) if first else None
            async for chunk in chunks:
                await response.write(chunk)
            await response.write_eof()
        except ConnectionResetError:
            log.debug("%s: the reader has gone", request.rel_url)
        return response

    async def _exec(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        options = server_request.stream_options(request.query, request.query.getall("command", []))
        if not options.command:
            raise BadRequest("you must specify a command")
        container = self._container(server_request.container_target(parts))
        return await self._stream(request, await self._backend.exec_url(container.id, options))

    async def _attach(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        options = server_request.stream_options(request.query, ())
        container = self._container(server_request.container_target(parts))
        return await self._stream(request, await self._backend.attach_url(container.id, options))

    async def _port_forward(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        pod = self._pod(server_request.pod_target(parts))
        words = [word for value in request.query.getall("port", []) for word in value.split(",")]
        if not all(is_number(word) for word in words):
            raise BadRequest(f"ports must be numbers: {','.join(words)}")
        url = await self._backend.port_forward_url(self._backend.sandbox_id(pod), [int(word) for word in words])
        return await self._stream(request, url)

    async def _stream(self, request: web.BaseRequest, url: str) -> web.StreamResponse:
        """Join the client to the runtime's streaming server."""
        if "upgrade" not in request.headers.get("Connection", "").lower():
            return web.Response(status=400, text="Upgrade request required\n")
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"the runtime gave no address to stream from: {url!r}")
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = [(n, v) for n, v in request.raw_headers if n.lower() not in (b"host", b"authorization")]
        head = request_head(request.method, path, [(b"Host", parts.netloc.encode()), *headers])
        assert request.transport is not None
        response = web.Response()
        response.force_close()
        await tunnel(request.transport, head, parts.hostname, parts.port)
        return response

    async def _run(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        command = request.query.get("cmd", "").split()
        if request.method != "POST" or not command:
            raise BadRequest("POST with the parameter cmd is wanted")
        container = self._container(server_request.container_target(parts))
        code, output = await self._backend.exec_sync(container.id, command, 60)
        if code:
            return web.Response(status=500, body=output)
        return web.Response(body=output, content_type="text/plain")

    async def _stats(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        if parts != ["summary"]:
            return web.Response(status=404, text="404 page not found\n")
        body = msgspec.json.encode(await self._backend.stats(), enc_hook=codec.encode_scalar)
        return web.Response(body=body, content_type="application/json")

    async def _metrics(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        if parts == []:
            text = self._backend.metrics()
        elif parts == ["resource"]:
            text = await self._backend.resource_metrics()
        else:
            return web.Response(status=404, text="404 page not found\n")
        return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep an answer; the oldest goes when there are too many."""
    if len(memory) >= ACCESS_ENTRIES:
        del memory[next(iter(memory))]
    memory[key] = value


def server_tls(certificate: Path, key: Path, client_authority: Path) -> ssl.SSLContext:
    """TLS that shows the node's certificate and takes clients' certificates of the cluster's authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_authority))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context

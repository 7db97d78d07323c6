"""Carries proxied requests: answers are streamed through, upgraded connections become raw pipes.

An upgraded connection is only handed to the other side once that has answered 101: before, and after any other
answer, it stays an ordinary connection of this server, so nobody can send a second request with the server's own
credentials.

aiohttp is imported with the first request to forward: that takes a tenth of a second, which would be a part of every
start.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiphys.aio.tunnel import Pipe
from tiphys.apiserver import html_links, proxy_targets
from tiphys.apiserver.caches import Caches
from tiphys.apiserver.io import log_socket
from tiphys.apiserver.io.http import HttpConnection, HttpRequest, chunk, in_task
from tiphys.apiserver.proxy_targets import Target
from tiphys.apiserver.request import RequestInfo
from tiphys.apiserver.rest.call import Call
from tiphys.kinds.types import core_v1, discovery_v1
from tiphys.machinery import errors

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
HEAD_SECONDS = 60.0
HEAD_BYTES_LIMIT = 64 * 1024
SUBRESOURCES = frozenset({"log", "exec", "attach", "portforward", "proxy"})
HIGH_WATER_BYTES = 256 * 1024
PAGE_BYTES_LIMIT = 16 * 1024 * 1024


class _Head(asyncio.Protocol):
    """Collects the head of an answer, and what comes behind it."""

    def __init__(self) -> None:
        self.data = b""
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data
        if (b"\r\n\r\n" in self.data or len(self.data) > HEAD_BYTES_LIMIT) and not self.complete.done():
            self.complete.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.complete.done():
            self.complete.set_exception(ConnectionError("the connection ended before the answer"))


class Proxies:
    """`kubelet_tls` shows the API server's client certificate."""

    def __init__(self, caches: Caches, kubelet_tls: ssl.SSLContext | None, choose: Callable[[int], int]) -> None:
        self._caches = caches
        self._kubelet_tls = kubelet_tls
        self._choose = choose
        self._session: aiohttp.ClientSession | None = None
        self._plain_tls: ssl.SSLContext | None = None
        self._tunnels: set[asyncio.Transport] = set()

    def serves(self, call: Call) -> bool:
        return call.subresource in SUBRESOURCES

    async def serve(self, call: Call, info: RequestInfo, request: HttpRequest, connection: HttpConnection) -> None:
        """Answer the request, however long that takes. ApiError before anything was sent."""
        await in_task()
        if call.subresource == "proxy" and not info.rest and request.method in ("GET", "HEAD"):
            self._redirect(request, connection)
            return
        target = self._target(call, info, request)
        if target is None:
            connection.respond(request, 200, b"", b"text/plain")
        elif request.upgrade and call.subresource == "log":
            await self._forward(target, request, connection, log_socket.check(request))
        elif request.upgrade:
            await self._tunnel(target, request, connection)
        elif call.subresource in proxy_targets.STREAMS:
            raise errors.bad_request("Upgrade request required")
        else:
            await self._forward(target, request, connection)

    def _redirect(self, request: HttpRequest, connection: HttpConnection) -> None:
        location = f"{request.path}/" + (f"?{request.query}" if request.query else "")
        extra = b"Location: %s\r\n" % location.encode("latin-1", "replace")
        connection.respond(request, 301, b"", b"text/plain", extra)

    def _target(self, call: Call, info: RequestInfo, request: HttpRequest) -> Target | None:
        plural, query = call.resource.plural, request.query
        if plural == "nodes":
            name = proxy_targets.split_name(call.name)[1]
            return proxy_targets.node_target(self._caches.get(core_v1.Node, "", name), call.name, info.rest, query)
        if plural == "services":
            name = proxy_targets.split_name(call.name)[1]
            service = self._caches.get(core_v1.Service, call.namespace, name)
            if service is None:
                raise errors.not_found("services", "", name)
            slices = self._caches.list(discovery_v1.EndpointSlice, call.namespace)
            return proxy_targets.service_target(service, slices, call.name, info.rest, query, self._choose)
        name = proxy_targets.split_name(call.name)[1] if call.subresource == "proxy" else call.name
        pod = self._caches.get(core_v1.Pod, call.namespace, name)
        if pod is None:
            raise errors.not_found("pods", "", name)
        if call.subresource == "proxy":
            return proxy_targets.pod_target(pod, call.name, info.rest, query)
        node = self._caches.get(core_v1.Node, "", pod.spec.nodeName or "")
        if call.subresource == "log":
            return proxy_targets.log_target(pod, node, call.query)
        return proxy_targets.stream_target(call.subresource, pod, node, query)

    def _tls(self, target: Target) -> ssl.SSLContext | None:
        if not target.https:
            return None
        if target.to_kubelet:
            return self._kubelet_tls
        if self._plain_tls is None:  # pods show certificates that nobody vouches for
            self._plain_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._plain_tls.check_hostname = False
            self._plain_tls.verify_mode = ssl.CERT_NONE
        return self._plain_tls

    def _unreachable(self, target: Target, error: BaseException) -> errors.ApiError:
        text = f"error trying to reach service: dial tcp {target.host}:{target.port}: {error or type(error).__name__}"
        if target.to_kubelet:
            method = f"https://{target.host}:{target.port}{target.path.partition('?')[0]}"
            return errors.ApiError(500, "InternalError", f'Get "{method}": {error or type(error).__name__}')
        return errors.unavailable(text)

    # -- answers that are streamed through

    async def _forward(
        self, target: Target, request: HttpRequest, connection: HttpConnection, protocol: str | None = None
    ) -> None:
        """With `protocol` the client has asked for a WebSocket, and a good answer is framed for it."""
        import aiohttp
        from yarl import URL

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        host = f"[{target.host}]" if ":" in target.host else target.host
        url = URL(f"{'https' if target.https else 'http'}://{host}:{target.port}{target.path}", encoded=True)
        sent = proxy_targets.forwarded_headers(request.text_headers)
        lost = connection.lost
        tls = self._tls(target) or True
        call: asyncio.Future[Any] = asyncio.ensure_future(
            self._session.request(
                request.method,
                url,
                headers=sent,
                data=request.body or None,
                ssl=tls,
                allow_redirects=False,
            )
        )
        try:
            await asyncio.wait(_both(call, lost), return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                call.cancel()
                return
            response = call.result()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(target, error) from error
        if target.to_kubelet and target.path.startswith("/containerLogs/") and response.status >= 400:
            raise await _kubelet_refusal(response)
        if protocol is not None and response.status == 200:
            try:
                await log_socket.stream(request, connection, protocol, response.content.iter_any())
            finally:
                response.close()
            return
        if response.headers.get("Content-Type", "").startswith("text/html") and request.method == "GET":
            answer = self._page(response, request, connection, target)
        else:
            answer = self._relay(response, request, connection)
        relay: asyncio.Future[Any] = asyncio.ensure_future(answer)
        try:
            await asyncio.wait(_both(relay, lost), return_when=asyncio.FIRST_COMPLETED)
            if relay.done():
                relay.result()
        except (aiohttp.ClientError, OSError) as error:
            log.info("proxying %s: %s", request.path, error)
            connection.abort()
        finally:
            relay.cancel()
            response.close()

    async def _relay(self, response: aiohttp.ClientResponse, request: HttpRequest, connection: HttpConnection) -> None:
        content_type = response.headers.get("Content-Type", "text/plain").encode("latin-1")
        extra = b"".join(
            f"{name}: {value}\r\n".encode("latin-1", "replace")
            for name, value in response.headers.items()
            if name.lower() not in proxy_targets.HOP_BY_HOP
            and name.lower() not in ("content-type", "cache-control", "date", "audit-id")
        )
        if request.method == "HEAD" or response.status in (204, 304):
            connection.respond(request, response.status, b"", content_type, extra)
            return
        connection.begin_stream(request, content_type, extra, response.status)
        async for data in response.content.iter_any():
            connection.write_raw(chunk(data))
            if connection.is_write_paused:
                await connection.drain()
        connection.end_stream()

    async def _page(
        self, response: aiohttp.ClientResponse, request: HttpRequest, connection: HttpConnection, target: Target
    ) -> None:
        """A page's links are to lead through the proxy again. What is too large, or compressed, stays as it is."""
        asked = request.path
        proxied = target.path.partition("?")[0]
        if target.to_kubelet or "Content-Encoding" in response.headers or not asked.endswith(proxied):
            await self._relay(response, request, connection)
            return
        page = await response.content.read(PAGE_BYTES_LIMIT + 1)
        while len(page) <= PAGE_BYTES_LIMIT and not response.content.at_eof():
            page += await response.content.read(PAGE_BYTES_LIMIT + 1 - len(page))
        if len(page) > PAGE_BYTES_LIMIT:
            raise errors.ApiError(502, "InternalError", "the page is too large for its links to be rewritten")
        prefix = asked[: len(asked) - len(proxied)]
        body = html_links.rewritten_page(page, prefix, f"{target.host}:{target.port}")
        content_type = response.headers["Content-Type"].encode("latin-1")
        connection.respond(request, response.status, body, content_type)

    # -- upgraded connections

    async def _tunnel(self, target: Target, request: HttpRequest, connection: HttpConnection) -> None:
        loop = asyncio.get_running_loop()
        head = _Head()
        tls = self._tls(target)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                upstream, _ = await loop.create_connection(
                    lambda: head, target.host, target.port, ssl=tls, server_hostname=target.host if tls else None
                )
        except (OSError, TimeoutError) as error:
            raise self._unreachable(target, error) from error
        try:
            upstream.write(_upgrade_head(target, request))
            async with asyncio.timeout(HEAD_SECONDS):
                await head.complete
        except (OSError, TimeoutError) as error:
            upstream.abort()
            raise self._unreachable(target, error) from error
        if not head.data.startswith(b"HTTP/1.1 101"):
            await self._refused_upgrade(upstream, head, request, connection)
            return
        ended: asyncio.Future[None] = loop.create_future()
        client = connection.transport
        near, far = Pipe(ended), Pipe(ended)
        near.transport, far.transport = client, upstream
        leftover = connection.hijack(near)
        upstream.set_protocol(far)
        near.join(far)
        client.set_write_buffer_limits(HIGH_WATER_BYTES)
        client.write(head.data)
        if leftover:
            upstream.write(leftover)
        if connection.reading_is_paused:
            client.resume_reading()
        self._tunnels.add(client)
        try:
            await ended
        finally:
            self._tunnels.discard(client)
            upstream.close()
            client.close()

    async def _refused_upgrade(
        self, upstream: asyncio.Transport, head: _Head, request: HttpRequest, connection: HttpConnection
    ) -> None:
        """Pass on an answer that is not 101, as far as it has come."""
        raw_head, _, body = head.data.partition(b"\r\n\r\n")
        lines = raw_head.decode("latin-1").split("\r\n")
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        try:
            code = int(lines[0].split(" ")[1])
            wanted = int(fields.get("content-length", "0"))
        except (IndexError, ValueError):
            code, wanted = 502, 0
        missing = min(wanted, HEAD_BYTES_LIMIT) - len(body)
        if missing > 0:
            await _more(upstream, head, len(raw_head) + 4 + wanted)
            body = head.data.partition(b"\r\n\r\n")[2]
        upstream.abort()
        content_type = fields.get("content-type", "text/plain").encode("latin-1")
        connection.respond(request, code if code >= 200 else 502, body, content_type)

    async def close(self) -> None:
        for transport in self._tunnels:
            transport.abort()
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _kubelet_refusal(response: aiohttp.ClientResponse) -> errors.ApiError:
    """A kubelet answers in plain text; the client gets its words in a Status."""
    text = (await response.content.read(HEAD_BYTES_LIMIT)).decode(errors="replace").strip()
    response.close()
    reason = {400: "BadRequest", 403: "Forbidden", 404: "NotFound"}.get(response.status, "InternalError")
    return errors.ApiError(response.status, reason, text)


def _both(one: asyncio.Future[Any], other: asyncio.Future[Any]) -> list[asyncio.Future[Any]]:
    return [one, other]


async def _more(upstream: asyncio.Transport, head: _Head, length: int) -> None:
    """Wait a little for the rest of a short body."""
    for _ in range(50):
        if len(head.data) >= length or upstream.is_closing():
            return
        await asyncio.sleep(0.02)


def _upgrade_head(target: Target, request: HttpRequest) -> bytes:
    lines = [f"{request.method} {target.path} HTTP/1.1", f"Host: {target.host}:{target.port}"]
    lines += [f"{name}: {value}" for name, value in proxy_targets.forwarded_headers(request.text_headers)]
    lines += ["Connection: Upgrade", f"Upgrade: {request.headers.get('upgrade', '')}"]
    if request.method in ("POST", "PUT", "PATCH"):
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def kubelet_tls(cert_file: str, key_file: str, ca_file: str) -> ssl.SSLContext:
    """The context for connections to kubelets; their certificates must be of this authority and name their address."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file or None)
    if not ca_file:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(cert_file, key_file)
    return context

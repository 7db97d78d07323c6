"""A `Transport` over HTTPS: one identity, by client certificate or bearer token. Bodies are `client/encoding.py`'s
business."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from yarl import URL

from tiphys.aio.clock import Clock, SystemClock
from tiphys.client import encoding
from tiphys.client.interface import ApiRequest, WatchEvent
from tiphys.machinery.errors import ApiError

USER_AGENT = "tiphys"
# How long a token file is believed before it is read again (bound tokens are rotated on disk).
TOKEN_REREAD_SECONDS = 60.0
CALL_TIMEOUT_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 10.0
SILENCE_SECONDS = 180.0


def client_ssl_context(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None, *, ca_data: str | None = None
) -> ssl.SSLContext:
    """TLS for a client: the server must show a certificate of this CA; ours is shown when given. PEM files (or
    text)."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file, cadata=ca_data)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


class FileToken:
    """A bearer token in a file, read again now and then because it is rotated there."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._read_at = float("-inf")
        self._token = ""

    def __call__(self) -> str:
        now = self._clock.monotonic()
        if now - self._read_at >= TOKEN_REREAD_SECONDS:
            with open(self._path, encoding="ascii") as file:
                self._token = file.read().strip()
            self._read_at = now
        return self._token


class RestTransport:
    """See `client.interface.Transport`. `token` is the text, or a function that gives the current one.

    Connections are made at the first call, inside the running loop, and kept alive. No proxy settings of the
    environment apply."""

    def __init__(
        self,
        base_url: str,
        ssl_context: ssl.SSLContext | None = None,
        *,
        token: str | Callable[[], str] = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._ssl = ssl_context
        self._token = token
        self._headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_files(
        cls, base_url: str, *, ca_file: str, cert_file: str = "", key_file: str = "", token_file: str = "",
        clock: Clock | None = None,
    ) -> RestTransport:  # fmt: skip
        """An identity in PEM files, or a token file."""
        context = client_ssl_context(ca_file, cert_file or None, key_file or None)
        token = FileToken(token_file, clock or SystemClock()) if token_file else ""
        return cls(base_url, context, token=token)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._ssl if self._ssl is not None else True, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, timeout=timeout, auto_decompress=True, read_bufsize=2**18
            )
        return self._session

    def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        silence_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Any request with our identity, as aiohttp gives it: for streams, logs, health checks. `path` begins with a
        slash and is taken as it is; `silence_seconds` without a byte end it. aiohttp's errors come through."""
        sent = dict(headers or {})
        token = self._token() if callable(self._token) else self._token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=silence_seconds
        )
        url = URL(self.base_url + path, encoded=True)
        return self.session().request(method, url, params=params, data=data, headers=sent, timeout=timeout)

    def _send(self, request: ApiRequest, timeout_seconds: float | None, silence_seconds: float | None = None) -> Any:
        body, content_type = encoding.body_of(request)
        headers = {"Content-Type": content_type} if content_type else {}
        return self.raw(
            encoding.METHODS[request.verb],
            encoding.path_of(request),
            params=encoding.query_of(request),
            data=body,
            headers=headers,
            timeout_seconds=timeout_seconds,
            silence_seconds=silence_seconds,
        )

    async def call(self, request: ApiRequest) -> Any:
        try:
            async with self._send(request, CALL_TIMEOUT_SECONDS) as response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        if response.status >= 400:
            raise encoding.decode_failure(response.status, data)
        return encoding.decode_answer(request, data)

    async def watch(self, request: ApiRequest) -> AsyncIterator[Sequence[WatchEvent]]:
        wanted = encoding.served_type(request)
        # Bookmarks come about once a minute: a connection that is silent for longer leads nowhere any more.
        bookmarks = request.options.get("allowWatchBookmarks") == "true"
        try:
            async with self._send(request, None, SILENCE_SECONDS if bookmarks else None) as response:
                if response.status >= 400:
                    raise encoding.decode_failure(response.status, await response.read())
                rest = b""
                async for chunk in response.content.iter_any():
                    data = rest + chunk if rest else chunk
                    end = data.rfind(b"\n") + 1
                    rest = data[end:]
                    if end:
                        events = encoding.decode_events(wanted, data[:end])
                        if events:
                            yield events
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> ApiError:
        return ApiError(0, "Unreachable", f"{self.base_url}: {error or type(error).__name__}")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def read_pem(path: str) -> str:
    """A PEM file's text. OSError when it cannot be read."""
    with open(os.fspath(path), encoding="ascii") as file:
        return file.read()

"""Calls webhooks: HTTPS to a URL, or to an endpoint of a Service, whose certificate must be for `name.namespace.svc`.

One connection pool for all. Which webhook is called when, and what its answer means, is the caller's business. aiohttp
is imported when the first one is called: that takes a tenth of a second, which would be a part of every start.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.apiserver import proxy_targets
from tiphys.apiserver.caches import Caches
from tiphys.kinds.types import core_v1, discovery_v1
from tiphys.machinery.errors import ApiError

if TYPE_CHECKING:
    import aiohttp

ANSWER_BYTES_LIMIT = 64 * 1024 * 1024


class WebhookFailed(Exception):
    """The webhook gave no usable answer; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAddress:
    """`url`, or namespace, name, port and path of a Service. `authority`: PEM certificates that vouch for it; b"" for
    those of the system."""

    url: str = ""
    namespace: str = ""
    name: str = ""
    port: int = 443
    path: str = ""
    authority: bytes = b""


class Webhooks:
    def __init__(self, caches: Caches, choose: Callable[[int], int]) -> None:
        self._caches = caches
        self._choose = choose
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def post(self, address: WebhookAddress, body: bytes, timeout_seconds: float) -> bytes:
        """The body of a good answer. WebhookFailed."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        try:
            url, server_name = self._place(address)
            async with self._session.post(
                url,
                params={"timeout": f"{timeout_seconds:g}s"},
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                ssl=self._context(address.authority),
                server_hostname=server_name or None,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds),
                allow_redirects=False,
            ) as response:
                data = await response.content.read(ANSWER_BYTES_LIMIT)
                if response.status != 200:
                    raise WebhookFailed(_refusal(response.status, data[:1024]))
                if not data:
                    words = f"status code: 200 and content type: {response.headers.get('Content-Type', '')}"
                    raise WebhookFailed(f"0-length response with {words}")
                return data
        except TimeoutError as error:
            raise WebhookFailed(f'Post "{_shown(address, timeout_seconds)}": context deadline exceeded') from error
        except aiohttp.ServerDisconnectedError as error:
            raise WebhookFailed(f'Post "{_shown(address, timeout_seconds)}": EOF') from error
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            raise WebhookFailed(f'Post "{_shown(address, timeout_seconds)}": {error}') from error
        except ApiError as error:
            raise WebhookFailed(error.message) from error

    def _place(self, address: WebhookAddress) -> tuple[str, str]:
        """(where to connect, the name that the certificate must have; "" for that of the URL)."""
        if address.url:
            return address.url, ""
        service = self._caches.get(core_v1.Service, address.namespace, address.name)
        if service is None:
            raise WebhookFailed(f'service "{address.name}" not found')
        path = "/" + address.path.lstrip("/")
        if service.spec.type == "ExternalName" and service.spec.externalName:
            host, port = service.spec.externalName, address.port
        else:
            slices = self._caches.list(discovery_v1.EndpointSlice, address.namespace)
            asked = f"{address.name}:{address.port}"
            target = proxy_targets.service_target(service, slices, asked, path, "", self._choose)
            host, port = target.host, target.port
        host = f"[{host}]" if ":" in host else host
        return f"https://{host}:{port}{path}", f"{address.name}.{address.namespace}.svc"

    def _context(self, authority: bytes) -> ssl.SSLContext:
        found = self._contexts.get(authority)
        if found is None:
            if len(self._contexts) > 256:
                self._contexts.clear()
            found = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
            self._contexts[authority] = found
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _refusal(code: int, data: bytes) -> str:
    """What is said of an answer that is none, whatever is in it."""
    if code == 404:
        return "the server could not find the requested resource"
    if code >= 500:
        return 'an error on the server ("unknown") has prevented the request from succeeding'
    return f"the server responded with the status code {code}: {data.decode('utf-8', 'replace').strip()}"


def _shown(address: WebhookAddress, timeout_seconds: float) -> str:
    url = address.url or f"https://{address.name}.{address.namespace}.svc:{address.port}/{address.path.lstrip('/')}"
    return f"{url}{'&' if '?' in url else '?'}timeout={timeout_seconds:g}s"

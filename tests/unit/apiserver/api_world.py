"""A whole API server on a memory store, with virtual time, reached in process or over loopback HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from tiphys.aio.clock import VirtualClock
from tiphys.apiserver.component import ApiServer
from tiphys.client.api import Client
from tiphys.store.drivers.memory import MemoryStore


@dataclass
class Answer:
    """An HTTP answer; `body` is its JSON."""

    code: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.text)


class Http:
    """Requests to one server."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def __call__(
        self, method: str, path: str, body: Any = None, *, media: str = "application/json", accept: str = ""
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        headers = {"Content-Type": media} if data is not None else {}
        if accept:
            headers["Accept"] = accept
        async with self.session.request(
            method, self.base + path, data=data, headers=headers, skip_auto_headers=["Content-Type"]
        ) as response:
            received = {name: ", ".join(response.headers.getall(name)) for name in response.headers}
            return Answer(response.status, received, await response.text())


@dataclass
class World:
    server: ApiServer
    store: MemoryStore
    clock: VirtualClock
    client: Client
    http: Http

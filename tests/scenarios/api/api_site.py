"""A whole API server over HTTPS on the loopback interface, as its clients meet it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import pathlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from tiphys.aio.clock import SystemClock
from tiphys.apiserver.authn.component import AuthnConfig
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.pki import kubeconfig
from tiphys.pki.io import ensure_cluster_pki
from tiphys.pki.layout import ClusterPki, PkiOptions
from tiphys.store.drivers.memory import MemoryStore

NAMESPACES = ("one", "two")


@dataclass
class Answer:
    """An HTTP answer; `body` is its JSON."""

    code: int
    headers: Mapping[str, str]
    data: bytes

    @functools.cached_property
    def body(self) -> Any:
        return msgspec.json.decode(self.data)

    @property
    def outcome(self) -> tuple[int, str]:
        """(code, reason): what a client decides by."""
        return self.code, self.body.get("reason", "") if self.body.get("kind") == "Status" else ""


@dataclass
class Site:
    """A running server, its store, and the administrator's connection to it."""

    server: ApiServer
    store: MemoryStore
    session: aiohttp.ClientSession
    tls: ssl.SSLContext
    certificate: str

    @property
    def port(self) -> int:
        return self.server.ports[0]

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = "application/json",
        accept: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        sent = {"Content-Type": media} if data is not None else {}
        if accept:
            sent["Accept"] = accept
        sent.update(headers or {})
        async with self.session.request(
            method, self.base + path, data=data, headers=sent, skip_auto_headers=["Content-Type"]
        ) as response:
            received = {name: ", ".join(response.headers.getall(name)) for name in response.headers}
            return Answer(response.status, received, await response.read())

    @contextlib.asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator[asyncio.StreamReader]:
        """The lines of a watch."""
        async with self.session.get(self.base + path) as response:
            assert response.status == 200, await response.text()
            yield response.content

    async def state(self) -> tuple[int, list[tuple[str, bytes, int]]]:
        """Everything that is stored."""
        found = await self.store.range("")
        return self.store.revision, [(item.key, item.value, item.mod_revision) for item in found.items]

    async def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        try:
            writer.write(data)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await reader.read()
        finally:
            writer.close()

    async def first(self, data: bytes) -> bytes:
        """The first whole answer to these bytes, whether the connection then closes or not."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        try:
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            return head + await reader.readexactly(int(length.split(b":")[1]))
        finally:
            writer.transport.abort()

    async def answer(self, data: bytes) -> Answer:
        """The first whole answer to these bytes."""
        head, _, body = (await self.first(data)).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body)


def client_tls(paths: ClusterPki) -> ssl.SSLContext:
    """The administrator's."""
    directory = paths.admin_kubeconfig.parent
    certificate, key = kubeconfig.client_pair(paths.admin_kubeconfig.read_bytes())
    (directory / "admin.crt").write_bytes(certificate)
    (directory / "admin.key").write_bytes(key)
    context = ssl.create_default_context(cafile=str(paths.authority.certificate))
    context.load_cert_chain(directory / "admin.crt", directory / "admin.key")
    return context


@contextlib.asynccontextmanager
async def running_site(directory: pathlib.Path) -> AsyncIterator[Site]:
    """A server with two namespaces, each with its default service account."""
    clock = SystemClock()
    paths = ensure_cluster_pki(directory, PkiOptions(cluster="test", server="https://127.0.0.1"), clock.now())
    store = MemoryStore(clock=clock)
    await store.start()
    config = ApiServerConfig(
        addresses=(("127.0.0.1", 0),),
        tls_cert_file=str(paths.apiserver.certificate),
        tls_key_file=str(paths.apiserver.key),
        client_ca_file=str(paths.authority.certificate),
        authn=AuthnConfig(signing_key=paths.service_account_key, issuer="https://kubernetes.default.svc"),
        service_cidrs=("10.96.0.0/16",),
        seed=7,
        stop_grace_seconds=0.0,
    )
    server = ApiServer(config, store, clock)
    await server.start()
    client = Client(server.transport("admin", ("system:masters",)))
    for name in NAMESPACES:
        await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
        await client.create(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace=name)))
    tls = client_tls(paths)
    certificate = base64.b64encode(paths.authority.certificate.read_bytes()).decode()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield Site(server, store, session, tls, certificate)
    await server.stop()
    await store.close()

"""Clients that do nothing, against a server process over TLS: memory stays bounded and the others are served."""

from __future__ import annotations

import asyncio
import os
import pathlib
import ssl
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from api_process import TOKEN, ApiProcess, running_process
from shared_objects import Api, connected

MEBIBYTE = 1024 * 1024
MAPS = "/api/v1/namespaces/kube-system/configmaps"
WATCHES, IDLE = 8, 1000


@pytest.fixture
def process(tmp_path: pathlib.Path) -> Iterator[ApiProcess]:
    with running_process(tmp_path) as found:
        yield found


def memory_bytes(process: ApiProcess) -> int:
    """What the server has of the machine's memory."""
    pages = pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def head(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()


async def silent(process: ApiProcess, tls: ssl.SSLContext | None, sent: bytes) -> asyncio.StreamWriter:
    """A client that sends something and then reads nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", process.port, ssl=tls, limit=1024)
    transport: Any = writer.transport
    transport.pause_reading()
    writer.write(sent)
    await writer.drain()
    return writer


async def prepared(session: aiohttp.ClientSession, process: ApiProcess) -> Api:
    api = Api(process, session)
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "kube-system"}})
    await api("POST", "/api/v1/namespaces/kube-system/serviceaccounts", {"metadata": {"name": "default"}})
    return api


async def changed_often(api: Api) -> None:
    """80 MB of events, all of which one watch reads as they come."""
    body: dict[str, Any] = {"metadata": {"name": "large"}, "data": {"filling": "x" * 400_000}}
    await api("POST", MAPS, body)
    async with api.stream(f"{MAPS}?watch=1") as events:
        await events.content.readline()
        for number in range(200):
            body["data"]["number"] = str(number)
            code, changed = await api("PUT", f"{MAPS}/large", body)
            assert code == 200
            assert changed["metadata"]["resourceVersion"].encode() in await events.content.readline()
    assert (await api("DELETE", f"{MAPS}/large"))[0] == 200


async def test_watches_that_nobody_reads(process: ApiProcess) -> None:
    tls = ssl.create_default_context(cafile=process.authority)
    async with connected(process) as session:
        api = await prepared(session, process)
        await changed_often(api)  # the history that is kept of it is as long as it gets
        before = memory_bytes(process)
        silents = [await silent(process, tls, head(f"{MAPS}?watch=1")) for _ in range(WATCHES)]
        await changed_often(api)
        assert memory_bytes(process) - before < WATCHES * 12 * MEBIBYTE
        for writer in silents:
            writer.transport.abort()


async def test_lists_that_nobody_reads(process: ApiProcess) -> None:
    tls = ssl.create_default_context(cafile=process.authority)
    async with connected(process) as session:
        api = await prepared(session, process)
        for number in range(30):
            body = {"metadata": {"name": f"large-{number}"}, "data": {"filling": "x" * 900_000}}
            assert (await api("POST", MAPS, body))[0] == 201
        before = memory_bytes(process)
        silents = [await silent(process, tls, head(MAPS) * 15) for _ in range(4)]
        for _ in range(20):
            assert (await api("GET", f"{MAPS}/large-0"))[0] == 200
        # Sixty lists of 27 MB were asked for; each client has one under way.
        assert memory_bytes(process) - before < 4 * 40 * MEBIBYTE
        for writer in silents:
            writer.transport.abort()


async def test_a_thousand_idle_connections(process: ApiProcess) -> None:
    tls = ssl.create_default_context(cafile=process.authority)
    async with connected(process) as session:
        api = await prepared(session, process)
        mute = [await silent(process, None, b"\x16\x03\x01") for _ in range(100)]  # half a TLS greeting
        before = memory_bytes(process)
        idle: list[asyncio.StreamWriter] = []
        for _ in range(IDLE // 20):
            idle += await asyncio.gather(*(silent(process, tls, b"GET /livez HT") for _ in range(20)))
        assert memory_bytes(process) - before < IDLE * MEBIBYTE // 8
        code, _ = await api("GET", "/api/v1/namespaces")
        assert code == 200
        for writer in [*mute, *idle]:
            writer.transport.abort()
        assert (await api("GET", "/version"))[0] == 200

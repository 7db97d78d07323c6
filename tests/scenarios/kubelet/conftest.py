"""Virtual time has no threads: what the kubelet does in one is done at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hollow_node import HollowNode


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[HollowNode]:
    hollow = HollowNode(tmp_path)
    await hollow.start()
    yield hollow
    await hollow.stop()

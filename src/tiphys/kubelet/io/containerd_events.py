"""containerd's own events, for versions whose CRI tells none: which containers and sandboxes have ended.

containerd tells of an exit before its CRI side knows of it; an event is passed on when that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio

from tiphys.kubelet.interface import RuntimeEvent, RuntimeFailure

PACKAGE = "containerd.services.events.v1"
NAMESPACE = "k8s.io"
TOPICS = ("/tasks/exit", "/tasks/oom")
KINDS = ("containerd.events.TaskExit", "containerd.events.TaskOOM")
# How often CRI is asked whether it knows of an exit that containerd has told: quickly at first.
SETTLE_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class ContainerdEvents:
    """`runs(id)` asks CRI whether it believes that a container or sandbox runs."""

    def __init__(
        self, channel: grpc.aio.Channel, messages: Mapping[str, Any], runs: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._channel = channel
        self._messages = messages
        self._runs = runs
        self._found: asyncio.Queue[RuntimeEvent | grpc.aio.AioRpcError] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self) -> AsyncIterator[RuntimeEvent]:
        """Until the connection breaks: grpc.aio.AioRpcError, also when there is no such service."""
        self._start(self._read(), "containerd events")
        try:
            while True:
                event = await self._found.get()
                if isinstance(event, grpc.aio.AioRpcError):
                    raise event
                yield event
        finally:
            tasks = [*self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self) -> None:
        subscribe = self._channel.unary_stream(
            f"/{PACKAGE}.Events/Subscribe",
            request_serializer=self._messages[f"{PACKAGE}.SubscribeRequest"].SerializeToString,
            response_deserializer=self._messages[f"{PACKAGE}.Envelope"].FromString,
        )
        filters = [f'topic=="{topic}",namespace=="{NAMESPACE}"' for topic in TOPICS]
        try:
            async for envelope in subscribe(self._messages[f"{PACKAGE}.SubscribeRequest"](filters=filters)):
                self._take(envelope)
        except grpc.aio.AioRpcError as error:
            self._found.put_nowait(error)

    def _take(self, envelope: Any) -> None:
        """Ends of processes that `exec` started are left out."""
        name = envelope.event.type_url.rpartition("/")[2]
        if name not in KINDS:
            return
        event = self._messages[name].FromString(envelope.event.value)
        if name.endswith("OOM"):
            self._found.put_nowait(RuntimeEvent(kind="out_of_memory", container_id=event.container_id))
        elif event.id == event.container_id:
            self._start(self._tell_when_settled(event.container_id), "containerd exit")

    async def _tell_when_settled(self, container_id: str) -> None:
        try:
            for wait_seconds in SETTLE_SECONDS:
                if not await self._runs(container_id):
                    break
                await asyncio.sleep(wait_seconds)
        except RuntimeFailure:
            pass  # whoever hears of it will look, and meet the failure
        self._found.put_nowait(RuntimeEvent(kind="changed", container_id=container_id))

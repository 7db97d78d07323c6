"""What the runtime answers to a stop, over a real gRPC connection to a runtime that answers from a script."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tiphys.kubelet.interface import RuntimeFailure
from tiphys.kubelet.io.cri import ENDED_MEANWHILE, STOP_ATTEMPTS, CriRuntime, message, messages

Refusal = tuple[grpc.StatusCode, str]
CLOSED = (grpc.StatusCode.UNKNOWN, f'failed to kill container "c": {ENDED_MEANWHILE}: unknown')


class ScriptedRuntime(grpc.GenericRpcHandler):
    """Refuses as often as there are refusals, then agrees."""

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = refusals
        self.calls: list[str] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method.rpartition("/")[2]  # type: ignore[attr-defined]

        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            self.calls.append(method)
            if self.refusals:
                await context.abort(*self.refusals.pop(0))
            return message(f"{method}Response")

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=messages()[f"runtime.v1.{method}Request"].FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )


@contextlib.asynccontextmanager
async def scripted(directory: Path, *refusals: Refusal) -> AsyncIterator[tuple[CriRuntime, ScriptedRuntime]]:
    script = ScriptedRuntime(list(refusals))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((script,))
    server.add_insecure_port(f"unix://{directory}/cri.sock")
    await server.start()
    runtime = CriRuntime(f"{directory}/cri.sock")
    try:
        yield runtime, script
    finally:
        await runtime.close()
        await server.stop(None)


async def test_a_container_that_ends_while_it_is_stopped_is_stopped(tmp_path: Path) -> None:
    async with scripted(tmp_path, CLOSED, CLOSED) as (runtime, script):
        await runtime.stop_sandbox("s")
        assert script.calls == ["StopPodSandbox"] * 3


async def test_what_is_gone_is_not_asked_for_again(tmp_path: Path) -> None:
    async with scripted(tmp_path, CLOSED, (grpc.StatusCode.NOT_FOUND, "not found")) as (runtime, script):
        await runtime.stop_container("c", 1)
        assert script.calls == ["StopContainer"] * 2


@pytest.mark.parametrize(
    ("refusals", "calls"),
    [
        ([CLOSED] * STOP_ATTEMPTS, STOP_ATTEMPTS),
        ([(grpc.StatusCode.UNKNOWN, "no such network")], 1),
        ([(grpc.StatusCode.UNAVAILABLE, f"{ENDED_MEANWHILE}")], 1),
    ],
)
async def test_other_failures_are_told(tmp_path: Path, refusals: list[Refusal], calls: int) -> None:
    async with scripted(tmp_path, *refusals) as (runtime, script):
        with pytest.raises(RuntimeFailure):
            await runtime.stop_sandbox("s")
        assert script.calls == ["StopPodSandbox"] * calls

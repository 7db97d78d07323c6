"""gRPC probes ask the health service of a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest

from tiphys.kinds.types import core_v1
from tiphys.kubelet.io.prober import Prober
from tiphys.kubelet.probes import Outcome, ProbeResult


async def never(command: Sequence[str], seconds: int) -> tuple[int, bytes]:
    raise AssertionError(command)


@dataclass
class Health(grpc.GenericRpcHandler):
    """Answers with these bytes; None: it has no health service."""

    answer: bytes | None
    port: int = 0
    asked: list[bytes] = field(default_factory=list)

    def service(self, details: Any) -> Any:
        if self.answer is None or details.method != "/grpc.health.v1.Health/Check":
            return None

        async def check(request: bytes, context: Any) -> bytes:
            self.asked.append(request)
            return self.answer or b""

        return grpc.unary_unary_rpc_method_handler(check)

    async def probed(self, service: str = "") -> ProbeResult:
        action = core_v1.GRPCAction(port=self.port, service=service or None)
        prober = Prober()
        probe = core_v1.Probe(grpc=action, timeoutSeconds=5)
        found = await prober.probe(probe, core_v1.Container(name="c"), "127.0.0.1", never)
        await prober.close()
        return found


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    found = Health(b"\x08\x01")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((found,))
    found.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield found
    await server.stop(None)


@pytest.mark.parametrize(
    ("answer", "outcome", "message"),
    [
        (b"\x08\x01", Outcome.SUCCESS, "service healthy"),
        (b"\x08\x02", Outcome.FAILURE, 'service unhealthy (responded with "NOT_SERVING")'),
        (b"\x08\x03", Outcome.FAILURE, 'service unhealthy (responded with "SERVICE_UNKNOWN")'),
        (b"", Outcome.FAILURE, 'service unhealthy (responded with "UNKNOWN")'),
    ],
)
async def test_what_the_service_answers(health: Health, answer: bytes, outcome: Outcome, message: str) -> None:
    health.answer = answer
    assert await health.probed() == ProbeResult(outcome=outcome, message=message)


async def test_a_service_by_its_name(health: Health) -> None:
    assert (await health.probed("web")).outcome is Outcome.SUCCESS
    assert (await health.probed("w" * 300)).outcome is Outcome.SUCCESS
    assert health.asked == [b"\x0a\x03web", b"\x0a\xac\x02" + b"w" * 300]


async def test_servers_without_health_and_no_server(health: Health) -> None:
    health.answer = None
    assert (await health.probed()).outcome is Outcome.FAILURE
    health.port = 1
    assert (await health.probed()).outcome is Outcome.FAILURE

"""Two questions to a container runtime before the kubelet talks to it: does CRI answer, and is this image there?

The few messages are written by hand (two string fields), so that this package needs no generated code.
"""

from __future__ import annotations

import grpc
import grpc.aio

_VERSION = "/runtime.v1.RuntimeService/Version"
_IMAGE_STATUS = "/runtime.v1.ImageService/ImageStatus"


def _string_field(number: int, value: bytes) -> bytes:
    length = len(value)
    size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + size + value


class CriProbe:
    """One channel to a runtime's socket. Methods raise grpc.aio.AioRpcError."""

    def __init__(self, socket: str) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"unix://{socket}",
            options=(("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 200)),
        )

    async def _call(self, method: str, request: bytes, timeout_seconds: float) -> bytes:
        answer: bytes = await self._channel.unary_unary(method, None, None)(
            request, timeout=timeout_seconds, wait_for_ready=True
        )
        return answer

    async def version(self, timeout_seconds: float = 10.0) -> None:
        """Returns when CRI answers; code UNAVAILABLE means that it starts yet."""
        await self._call(_VERSION, _string_field(1, b"v1"), timeout_seconds)

    async def has_image(self, reference: str, timeout_seconds: float = 10.0) -> bool:
        """ImageStatusResponse has its field 1 (image) only when the image is there."""
        image = _string_field(1, reference.encode())
        answer = await self._call(_IMAGE_STATUS, _string_field(1, image), timeout_seconds)
        return answer[:1] == b"\x0a"

    async def close(self) -> None:
        await self._channel.close(None)

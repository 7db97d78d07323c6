"""A node's containerd with what every pod needs in it, as one component."""

from __future__ import annotations

from tiphys.aio.clock import Clock
from tiphys.runtime.io.containerd import Containerd
from tiphys.runtime.io.images import ensure_pause_image


class NodeRuntime:
    """Starts containerd and sees to the pause image; `stop` leaves both (pods live on)."""

    name = "runtime"

    def __init__(self, containerd: Containerd, clock: Clock) -> None:
        self._containerd = containerd
        self._clock = clock

    async def start(self) -> None:
        """ContainerdError, ImageError."""
        await self._containerd.start()
        await ensure_pause_image(str(self._containerd.paths.socket), self._clock)

    async def stop(self) -> None:
        await self._containerd.stop()

"""Brings the images that containers need onto the node: pulls when the policy says so, backs off after failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from tiphys.aio.clock import Clock
from tiphys.kinds.types import core_v1
from tiphys.kubelet.images import (
    PullBackOff,
    ReferenceError_,
    after_failure,
    credentials,
    full_reference,
    pull_decision,
    pull_policy,
)
from tiphys.kubelet.interface import ContainerRuntime, CriMessage, ImageRecord, RuntimeFailure
from tiphys.kubelet.security import AnyContainer

log = logging.getLogger(__name__)
# (type, reason, message)
Report = Callable[[str, str, str], None]
# A failed pull is shown for this long as ErrImagePull before it becomes ImagePullBackOff.
SHOWN_SECONDS = 1.0


class ImageWait(Exception):
    """The container waits with this reason; it is worth another try at `retry_at`."""

    def __init__(self, reason: str, message: str, retry_at: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_at = retry_at


class ImagePuller:
    """One for the whole node. An image is pulled once at a time, however many pods wait for it."""

    def __init__(self, runtime: ContainerRuntime, clock: Clock, concurrent_pulls: int) -> None:
        self._runtime = runtime
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrent_pulls)
        self._locks: dict[str, asyncio.Lock] = {}
        self._back_offs: dict[tuple[str, str], tuple[PullBackOff, str]] = {}

    async def ensure(
        self,
        pod_uid: str,
        container: AnyContainer,
        secrets: Iterable[core_v1.Secret],
        sandbox_config: CriMessage,
        report: Report,
    ) -> tuple[ImageRecord, str]:
        """The image and what the runtime calls it. Raises ImageWait."""
        name = container.image or ""
        retry_at = self._clock.now() + 10.0
        try:
            reference = full_reference(name)
        except ReferenceError_ as error:
            message = f'Failed to apply default image tag "{name}": {error}'
            report("Warning", "InspectFailed", message)
            raise ImageWait("InvalidImageName", message, retry_at) from error
        found = await self._inspect(reference, name, report)
        decision = pull_decision(pull_policy(container), found is not None)
        if decision == "refuse":
            message = f'Container image "{name}" is not present with pull policy of Never'
            report("Warning", "ErrImageNeverPull", message)
            raise ImageWait("ErrImageNeverPull", message, retry_at)
        if decision == "use" and found is not None:
            report("Normal", "Pulled", f'Container image "{name}" already present on machine')
            return found, found.id
        return await self._pull(pod_uid, name, reference, credentials(reference, secrets), sandbox_config, report)

    async def _inspect(self, reference: str, name: str, report: Report) -> ImageRecord | None:
        try:
            return await self._runtime.image(reference)
        except RuntimeFailure as error:
            message = f'Failed to inspect image "{name}": {error}'
            report("Warning", "InspectFailed", message)
            raise ImageWait("ImageInspectError", message, self._clock.now() + 2.0) from error

    async def _pull(
        self,
        pod_uid: str,
        name: str,
        reference: str,
        auths: list[CriMessage],
        sandbox_config: CriMessage,
        report: Report,
    ) -> tuple[ImageRecord, str]:
        key = (pod_uid, reference)
        known = self._back_offs.get(key)
        if known is not None and not known[0].over(self._clock.now()):
            back_off, failure = known
            report("Normal", "BackOff", f'Back-off pulling image "{name}"')
            report("Warning", "Failed", "Error: ImagePullBackOff")
            message = f'Back-off pulling image "{name}": ErrImagePull: {failure}'
            raise ImageWait("ImagePullBackOff", message, back_off.failed_at + back_off.wait_seconds)
        asked_at = self._clock.now()
        report("Normal", "Pulling", f'Pulling image "{name}"')
        async with self._locks.setdefault(reference, asyncio.Lock()), self._slots:
            began_at = self._clock.now()
            try:
                pulled = await self._pull_with(reference, auths, sandbox_config)
                image = await self._runtime.image(pulled)
                if image is None:
                    raise RuntimeFailure("NOT_FOUND", f'image "{reference}" is not there after it was pulled')
            except RuntimeFailure as error:
                now = self._clock.now()
                self._back_offs[key] = (after_failure(known[0] if known else None, now), str(error))
                report("Warning", "Failed", f'Failed to pull image "{name}": {error}')
                report("Warning", "Failed", "Error: ErrImagePull")
                reason = "RegistryUnavailable" if error.code == "UNAVAILABLE" else "ErrImagePull"
                raise ImageWait(reason, str(error), now + SHOWN_SECONDS) from error
        self._back_offs.pop(key, None)
        now = self._clock.now()
        report(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {now - began_at:.3f}s ({now - asked_at:.3f}s including waiting). '
            f"Image size: {image.size_bytes} bytes.",
        )
        return image, pulled

    async def _pull_with(self, reference: str, auths: list[CriMessage], sandbox_config: CriMessage) -> str:
        """Try the credentials one after the other; the last failure counts."""
        for auth in auths[:-1]:
            try:
                return await self._runtime.pull_image(reference, auth, sandbox_config)
            except RuntimeFailure as error:
                log.info("pulling %s: %s", reference, error)
        return await self._runtime.pull_image(reference, auths[-1] if auths else None, sandbox_config)

    def forget(self, pod_uid: str) -> None:
        for key in [key for key in self._back_offs if key[0] == pod_uid]:
            del self._back_offs[key]

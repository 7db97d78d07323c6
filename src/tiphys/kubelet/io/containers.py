"""Starts and ends single containers: image, configuration, files, hooks, the runtime's calls, the events.

What to start and to end is `pod_actions.py`'s decision.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec

from tiphys.kinds.types import core_v1
from tiphys.kubelet.container_config import (
    ContainerInputs,
    container_config,
    container_named,
    own_grace_seconds,
)
from tiphys.kubelet.dns_config import hosts_file
from tiphys.kubelet.env_files import LIMIT_BYTES, EnvFile, needed_files
from tiphys.kubelet.environment import ConfigError, container_environment
from tiphys.kubelet.interface import (
    POD_GRACE_SECONDS,
    ContainerRecord,
    CriMessage,
    ImageRecord,
    PodRuntime,
    RuntimeFailure,
    VolumeFailure,
)
from tiphys.kubelet.io import files
from tiphys.kubelet.io.image_puller import ImageWait
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.pod_actions import KillContainer, StartContainer
from tiphys.kubelet.probes import http_headers, http_url, resolve_port
from tiphys.kubelet.security import AnyContainer
from tiphys.kubelet.volumes.mount_paths import resolve_sub_path
from tiphys.kubelet.volumes.sources import VolumeError

log = logging.getLogger(__name__)
RETRY_SECONDS = 10.0
MINIMUM_GRACE_SECONDS = 2
DEFAULT_GRACE_SECONDS = 30
HOOK_TIMEOUT_SECONDS = 30.0


class StartFailure(Exception):
    """The container waits with this reason; the next try is at `retry_at`."""

    def __init__(self, reason: str, message: str, retry_at: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_at = retry_at


class HookFailure(Exception):
    """A lifecycle hook did not succeed; the message says why."""


def field_path(pod: core_v1.Pod, name: str) -> str:
    """What an event about a container regards."""
    for group, containers in (
        ("initContainers", pod.spec.initContainers),
        ("containers", pod.spec.containers),
        ("ephemeralContainers", pod.spec.ephemeralContainers),
    ):
        if any(each.name == name for each in containers or ()):
            return f"spec.{group}{{{name}}}"
    return ""


class PodContainers:
    """The containers of one pod."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def report(self, pod: core_v1.Pod, name: str, event_type: str, reason: str, message: str) -> None:
        self._context.recorder.record(pod, event_type, reason, message, field_path=field_path(pod, name))

    def addressed(self, pod: core_v1.Pod, runtime: PodRuntime) -> core_v1.Pod:
        """The pod with the addresses that field references may name."""
        ips = list(runtime.sandbox.ips) if runtime.sandbox is not None else []
        hosts = self._context.host_ips
        if pod.spec.hostNetwork:
            ips = list(hosts[:1])
        status = msgspec.structs.replace(
            pod.status,
            podIP=ips[0] if ips else None,
            podIPs=[core_v1.PodIP(ip=ip) for ip in ips] or None,
            hostIP=hosts[0] if hosts else None,
            hostIPs=[core_v1.HostIP(ip=ip) for ip in hosts] or None,
        )
        return msgspec.structs.replace(pod, status=status)

    async def write_hosts(self, pod: core_v1.Pod, runtime: PodRuntime) -> str:
        ips = runtime.sandbox.ips if runtime.sandbox is not None else ()
        text = hosts_file(pod, ips, self._context.facts.cluster_domain, self._context.host_hosts)
        path = self._context.facts.paths.hosts_file(pod.metadata.uid or "")
        await asyncio.to_thread(files.write_atomically, path, text)
        return path

    async def start(
        self,
        pod: core_v1.Pod,
        action: StartContainer,
        runtime: PodRuntime,
        sandbox_config: CriMessage,
        volumes: Mapping[str, str],
    ) -> None:
        """Raises StartFailure."""
        context = self._context
        container = container_named(pod, action.name)
        assert container is not None and runtime.sandbox is not None
        retry_at = context.clock.now() + RETRY_SECONDS
        try:
            image, reference = await context.puller.ensure(
                pod.metadata.uid or "",
                container,
                context.sources.pull_secrets(pod),
                sandbox_config,
                lambda kind, reason, message: self.report(pod, action.name, kind, reason, message),
            )
        except ImageWait as wait:
            raise StartFailure(wait.reason, wait.message, wait.retry_at) from wait
        try:
            config = await self._config(pod, container, action, runtime, volumes, image, reference)
        except (ConfigError, VolumeError, VolumeFailure, OSError) as error:
            self.report(pod, action.name, "Warning", "Failed", f"Error: {error}")
            raise StartFailure("CreateContainerConfigError", str(error), retry_at) from error
        async with context.starts:
            container_id = await self._run(pod, runtime.sandbox.id, action.name, config, sandbox_config)
        await self._post_start(pod, container, container_id, runtime)

    async def _run(
        self, pod: core_v1.Pod, sandbox_id: str, name: str, config: CriMessage, sandbox_config: CriMessage
    ) -> str:
        clock = self._context.clock
        try:
            container_id = await self._context.runtime.create_container(sandbox_id, config, sandbox_config)
        except RuntimeFailure as error:
            self.report(pod, name, "Warning", "Failed", f"Error: {error}")
            raise StartFailure("CreateContainerError", str(error), clock.now() + RETRY_SECONDS) from error
        self.report(pod, name, "Normal", "Created", f"Container created: {name}")
        try:
            await self._context.runtime.start_container(container_id)
        except RuntimeFailure as error:
            self.report(pod, name, "Warning", "Failed", f"Error: {error}")
            raise StartFailure("RunContainerError", str(error), clock.now()) from error
        self.report(pod, name, "Normal", "Started", f"Container started: {name}")
        return container_id

    async def _config(
        self,
        pod: core_v1.Pod,
        container: AnyContainer,
        action: StartContainer,
        runtime: PodRuntime,
        volumes: Mapping[str, str],
        image: ImageRecord,
        reference: str,
    ) -> CriMessage:
        context, uid = self._context, pod.metadata.uid or ""
        addressed = self.addressed(pod, runtime)
        sources = context.sources.environment()
        wanted = needed_files(_plain(container))
        if wanted:
            sources = dataclasses.replace(sources, files=await asyncio.to_thread(_env_files, pod, wanted, volumes))
        environment = container_environment(addressed, _plain(container), sources)
        subpaths: dict[int, str] = {}
        for position, mount in enumerate(container.volumeMounts or ()):
            path = resolve_sub_path(mount, dict(environment))
            if path and mount.name in volumes:
                subpaths[position] = await context.sources.sub_path(
                    pod, mount.name, volumes[mount.name], container.name, position, path
                )
        termination_log = context.facts.paths.termination_log(uid, container.name, context.token())
        await asyncio.to_thread(files.make_file, termination_log)
        log_directory = f"{context.facts.paths.pod_logs(pod)}/{container.name}"
        await asyncio.to_thread(files.make_directory, log_directory)
        target_id = ""
        if isinstance(container, core_v1.EphemeralContainer) and container.targetContainerName:
            target = runtime.current(container.targetContainerName)
            if target is None:
                raise ConfigError(f"unable to find target container {container.targetContainerName!r}")
            target_id = target.id
        inputs = ContainerInputs(
            attempt=action.attempt,
            image=image,
            image_reference=reference,
            environment=environment,
            volumes=volumes,
            subpaths=subpaths,
            termination_log=termination_log,
            hosts_file=await self.write_hosts(pod, runtime),
            target_id=target_id,
            back_off_seconds=action.back_off.wait_seconds if action.back_off is not None else 0.0,
        )
        return container_config(pod, container, inputs, context.facts)

    async def _post_start(
        self, pod: core_v1.Pod, container: AnyContainer, container_id: str, runtime: PodRuntime
    ) -> None:
        hook = container.lifecycle.postStart if container.lifecycle is not None else None
        if hook is None:
            return
        try:
            await self._hook(pod, container, hook, container_id, runtime, None)
        except HookFailure as error:
            self.report(pod, container.name, "Warning", "FailedPostStartHook", f"PostStartHook failed: {error}")
            message = f"FailedPostStartHook: {error}"
            self.report(
                pod, container.name, "Normal", "Killing", f"Container {container.name} failed its PostStart hook"
            )
            await self._context.runtime.stop_container(container_id, self.grace_seconds(pod))
            raise StartFailure("PostStartHookError", message, self._context.clock.now()) from error

    async def _hook(
        self,
        pod: core_v1.Pod,
        container: AnyContainer,
        hook: core_v1.LifecycleHandler,
        container_id: str,
        runtime: PodRuntime,
        timeout_seconds: float | None,
    ) -> None:
        """Raises HookFailure. Without a timeout an exec hook may take as long as it wants."""
        addresses = self.addressed(pod, runtime).status
        host = addresses.podIP or ""
        plain = _plain(container)
        seconds = timeout_seconds if timeout_seconds is not None else HOOK_TIMEOUT_SECONDS
        try:
            if hook.exec is not None:
                result = await self._context.runtime.exec_sync(
                    container_id, hook.exec.command or (), timeout_seconds or 0
                )
                if result.exit_code != 0:
                    output = (result.stdout + result.stderr).decode(errors="replace")
                    raise HookFailure(f"command exited with code {result.exit_code}: {output}")
            elif hook.httpGet is not None:
                url = http_url(hook.httpGet, plain, host)
                status, _ = await self._context.prober.http_get(url, http_headers(hook.httpGet), seconds)
                if status >= 400:
                    raise HookFailure(f"{url}: status code {status}")
            elif hook.tcpSocket is not None:
                port = resolve_port(hook.tcpSocket.port, plain)
                _, writer = await asyncio.wait_for(asyncio.open_connection(hook.tcpSocket.host or host, port), seconds)
                writer.close()
            elif hook.sleep is not None:
                await self._context.clock.sleep(
                    min(hook.sleep.seconds, seconds) if timeout_seconds else hook.sleep.seconds
                )
        except (RuntimeFailure, ValueError, OSError, aiohttp.ClientError) as error:
            raise HookFailure(str(error) or type(error).__name__) from error

    def grace_seconds(self, pod: core_v1.Pod | None, record: ContainerRecord | None = None) -> int:
        """What the deletion says, else the pod's own; for a pod that nobody knows any more what its container
        remembers."""
        if pod is None:
            remembered = record.annotations.get(POD_GRACE_SECONDS) if record is not None else None
            return int(remembered) if remembered else DEFAULT_GRACE_SECONDS
        if pod.metadata.deletionTimestamp is not None and pod.metadata.deletionGracePeriodSeconds is not None:
            return pod.metadata.deletionGracePeriodSeconds
        own = own_grace_seconds(pod)
        return self.grace_seconds(None, record) if own is None else own

    async def kill(
        self, pod: core_v1.Pod | None, action: KillContainer, runtime: PodRuntime, grace_seconds: int | None = None
    ) -> None:
        """preStop hook, stop signal, and the kill when the grace is over. Raises RuntimeFailure."""
        clock = self._context.clock
        record = next((each for each in runtime.containers if each.id == action.container_id), None)
        chosen = [each for each in (action.grace_seconds, grace_seconds) if each is not None]
        grace = min(chosen) if chosen else self.grace_seconds(pod, record)
        if pod is not None:
            self.report(pod, action.name, "Normal", "Killing", action.message)
        container = container_named(pod, action.name) if pod is not None else None
        hook = container.lifecycle.preStop if container is not None and container.lifecycle is not None else None
        if pod is not None and container is not None and hook is not None and grace > 0 and action.with_hook:
            began = clock.monotonic()
            try:
                await self._hook(pod, container, hook, action.container_id, runtime, float(grace))
            except HookFailure as error:
                self.report(pod, action.name, "Warning", "FailedPreStopHook", f"PreStopHook failed: {error}")
            grace = max(MINIMUM_GRACE_SECONDS, int(grace - (clock.monotonic() - began)))
        await self._context.runtime.stop_container(action.container_id, max(grace, 0))


def _env_files(pod: core_v1.Pod, wanted: Sequence[EnvFile], volumes: Mapping[str, str]) -> dict[EnvFile, str | None]:
    """Their texts. ConfigError for one that must not or cannot be read."""
    own = {volume.name for volume in pod.spec.volumes or () if volume.emptyDir is not None}
    found: dict[EnvFile, str | None] = {}
    for file in wanted:
        if file.volume not in own or file.volume not in volumes:
            raise ConfigError(f"cannot find the emptyDir volume {file.volume!r} referenced by FileKeyRef")
        try:
            found[file] = files.text_below(volumes[file.volume], file.path, LIMIT_BYTES)
        except OSError as error:
            raise ConfigError(f"couldn't read env file {file.path}: {error}") from error
    return found


def _plain(container: AnyContainer) -> core_v1.Container:
    """An ephemeral container in the form that shared rules take."""
    if isinstance(container, core_v1.Container):
        return container
    return core_v1.Container(
        name=container.name, env=container.env, envFrom=container.envFrom, resources=container.resources
    )

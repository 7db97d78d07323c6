"""The container runtime over CRI v1 (gRPC on a unix socket): a thin typed face, see `interface.ContainerRuntime`.

Message classes are built at run time from `cri.fds` in a descriptor pool of our own, so they never clash with other
packages' copies of the same messages. Runtimes without GetContainerEvents are followed through containerd's own event
service where there is one.
"""

from __future__ import annotations

import asyncio
import functools
import pathlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tiphys.kubelet.interface import (
    CONTAINER_NAME,
    POD_UID,
    ContainerPhase,
    ContainerRecord,
    ContainerUsage,
    CriMessage,
    ExecResult,
    ImageFailure,
    ImageRecord,
    PodRuntime,
    RuntimeConditions,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeInfo,
    Sandbox,
)
from tiphys.kubelet.io.containerd_events import ContainerdEvents

CALL_TIMEOUT_SECONDS = 120.0
SANDBOX_TIMEOUT_SECONDS = 240.0
# How much longer than the container's own grace the runtime may take to say that it has ended.
STOP_MARGIN_SECONDS = 120.0
# Pulling ends when it makes no progress on the runtime's side; this bounds what is left.
PULL_TIMEOUT_SECONDS = 3600.0
MAXIMUM_MESSAGE_BYTES = 16 << 20
NANOSECONDS = 1_000_000_000
_PHASES: tuple[ContainerPhase, ...] = ("created", "running", "exited", "unknown")
_NODE_NETWORK = 2
# containerd's word for a container that ended, with the connection to its shim, while it was being stopped.
ENDED_MEANWHILE = "ttrpc: closed"
STOP_ATTEMPTS = 5


@functools.cache
def messages() -> Mapping[str, Any]:
    """Message classes by full name, `runtime.v1.PodSandboxConfig`."""
    files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(__file__).with_name("cri.fds").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    found: dict[str, Any] = {}
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
        for message in file.message_type:
            name = f"{file.package}.{message.name}"
            found[name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return found


def message(name: str, **fields: Any) -> Any:
    return messages()[f"runtime.v1.{name}"](**fields)


# Calls whose messages are not named after them.
_REQUESTS = {"GetContainerEvents": ("GetEventsRequest", "ContainerEventResponse")}


def _order(record: Sandbox | ContainerRecord) -> tuple[float, int]:
    return (-record.created_at, -record.attempt)


def _sandbox(listed: Any) -> Sandbox:
    return Sandbox(
        id=listed.id,
        name=listed.metadata.name,
        namespace=listed.metadata.namespace,
        uid=listed.metadata.uid,
        attempt=listed.metadata.attempt,
        ready=listed.state == 0,
        created_at=listed.created_at / NANOSECONDS,
        runtime_handler=listed.runtime_handler,
        annotations=dict(listed.annotations),
    )


def _container(listed: Any) -> ContainerRecord:
    return ContainerRecord(
        id=listed.id,
        name=listed.labels.get(CONTAINER_NAME) or listed.metadata.name,
        sandbox_id=listed.pod_sandbox_id,
        uid=listed.labels.get(POD_UID, ""),
        attempt=listed.metadata.attempt,
        state=_PHASES[listed.state],
        created_at=listed.created_at / NANOSECONDS,
        image=listed.image.image,
        image_id=listed.image_id or listed.image_ref,
        annotations=dict(listed.annotations),
    )


def _signal_name(status: Any) -> str:
    """ "" when the runtime does not say, or uses its default."""
    number = status.stop_signal
    names = status.DESCRIPTOR.fields_by_name["stop_signal"].enum_type.values_by_number
    return str(names[number].name) if number else ""


def _container_status(status: Any, listed: ContainerRecord) -> ContainerRecord:
    linux = status.user.linux if status.HasField("user") and status.user.HasField("linux") else None
    return ContainerRecord(
        id=listed.id,
        name=listed.name,
        sandbox_id=listed.sandbox_id,
        uid=listed.uid,
        attempt=listed.attempt,
        state=_PHASES[status.state],
        created_at=status.created_at / NANOSECONDS,
        started_at=max(status.started_at, 0) / NANOSECONDS,
        finished_at=max(status.finished_at, 0) / NANOSECONDS,
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        image=status.image.image,
        image_id=status.image_ref or status.image_id,
        log_path=status.log_path,
        annotations=dict(status.annotations),
        mounts=tuple((mount.container_path, mount.host_path) for mount in status.mounts),
        user=(linux.uid, linux.gid, tuple(linux.supplemental_groups)) if linux is not None else None,
        stop_signal=_signal_name(status),
    )


def _image(image: Any) -> ImageRecord:
    return ImageRecord(
        id=image.id,
        tags=tuple(image.repo_tags),
        digests=tuple(image.repo_digests),
        size_bytes=image.size,
        uid=image.uid.value if image.HasField("uid") else None,
        username=image.username,
        pinned=image.pinned,
    )


def _usage(stats: Any) -> ContainerUsage:
    return ContainerUsage(
        id=stats.attributes.id,
        name=stats.attributes.labels.get(CONTAINER_NAME, stats.attributes.metadata.name),
        pod_uid=stats.attributes.labels.get(POD_UID, ""),
        at=stats.cpu.timestamp / NANOSECONDS,
        cpu_nanoseconds=stats.cpu.usage_core_nano_seconds.value,
        working_set_bytes=stats.memory.working_set_bytes.value,
        usage_bytes=stats.memory.usage_bytes.value,
        rss_bytes=stats.memory.rss_bytes.value,
        writable_layer_bytes=stats.writable_layer.used_bytes.value,
    )


class CriRuntime:
    """See `interface.ContainerRuntime`. `endpoint` is a path or `unix://` address; connects at the first call."""

    def __init__(self, endpoint: str) -> None:
        self._address = endpoint if "://" in endpoint else f"unix://{endpoint}"
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[str, Any] = {}

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                self._address,
                options=(
                    ("grpc.max_receive_message_length", MAXIMUM_MESSAGE_BYTES),
                    ("grpc.initial_reconnect_backoff_ms", 50),
                    ("grpc.max_reconnect_backoff_ms", 1000),
                    ("grpc.use_local_subchannel_pool", 1),
                ),
            )
        return self._channel

    def _stub(self, service: str, method: str) -> Any:
        stub = self._stubs.get(method)
        if stub is None:
            request, response = _REQUESTS.get(method, (f"{method}Request", f"{method}Response"))
            kinds = messages()
            channel = self._open()
            make = channel.unary_stream if method in _REQUESTS else channel.unary_unary
            stub = self._stubs[method] = make(
                f"/runtime.v1.{service}/{method}",
                request_serializer=kinds[f"runtime.v1.{request}"].SerializeToString,
                response_deserializer=kinds[f"runtime.v1.{response}"].FromString,
            )
        return stub

    async def _call(self, method: str, *, timeout_seconds: float = CALL_TIMEOUT_SECONDS, **fields: Any) -> Any:
        try:
            stub = self._stub("RuntimeService", method)
            return await stub(message(f"{method}Request", **fields), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise RuntimeFailure(error.code().name, error.details() or error.code().name) from error

    async def _image_call(self, method: str, *, timeout_seconds: float = CALL_TIMEOUT_SECONDS, **fields: Any) -> Any:
        try:
            stub = self._stub("ImageService", method)
            return await stub(message(f"{method}Request", **fields), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise ImageFailure(error.code().name, error.details() or error.code().name) from error

    async def version(self) -> RuntimeInfo:
        answer = await self._call("Version", version="v1")
        return RuntimeInfo(name=answer.runtime_name, version=answer.runtime_version)

    async def conditions(self) -> RuntimeConditions:
        answer = await self._call("Status")
        found = {condition.type: condition for condition in answer.status.conditions}
        runtime, network = found.get("RuntimeReady"), found.get("NetworkReady")

        def text(condition: Any) -> str:
            if condition is None or condition.status:
                return ""
            return f"{condition.type}=false reason:{condition.reason} message:{condition.message}"

        return RuntimeConditions(
            ready=runtime is not None and runtime.status,
            network_ready=network is not None and network.status,
            message=text(runtime),
            network_message=text(network),
        )

    async def cgroup_driver(self) -> str:
        try:
            answer = await self._call("RuntimeConfig")
        except RuntimeFailure as error:
            if error.code == "UNIMPLEMENTED":
                return ""
            raise
        return "systemd" if answer.linux.cgroup_driver == 0 else "cgroupfs"

    async def set_pod_cidr(self, cidr: str) -> None:
        await self._call("UpdateRuntimeConfig", runtime_config={"network_config": {"pod_cidr": cidr}})

    async def pods(self) -> dict[str, PodRuntime]:
        return await self._listed({}, full=False)

    async def pod(self, uid: str) -> PodRuntime:
        found = await self._listed({POD_UID: uid}, full=True)
        return found.get(uid, PodRuntime(uid=uid))

    async def _listed(self, labels: Mapping[str, str], full: bool) -> dict[str, PodRuntime]:
        answers = await asyncio.gather(
            self._call("ListPodSandbox", filter={"label_selector": labels}),
            self._call("ListContainers", filter={"label_selector": labels}),
        )
        sandboxes = [_sandbox(each) for each in answers[0].items if each.metadata.uid]
        containers = [_container(each) for each in answers[1].containers if each.labels.get(POD_UID)]
        sandboxes.sort(key=_order)
        if full:
            newest = [await self._sandbox_in_full(each) for each in sandboxes[:1]]
            sandboxes[:1] = [each for each in newest if each is not None]
            statuses = await asyncio.gather(*map(self._container_in_full, containers))
            containers = [each for each in statuses if each is not None]
        containers.sort(key=_order)
        grouped: dict[str, tuple[list[Sandbox], list[ContainerRecord]]] = {}
        for sandbox in sandboxes:
            grouped.setdefault(sandbox.uid, ([], []))[0].append(sandbox)
        for container in containers:
            grouped.setdefault(container.uid, ([], []))[1].append(container)
        return {
            uid: PodRuntime(uid=uid, sandboxes=tuple(found), containers=tuple(held))
            for uid, (found, held) in grouped.items()
        }

    async def _sandbox_in_full(self, listed: Sandbox) -> Sandbox | None:
        try:
            status = (await self._call("PodSandboxStatus", pod_sandbox_id=listed.id)).status
        except RuntimeFailure as error:
            if error.not_found:
                return None
            raise
        ips = tuple(ip for ip in (status.network.ip, *(each.ip for each in status.network.additional_ips)) if ip)
        return Sandbox(
            id=listed.id,
            name=listed.name,
            namespace=listed.namespace,
            uid=listed.uid,
            attempt=listed.attempt,
            ready=status.state == 0,
            created_at=listed.created_at,
            ips=ips,
            host_network=status.linux.namespaces.options.network == _NODE_NETWORK,
            runtime_handler=listed.runtime_handler,
            annotations=listed.annotations,
        )

    async def _container_in_full(self, listed: ContainerRecord) -> ContainerRecord | None:
        try:
            return _container_status((await self._call("ContainerStatus", container_id=listed.id)).status, listed)
        except RuntimeFailure as error:
            if error.not_found:
                return None
            raise

    async def run_sandbox(self, config: CriMessage, runtime_handler: str) -> str:
        answer = await self._call(
            "RunPodSandbox", config=config, runtime_handler=runtime_handler, timeout_seconds=SANDBOX_TIMEOUT_SECONDS
        )
        return str(answer.pod_sandbox_id)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._gone("StopPodSandbox", pod_sandbox_id=sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._gone("RemovePodSandbox", pod_sandbox_id=sandbox_id)

    async def _gone(self, method: str, **fields: Any) -> None:
        """What is gone already is as good as stopped; what ended just now is found so when asked again."""
        for attempt in range(1, STOP_ATTEMPTS + 1):
            try:
                await self._call(method, **fields)
            except RuntimeFailure as error:
                if error.not_found:
                    return
                if attempt == STOP_ATTEMPTS or not (error.code == "UNKNOWN" and ENDED_MEANWHILE in error.message):
                    raise
            else:
                return

    async def create_container(self, sandbox_id: str, config: CriMessage, sandbox_config: CriMessage) -> str:
        answer = await self._call(
            "CreateContainer", pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config
        )
        return str(answer.container_id)

    async def start_container(self, container_id: str) -> None:
        await self._call("StartContainer", container_id=container_id)

    async def stop_container(self, container_id: str, grace_seconds: int) -> None:
        await self._gone(
            "StopContainer",
            container_id=container_id,
            timeout=grace_seconds,
            timeout_seconds=grace_seconds + STOP_MARGIN_SECONDS,
        )

    async def remove_container(self, container_id: str) -> None:
        await self._gone("RemoveContainer", container_id=container_id)

    async def update_resources(self, container_id: str, resources: CriMessage) -> None:
        await self._call("UpdateContainerResources", container_id=container_id, linux=resources)

    async def reopen_log(self, container_id: str) -> None:
        await self._call("ReopenContainerLog", container_id=container_id)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        answer = await self._call(
            "ExecSync",
            container_id=container_id,
            cmd=list(command),
            timeout=int(timeout_seconds),
            timeout_seconds=timeout_seconds + 10 if timeout_seconds else CALL_TIMEOUT_SECONDS,
        )
        return ExecResult(exit_code=answer.exit_code, stdout=answer.stdout, stderr=answer.stderr)

    async def exec_url(
        self, container_id: str, command: Sequence[str], stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        answer = await self._call(
            "Exec", container_id=container_id, cmd=list(command), stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        return str(answer.url)

    async def attach_url(self, container_id: str, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        answer = await self._call(
            "Attach", container_id=container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        return str(answer.url)

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return str((await self._call("PortForward", pod_sandbox_id=sandbox_id, port=list(ports))).url)

    async def usage(self) -> list[ContainerUsage]:
        found = (await self._call("ListContainerStats")).stats
        return [_usage(each) for each in found if each.cpu.timestamp]  # what has ended uses nothing

    async def image(self, reference: str) -> ImageRecord | None:
        answer = await self._image_call("ImageStatus", image={"image": reference})
        return _image(answer.image) if answer.HasField("image") else None

    async def images(self) -> list[ImageRecord]:
        return [_image(each) for each in (await self._image_call("ListImages")).images]

    async def pull_image(self, reference: str, auth: CriMessage | None, sandbox_config: CriMessage) -> str:
        answer = await self._image_call(
            "PullImage",
            image={"image": reference},
            auth=auth,
            sandbox_config=sandbox_config,
            timeout_seconds=PULL_TIMEOUT_SECONDS,
        )
        return str(answer.image_ref)

    async def remove_image(self, image_id: str) -> None:
        await self._image_call("RemoveImage", image={"image": image_id})

    async def image_filesystem_bytes(self) -> tuple[str, int]:
        answer = await self._image_call("ImageFsInfo")
        for system in answer.image_filesystems:
            return str(system.fs_id.mountpoint), int(system.used_bytes.value)
        return "", 0

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        try:
            try:
                async for event in self._stub("RuntimeService", "GetContainerEvents")(message("GetEventsRequest")):
                    yield RuntimeEvent(
                        kind="changed", container_id=event.container_id, uid=event.pod_sandbox_status.metadata.uid
                    )
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                    raise
            events = ContainerdEvents(self._open(), messages(), self._runs).follow()
            try:
                async for found in events:
                    yield found
            finally:
                await events.aclose()  # type: ignore[attr-defined]
        except grpc.aio.AioRpcError as error:
            raise RuntimeFailure(error.code().name, error.details() or error.code().name) from error
        raise RuntimeFailure("UNAVAILABLE", "the stream of events has ended")

    async def _runs(self, container_id: str) -> bool:
        """Whether CRI believes that this container or sandbox runs."""
        try:
            state = (await self._call("ContainerStatus", container_id=container_id)).status.state
            return bool(_PHASES[state] == "running")
        except RuntimeFailure as error:
            if not error.not_found:
                raise
        try:
            status = (await self._call("PodSandboxStatus", pod_sandbox_id=container_id)).status
            return bool(status.state == 0)
        except RuntimeFailure as error:
            if not error.not_found:
                raise
        return False

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.close(None)

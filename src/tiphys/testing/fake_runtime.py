"""A container runtime in memory: what containerd is to the kubelet, without processes, images or networks.

    runtime = FakeRuntime(VirtualClock())
    runtime.add_image("registry.example/web:1")
    runtime.programs["web"] = Program(run_seconds=5, exit_code=1)   # containers named "web" fail after 5 s

It keeps the kubelet's rules of names, states and times; one suite runs on it and on containerd. Hollow nodes run on it
too. Calls are recorded in `calls`; `fail(...)` makes the next ones fail.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.kubelet.interface import (
    CONTAINER_NAME,
    POD_UID,
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

_HOST_NETWORK = 2
KILLED_EXIT_CODE = 137
OUT_OF_MEMORY = "OOMKilled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How containers of one name behave: they end by themselves after `run_seconds` (None: never) with `exit_code`; on
    the stop signal they end after `stop_seconds` (None: never, so they are killed) with `stop_exit_code`. `message`
    is what they leave as termination message. `start_error` makes starting fail."""

    run_seconds: float | None = None
    exit_code: int = 0
    stop_seconds: float | None = 0.0
    stop_exit_code: int = 143
    message: str = ""
    start_error: str = ""


@dataclass(slots=True)
class _Container:
    record: ContainerRecord
    config: CriMessage
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class RuntimeCall:
    method: str
    subject: str


class FakeRuntime:
    """See `kubelet.interface.ContainerRuntime` and the module docstring. `events=False` is a runtime that tells none.
    `execute` answers exec_sync; by default everything succeeds."""

    def __init__(
        self,
        clock: Clock,
        *,
        pod_cidr: str = "10.88.0.0/16",
        events: bool = True,
        name: str = "fake",
        version: str = "1.0.0",
        pulls_anything: bool = False,
    ) -> None:
        self.clock = clock
        self.calls: list[RuntimeCall] = []
        self.programs: dict[str, Program] = {}
        self.execute: Callable[[ContainerRecord, Sequence[str]], ExecResult] = lambda _record, _command: ExecResult(
            exit_code=0, stdout=b"", stderr=b""
        )
        self.state = RuntimeConditions(ready=True, network_ready=True)
        self.pulls_anything = pulls_anything
        self.pullable: set[str] = set()
        self.sandbox_configs: dict[str, CriMessage] = {}
        self._info = RuntimeInfo(name=name, version=version)
        self._tells = events
        self._addresses = self._free_addresses(pod_cidr)
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, _Container] = {}
        self._images: dict[str, ImageRecord] = {}
        self._subscribers: list[asyncio.Queue[RuntimeEvent | None]] = []
        self._failures: list[tuple[str, RuntimeFailure, int]] = []
        self._count = 0

    @staticmethod
    def _free_addresses(cidr: str) -> Iterator[str]:
        hosts = ipaddress.ip_network(cidr).hosts()
        next(hosts)
        return (str(address) for address in hosts)

    # What a test does from outside

    def add_image(
        self, *tags: str, size_bytes: int = 1_000_000, uid: int | None = 0, username: str = ""
    ) -> ImageRecord:
        """An image that is on the node."""
        image_id = f"sha256:{self._next():064x}"
        image = ImageRecord(id=image_id, tags=tags, size_bytes=size_bytes, uid=uid, username=username)
        self._images[image_id] = image
        return image

    def fail(self, method: str, error: RuntimeFailure, times: int = 1) -> None:
        """Make the next calls of a method fail."""
        self._failures.append((method, error, times))

    def exit(self, container_id: str, exit_code: int = 0, reason: str = "", message: str = "") -> None:
        """End a running container as if its process had."""
        self._end(self._containers[container_id], exit_code, reason, message)

    def break_events(self) -> None:
        """Cut the connections of those who follow events."""
        for queue in self._subscribers:
            queue.put_nowait(None)

    def containers(self, name: str = "") -> list[ContainerRecord]:
        """All records, the oldest first; those of one name."""
        return [each.record for each in self._containers.values() if not name or each.record.name == name]

    def sandboxes(self) -> list[Sandbox]:
        return [*self._sandboxes.values()]

    def config_of(self, container_id: str) -> CriMessage:
        return self._containers[container_id].config

    def named(self, method: str) -> list[str]:
        """The subjects of all calls of one method."""
        return [call.subject for call in self.calls if call.method == method]

    # The runtime

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _called(self, method: str, subject: str = "") -> None:
        self.calls.append(RuntimeCall(method, subject))
        for position, (wanted, error, times) in enumerate(self._failures):
            if wanted == method:
                if times > 1:
                    self._failures[position] = (wanted, error, times - 1)
                else:
                    del self._failures[position]
                raise error

    def _tell(self, container_id: str, uid: str, kind: Any = "changed") -> None:
        for queue in self._subscribers:
            queue.put_nowait(RuntimeEvent(kind=kind, container_id=container_id, uid=uid))

    def _container(self, container_id: str) -> _Container:
        found = self._containers.get(container_id)
        if found is None:
            raise RuntimeFailure("NOT_FOUND", f'container "{container_id}": not found')
        return found

    async def version(self) -> RuntimeInfo:
        self._called("version")
        return self._info

    async def conditions(self) -> RuntimeConditions:
        self._called("conditions")
        return self.state

    async def cgroup_driver(self) -> str:
        return ""

    async def set_pod_cidr(self, cidr: str) -> None:
        self._called("set_pod_cidr", cidr)
        self._addresses = self._free_addresses(cidr)

    async def pods(self) -> dict[str, PodRuntime]:
        self._called("pods")
        uids = dict.fromkeys(
            [*(each.uid for each in self._sandboxes.values()), *(each.record.uid for each in self._containers.values())]
        )
        return {uid: self._pod(uid) for uid in uids}

    async def pod(self, uid: str) -> PodRuntime:
        self._called("pod", uid)
        return self._pod(uid)

    def _pod(self, uid: str) -> PodRuntime:
        sandboxes = [each for each in self._sandboxes.values() if each.uid == uid]
        records = [each.record for each in self._containers.values() if each.record.uid == uid]
        return PodRuntime(
            uid=uid,
            sandboxes=tuple(sorted(sandboxes, key=lambda each: (-each.created_at, -each.attempt))),
            containers=tuple(sorted(records, key=lambda each: (-each.created_at, -each.attempt))),
        )

    async def run_sandbox(self, config: CriMessage, runtime_handler: str) -> str:
        meta = config["metadata"]
        self._called("run_sandbox", meta["name"])
        for each in self._sandboxes.values():
            if (each.uid, each.attempt) == (meta["uid"], meta["attempt"]):
                raise RuntimeFailure("UNKNOWN", f"failed to reserve sandbox name of {meta['name']}: it is reserved")
        sandbox_id = f"{self._next():064x}"
        options = config["linux"]["security_context"]["namespace_options"]
        host_network = options["network"] == _HOST_NETWORK
        self._sandboxes[sandbox_id] = Sandbox(
            id=sandbox_id,
            name=meta["name"],
            namespace=meta["namespace"],
            uid=meta["uid"],
            attempt=meta["attempt"],
            created_at=self.clock.now(),
            ips=() if host_network else (next(self._addresses),),
            host_network=host_network,
            runtime_handler=runtime_handler,
            annotations=config.get("annotations", {}),
        )
        self.sandbox_configs[sandbox_id] = config
        return sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        self._called("stop_sandbox", sandbox_id)
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        for each in [*self._containers.values()]:
            if each.record.sandbox_id == sandbox_id:
                self._end(each, KILLED_EXIT_CODE)
        if sandbox.ready:
            self._sandboxes[sandbox_id] = dataclasses.replace(sandbox, ready=False, ips=())
            self._tell(sandbox_id, sandbox.uid)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self._called("remove_sandbox", sandbox_id)
        await self.stop_sandbox(sandbox_id)
        self._sandboxes.pop(sandbox_id, None)
        self.sandbox_configs.pop(sandbox_id, None)
        for container_id in [key for key, each in self._containers.items() if each.record.sandbox_id == sandbox_id]:
            del self._containers[container_id]

    async def create_container(self, sandbox_id: str, config: CriMessage, sandbox_config: CriMessage) -> str:
        meta = config["metadata"]
        self._called("create_container", meta["name"])
        if sandbox_id not in self._sandboxes:
            raise RuntimeFailure("NOT_FOUND", f"failed to find sandbox id {sandbox_id!r}: not found")
        sandbox = self._sandboxes[sandbox_id]
        image = self._find(config["image"]["image"])
        if image is None:
            raise RuntimeFailure("NOT_FOUND", f"failed to resolve image {config['image']['image']!r}: not found")
        for each in self._containers.values():
            if (each.record.uid, each.record.name, each.record.attempt) == (sandbox.uid, meta["name"], meta["attempt"]):
                raise RuntimeFailure("UNKNOWN", f"failed to reserve container name of {meta['name']}: it is reserved")
        container_id = f"{self._next():064x}"
        logs = sandbox_config.get("log_directory", "")
        record = ContainerRecord(
            id=container_id,
            name=config["labels"][CONTAINER_NAME],
            sandbox_id=sandbox_id,
            uid=config["labels"][POD_UID],
            attempt=meta["attempt"],
            state="created",
            created_at=self.clock.now(),
            image=image.tags[0] if image.tags else image.id,
            image_id=image.digests[0] if image.digests else image.id,
            log_path=f"{logs}/{config['log_path']}" if logs else "",
            annotations=config.get("annotations", {}),
            mounts=tuple((mount["container_path"], mount["host_path"]) for mount in config.get("mounts", ())),
        )
        self._containers[container_id] = _Container(record, config)
        return container_id

    async def start_container(self, container_id: str) -> None:
        found = self._container(container_id)
        self._called("start_container", found.record.name)
        if found.record.state != "created":
            raise RuntimeFailure("UNKNOWN", f"container is in {found.record.state} state")
        program = self.programs.get(found.record.name, Program())
        if program.start_error:
            self._end(found, 128, "StartError", program.start_error)
            raise RuntimeFailure("UNKNOWN", program.start_error)
        found.record = dataclasses.replace(found.record, state="running", started_at=self.clock.now())
        if program.run_seconds is not None:
            name = f"fake container {found.record.name}"
            found.timer = asyncio.get_running_loop().create_task(self._run_out(found, program), name=name)

    async def _run_out(self, found: _Container, program: Program) -> None:
        await self.clock.sleep(program.run_seconds or 0.0)
        found.timer = None
        self._end(found, program.exit_code)

    def _end(self, found: _Container, exit_code: int, reason: str = "", message: str = "") -> None:
        if found.record.state == "exited":
            return
        if found.timer is not None:
            found.timer.cancel()
            found.timer = None
        program = self.programs.get(found.record.name, Program())
        found.record = dataclasses.replace(
            found.record,
            state="exited",
            finished_at=self.clock.now(),
            exit_code=exit_code,
            reason=reason or ("Completed" if exit_code == 0 else "Error"),
            message=message or program.message,
        )
        found.ended.set()
        if reason == OUT_OF_MEMORY:
            self._tell(found.record.id, found.record.uid, "out_of_memory")
        self._tell(found.record.id, found.record.uid)

    async def stop_container(self, container_id: str, grace_seconds: int) -> None:
        found = self._containers.get(container_id)
        self._called("stop_container", found.record.name if found is not None else container_id)
        if found is None or found.record.state == "exited":
            return
        if found.record.state == "created":
            self._end(found, KILLED_EXIT_CODE)
            return
        program = self.programs.get(found.record.name, Program())
        if grace_seconds > 0 and program.stop_seconds is not None and program.stop_seconds <= grace_seconds:
            await self._ended_within(found, program.stop_seconds)
            self._end(found, program.stop_exit_code)
            return
        await self._ended_within(found, grace_seconds)
        self._end(found, KILLED_EXIT_CODE)

    async def _ended_within(self, found: _Container, seconds: float) -> None:
        waits = [asyncio.ensure_future(self.clock.sleep(seconds)), asyncio.ensure_future(found.ended.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def remove_container(self, container_id: str) -> None:
        found = self._containers.get(container_id)
        self._called("remove_container", found.record.name if found is not None else container_id)
        if found is not None:
            self._end(found, KILLED_EXIT_CODE)
            self._containers.pop(container_id, None)

    async def update_resources(self, container_id: str, resources: CriMessage) -> None:
        found = self._container(container_id)
        self._called("update_resources", found.record.name)
        linux = {**found.config["linux"], "resources": {**found.config["linux"]["resources"], **resources}}
        found.config = {**found.config, "linux": linux}

    async def reopen_log(self, container_id: str) -> None:
        self._called("reopen_log", self._container(container_id).record.name)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        found = self._container(container_id)
        self._called("exec_sync", found.record.name)
        if found.record.state != "running":
            raise RuntimeFailure("UNKNOWN", f"container is in {found.record.state} state")
        return self.execute(found.record, command)

    async def exec_url(
        self, container_id: str, command: Sequence[str], stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        self._container(container_id)
        raise RuntimeFailure("UNIMPLEMENTED", "a hollow container has no streams")

    async def attach_url(self, container_id: str, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        self._container(container_id)
        raise RuntimeFailure("UNIMPLEMENTED", "a hollow container has no streams")

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        raise RuntimeFailure("UNIMPLEMENTED", "a hollow container has no streams")

    async def usage(self) -> list[ContainerUsage]:
        now = self.clock.now()
        return [
            ContainerUsage(id=each.record.id, name=each.record.name, pod_uid=each.record.uid, at=now)
            for each in self._containers.values()
            if each.record.state == "running"
        ]

    # Images

    def _find(self, reference: str) -> ImageRecord | None:
        for image in self._images.values():
            if reference == image.id or reference in image.tags or reference in image.digests:
                return image
        return None

    async def image(self, reference: str) -> ImageRecord | None:
        self._called("image", reference)
        return self._find(reference)

    async def images(self) -> list[ImageRecord]:
        return [*self._images.values()]

    async def pull_image(self, reference: str, auth: CriMessage | None, sandbox_config: CriMessage) -> str:
        self._called("pull_image", reference)
        found = self._find(reference)
        if found is not None:
            return found.id
        if not self.pulls_anything and reference not in self.pullable:
            raise ImageFailure("NOT_FOUND", f'failed to pull and unpack image "{reference}": not found')
        return self.add_image(reference).id

    async def remove_image(self, image_id: str) -> None:
        self._called("remove_image", image_id)
        found = self._find(image_id)
        if found is not None:
            del self._images[found.id]

    async def image_filesystem_bytes(self) -> tuple[str, int]:
        return "", sum(image.size_bytes for image in self._images.values())

    # Events

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        if not self._tells:
            raise RuntimeFailure("UNIMPLEMENTED", "unknown method GetContainerEvents")
        queue: asyncio.Queue[RuntimeEvent | None] = asyncio.Queue()
        self._subscribers.append(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._subscribers.remove(queue)
        raise RuntimeFailure("UNAVAILABLE", "the stream of events has ended")

    async def close(self) -> None:
        """The runtime lives on: containers do not end with those who use it."""

    async def shut_down(self) -> None:
        """End the timers of all containers."""
        timers = [each.timer for each in self._containers.values() if each.timer is not None]
        for timer in timers:
            timer.cancel()
        await asyncio.gather(*timers, return_exceptions=True)

"""What the kubelet knows of a container runtime, and the protocols between its decisions and its shell.

`Sandbox`, `ContainerRecord` and `PodRuntime` are snapshots of what a runtime runs. Everything the kubelet must remember
over its own restart is in labels and annotations of sandboxes and containers (names below), so a restarted kubelet
adopts what it finds. Requests are plain mappings in CRI's own field names (`CriMessage`), filled in by
`container_config.py`; how they travel is `io/cri.py`'s business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from tiphys.kinds.types import core_v1

CriMessage: TypeAlias = dict[str, Any]

# Labels of sandboxes and containers, the names that tools like crictl know.
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

# Annotations of containers.
HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
POD_GRACE_SECONDS = "io.kubernetes.pod.terminationGracePeriod"
# What only this kubelet writes: the wait before the container's next restart, so that a restarted kubelet keeps to it.
BACK_OFF_SECONDS = "tiphys.container.restartBackOffSeconds"

# Annotations of pods that come from a file, and of their mirrors in the API.
CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_SEEN = "kubernetes.io/config.seen"
CONFIG_MIRROR = "kubernetes.io/config.mirror"


class RuntimeFailure(Exception):
    """A call to the container runtime failed. `code` is gRPC's name of the status ("NOT_FOUND", "DEADLINE_EXCEEDED",
    "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN", ...)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def not_found(self) -> bool:
        return self.code == "NOT_FOUND"


class ImageFailure(RuntimeFailure):
    """An image could not be pulled or inspected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A pod's sandbox. Times are seconds since the epoch. `ips` is empty on the host's network."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int = 0
    ready: bool = True
    created_at: float = 0.0
    ips: tuple[str, ...] = ()
    host_network: bool = False
    runtime_handler: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


ContainerPhase = Literal["created", "running", "exited", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """A container as the runtime knows it. `attempt` counts its restarts. `image_id` names what runs, by digest where
    there is one. `mounts` are (container path, host path). `message` is the termination message once it was read."""

    id: str
    name: str
    sandbox_id: str
    uid: str
    attempt: int = 0
    state: ContainerPhase = "running"
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_id: str = ""
    log_path: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[tuple[str, str], ...] = ()
    user: tuple[int, int, tuple[int, ...]] | None = None
    stop_signal: str = ""

    @property
    def restart_count(self) -> int:
        return int(self.annotations.get(RESTART_COUNT) or self.attempt)

    @property
    def definition_hash(self) -> str:
        return self.annotations.get(HASH, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRuntime:
    """What the runtime has of one pod: sandboxes and containers, the newest first. What was made before `begins_at`
    counts no more (0.0: everything counts)."""

    uid: str
    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()
    begins_at: float = 0.0

    @property
    def sandbox(self) -> Sandbox | None:
        return self.sandboxes[0] if self.sandboxes else None

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest container of that name."""
        return next((each for each in self.containers if each.name == name), None)

    def current(self, name: str) -> ContainerRecord | None:
        """The newest container of that name if it is in the newest sandbox and counts."""
        found = self.latest(name)
        return found if found is not None and self.is_in_sandbox(found) and not self.is_past(found) else None

    def is_in_sandbox(self, record: ContainerRecord) -> bool:
        return bool(self.sandboxes) and record.sandbox_id == self.sandboxes[0].id

    def is_past(self, record: ContainerRecord) -> bool:
        return record.created_at < self.begins_at

    @property
    def running(self) -> tuple[ContainerRecord, ...]:
        return tuple(each for each in self.containers if each.state in ("running", "unknown"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """`name` and `version` as nodeInfo shows them: containerd, 1.6.20."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConditions:
    """Whether the runtime works and whether pods would get a network; the texts say why not."""

    ready: bool
    network_ready: bool
    message: str = ""
    network_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image on the node. `uid` is the numeric user of its configuration, `username` a named one."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    uid: int | None = None
    username: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUsage:
    """What a container uses now; `at` is when that was measured."""

    id: str
    name: str
    pod_uid: str
    at: float
    cpu_nanoseconds: int = 0
    working_set_bytes: int = 0
    usage_bytes: int = 0
    rss_bytes: int = 0
    writable_layer_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEvent:
    """Something became of a container or sandbox: look again at the pod `uid`, or, when that is "", at the pod that
    `container_id` belongs to. `kind` "out_of_memory" marks a container whose process was killed for memory."""

    kind: Literal["changed", "out_of_memory"]
    container_id: str
    uid: str = ""


class ContainerRuntime(Protocol):
    """A CRI runtime: containerd behind `io/cri.py`, or the shipped fake. Methods raise RuntimeFailure (ImageFailure for
    images). Stopping or removing what is gone already is no error."""

    async def version(self) -> RuntimeInfo: ...

    async def conditions(self) -> RuntimeConditions: ...

    async def cgroup_driver(self) -> str:
        """ "cgroupfs", "systemd", or "" when the runtime does not say."""
        ...

    async def set_pod_cidr(self, cidr: str) -> None: ...

    async def pods(self) -> dict[str, PodRuntime]:
        """Everything by pod uid, from lists alone: no addresses, exit codes or mounts (see `pod`)."""
        ...

    async def pod(self, uid: str) -> PodRuntime:
        """One pod in full."""
        ...

    async def run_sandbox(self, config: CriMessage, runtime_handler: str) -> str: ...

    async def stop_sandbox(self, sandbox_id: str) -> None: ...

    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    async def create_container(self, sandbox_id: str, config: CriMessage, sandbox_config: CriMessage) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, grace_seconds: int) -> None:
        """Returns when it has ended; it is killed when the grace is over."""
        ...

    async def remove_container(self, container_id: str) -> None: ...

    async def update_resources(self, container_id: str, resources: CriMessage) -> None: ...

    async def reopen_log(self, container_id: str) -> None: ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult: ...

    async def exec_url(
        self, container_id: str, command: Sequence[str], stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str: ...

    async def attach_url(self, container_id: str, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def usage(self) -> list[ContainerUsage]: ...

    async def image(self, reference: str) -> ImageRecord | None: ...

    async def images(self) -> list[ImageRecord]: ...

    async def pull_image(self, reference: str, auth: CriMessage | None, sandbox_config: CriMessage) -> str: ...

    async def remove_image(self, image_id: str) -> None: ...

    async def image_filesystem_bytes(self) -> tuple[str, int]:
        """Where images are kept, and how much they take."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Ends by RuntimeFailure: code UNIMPLEMENTED when this runtime tells no events, another when the connection
        broke."""
        ...

    async def close(self) -> None: ...


class VolumeFailure(Exception):
    """A volume of the pod cannot be set up yet; the message says which and why."""


def pod_key(pod: core_v1.Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def full_name(pod: core_v1.Pod) -> str:
    """`name_namespace(uid)`, as in the messages that name a pod."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"


def is_static(pod: core_v1.Pod) -> bool:
    """The pod comes from a file of this node."""
    source = (pod.metadata.annotations or {}).get(CONFIG_SOURCE)
    return source is not None and source != "api"


def is_mirror(pod: core_v1.Pod) -> bool:
    """The object in the API that shows a static pod."""
    return CONFIG_MIRROR in (pod.metadata.annotations or {})

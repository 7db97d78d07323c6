"""Runs one node's containerd: starts it or adopts the one that runs, starts it again after a crash, and removes all
of it.

containerd outlives the process that started it, so pods live on while an agent is restarted: `stop` only lets go of it,
`remove_containerd` ends it with its shims, containers, mounts and sockets (also long after a kill -9, from the
directory alone).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.linux.io.mounts import MNT_DETACH, unmount_below
from tiphys.linux.io.processes import (
    ProcessIdentity,
    all_pids,
    command_line,
    descendants,
    identity_of,
    is_alive,
    kill_and_wait,
    recorded,
    wait_gone,
    write_pid_file,
)
from tiphys.runtime.containerd_config import ContainerdConfig, containerd_toml
from tiphys.runtime.images import PAUSE_IMAGE
from tiphys.runtime.io.cri_probe import CriProbe

log = logging.getLogger(__name__)

_MAXIMUM_SOCKET_PATH_BYTES = 100  # the kernel's limit is 107; containerd appends ".ttrpc"
_CAP_SYS_RESOURCE = 24
_MAXIMUM_LOG_BYTES = 16 << 20
_START_TIMEOUT_SECONDS = 60.0
_STABLE_SECONDS = 60.0
_NOT_YET_SECONDS = 0.01
_CGROUPS = Path("/sys/fs/cgroup")
_RUNC_RECORDS = Path("/run/containerd/runc")


class ContainerdError(Exception):
    """containerd could not be started; the message says why, with the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerdPaths:
    """Where one containerd keeps everything, in a directory of its own."""

    directory: Path

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def configuration(self) -> Path:
        return self.directory / "config.toml"

    @property
    def process(self) -> Path:
        return self.directory / "containerd.pid"

    @property
    def log(self) -> Path:
        return self.directory / "containerd.log"

    @property
    def registries(self) -> Path:
        """A folder for each registry with a hosts.toml, as containerd reads it."""
        return self.directory / "registries"

    @property
    def socket(self) -> Path:
        """In the directory, or under /run where its path would be too long for a socket."""
        path = self.directory / "containerd.sock"
        if len(os.fsencode(path)) <= _MAXIMUM_SOCKET_PATH_BYTES:
            return path
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(f"/run/tiphys-{digest}/containerd.sock")


def lacks_sys_resource() -> bool:
    """Whether this process may not lower oom_score_adj (and so neither may runc under it)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return not int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1
    return True


def snapshotter_for(root: Path) -> str:
    """ "overlayfs" where the file system of `root` can carry an overlay, else "native" (plain copies)."""
    root.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".overlay-") as name:
        base = Path(name)
        for part in ("lower", "upper", "work", "merged"):
            (base / part).mkdir()
        options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
        merged = os.fsencode(base / "merged")
        if libc.mount(b"overlay", merged, b"overlay", 0, options.encode()) != 0:
            return "native"
        libc.umount2(merged, MNT_DETACH)
    return "overlayfs"


def containerd_config(
    paths: ContainerdPaths,
    *,
    cni_plugin_directory: str,
    cni_configuration_directory: str,
    sandbox_image: str = PAUSE_IMAGE,
    systemd_cgroup: bool = False,
) -> ContainerdConfig:
    """The configuration that fits this machine."""
    return ContainerdConfig(
        root=str(paths.root),
        state=str(paths.state),
        socket=str(paths.socket),
        sandbox_image=sandbox_image,
        cni_plugin_directory=cni_plugin_directory,
        cni_configuration_directory=cni_configuration_directory,
        registry_configuration_directory=str(paths.registries),
        snapshotter=snapshotter_for(paths.root),
        systemd_cgroup=systemd_cgroup,
        restrict_oom_score_adj=lacks_sys_resource(),
    )


def _log_end(paths: ContainerdPaths) -> str:
    try:
        return paths.log.read_text(errors="replace")[-2000:]
    except FileNotFoundError:
        return ""


class Containerd:
    """A component: `start` returns when CRI answers. A crash is mended inside; `on_failure` hears only what cannot
    be mended (the program vanished)."""

    name = "containerd"

    def __init__(
        self,
        config: ContainerdConfig,
        paths: ContainerdPaths,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
        program: str = "containerd",
    ) -> None:
        self.config = config
        self.paths = paths
        self.restarts = 0
        self._clock = clock
        self._program = program
        self._owner = TaskOwner(self.name, on_failure)
        self._backoff: Backoff[str] = Backoff(initial_seconds=0.2, maximum_seconds=30)
        self._child: subprocess.Popen[bytes] | None = None
        self.identity: ProcessIdentity | None = None
        self.restarted = asyncio.Event()
        """Set when it answers again after a crash."""

    @property
    def pid(self) -> int:
        return self.identity.pid if self.identity else 0

    async def start(self) -> None:
        """Adopt the containerd of this directory or start one. Raises ContainerdError."""
        for directory in (self.paths.directory, self.paths.registries, self.paths.socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        text = containerd_toml(self.config)
        identity = running_containerd(self.paths)
        same = self.paths.configuration.is_file() and self.paths.configuration.read_text() == text
        if identity is not None and not same:
            log.info("containerd's configuration has changed: it is started again")
            await asyncio.to_thread(_terminate, identity)
            identity = None
        if identity is None:
            self.paths.configuration.write_text(text)
            identity = self._spawn()
        else:
            log.info("adopted the running containerd, process %d", identity.pid)
        self.identity = identity
        await self._ready(identity)
        self._owner.start(self._supervise(), "supervise")

    async def stop(self) -> None:
        """Let go of it: containerd and the pods live on."""
        await self._owner.close()

    async def shut_down(self) -> None:
        """End it with everything that it runs, leaving images and containers' data in its root."""
        await self.stop()
        await asyncio.to_thread(remove_containerd, self.paths)
        if self._child is not None:
            self._child.poll()

    def _spawn(self) -> ProcessIdentity:
        path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
        program = shutil.which(self._program, path=path)
        if program is None:
            raise ContainerdError(f"the program {self._program} is missing: install the package containerd")
        if self.paths.log.is_file() and self.paths.log.stat().st_size > _MAXIMUM_LOG_BYTES:
            self.paths.log.replace(self.paths.log.with_suffix(".log.1"))
        self.paths.socket.unlink(missing_ok=True)
        with open(self.paths.log, "ab") as output:
            self._child = subprocess.Popen(
                [program, "--config", str(self.paths.configuration)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PATH": path},
                start_new_session=True,
            )
        identity = identity_of(self._child.pid)
        if identity is None:
            raise ContainerdError(f"containerd ended at once: {_log_end(self.paths)}")
        write_pid_file(self.paths.process, identity.pid)
        return identity

    async def _ready(self, identity: ProcessIdentity) -> None:
        """Wait until CRI answers, containerd ends, or the time is over."""
        answering = asyncio.ensure_future(self._answering())
        ending = asyncio.ensure_future(ended(identity))
        try:
            await asyncio.wait({answering, ending}, timeout=_START_TIMEOUT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
                return
            what = "ended while it started" if ending.done() else f"did not answer in {_START_TIMEOUT_SECONDS:.0f} s"
            raise ContainerdError(f"containerd {what}: {_log_end(self.paths)}")
        finally:
            for task in (answering, ending):
                task.cancel()
            await asyncio.gather(answering, ending, return_exceptions=True)

    async def _answering(self) -> None:
        probe = CriProbe(str(self.paths.socket))
        try:
            while True:
                try:
                    await probe.version()
                    return
                except grpc.aio.AioRpcError as error:
                    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                        raise ContainerdError(f"containerd serves no CRI: {_log_end(self.paths)}") from error
                await self._clock.sleep(_NOT_YET_SECONDS)
        finally:
            await probe.close()

    async def _supervise(self) -> None:
        while True:
            started = self._clock.monotonic()
            assert self.identity is not None
            await ended(self.identity)
            if self._child is not None:
                self._child.poll()  # takes the zombie away
            if self._clock.monotonic() - started >= _STABLE_SECONDS:
                self._backoff.reset(self.name)
            await self._restart()

    async def _restart(self) -> None:
        while True:
            wait_seconds = self._backoff.next(self.name)
            log.warning("containerd has ended; it is started again in %.1f s", wait_seconds)
            await self._clock.sleep(wait_seconds)
            self.restarts += 1
            self.identity = self._spawn()
            try:
                await self._ready(self.identity)
                self.restarted.set()
                return
            except ContainerdError as error:
                log.error("%s", error)
                if is_alive(self.identity):
                    await asyncio.to_thread(_terminate, self.identity)


async def ended(identity: ProcessIdentity) -> None:
    """Return when the process has ended, whoever's child it is."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    try:
        if not is_alive(identity):
            return
        loop.add_reader(descriptor, done.set)
        await done.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def running_containerd(paths: ContainerdPaths) -> ProcessIdentity | None:
    """The containerd of this directory that runs now, by its process file and command line; None when there is none."""
    identity = recorded(paths.process)
    if identity is None or str(paths.configuration) not in command_line(identity.pid):
        return None
    return identity


def _terminate(identity: ProcessIdentity, timeout_seconds: float = 10.0) -> None:
    """Ask it to end, then make it. Its shims and containers are not touched."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(identity.pid)
        try:
            if is_alive(identity):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        finally:
            os.close(descriptor)
        if not wait_gone(identity.pid, timeout_seconds):
            kill_and_wait([identity.pid])


def _shims(paths: ContainerdPaths) -> list[int]:
    """The shims that serve this containerd: its socket is among their arguments."""
    socket = str(paths.socket)
    found = []
    for pid in all_pids():
        arguments = command_line(pid)
        if arguments and "containerd-shim" in Path(arguments[0]).name and socket in arguments:
            found.append(pid)
    return found


@dataclass(frozen=True, slots=True)
class _Bundle:
    """What a container keeps outside our directories: its shim's socket, runc's record of it, its cgroup."""

    socket: Path | None
    record: Path
    cgroup: str


def _bundles(paths: ContainerdPaths) -> list[_Bundle]:
    found = []
    for directory in paths.state.glob("io.containerd.runtime.v2.task/*/*"):
        socket, cgroup = None, ""
        with contextlib.suppress(OSError):
            address = (directory / "address").read_text().strip()
            if address.startswith("unix://"):
                socket = Path(address.removeprefix("unix://"))
        with contextlib.suppress(OSError, ValueError):
            cgroup = json.loads((directory / "config.json").read_bytes()).get("linux", {}).get("cgroupsPath", "")
        record = _RUNC_RECORDS / directory.parent.name / directory.name
        found.append(_Bundle(socket, record, cgroup))
    return found


def _forget(bundle: _Bundle) -> None:
    """Its processes have ended."""
    if bundle.socket is not None:
        bundle.socket.unlink(missing_ok=True)
    shutil.rmtree(bundle.record, ignore_errors=True)
    # "slice:prefix:name" is systemd's, which cleans up by itself.
    if bundle.cgroup and ":" not in bundle.cgroup:
        relative = bundle.cgroup.lstrip("/")
        for hierarchy in (_CGROUPS, *_CGROUPS.iterdir()):
            with contextlib.suppress(OSError):
                (hierarchy / relative).rmdir()


def remove_containerd(paths: ContainerdPaths) -> None:
    """End containerd, its shims and all their containers, and take away mounts, sockets and running state. What is
    in `root` (images, containers' data) stays. Nothing to remove is no error. Blocks for up to some seconds."""
    identity = running_containerd(paths)
    if identity is not None:
        _terminate(identity)
    shims = _shims(paths)
    kill_and_wait(descendants(shims))
    bundles = _bundles(paths)
    for directory in (paths.state, paths.root):
        unmount_below(directory)
    for bundle in bundles:
        _forget(bundle)
    shutil.rmtree(paths.state, ignore_errors=True)
    paths.process.unlink(missing_ok=True)
    for suffix in ("", ".ttrpc"):
        Path(f"{paths.socket}{suffix}").unlink(missing_ok=True)
    if paths.socket.parent != paths.directory:
        with contextlib.suppress(OSError):
            paths.socket.parent.rmdir()

"""Keeps the processes of one cluster running: `python -m tiphys.launch.io.supervisor STATE`.

It starts each unit when what it requires is there, watches it by pidfd, restarts it when it ends, and takes over
units that a killed supervisor left running. SIGTERM stops all units and then itself. The units tell it through a
datagram socket (sd_notify's words) that there is news. It sleeps in one `select` and imports little, since it runs as
long as the cluster does.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import signal
import socket
import sys
import time

from tiphys.launch import supervision
from tiphys.launch.cluster import Layout
from tiphys.launch.io import state
from tiphys.launch.supervision import Phase, Unit, UnitState
from tiphys.launch.units import ENVIRONMENT, units_of
from tiphys.linux.io import processes


class Supervisor:
    """The shell around `supervision`: one selector, one signal pipe, one pidfd a unit."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.units: dict[str, Unit] = {}
        self.states: dict[str, UnitState] = {}
        self.selector = selectors.DefaultSelector()
        self.pidfds: dict[str, int] = {}
        self.children: set[int] = set()
        self.stopping = False

    def run(self) -> None:
        self._listen()
        self._reload()
        while not (self.stopping and all(s.phase is Phase.ENDED for s in self.states.values())):
            self._advance()
            now = time.monotonic()
            timeout = supervision.wake_in_seconds(list(self.states.values()), now)
            if not self.stopping or any(s.phase is not Phase.ENDED for s in self.states.values()):
                for key, _ in self.selector.select(timeout):
                    key.data()
        self.notify.close()
        self.layout.notify_socket.unlink(missing_ok=True)

    def _listen(self) -> None:
        self.layout.notify_socket.unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify.bind(str(self.layout.notify_socket))
        self.selector.register(self.notify, selectors.EVENT_READ, lambda: self.notify.recv(4096))
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # it was started with it blocked
        self.selector.register(reader, selectors.EVENT_READ, lambda: self._signals(os.read(reader, 512)))

    def _signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
            elif number == signal.SIGHUP:
                self._reload()

    def _reload(self) -> None:
        """Read the cluster's settings; take over what runs already, add what is new."""
        cluster = state.load(self.layout)
        if cluster is None:
            sys.exit(f"no cluster in {self.layout.state}")
        for unit in units_of(cluster, self.layout, sys.executable):
            self.units[unit.name] = unit
            if unit.name in self.states:
                continue
            self.states[unit.name] = UnitState()
            pid = processes.running_pid(self.layout.unit_pid(unit.name))
            if pid is not None:
                self._say(f"{unit.name} runs already (pid {pid})")
                with contextlib.suppress(ProcessLookupError):  # it has ended just now: it will be started
                    self._watch(unit.name, pid)

    def _watch(self, name: str, pid: int) -> None:
        descriptor = os.pidfd_open(pid)
        self.pidfds[name] = descriptor
        self.states[name] = supervision.started(self.states[name], pid, time.monotonic())
        self.selector.register(descriptor, selectors.EVENT_READ, lambda: self._ended(name))

    def _ended(self, name: str) -> None:
        descriptor = self.pidfds.pop(name)
        self.selector.unregister(descriptor)
        os.close(descriptor)
        current = self.states[name]
        how = self._reap(current.pid)
        self.states[name] = supervision.ended(current, time.monotonic())
        self.layout.unit_pid(name).unlink(missing_ok=True)
        if current.phase is not Phase.STOPPING:
            self._say(f"{name} (pid {current.pid}) ended: {how}; starting it again")

    def _reap(self, pid: int) -> str:
        if pid not in self.children:
            return "it was not started by this supervisor"
        self.children.discard(pid)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _advance(self) -> None:
        now = time.monotonic()
        for name, unit in self.units.items():
            current = self.states[name]
            if current.phase is Phase.WAITING:
                missing = any(not os.path.exists(path) for path in unit.requires)
                if supervision.may_start(current, missing, now):
                    self._start(unit)
            elif supervision.must_kill(current, now):
                self._say(f"{name} did not stop in time: killing it")
                processes.send_signal(current.pid, signal.SIGKILL)
                self.states[name] = UnitState(phase=Phase.STOPPING, pid=current.pid, since=current.since, killed=True)

    def _start(self, unit: Unit) -> None:
        environment = {**ENVIRONMENT, **os.environ, "NOTIFY_SOCKET": str(self.layout.notify_socket)}
        pid = processes.spawn(unit.command, self.layout.unit_log(unit.name), environment)
        self.children.add(pid)
        processes.write_pid_file(self.layout.unit_pid(unit.name), pid)
        self._watch(unit.name, pid)
        self._say(f"{unit.name} started (pid {pid})")

    def _stop(self) -> None:
        self.stopping = True
        now = time.monotonic()
        for name, current in self.states.items():
            if current.phase is Phase.RUNNING:
                processes.send_signal(current.pid, signal.SIGTERM)
            self.states[name] = supervision.stopping(current, now)

    @staticmethod
    def _say(text: str) -> None:
        sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
        sys.stderr.flush()


def main() -> None:
    layout = Layout(pathlib.Path(sys.argv[1]))
    processes.write_pid_file(layout.supervisor_pid, os.getpid())
    try:
        Supervisor(layout).run()
    finally:
        layout.supervisor_pid.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

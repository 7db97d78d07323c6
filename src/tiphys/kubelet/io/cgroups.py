"""The control groups of a node and its pods, on cgroups v1 and v2: made with their limits, removed when empty.

On v1 (also beside an empty unified hierarchy) each controller that limits something is a hierarchy of its own; other
hierarchies are the runtime's business until the group is removed. Blocking calls, short ones.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tiphys.kubelet.resources import PERIOD_MICROSECONDS, CgroupLimits

log = logging.getLogger(__name__)
MOUNT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpu", "memory", "pids", "hugetlb", "cpuset", "io")


def weight_of(shares: int) -> int:
    """cpu.weight (1..10000) of cpu.shares (2..262144)."""
    return 1 + ((max(2, min(shares, 262_144)) - 2) * 9999) // 262_142


class Cgroups:
    """`unified` tells v2. Groups are named by their path from the root, `/kubepods/burstable/podUID`."""

    def __init__(self, mount: Path = MOUNT) -> None:
        self._mount = mount
        self.unified = (mount / "cgroup.controllers").exists()

    def _hierarchies(self) -> list[Path]:
        if self.unified:
            return [self._mount]
        return sorted(path for path in self._mount.iterdir() if path.is_dir() and not path.is_symlink())

    def ensure(self, name: str, limits: CgroupLimits) -> None:
        """Make the group with its parents and set its limits. OSError with the file that refused."""
        if self.unified:
            self._ensure_unified(name, limits)
            return
        files: dict[str, dict[str, int | str]] = {
            "cpu": {"cpu.shares": limits.cpu_shares, "cpu.cfs_quota_us": limits.cpu_quota or -1},
            "memory": {"memory.limit_in_bytes": limits.memory_bytes or -1},
            "pids": {"pids.max": limits.pids or "max"},
            "hugetlb": {f"hugetlb.{size}.limit_in_bytes": amount for size, amount in limits.hugepages.items()},
        }
        if limits.cpu_quota:
            files["cpu"] = {"cpu.cfs_period_us": PERIOD_MICROSECONDS, **files["cpu"]}
        for controller, settings in files.items():
            if (self._mount / controller).is_dir():
                group = self._mount / controller / name.strip("/")
                group.mkdir(parents=True, exist_ok=True)
                for file, value in settings.items():
                    self._set(group / file, value)

    def _ensure_unified(self, name: str, limits: CgroupLimits) -> None:
        group = self._mount
        for part in name.strip("/").split("/"):
            self._delegate(group)
            group = group / part
            group.mkdir(exist_ok=True)
        self._set(group / "cpu.weight", weight_of(limits.cpu_shares) if limits.cpu_shares else 0)
        self._set(group / "cpu.max", f"{limits.cpu_quota or 'max'} {PERIOD_MICROSECONDS}")
        self._set(group / "memory.max", limits.memory_bytes or "max")
        self._set(group / "pids.max", limits.pids or "max")
        for size, amount in limits.hugepages.items():
            self._set(group / f"hugetlb.{size}.max", amount)

    def _delegate(self, group: Path) -> None:
        """Let children of the group be limited."""
        available = (group / "cgroup.controllers").read_text().split()
        wanted = [f"+{name}" for name in _V2_CONTROLLERS if name in available]
        if wanted:
            (group / "cgroup.subtree_control").write_text(" ".join(wanted))

    def _set(self, file: Path, value: int | str) -> None:
        """Missing controllers are no error: then there is nothing to limit with. 0 leaves a value as it is."""
        if value == 0 or not file.exists():
            return
        try:
            file.write_text(str(value))
        except OSError as error:
            if value in (-1, "max"):
                return  # the group keeps a limit that it inherited
            raise OSError(error.errno, f"{file} = {value}: {os.strerror(error.errno or 0)}") from error

    def remove(self, name: str) -> None:
        """Remove the group and what is below it. Groups that still hold processes stay, with a warning."""
        if not name.strip("/"):
            return
        for hierarchy in self._hierarchies():
            top = hierarchy / name.strip("/")
            for directory, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError as error:
                    log.warning("control group %s: %s", directory, error)
                    break

    def usage(self, name: str) -> tuple[int, int]:
        """CPU nanoseconds and memory working set bytes of a group; zeros when it is not there."""
        try:
            if self.unified:
                group = self._mount / name.strip("/")
                cpu = _key(group / "cpu.stat", "usage_usec") * 1000
                memory = int((group / "memory.current").read_text())
                return cpu, max(0, memory - _key(group / "memory.stat", "inactive_file"))
            cpu = int((self._mount / "cpuacct" / name.strip("/") / "cpuacct.usage").read_text())
            group = self._mount / "memory" / name.strip("/")
            memory = int((group / "memory.usage_in_bytes").read_text())
            return cpu, max(0, memory - _key(group / "memory.stat", "total_inactive_file"))
        except (OSError, ValueError):
            return 0, 0

    def pods(self, kubepods: str) -> dict[str, str]:
        """The pod groups below the group of all pods: uid -> group."""
        hierarchy = self._mount if self.unified else self._mount / "memory"
        found = {}
        for parent in (kubepods, f"{kubepods}/burstable", f"{kubepods}/besteffort"):
            directory = hierarchy / parent.strip("/")
            if directory.is_dir():
                for child in sorted(directory.iterdir()):
                    if child.is_dir() and child.name.startswith("pod"):
                        found[child.name.removeprefix("pod")] = f"{parent}/{child.name}"
        return found


def _key(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0

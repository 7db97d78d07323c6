"""`tiphys doctor`: what this machine lacks to run a cluster, and how to get it."""

from __future__ import annotations

import ctypes.util
import os
import pathlib
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import click

from tiphys.network.cni import PLUGIN_DIRECTORIES

CNI_PLUGINS = ("bridge", "host-local", "portmap", "loopback")
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is looked at. `required`: no cluster can be started without it."""

    name: str
    good: bool
    found: str
    remedy: str = ""
    required: bool = True


def _command(name: str, package: str, required: bool = True) -> Finding:
    path = shutil.which(name, path=SYSTEM_PATH)
    return Finding(
        name=name,
        good=path is not None,
        found=path or "not found",
        remedy=f"apt-get install {package}",
        required=required,
    )


def _root() -> Finding:
    user = os.geteuid()
    remedy = "run tiphys as root (sudo)"
    return Finding(name="root", good=user == 0, found=f"user id {user}", remedy=remedy)


def _cni() -> Finding:
    for directory in PLUGIN_DIRECTORIES:
        if all(os.access(pathlib.Path(directory) / plugin, os.X_OK) for plugin in CNI_PLUGINS):
            return Finding(name="CNI plugins", good=True, found=directory)
    remedy = "apt-get install containernetworking-plugins"
    return Finding(name="CNI plugins", good=False, found="not found", remedy=remedy)


def _overlay() -> Finding:
    known = pathlib.Path("/proc/filesystems")
    good = known.exists() and "overlay" in known.read_text()
    remedy = "modprobe overlay (without it images are unpacked by copying, which is slow)"
    found = "available" if good else "not in this kernel"
    return Finding(name="overlayfs", good=good, found=found, remedy=remedy, required=False)


def _cgroups() -> Finding:
    unified = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
    legacy = pathlib.Path("/sys/fs/cgroup/memory").exists()
    found = "v2" if unified else "v1" if legacy else "not mounted"
    remedy = "mount the cgroup file systems (systemd does)"
    return Finding(name="cgroups", good=unified or legacy, found=found, remedy=remedy)


def _machine() -> Finding:
    machine, system = platform.machine(), platform.system()
    good = system == "Linux" and machine in ("x86_64", "aarch64")
    return Finding(name="machine", good=good, found=f"{system} {machine}", remedy="use Linux on x86-64 or arm64")


def _libnftables() -> Finding:
    name = ctypes.util.find_library("nftables")
    return Finding(
        name="libnftables",
        good=name is not None,
        found=name or "not found",
        remedy="apt-get install libnftables1 (without it the nft command is used, which is slower)",
        required=False,
    )


CHECKS: tuple[Callable[[], Finding], ...] = (
    _machine,
    _root,
    lambda: _command("containerd", "containerd"),
    lambda: _command("runc", "runc"),
    _cni,
    lambda: _command("nft", "nftables"),
    lambda: _command("nsenter", "util-linux"),
    _cgroups,
    _overlay,
    _libnftables,
    lambda: _command("conntrack", "conntrack", required=False),
)


def findings() -> list[Finding]:
    return [check() for check in CHECKS]


def lacking() -> list[Finding]:
    """What must be there and is not."""
    return [finding for finding in findings() if finding.required and not finding.good]


@click.command()
def doctor() -> None:
    """Say what this machine lacks and how to get it. Exit code 1 when a cluster cannot be started."""
    for finding in findings():
        mark = "ok  " if finding.good else "MISS" if finding.required else "warn"
        line = f"{mark}  {finding.name:12} {finding.found}"
        click.echo(line if finding.good else f"{line}\n      -> {finding.remedy}")
    if lacking():
        raise SystemExit(1)

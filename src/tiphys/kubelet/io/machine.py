"""What the machine is and how it does: processors, memory, disks, identities. Blocking, short calls."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from tiphys.kubelet.eviction import MachineUsage
from tiphys.kubelet.node_status import MachineInfo

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}
_HUGE_PAGES = Path("/sys/kernel/mm/hugepages")


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def memory() -> dict[str, int]:
    """The amounts of /proc/meminfo in bytes."""
    found = {}
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    return found


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _huge_pages() -> dict[int, int]:
    found = {}
    if _HUGE_PAGES.is_dir():
        for directory in sorted(_HUGE_PAGES.iterdir()):
            size = int(directory.name.removeprefix("hugepages-").removesuffix("kB")) * 1024
            found[size] = int(_text(f"{directory}/nr_hugepages") or 0) * size
    return found


def machine_info(root_directory: str) -> MachineInfo:
    amounts = memory()
    disk = os.statvfs(root_directory)
    return MachineInfo(
        cores=os.cpu_count() or 1,
        memory_bytes=amounts.get("MemTotal", 0),
        storage_bytes=disk.f_blocks * disk.f_frsize,
        machine_id=_text("/etc/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        kernel_version=platform.release(),
        os_image=_os_image(),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        swap_bytes=amounts.get("SwapTotal", 0),
        hugepages=_huge_pages(),
    )


def machine_usage(root_directory: str, image_directory: str) -> MachineUsage:
    root = os.statvfs(root_directory)
    images = os.statvfs(image_directory) if image_directory and os.path.isdir(image_directory) else root
    load = _text("/proc/loadavg").split()
    return MachineUsage(
        memory_available_bytes=memory().get("MemAvailable", 0),
        root_available_bytes=root.f_bavail * root.f_frsize,
        root_capacity_bytes=root.f_blocks * root.f_frsize,
        root_inodes_free=root.f_favail,
        root_inodes=root.f_files,
        images_available_bytes=images.f_bavail * images.f_frsize,
        images_capacity_bytes=images.f_blocks * images.f_frsize,
        pids=int(load[3].partition("/")[2]) if len(load) > 3 else 0,
        maximum_pids=int(_text("/proc/sys/kernel/pid_max") or 32768),
    )

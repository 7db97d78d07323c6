"""containerd's configuration for one node: its own directories and socket, the CRI service, CNI, runc, little else.

Pure text from plain values. It leaves finding out what the machine can do (capabilities, overlayfs) to
`io/containerd.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

# Of no use to CRI; each costs time at start or warnings in the log.
_DISABLED_PLUGINS = (
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)

Table: TypeAlias = "Mapping[str, str | int | bool | list[str] | Table]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerdConfig:
    """All paths are absolute. `root` is kept over reboots, `state` need not be; `socket` has at most 107 bytes."""

    root: str
    state: str
    socket: str
    sandbox_image: str
    cni_plugin_directory: str
    cni_configuration_directory: str
    registry_configuration_directory: str
    snapshotter: str = "overlayfs"
    systemd_cgroup: bool = False
    restrict_oom_score_adj: bool = False
    maximum_log_line_bytes: int = 16384
    maximum_concurrent_downloads: int = 3
    log_level: str = "warn"


def _value(value: str | int | bool | list[str]) -> str:
    """A JSON string is a TOML basic string, and lists of strings, numbers and booleans look the same in both."""
    return json.dumps(value, ensure_ascii=False)


def toml(table: Table, path: tuple[str, ...] = ()) -> str:
    """TOML text of nested mappings: plain values first, then the tables under them."""
    lines = []
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and values:
        lines.append(f"[{'.'.join(_value(part) for part in path)}]")
    lines += [f"{key} = {_value(value)}" for key, value in values.items()]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in table.items():
        if isinstance(value, Mapping):
            text += toml(value, (*path, key))
    return text


def containerd_toml(config: ContainerdConfig) -> str:
    """The configuration file (format version 2, which containerd 1.4 to 2.x read)."""
    runc: Table = {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"Root": f"{config.state}/runc", "SystemdCgroup": config.systemd_cgroup},
    }
    cri: Table = {
        "sandbox_image": config.sandbox_image,
        "restrict_oom_score_adj": config.restrict_oom_score_adj,
        "netns_mounts_under_state_dir": True,
        "max_container_log_line_size": config.maximum_log_line_bytes,
        "max_concurrent_downloads": config.maximum_concurrent_downloads,
        "stream_server_address": "127.0.0.1",
        "stream_server_port": "0",
        "enable_unprivileged_ports": False,
        "enable_unprivileged_icmp": False,
        "containerd": {
            "snapshotter": config.snapshotter,
            "default_runtime_name": "runc",
            "runtimes": {"runc": runc},
        },
        "cni": {
            "bin_dir": config.cni_plugin_directory,
            "conf_dir": config.cni_configuration_directory,
            "max_conf_num": 1,
        },
        "registry": {"config_path": config.registry_configuration_directory},
    }
    return toml(
        {
            "version": 2,
            "root": config.root,
            "state": config.state,
            "disabled_plugins": list(_DISABLED_PLUGINS),
            "grpc": {"address": config.socket},
            "debug": {"level": config.log_level},
            "plugins": {"io.containerd.grpc.v1.cri": cri},
        }
    )

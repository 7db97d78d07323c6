"""A pod and its containers as CRI configurations: everything a runtime must be told to run them.

Pure: volumes, addresses, images and variables come in as values. What cannot be configured is ConfigError, which
becomes the waiting reason CreateContainerConfigError.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiphys.kinds.core import stop_signals
from tiphys.kinds.types import core_v1
from tiphys.kubelet import interface, resources, security
from tiphys.kubelet.dns_config import DnsConfig, pod_hostname
from tiphys.kubelet.environment import ConfigError, expand
from tiphys.kubelet.interface import CriMessage, ImageRecord
from tiphys.kubelet.paths import PodPaths, container_log_name
from tiphys.kubelet.security import AnyContainer
from tiphys.machinery.quantity import Quantity

DEFAULT_TERMINATION_MESSAGE_PATH = "/dev/termination-log"
MAXIMUM_HOSTNAME_LENGTH = 64
_PROTOCOLS = {"TCP": 0, "UDP": 1, "SCTP": 2}
_PROPAGATION = {"None": 0, "HostToContainer": 1, "Bidirectional": 2}
_SIGNALS_WITH_OFFSET = {stop_signals.LOWEST_REAL_TIME: 35, stop_signals.HIGHEST_REAL_TIME: 65}
_SIGNALS = {name: number for number, name in enumerate(stop_signals.NAMED, start=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What configurations need to know of the node. `unified_cgroups` means cgroups v2."""

    paths: PodPaths
    cgroup_root: str
    cluster_domain: str
    memory_capacity_bytes: int
    unified_cgroups: bool


def all_containers(pod: core_v1.Pod) -> Iterator[AnyContainer]:
    """Init, regular and ephemeral containers."""
    yield from pod.spec.initContainers or ()
    yield from pod.spec.containers
    yield from pod.spec.ephemeralContainers or ()


def container_named(pod: core_v1.Pod, name: str) -> AnyContainer | None:
    return next((each for each in all_containers(pod) if each.name == name), None)


def definition_hash(container: AnyContainer) -> str:
    """Changes when the container must be made anew: of all fields only the image can change in a running pod."""
    return hashlib.sha256(json.dumps([container.name, container.image]).encode()).hexdigest()[:8]


def signal_number(name: str) -> int:
    """CRI's number of a signal's name; 0 (the image's own) for none."""
    for base, number in _SIGNALS_WITH_OFFSET.items():
        if name.startswith(base):
            return number + int(name.removeprefix(base) or 0)
    return _SIGNALS.get(name, 0)


def _labels(pod: core_v1.Pod) -> dict[str, str]:
    return {
        interface.POD_NAME: pod.metadata.name or "",
        interface.POD_NAMESPACE: pod.metadata.namespace or "",
        interface.POD_UID: pod.metadata.uid or "",
    }


def hostname(pod: core_v1.Pod, cluster_domain: str) -> str:
    """ConfigError when the full name was asked for as host name and does not fit."""
    short, full = pod_hostname(pod, cluster_domain)
    if not pod.spec.setHostnameAsFQDN or not full:
        return short
    if len(full) > MAXIMUM_HOSTNAME_LENGTH:
        raise ConfigError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({MAXIMUM_HOSTNAME_LENGTH} characters is the max, {len(full)} characters requested)"
        )
    return full


def port_mappings(pod: core_v1.Pod) -> list[CriMessage]:
    if pod.spec.hostNetwork:
        return []
    return [
        {
            "protocol": _PROTOCOLS.get(port.protocol or "TCP", 0),
            "container_port": port.containerPort,
            "host_port": port.hostPort,
            "host_ip": port.hostIP or "",
        }
        for container in (*(pod.spec.initContainers or ()), *pod.spec.containers)
        for port in container.ports or ()
        if port.hostPort
    ]


def sandbox_config(pod: core_v1.Pod, attempt: int, dns: DnsConfig, node: NodeFacts) -> CriMessage:
    """PodSandboxConfig. ConfigError."""
    if pod.spec.hostUsers is False:
        raise ConfigError("user namespaces (hostUsers: false) are not supported on this node")
    context = pod.spec.securityContext or core_v1.PodSecurityContext()
    return {
        "metadata": {
            "name": pod.metadata.name or "",
            "namespace": pod.metadata.namespace or "",
            "uid": pod.metadata.uid or "",
            "attempt": attempt,
        },
        "hostname": "" if pod.spec.hostNetwork else hostname(pod, node.cluster_domain),
        "log_directory": node.paths.pod_logs(pod),
        "dns_config": {
            "servers": list(dns.servers),
            "searches": list(dns.searches),
            "options": list(dns.options),
        },
        "port_mappings": port_mappings(pod),
        "labels": {**(pod.metadata.labels or {}), **_labels(pod)},
        "annotations": dict(pod.metadata.annotations or {}),
        "linux": {
            "cgroup_parent": resources.pod_cgroup(node.cgroup_root, pod),
            "security_context": security.sandbox_security(pod, node.paths.seccomp_profiles),
            "sysctls": {each.name: each.value for each in context.sysctls or ()},
            "overhead": _amounts(pod.spec.overhead),
            "resources": _pod_amounts(pod),
        },
    }


def _amounts(amounts: Mapping[str, Quantity] | None) -> CriMessage:
    result: CriMessage = {}
    if resources.milli_cpu(amounts):
        result["cpu_shares"] = resources.shares(resources.milli_cpu(amounts))
        result["cpu_quota"] = resources.quota(resources.milli_cpu(amounts))
        result["cpu_period"] = resources.PERIOD_MICROSECONDS
    if resources.memory_bytes(amounts):
        result["memory_limit_in_bytes"] = resources.memory_bytes(amounts)
    return result


def _pod_amounts(pod: core_v1.Pod) -> CriMessage:
    limits = resources.pod_cgroup_limits(pod, 0)
    result: CriMessage = {"cpu_shares": limits.cpu_shares, "cpu_period": resources.PERIOD_MICROSECONDS}
    if limits.cpu_quota:
        result["cpu_quota"] = limits.cpu_quota
    if limits.memory_bytes:
        result["memory_limit_in_bytes"] = limits.memory_bytes
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerInputs:
    """What a container's configuration is made from besides the pod. `volumes` maps names to paths on the node,
    `subpaths` positions of mounts to paths prepared for them; `image_reference` is what the runtime calls the
    image."""

    attempt: int
    image: ImageRecord
    image_reference: str
    environment: Sequence[tuple[str, str]]
    volumes: Mapping[str, str]
    subpaths: Mapping[int, str]
    termination_log: str
    hosts_file: str
    target_id: str = ""
    back_off_seconds: float = 0.0


def container_config(pod: core_v1.Pod, container: AnyContainer, inputs: ContainerInputs, node: NodeFacts) -> CriMessage:
    """ContainerConfig. ConfigError."""
    variables = dict(inputs.environment)
    limits = resources.linux_resources(pod, _as_container(container), node.memory_capacity_bytes, node.unified_cgroups)
    config: CriMessage = {
        "metadata": {"name": container.name, "attempt": inputs.attempt},
        "image": {"image": inputs.image_reference, "user_specified_image": container.image or ""},
        "command": [expand(word, variables) for word in container.command or ()],
        "args": [expand(word, variables) for word in container.args or ()],
        "working_dir": container.workingDir or "",
        "envs": [{"key": key, "value": value} for key, value in inputs.environment],
        "mounts": _mounts(container, inputs),
        "devices": _devices(container, inputs.volumes),
        "labels": {**_labels(pod), interface.CONTAINER_NAME: container.name},
        "annotations": _annotations(pod, container, inputs),
        "log_path": container_log_name(container.name, inputs.attempt),
        "stdin": bool(container.stdin),
        "stdin_once": bool(container.stdinOnce),
        "tty": bool(container.tty),
        "linux": {
            "resources": limits,
            "security_context": security.container_security(
                pod, container, inputs.image, node.paths.seccomp_profiles, inputs.target_id
            ),
        },
    }
    if container.lifecycle is not None and container.lifecycle.stopSignal:
        config["stop_signal"] = signal_number(container.lifecycle.stopSignal)
    return config


def _as_container(container: AnyContainer) -> core_v1.Container:
    if isinstance(container, core_v1.Container):
        return container
    return core_v1.Container(name=container.name, resources=container.resources)


def own_grace_seconds(pod: core_v1.Pod) -> int | None:
    """How long the pod's containers have to end; less than nothing, which old pods may say, means one second."""
    seconds = pod.spec.terminationGracePeriodSeconds
    return 1 if seconds is not None and seconds < 0 else seconds


def _annotations(pod: core_v1.Pod, container: AnyContainer, inputs: ContainerInputs) -> dict[str, str]:
    """What a restarted kubelet must know when it finds the container, perhaps after its pod has gone from the API."""
    result = {
        interface.HASH: definition_hash(container),
        interface.RESTART_COUNT: str(inputs.attempt),
        interface.TERMINATION_MESSAGE_PATH: container.terminationMessagePath or DEFAULT_TERMINATION_MESSAGE_PATH,
        interface.TERMINATION_MESSAGE_POLICY: container.terminationMessagePolicy or "File",
    }
    grace_seconds = own_grace_seconds(pod)
    if grace_seconds is not None:
        result[interface.POD_GRACE_SECONDS] = str(grace_seconds)
    if inputs.back_off_seconds:
        result[interface.BACK_OFF_SECONDS] = str(inputs.back_off_seconds)
    return result


def _mounts(container: AnyContainer, inputs: ContainerInputs) -> list[CriMessage]:
    mounts: list[CriMessage] = []
    targets = set()
    for position, mount in enumerate(container.volumeMounts or ()):
        path = inputs.subpaths.get(position) or inputs.volumes.get(mount.name)
        if path is None:
            raise ConfigError(
                f"cannot find volume {json.dumps(mount.name)} to mount into container {json.dumps(container.name)}"
            )
        target = mount.mountPath if mount.mountPath.startswith("/") else f"/{mount.mountPath}"
        targets.add(target.rstrip("/"))
        entry: CriMessage = {
            "container_path": target,
            "host_path": path,
            "readonly": bool(mount.readOnly),
            "propagation": _PROPAGATION.get(mount.mountPropagation or "None", 0),
        }
        if mount.readOnly and mount.recursiveReadOnly == "Enabled":
            raise ConfigError(
                f"volume mount {json.dumps(mount.name)}: recursive read-only mounts are not supported by the runtime"
            )
        mounts.append(entry)
    if inputs.hosts_file and "/etc/hosts" not in targets:
        mounts.append({"container_path": "/etc/hosts", "host_path": inputs.hosts_file, "readonly": False})
    if inputs.termination_log:
        path = container.terminationMessagePath or DEFAULT_TERMINATION_MESSAGE_PATH
        mounts.append({"container_path": path, "host_path": inputs.termination_log, "readonly": False})
    return mounts


def _devices(container: AnyContainer, volumes: Mapping[str, str]) -> list[CriMessage]:
    devices: list[CriMessage] = []
    for device in container.volumeDevices or ():
        path = volumes.get(device.name)
        if path is None:
            raise ConfigError(
                f"cannot find volume {json.dumps(device.name)} to pass into container {json.dumps(container.name)}"
            )
        devices.append({"container_path": device.devicePath, "host_path": path, "permissions": "mrw"})
    return devices

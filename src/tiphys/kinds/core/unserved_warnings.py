"""Advice on fields of pods that this cluster stores and does not act on yet."""

from __future__ import annotations

import operator
from typing import Any

from tiphys.kinds.types.core_v1 import PodSpec
from tiphys.machinery.field_errors import Path

EVICTION = "this cluster does not ask eviction responders yet: the field has no effect"
MOUNT_OPTIONS = "this server's kubelets do not set bind mount options yet: the volume is mounted without them"
HTTP2 = "this server's kubelets do not speak HTTP/2 to containers yet: they probe by HTTP/1.1"
GRPC_TLS = "this server's kubelets do not probe by gRPC over TLS yet: they probe without"
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_probes = operator.attrgetter(*PROBES)


def eviction_warnings(spec: PodSpec, path: Path) -> list[str]:
    return [f"{path.child('evictionResponders')}: {EVICTION}"] if spec.evictionResponders else []


def unserved_container_warnings(container: Any, path: Path) -> list[str]:
    """Of a container of any sort."""
    found = [
        f"{path.child('volumeMounts').index(position).child('bindMountOptions')}: {MOUNT_OPTIONS}"
        for position, mount in enumerate(container.volumeMounts or ())
        if mount.bindMountOptions
    ]
    for name, probe in zip(PROBES, _probes(container), strict=True):
        if probe is None:
            continue
        if probe.httpGet is not None and probe.httpGet.protocol == "HTTP2":
            found.append(f"{path.child(name, 'httpGet', 'protocol')}: {HTTP2}")
        if probe.grpc is not None and probe.grpc.mode == "TLS":
            found.append(f"{path.child(name, 'grpc', 'mode')}: {GRPC_TLS}")
    return found

"""Advice on fields of pods that this cluster stores and does not act on yet."""

from __future__ import annotations

import operator
from typing import Any

from tiphys.kinds.types.core_v1 import LifecycleHandler, PodSpec, Probe
from tiphys.machinery.field_errors import Path

EVICTION = "this cluster does not ask eviction responders yet: the field has no effect"
MOUNT_OPTIONS = "this server's kubelets do not set bind mount options yet: the volume is mounted without them"
HTTP2 = "this server's kubelets do not speak HTTP/2 to containers yet: they ask by HTTP/1.1"
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
        if probe is not None:
            found += _http_warnings(probe, path.child(name))
            if probe.grpc is not None and probe.grpc.mode == "TLS":
                found.append(f"{path.child(name, 'grpc', 'mode')}: {GRPC_TLS}")
    if container.lifecycle is not None:
        for name in ("postStart", "preStop"):
            hook = getattr(container.lifecycle, name)
            found += _http_warnings(hook, path.child("lifecycle", name)) if hook is not None else []
    return found


def _http_warnings(handler: Probe | LifecycleHandler, path: Path) -> list[str]:
    asks_for_more = handler.httpGet is not None and handler.httpGet.protocol == "HTTP2"
    return [f"{path.child('httpGet', 'protocol')}: {HTTP2}"] if asks_for_more else []

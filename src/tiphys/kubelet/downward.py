"""Values that a pod may know about itself: field references and resource references, for environment and volumes.

Specified in "Downward API". The texts are those that a container sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING

from tiphys.kinds.types import core_v1
from tiphys.machinery import quantity
from tiphys.machinery.quantity import Quantity

_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['([^']+)'\]$")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class DownwardError(ValueError):
    """The reference cannot be resolved; the message says why."""


def field_value(pod: core_v1.Pod, path: str) -> str:
    """The text of a `fieldRef`. Addresses that are not known yet are "". DownwardError for an unknown path."""
    match = _SUBSCRIPT.match(path)
    if match is not None:
        values = pod.metadata.labels if match.group(1).endswith("labels") else pod.metadata.annotations
        return (values or {}).get(match.group(2), "")
    status = pod.status
    simple = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.nodeName,
        "spec.serviceAccountName": pod.spec.serviceAccountName,
        "status.hostIP": status.hostIP,
        "status.podIP": status.podIP,
    }
    if path in simple:
        return simple[path] or ""
    if path == "status.hostIPs":
        return ",".join(each.ip for each in status.hostIPs or ())
    if path == "status.podIPs":
        return ",".join(each.ip for each in status.podIPs or ())
    if path == "metadata.labels":
        return formatted_map(pod.metadata.labels)
    if path == "metadata.annotations":
        return formatted_map(pod.metadata.annotations)
    raise DownwardError(f"unsupported fieldPath: {path}")


def formatted_map(values: Mapping[str, str] | None) -> str:
    """`key="value"` lines, sorted by key, with the value quoted."""
    return "\n".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in sorted((values or {}).items()))


def find_container(pod: core_v1.Pod, name: str) -> core_v1.Container | None:
    containers: list[core_v1.Container] = [*(pod.spec.initContainers or ()), *pod.spec.containers]
    for container in containers:
        if container.name == name:
            return container
    return None


def resource_value(
    container: core_v1.Container, resource: str, divisor: Quantity | None, allocatable: Mapping[str, Quantity]
) -> str:
    """The whole number of divisors in a container's limit or request, rounded up. A limit that is not set is the node's
    allocatable amount, a request that is not set is 0. DownwardError for an unknown resource."""
    kind, _, name = resource.partition(".")
    if kind not in ("limits", "requests") or not name:
        raise DownwardError(f"unsupported container resource : {resource}")
    resources = container.resources
    values = (resources.limits if kind == "limits" else resources.requests) if resources else None
    amount = (values or {}).get(name)
    if kind == "limits" and (amount is None or not amount.amount):
        amount = allocatable.get(name)
    if amount is None:
        amount = quantity.ZERO
    unit = divisor.amount if divisor is not None and divisor.amount else quantity.parse("1").amount
    return str(int((amount.amount / unit).to_integral_value(ROUND_CEILING)))

"""Which pods stand behind a Service, with which addresses and ports: what Endpoints and EndpointSlices both are made
from.

Ports given by name are looked up in each pod, so pods of one Service can have different port sets. Specified in
"Service", "EndpointSlices" (conditions) and "DNS for Services and Pods" (hostnames).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.controller import View
from tiphys.kinds.types import core_v1
from tiphys.machinery import labels, timestamps
from tiphys.machinery.digits import is_number

HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port of the Service as one pod serves it."""

    name: str
    protocol: str
    number: int
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """A pod behind a Service in one address family. `serving` is the pod's readiness, `ready` also that it is not
    ending (or that the Service publishes addresses that are not ready)."""

    pod: core_v1.Pod
    address: str
    ports: tuple[Port, ...]
    ready: bool
    serving: bool
    terminating: bool
    hostname: str


def has_backends(service: core_v1.Service) -> bool:
    """Whether the Service chooses pods at all (others' endpoints are made by hand)."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_headless(service: core_v1.Service) -> bool:
    return service.spec.clusterIP == "None"


def families(service: core_v1.Service) -> tuple[str, ...]:
    """IPv4 and IPv6 in the Service's order."""
    if service.spec.ipFamilies:
        return tuple(service.spec.ipFamilies)
    address = service.spec.clusterIP or ""
    return ("IPv6",) if ":" in address else ("IPv4",)


def family_of(address: str) -> str:
    return "IPv6" if ipaddress.ip_address(address).version == 6 else "IPv4"


def address_of(pod: core_v1.Pod, family: str) -> str:
    """The pod's address of the family; "" for none."""
    addresses = [entry.ip for entry in pod.status.podIPs or ()] or [pod.status.podIP or ""]
    return next((a for a in addresses if a and family_of(a) == family), "")


def ports_of(service: core_v1.Service, pod: core_v1.Pod) -> tuple[Port, ...]:
    """The Service's ports that this pod has; a name that no container port has is left out."""
    found = []
    for port in service.spec.ports or ():
        number = _number(port, pod)
        if number is not None:
            found.append(Port(port.name or "", port.protocol or "TCP", number, port.appProtocol or ""))
    return tuple(found)


def _number(port: core_v1.ServicePort, pod: core_v1.Pod) -> int | None:
    target = port.targetPort
    if target is None or target == 0 or target == "":
        return port.port
    if isinstance(target, int):
        return target
    sidecars = [c for c in pod.spec.initContainers or () if c.restartPolicy == "Always"]
    for container in [*pod.spec.containers, *sidecars]:
        for candidate in container.ports or ():
            if candidate.name == target and (candidate.protocol or "TCP") == (port.protocol or "TCP"):
                return candidate.containerPort
    return int(target) if is_number(target) else None


def backends(service: core_v1.Service, pods: Iterable[core_v1.Pod], family: str, *, terminating: bool) -> list[Backend]:
    """The backends of one family; pods that end only with `terminating`."""
    publishes = bool(service.spec.publishNotReadyAddresses)
    found = []
    for pod in pods:
        ending = pod.metadata.deletionTimestamp is not None
        address = address_of(pod, family)
        if not address or pod_facts.is_finished(pod) or (ending and not terminating):
            continue
        ports = ports_of(service, pod)
        if not ports and service.spec.ports:
            continue
        serving = pod_facts.is_ready(pod)
        names_itself = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
        found.append(
            Backend(
                pod=pod,
                address=address,
                ports=ports,
                ready=publishes or (serving and not ending),
                serving=serving,
                terminating=ending,
                hostname=(pod.spec.hostname or "") if names_itself else "",
            )
        )
    return found


def selected_pods(view: View, service: core_v1.Service) -> list[core_v1.Pod]:
    return view.list(core_v1.Pod, service.metadata.namespace or "", labels.from_set(service.spec.selector))


def reference(pod: core_v1.Pod) -> core_v1.ObjectReference:
    meta = pod.metadata
    return core_v1.ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def trigger_time(pods: Sequence[core_v1.Pod], service: core_v1.Service) -> timestamps.Time | None:
    """The moment of the newest readiness change among the pods: from it the delay until the network knows is
    measured."""
    moments = [c.lastTransitionTime for pod in pods if (c := pod_facts.condition(pod, "Ready")) is not None]
    known = [moment for moment in moments if moment]
    return max(known) if known else service.metadata.creationTimestamp


def service_keys_of_pod(view: View, old: core_v1.Pod | None, new: core_v1.Pod | None) -> set[ObjectKey]:
    """The Services whose endpoints a pod's change can affect."""
    if old is not None and new is not None and not _matters(old, new):
        return set()
    found: set[ObjectKey] = set()
    for pod in (old, new):
        if pod is None:
            continue
        namespace = pod.metadata.namespace or ""
        pod_labels = pod.metadata.labels or {}
        for service in view.list(core_v1.Service, namespace):
            selector = service.spec.selector
            if selector and all(pod_labels.get(key) == value for key, value in selector.items()):
                found.add(ObjectKey(namespace, service.metadata.name or ""))
    return found


def _matters(old: core_v1.Pod, new: core_v1.Pod) -> bool:
    return _shape(old) != _shape(new)


def _shape(pod: core_v1.Pod) -> tuple[object, ...]:
    return (
        pod.metadata.uid,
        pod.metadata.labels,
        pod.metadata.deletionTimestamp is None,
        pod.status.phase in ("Succeeded", "Failed"),
        [entry.ip for entry in pod.status.podIPs or ()] or pod.status.podIP,
        pod_facts.is_ready(pod),
        pod.spec.nodeName,
    )

"""What a pod means by what it leaves out. Defaulting is idempotent.

A pod template is defaulted like a pod, except for what only concerns a pod that is to run: requests that follow from
limits, ports of the node, and service links.
"""

from __future__ import annotations

from tiphys.kinds.core.container_defaults import default_container, default_requests
from tiphys.kinds.core.pod_amounts import REQUESTS, container_amounts
from tiphys.kinds.core.qos import spec_qos_class
from tiphys.kinds.core.resource_defaults import default_amounts, default_requirements
from tiphys.kinds.core.resource_validation import POD_RESOURCES
from tiphys.kinds.core.volume_defaults import default_volume
from tiphys.kinds.types.core_v1 import Container, Pod, PodSecurityContext, PodSpec, PodTemplateSpec
from tiphys.machinery.quantity import from_amount


def default_pod(pod: Pod) -> None:
    spec = pod.spec
    default_pod_spec(spec)
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True
    for container in spec.containers:
        default_requests(container.resources)
    for container in spec.initContainers or ():
        default_requests(container.resources)
    if spec.hostNetwork:
        _default_host_ports(spec.containers)
        _default_host_ports(spec.initContainers or [])
    if spec.resources is not None:
        _default_pod_requests(spec)
    if not pod.status.phase:
        pod.status.phase = "Pending"
    if not pod.status.qosClass:
        pod.status.qosClass = spec_qos_class(spec)


def default_pod_template(template: PodTemplateSpec) -> None:
    """Defaults of a template as it is embedded in Deployments, Jobs and the like."""
    default_pod_spec(template.spec)


def default_pod_spec(spec: PodSpec) -> None:
    if not spec.dnsPolicy:
        spec.dnsPolicy = "ClusterFirst"
    if not spec.restartPolicy:
        spec.restartPolicy = "Always"
    if spec.securityContext is None:
        spec.securityContext = PodSecurityContext()
    if spec.terminationGracePeriodSeconds is None:
        spec.terminationGracePeriodSeconds = 30
    if not spec.schedulerName:
        spec.schedulerName = "default-scheduler"
    if spec.serviceAccountName:
        spec.serviceAccount = spec.serviceAccountName
    elif spec.serviceAccount:
        spec.serviceAccountName = spec.serviceAccount
    _default_containers(spec)
    default_amounts(spec.overhead)
    default_requirements(spec.resources)
    if spec.volumes:
        for volume in spec.volumes:
            default_volume(volume)


def _default_containers(spec: PodSpec) -> None:
    for container in spec.containers:
        default_container(container)
    if spec.initContainers:
        for container in spec.initContainers:
            default_container(container)
    if spec.ephemeralContainers:
        for ephemeral in spec.ephemeralContainers:
            default_container(ephemeral)


def _default_host_ports(containers: list[Container]) -> None:
    """On the node's network a container's port is the node's port."""
    for container in containers:
        for port in container.ports or ():
            if not port.hostPort:
                port.hostPort = port.containerPort or None


def _default_pod_requests(spec: PodSpec) -> None:
    """Requests of the pod as a whole: what its containers request together, otherwise its limits. (Huge pages are
    never requested otherwise than limited.)"""
    assert spec.resources is not None
    requests = dict(spec.resources.requests or {})
    for name, amount in container_amounts(spec, REQUESTS).items():
        if name in POD_RESOURCES and name not in requests:
            requests[name] = from_amount(amount, binary=name != "cpu")
    for name, limit in (spec.resources.limits or {}).items():
        requests.setdefault(name, limit)
    if requests:
        spec.resources.requests = requests

"""What a container means by what it leaves out: defaults of containers, probes, lifecycle handlers and ports."""

from __future__ import annotations

from tiphys.kinds.core.resource_defaults import default_requirements
from tiphys.kinds.types.core_v1 import (
    Container,
    EnvVarSource,
    EphemeralContainer,
    HTTPGetAction,
    ObjectFieldSelector,
    Probe,
    ResourceFieldSelector,
    ResourceRequirements,
)
from tiphys.machinery import image_reference
from tiphys.machinery.bounded_cache import bounded_cache
from tiphys.machinery.quantity import ZERO

AnyContainer = Container | EphemeralContainer


@bounded_cache(2048)
def default_pull_policy(image: str | None) -> str:
    """Always for images that move (`:latest`, or neither tag nor digest), otherwise IfNotPresent: also for what names
    no image. Cached."""
    parts = image_reference.parts(image or "")
    if parts is None:
        return "IfNotPresent"
    *_, tag, digest = parts
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def default_container(container: AnyContainer) -> None:
    if not container.imagePullPolicy:
        container.imagePullPolicy = default_pull_policy(container.image)
    if not container.terminationMessagePath:
        container.terminationMessagePath = "/dev/termination-log"
    if not container.terminationMessagePolicy:
        container.terminationMessagePolicy = "File"
    if container.resources is None:
        container.resources = ResourceRequirements()
    else:
        default_requirements(container.resources)
    if container.ports:
        for port in container.ports:
            if not port.protocol:
                port.protocol = "TCP"
    if container.env:
        for variable in container.env:
            if variable.valueFrom is not None:
                _default_value_from(variable.valueFrom)
    for probe in (container.livenessProbe, container.readinessProbe, container.startupProbe):
        if probe is not None:
            default_probe(probe)
    if container.lifecycle is not None:
        for handler in (container.lifecycle.postStart, container.lifecycle.preStop):
            if handler is not None and handler.httpGet is not None:
                default_http_get(handler.httpGet)


def _default_value_from(source: EnvVarSource) -> None:
    if source.fieldRef is not None:
        default_field_selector(source.fieldRef)
    if source.resourceFieldRef is not None:
        default_resource_selector(source.resourceFieldRef)
    if source.fileKeyRef is not None and source.fileKeyRef.optional is None:
        source.fileKeyRef.optional = False


def default_field_selector(selector: ObjectFieldSelector) -> None:
    if not selector.apiVersion:
        selector.apiVersion = "v1"


def default_resource_selector(selector: ResourceFieldSelector) -> None:
    """A divisor is always shown; nothing stands for one."""
    if selector.divisor is None:
        selector.divisor = ZERO


def default_http_get(action: HTTPGetAction) -> None:
    if not action.path:
        action.path = "/"
    if not action.scheme:
        action.scheme = "HTTP"


def default_probe(probe: Probe) -> None:
    probe.timeoutSeconds = probe.timeoutSeconds or 1
    probe.periodSeconds = probe.periodSeconds or 10
    probe.successThreshold = probe.successThreshold or 1
    probe.failureThreshold = probe.failureThreshold or 3
    if probe.httpGet is not None:
        default_http_get(probe.httpGet)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def default_requests(requirements: ResourceRequirements | None) -> None:
    """A limit without a request is the request too."""
    if requirements is None or not requirements.limits:
        return
    requests = requirements.requests = requirements.requests or {}
    for name, limit in requirements.limits.items():
        requests.setdefault(name, limit)

"""A running pod changes only in ways that the kubelet of its node says it can follow. Specified in "Node Declared
Features"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors


class NodeDeclaredFeatureValidator:
    name = "NodeDeclaredFeatureValidator"
    resources: Resources = (("", "pods"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        about = (request.operation, request.resource.group, request.resource.plural)
        if about != ("UPDATE", "", "pods") or request.subresource not in ("", "resize") or not obj.spec.nodeName:
            return
        counted_on = [*_counted_on(obj.spec, old.spec)]
        if not counted_on:
            return
        node = lookups.get(core_v1.Node, "", obj.spec.nodeName)
        if node is None:
            raise _refused(obj, f'node "{obj.spec.nodeName}" not found')
        missing = [feature for feature in counted_on if feature not in (node.status.declaredFeatures or ())]
        if missing:
            names, where = ", ".join(missing), obj.spec.nodeName
            raise _refused(obj, f'pod update requires features {names} which are not available on node "{where}"')


def _counted_on(new: core_v1.PodSpec, old: core_v1.PodSpec) -> Iterator[str]:
    """The features that the change needs, sorted."""
    if new.resources != old.resources:
        yield "InPlacePodLevelResourcesVerticalScaling"
    if _of_init_containers(new) != _of_init_containers(old):
        yield "InPlacePodVerticalScalingInitContainers"


def _of_init_containers(spec: core_v1.PodSpec) -> dict[str, core_v1.ResourceRequirements | None]:
    """What those ask for that end before the pod's containers start, by name."""
    return {each.name: each.resources for each in spec.initContainers or () if each.restartPolicy != "Always"}


def _refused(pod: core_v1.Pod, detail: str) -> errors.ApiError:
    return errors.forbidden("pods", "", pod.metadata.name or "", detail)

"""A pod costs and may go where its RuntimeClass says. Specified in "Runtime Class" and "Pod Overhead"."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import core_v1, node_v1
from tiphys.machinery import errors


class RuntimeClasses:
    name = "RuntimeClass"
    resources: Resources = (("", "pods"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("", "pods"):
            return
        named = obj.spec.runtimeClassName
        found = lookups.get(node_v1.RuntimeClass, "", named) if named else None
        if named and found is None:
            raise _refused(obj, f'pod rejected: RuntimeClass "{named}" not found')
        _set_overhead(obj, (found.overhead.podFixed if found and found.overhead else None) or {})
        if found is not None and found.scheduling is not None:
            _set_node_selector(obj, found.scheduling.nodeSelector or {})
            _add_tolerations(obj, found.scheduling.tolerations or [])


def _refused(pod: core_v1.Pod, detail: str) -> errors.ApiError:
    return errors.forbidden("pods", "", pod.metadata.name or "", detail)


def _set_overhead(pod: core_v1.Pod, overhead: dict[str, Any]) -> None:
    given = pod.spec.overhead
    if given and not overhead:
        raise _refused(pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
    if given and given != overhead:
        raise _refused(pod, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if overhead:
        pod.spec.overhead = dict(overhead)


def _set_node_selector(pod: core_v1.Pod, selector: dict[str, str]) -> None:
    given = pod.spec.nodeSelector or {}
    for key, value in selector.items():
        if given.get(key, value) != value:
            detail = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value};"
                f" pod.spec.nodeSelector[{key}] = {given[key]}"
            )
            raise _refused(pod, detail)
    if selector:
        pod.spec.nodeSelector = {**given, **selector}


def _add_tolerations(pod: core_v1.Pod, tolerations: list[core_v1.Toleration]) -> None:
    given = pod.spec.tolerations or []
    missing = [toleration for toleration in tolerations if toleration not in given]
    if missing:
        pod.spec.tolerations = [*given, *missing]

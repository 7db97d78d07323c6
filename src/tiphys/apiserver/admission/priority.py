"""The priority of a pod comes from its PriorityClass; at most one class is the default for pods that name none."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import core_v1, scheduling_v1
from tiphys.machinery import errors

DEFAULT_PRIORITY = 0
DEFAULT_PREEMPTION = "PreemptLowerPriority"
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Priority:
    name = "Priority"
    resources: Resources = (("", "pods"), ("scheduling.k8s.io", "priorityclasses"))

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.on("", "pods") and request.operation in ("CREATE", "UPDATE"):
            if request.operation == "UPDATE":
                self._keep(obj, old)
            else:
                self._admit_pod(request, obj, lookups)
        elif request.on("scheduling.k8s.io", "priorityclasses") and request.operation in ("CREATE", "UPDATE"):
            self._admit_class(request, obj, lookups)

    def _keep(self, pod: core_v1.Pod, old: core_v1.Pod) -> None:
        """A client that does not know these fields leaves them out of its update."""
        if pod.spec.priority is None and old.spec.priority is not None:
            pod.spec.priority = old.spec.priority
        if pod.spec.preemptionPolicy is None:
            pod.spec.preemptionPolicy = old.spec.preemptionPolicy

    def _admit_pod(self, request: AdmissionRequest, pod: core_v1.Pod, lookups: Lookups) -> None:
        value, policy = DEFAULT_PRIORITY, DEFAULT_PREEMPTION
        named = pod.spec.priorityClassName
        found = lookups.get(scheduling_v1.PriorityClass, "", named) if named else self._default(lookups)
        if found is not None:
            value, policy = found.value or 0, found.preemptionPolicy or DEFAULT_PREEMPTION
            pod.spec.priorityClassName = found.metadata.name
        elif named in SYSTEM_CLASSES:
            value = SYSTEM_CLASSES[named]
        elif named:
            detail = f"no PriorityClass with name {named} was found"
            raise errors.forbidden("pods", "", pod.metadata.name or "", detail)
        if pod.spec.priority is not None and pod.spec.priority != value:
            detail = (
                f"the integer value of priority ({pod.spec.priority}) must not be provided in pod spec;"
                f" priority admission controller computed {value} from the given PriorityClass name"
            )
            raise errors.forbidden("pods", "", pod.metadata.name or "", detail)
        if pod.spec.preemptionPolicy is not None and pod.spec.preemptionPolicy != policy:
            detail = (
                f"the string value of PreemptionPolicy ({pod.spec.preemptionPolicy}) must not be provided in pod spec;"
                f" priority admission controller computed {policy} from the given PriorityClass name"
            )
            raise errors.forbidden("pods", "", pod.metadata.name or "", detail)
        pod.spec.priority = value
        pod.spec.preemptionPolicy = policy

    def _default(self, lookups: Lookups) -> scheduling_v1.PriorityClass | None:
        defaults = [found for found in lookups.list(scheduling_v1.PriorityClass) if found.globalDefault]
        return min(defaults, key=lambda found: found.value or 0, default=None)

    def _admit_class(self, request: AdmissionRequest, obj: scheduling_v1.PriorityClass, lookups: Lookups) -> None:
        if not obj.globalDefault:
            return
        default = self._default(lookups)
        if default is not None and default.metadata.name != obj.metadata.name:
            detail = f"PriorityClass {default.metadata.name} is already marked as default. Only one default can exist"
            raise errors.forbidden("priorityclasses", "scheduling.k8s.io", obj.metadata.name or "", detail)

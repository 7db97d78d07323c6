"""An Ingress that names no class gets the default one, the youngest of several."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import networking_v1

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"


class DefaultIngressClass:
    name = "DefaultIngressClass"
    resources: Resources = (("networking.k8s.io", "ingresses"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("networking.k8s.io", "ingresses"):
            return
        if obj.spec.ingressClassName is not None or CLASS_ANNOTATION in (obj.metadata.annotations or {}):
            return
        defaults = sorted(
            (
                found
                for found in lookups.list(networking_v1.IngressClass)
                if (found.metadata.annotations or {}).get(DEFAULT_ANNOTATION) == "true"
            ),
            key=lambda found: found.metadata.name or "",
        )
        if defaults:
            youngest = max(defaults, key=lambda found: found.metadata.creationTimestamp or "")
            obj.spec.ingressClassName = youngest.metadata.name

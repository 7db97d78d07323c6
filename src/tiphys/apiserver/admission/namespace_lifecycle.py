"""Nothing is created in a namespace that is missing or going away, and some namespaces never go."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors
from tiphys.machinery.field_errors import FieldError

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
TERMINATING_CAUSE = "NamespaceTerminating"
# What may still be asked in a namespace that is going away: reviews change nothing.
_ALWAYS_ALLOWED = frozenset({("authorization.k8s.io", "localsubjectaccessreviews")})


class NamespaceLifecycle:
    name = "NamespaceLifecycle"
    resources: Resources = ()

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        resource = request.resource
        if request.operation == "DELETE":
            if request.on("", "namespaces") and request.name in IMMORTAL:
                raise errors.forbidden("namespaces", "", request.name, "this namespace may not be deleted")
            return
        if request.operation != "CREATE" or not request.namespace or not resource.namespaced:
            return
        if (resource.group, resource.plural) in _ALWAYS_ALLOWED:
            return
        namespace = lookups.get(core_v1.Namespace, "", request.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", "", request.namespace)
        if namespace.metadata.deletionTimestamp or namespace.status.phase == "Terminating":
            self._refuse(request, obj)

    def _refuse(self, request: AdmissionRequest, obj: Any) -> None:
        name = request.name or (obj.metadata.name if obj is not None else "") or ""
        text = f"unable to create new content in namespace {request.namespace} because it is being terminated"
        error = errors.forbidden(request.resource.plural, request.resource.group, name, text)
        cause = f"namespace {request.namespace} is being terminated"
        error.causes = (FieldError(reason=TERMINATING_CAUSE, field="metadata.namespace", message=cause),)
        raise error

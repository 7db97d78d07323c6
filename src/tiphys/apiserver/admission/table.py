"""The admission plugins, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.apiserver.admission.certificate_subject import CertificateSubjectRestriction
from tiphys.apiserver.admission.default_ingress_class import DefaultIngressClass
from tiphys.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from tiphys.apiserver.admission.devices import DeviceAdminAccess, DeviceTaintTimes
from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Plugin
from tiphys.apiserver.admission.limit_ranger import LimitRanger
from tiphys.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from tiphys.apiserver.admission.node_declared_features import NodeDeclaredFeatureValidator
from tiphys.apiserver.admission.node_restriction import NodeRestriction
from tiphys.apiserver.admission.pod_certificates import PodCertificateTimes
from tiphys.apiserver.admission.priority import Priority
from tiphys.apiserver.admission.runtime_class import RuntimeClasses
from tiphys.apiserver.admission.service_account import ServiceAccounts
from tiphys.apiserver.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)

PLUGINS: tuple[Plugin, ...] = (
    NamespaceLifecycle(),
    LimitRanger(),
    NodeRestriction(),
    ServiceAccounts(),
    Priority(),
    DefaultTolerationSeconds(),
    DefaultStorageClass(),
    StorageObjectInUseProtection(),
    PersistentVolumeClaimResize(),
    RuntimeClasses(),
    CertificateSubjectRestriction(),
    DefaultIngressClass(),
    DeviceAdminAccess(),
    DeviceTaintTimes(),
    NodeDeclaredFeatureValidator(),
    PodCertificateTimes(),
)


class AdmissionTable:
    """Asks `plugins`, in their order, about what each has something to say about."""

    def __init__(self, plugins: Sequence[Plugin] = PLUGINS) -> None:
        named = {resource for plugin in plugins for resource in plugin.resources}
        self._of_others = tuple(plugin for plugin in plugins if not plugin.resources)
        self._of = {
            resource: tuple(plugin for plugin in plugins if not plugin.resources or resource in plugin.resources)
            for resource in named
        }

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        """ApiError of the first plugin that refuses."""
        resource = request.resource
        for plugin in self._of.get((resource.group, resource.plural), self._of_others):
            plugin.admit(request, obj, old, lookups)

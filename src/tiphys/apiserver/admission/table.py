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


def admit(request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups, plugins: Sequence[Plugin] = PLUGINS) -> None:
    """Ask every plugin. ApiError of the first that refuses."""
    for plugin in plugins:
        plugin.admit(request, obj, old, lookups)

"""Advice on Services that are valid and do not do what their author may think."""

from __future__ import annotations

from tiphys.kinds.address_warnings import cidr_warnings, ip_warnings
from tiphys.kinds.core.service_validation import OLD_TOPOLOGY, TOPOLOGY
from tiphys.kinds.types.core_v1 import Service
from tiphys.machinery.field_errors import Path

SPEC = Path("spec")
EXTERNAL_ADDRESSES = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"


def service_warnings(service: Service, old: Service | None) -> list[str]:
    spec = service.spec
    found: list[str] = []
    if OLD_TOPOLOGY in (service.metadata.annotations or {}):
        found.append(f"annotation {OLD_TOPOLOGY} is deprecated, please use {TOPOLOGY} instead")
    found += _address_warnings(service)
    headless, elsewhere = spec.type == "ClusterIP" and spec.clusterIP == "None", spec.type == "ExternalName"
    if headless:
        if spec.loadBalancerIP:
            found.append("spec.loadBalancerIP is ignored for headless services")
        if spec.externalIPs:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.sessionAffinity != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    elif spec.externalIPs:
        found.append(
            'spec.externalIPs is ignored when spec.type is "ExternalName"' if elsewhere else EXTERNAL_ADDRESSES
        )
    if not elsewhere and spec.externalName:
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.trafficDistribution == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def _address_warnings(service: Service) -> list[str]:
    spec = service.spec
    found: list[str] = []
    for field in ("clusterIPs", "externalIPs"):
        for position, text in enumerate(getattr(spec, field) or ()):
            found += ip_warnings(text, SPEC.child(field).index(position))
    found += ip_warnings(spec.loadBalancerIP or "", SPEC.child("loadBalancerIP"))
    for position, text in enumerate(spec.loadBalancerSourceRanges or ()):
        found += cidr_warnings(text, SPEC.child("loadBalancerSourceRanges").index(position))
    return found

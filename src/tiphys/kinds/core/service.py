"""Services: one address for many pods. The API server gives out addresses and node ports; their form is checked here.

On an update, what was given out stays unless the writer says otherwise, and what the new type has no use for goes.
"""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.address_leniency import tolerant_of_addresses
from tiphys.kinds.core.service_validation import (
    needs_health_check,
    validate_service,
    validate_service_status_update,
    validate_service_update,
)
from tiphys.kinds.core.service_warnings import service_warnings
from tiphys.kinds.object_meta import label_name
from tiphys.kinds.spec_and_status import keep_spec
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import (
    ClientIPConfig,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)

AFFINITY_SECONDS = 3 * 60 * 60
WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def is_reached_from_outside(spec: ServiceSpec) -> bool:
    return spec.type in WITH_NODE_PORTS or (spec.type == "ClusterIP" and bool(spec.externalIPs))


def default(service: Service) -> None:
    spec = service.spec
    if not spec.sessionAffinity:
        spec.sessionAffinity = "None"
    if spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    elif spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig
        if config is None or config.clientIP is None or config.clientIP.timeoutSeconds is None:
            client = ClientIPConfig(timeoutSeconds=AFFINITY_SECONDS)
            spec.sessionAffinityConfig = SessionAffinityConfig(clientIP=client)
    if not spec.type:
        spec.type = "ClusterIP"
    for port in spec.ports or ():
        if not port.protocol:
            port.protocol = "TCP"
        if not port.targetPort:
            port.targetPort = port.port
    if is_reached_from_outside(spec) and not spec.externalTrafficPolicy:
        spec.externalTrafficPolicy = "Cluster"
    if spec.internalTrafficPolicy is None and spec.type in WITH_CLUSTER_IP:
        spec.internalTrafficPolicy = "Cluster"
    if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
        spec.allocateLoadBalancerNodePorts = True
    if service.status.loadBalancer is None:
        service.status.loadBalancer = LoadBalancerStatus()
    for ingress in service.status.loadBalancer.ingress or ():
        if ingress.ip and ingress.ipMode is None:
            ingress.ipMode = "VIP"


def prepare_for_create(service: Service) -> None:
    service.status = ServiceStatus()
    join_cluster_addresses(service.spec, None)


def join_cluster_addresses(spec: ServiceSpec, old: ServiceSpec | None) -> None:
    """`clusterIP` is the first of `clusterIPs`; writers that know only one of the two mean both."""
    if old is None:
        if spec.clusterIP and not spec.clusterIPs:
            spec.clusterIPs = [spec.clusterIP]
        return
    if spec.clusterIP == old.clusterIP and spec.clusterIPs != old.clusterIPs:
        return
    if spec.clusterIP != old.clusterIP and spec.clusterIPs == old.clusterIPs:
        spec.clusterIPs = [spec.clusterIP, *(spec.clusterIPs or [])[1:]] if spec.clusterIP else None


def prepare_for_update(new: Service, old: Service) -> None:
    new.status = old.status
    join_cluster_addresses(new.spec, old.spec)
    keep_what_was_given(new.spec, old.spec)
    give_back_the_second_family(new.spec, old.spec)
    drop_what_is_unused(new, old)


def keep_what_was_given(new: ServiceSpec, old: ServiceSpec) -> None:
    """Addresses and ports that the API server gave out, where the writer left them out."""
    if new.type in WITH_CLUSTER_IP and old.type in WITH_CLUSTER_IP:
        if not new.clusterIP:
            new.clusterIP = old.clusterIP
        if not new.clusterIPs and new.clusterIP == old.clusterIP:
            new.clusterIPs = old.clusterIPs
        if not new.ipFamilies:
            new.ipFamilies = old.ipFamilies
        if new.ipFamilyPolicy is None:
            new.ipFamilyPolicy = old.ipFamilyPolicy
    if new.type in WITH_NODE_PORTS and old.type in WITH_NODE_PORTS:
        _keep_node_ports(new.ports or [], old.ports or [])
    if needs_health_check(new) and needs_health_check(old) and not new.healthCheckNodePort:
        new.healthCheckNodePort = old.healthCheckNodePort


def give_back_the_second_family(new: ServiceSpec, old: ServiceSpec) -> None:
    """Who asks for a single stack alone need not say which of the two families goes."""
    if new.ipFamilyPolicy == "SingleStack" and old.ipFamilyPolicy in ("PreferDualStack", "RequireDualStack"):
        for field in ("clusterIPs", "ipFamilies"):
            given = getattr(new, field)
            if given and given == getattr(old, field):
                setattr(new, field, given[:1])


def _keep_node_ports(new: list[ServicePort], old: list[ServicePort]) -> None:
    given = {(port.protocol, port.port): port.nodePort for port in old}
    taken = {port.nodePort for port in new if port.nodePort}
    for port in new:
        before = given.get((port.protocol, port.port))
        if not port.nodePort and before and before not in taken:
            port.nodePort = before


def drop_what_is_unused(service: Service, old: Service) -> None:
    """What the type that the Service changed to has no use for, unless the writer changed it as well."""
    new_spec, old_spec = service.spec, old.spec
    if old_spec.type in WITH_CLUSTER_IP and new_spec.type == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if getattr(new_spec, field) == getattr(old_spec, field):
                setattr(new_spec, field, None)
    if old_spec.type in WITH_NODE_PORTS and new_spec.type not in WITH_NODE_PORTS:
        before = {port.nodePort for port in old_spec.ports or ()}
        if all((port.nodePort or None) in before or not port.nodePort for port in new_spec.ports or ()):
            for port in new_spec.ports or ():
                port.nodePort = None
    was_checked, is_checked = needs_health_check(old_spec), needs_health_check(new_spec)
    if was_checked and not is_checked and new_spec.healthCheckNodePort == old_spec.healthCheckNodePort:
        new_spec.healthCheckNodePort = None
    if old_spec.type == "LoadBalancer" and new_spec.type != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if getattr(new_spec, field) == getattr(old_spec, field):
                setattr(new_spec, field, None)
        service.status = ServiceStatus(conditions=service.status.conditions, loadBalancer=LoadBalancerStatus())
    was_outside, is_outside = is_reached_from_outside(old_spec), is_reached_from_outside(new_spec)
    if was_outside and not is_outside and new_spec.externalTrafficPolicy == old_spec.externalTrafficPolicy:
        new_spec.externalTrafficPolicy = None


def external_text(service: Service) -> str:
    """What the column External-IP shows."""
    given = ",".join(service.spec.externalIPs or ())
    if service.spec.type == "ExternalName":
        return service.spec.externalName or ""
    if service.spec.type != "LoadBalancer":
        return given or cells.NONE
    balancer = service.status.loadBalancer
    found = {i.ip or i.hostname or "" for i in (balancer.ingress if balancer else None) or ()}
    words = sorted(found - {""})
    return ",".join([*words, *([given] if given else [])]) or "<pending>"


def ports_text(service: Service) -> str:
    """`80/TCP,443:30443/TCP`."""
    words = [
        f"{port.port}:{port.nodePort}/{port.protocol}" if port.nodePort else f"{port.port}/{port.protocol}"
        for port in service.spec.ports or ()
    ]
    return ",".join(words) or cells.NONE


STRATEGY: Strategy[Service] = Strategy(
    warnings=service_warnings,
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=prepare_for_update,
    prepare_for_status_update=keep_spec,
    validate=validate_service,
    validate_changed=tolerant_of_addresses(validate_service),
    validate_update=validate_service_update,
    validate_status_update=validate_service_status_update,
    name_findings=label_name,
    columns=(
        cells.name_column(),
        cells.text("Type", lambda service: service.spec.type or ""),
        cells.text("Cluster-IP", lambda service: service.spec.clusterIP or cells.NONE),
        cells.text("External-IP", external_text),
        cells.text("Port(s)", ports_text),
        cells.age_column(),
        cells.text("Selector", lambda service: cells.pairs_text(service.spec.selector), wide=True),
    ),
    fields=lambda service: {"spec.clusterIP": service.spec.clusterIP or "", "spec.type": service.spec.type or ""},
    has_generation=False,
    allow_create_on_update=True,
)

"""Whether a Service is well formed for its type, and what an update of it may change."""

from __future__ import annotations

from tiphys.kinds.balancer_status import validate_balancer_ingress
from tiphys.kinds.object_meta import label_name, subdomain_name, validate_labels
from tiphys.kinds.special_addresses import endpoint_address_findings
from tiphys.kinds.types.core_v1 import Service, ServicePort, ServiceSpec
from tiphys.kinds.value_findings import address_family, cidr, ip_address, port_number, port_number_or_name
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from tiphys.machinery.names import qualified_name
from tiphys.machinery.repetition import repeated

SPEC = Path("spec")
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
AFFINITIES = ("ClientIP", "None")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
OLD_TOPOLOGY, TOPOLOGY = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
KUBELET_PORT = 10250
AFFINITY_LIMIT_SECONDS = 86400
HEADLESS = "None"
ONLY_FOR_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
SET_ONCE = "may not change once set"


def is_headless(spec: ServiceSpec) -> bool:
    return spec.clusterIPs == [HEADLESS] or (not spec.clusterIPs and spec.clusterIP == HEADLESS)


def validate_service(service: Service) -> list[FieldError]:
    spec = service.spec
    annotations = service.metadata.annotations or {}
    found: list[FieldError] = []
    if {TOPOLOGY, OLD_TOPOLOGY} <= annotations.keys() and annotations[TOPOLOGY] != annotations[OLD_TOPOLOGY]:
        detail = f"must match annotations[{OLD_TOPOLOGY}] when both are specified"
        found.append(invalid(Path("metadata.annotations").key(TOPOLOGY), annotations[TOPOLOGY], detail))
    if not spec.ports and not is_headless(spec) and spec.type != "ExternalName":
        found.append(required(SPEC.child("ports")))
    found += _type_findings(spec)
    found += _ports_findings(spec)
    if spec.selector:
        found += validate_labels(spec.selector, SPEC.child("selector"))
    found += _affinity_findings(spec)
    found += _cluster_address_findings(spec)
    for position, address in enumerate(spec.externalIPs or ()):
        texts = endpoint_address_findings(address)
        found += [invalid(SPEC.child("externalIPs").index(position), address, text) for text in texts]
    if not spec.type:
        found.append(required(SPEC.child("type")))
    elif spec.type not in TYPES:
        found.append(not_supported(SPEC.child("type"), spec.type, TYPES))
    found += _balancer_findings(spec)
    return found + _traffic_findings(spec)


def _type_findings(spec: ServiceSpec) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.type in ("LoadBalancer", "NodePort") and is_headless(spec):
        detail = f"may not be set to 'None' for {spec.type} services"
        found.append(invalid(SPEC.child("clusterIPs").index(0), HEADLESS, detail))
    if spec.type == "LoadBalancer":
        for position, port in enumerate(spec.ports or ()):
            if port.port == KUBELET_PORT:
                detail = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
                found.append(invalid(SPEC.child("ports").index(position), port.port, detail))
    if spec.type == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if getattr(spec, field):
                found.append(forbidden(SPEC.child(field), "may not be set for ExternalName services"))
        name = (spec.externalName or "").removesuffix(".")
        if name:
            found += [invalid(SPEC.child("externalName"), name, text) for text in subdomain_name(name)]
        else:
            found.append(required(SPEC.child("externalName")))
    return found


def _ports_findings(spec: ServiceSpec) -> list[FieldError]:
    found: list[FieldError] = []
    ports = spec.ports or []
    names: set[str] = set()
    for position, port in enumerate(ports):
        found += _port_findings(port, len(ports) > 1, names, SPEC.child("ports").index(position))
    node_ports: set[tuple[str, int]] = set()
    numbers: set[tuple[str, int]] = set()
    for position, port in enumerate(ports):
        at = SPEC.child("ports").index(position)
        if spec.type == "ClusterIP" and port.nodePort:
            found.append(forbidden(at.child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
        protocol = port.protocol or ""
        if port.nodePort:
            if (protocol, port.nodePort) in node_ports:
                found.append(duplicate(at.child("nodePort"), port.nodePort))
            node_ports.add((protocol, port.nodePort))
        if (protocol, port.port) in numbers:
            found.append(duplicate(at, {"port": port.port, "protocol": protocol}))
        numbers.add((protocol, port.port))
    return found


def _port_findings(port: ServicePort, name_required: bool, names: set[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if name_required and not port.name:
        found.append(required(path.child("name")))
    elif port.name:
        found += [invalid(path.child("name"), port.name, text) for text in label_name(port.name)]
        if port.name in names:
            found.append(duplicate(path.child("name"), port.name))
        names.add(port.name)
    found += [invalid(path.child("port"), port.port, text) for text in port_number(port.port)]
    if not port.protocol:
        found.append(required(path.child("protocol")))
    elif port.protocol not in PROTOCOLS:
        found.append(not_supported(path.child("protocol"), port.protocol, PROTOCOLS))
    target = port.targetPort if port.targetPort is not None else 0
    found += [invalid(path.child("targetPort"), target, text) for text in port_number_or_name(target)]
    if port.appProtocol is not None:
        texts = qualified_name(port.appProtocol)
        found += [invalid(path.child("appProtocol"), port.appProtocol, text) for text in texts]
    return found


def _affinity_findings(spec: ServiceSpec) -> list[FieldError]:
    path = SPEC.child("sessionAffinityConfig")
    if not spec.sessionAffinity:
        return [required(SPEC.child("sessionAffinity"))]
    if spec.sessionAffinity not in AFFINITIES:
        return [not_supported(SPEC.child("sessionAffinity"), spec.sessionAffinity, AFFINITIES)]
    config = spec.sessionAffinityConfig
    if spec.sessionAffinity == "None":
        return [forbidden(path, "must not be set when session affinity is None")] if config is not None else []
    detail = "when session affinity type is ClientIP"
    if config is None:
        return [required(path, detail)]
    if config.clientIP is None:
        return [required(path.child("clientIP"), detail)]
    seconds = config.clientIP.timeoutSeconds
    at = path.child("clientIP", "timeoutSeconds")
    if seconds is None:
        return [required(at, detail)]
    if not 0 < seconds <= AFFINITY_LIMIT_SECONDS:
        return [invalid(at, seconds, f"must be greater than 0 and less than {AFFINITY_LIMIT_SECONDS}")]
    return []


def _cluster_address_findings(spec: ServiceSpec) -> list[FieldError]:
    if spec.type == "ExternalName":
        return []
    found: list[FieldError] = []
    again = repeated(spec.ipFamilies or ())
    for position, family in enumerate(spec.ipFamilies or ()):
        at = SPEC.child("ipFamilies").index(position)
        if family not in FAMILIES:
            found.append(not_supported(at, family, FAMILIES))
        elif position in again:
            found.append(duplicate(at, family))
    if spec.ipFamilyPolicy is not None and spec.ipFamilyPolicy not in FAMILY_POLICIES:
        found.append(not_supported(SPEC.child("ipFamilyPolicy"), spec.ipFamilyPolicy, FAMILY_POLICIES))
    path, addresses = SPEC.child("clusterIPs"), spec.clusterIPs or []
    if addresses and not spec.clusterIP:
        found.append(invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    elif addresses and addresses[0] != spec.clusterIP:
        found.append(invalid(path, addresses, "first value must match `clusterIP`"))
    if len(addresses) > 2:
        return [*found, invalid(path, addresses, "may only hold up to 2 values")]
    for position, address in enumerate(addresses or ([spec.clusterIP] if spec.clusterIP else [])):
        found += _one_address_findings(spec, address, position, path.index(position))
    if len(addresses) == 2 and address_family(addresses[0]) == address_family(addresses[1]) != 0:
        found.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    return found


def _one_address_findings(spec: ServiceSpec, address: str, position: int, path: Path) -> list[FieldError]:
    if address == HEADLESS:
        if position or len(spec.clusterIPs or ()) > 1:
            return [invalid(path, address, "'None' must be the first and only value")]
        return []
    texts = ip_address(address)
    if texts:
        return [invalid(path, address, text) for text in texts]
    family = address_family(address)
    families = spec.ipFamilies or []
    if position < len(families) and families[position] != f"IPv{family}":
        detail = f"expected an {families[position]} value as indicated by `ipFamilies[{position}]`"
        return [invalid(path, address, detail)]
    return []


def _balancer_findings(spec: ServiceSpec) -> list[FieldError]:
    found: list[FieldError] = []
    balancing = spec.type == "LoadBalancer"
    ranges = SPEC.child("LoadBalancerSourceRanges")  # clients know it with this capital letter
    if spec.loadBalancerSourceRanges and not balancing:
        found.append(forbidden(ranges, ONLY_FOR_BALANCERS))
    for position, source in enumerate(spec.loadBalancerSourceRanges or ()):
        found += [invalid(ranges.index(position), source, text) for text in cidr(source.strip())]
    if spec.allocateLoadBalancerNodePorts is not None and not balancing:
        found.append(forbidden(SPEC.child("allocateLoadBalancerNodePorts"), ONLY_FOR_BALANCERS))
    if spec.loadBalancerClass is not None:
        at = SPEC.child("loadBalancerClass")
        if not balancing:
            found.append(forbidden(at, ONLY_FOR_BALANCERS))
        found += [invalid(at, spec.loadBalancerClass, text) for text in qualified_name(spec.loadBalancerClass)]
    return found


def _traffic_findings(spec: ServiceSpec) -> list[FieldError]:
    found: list[FieldError] = []
    outside = spec.type in ("NodePort", "LoadBalancer") or (spec.type == "ClusterIP" and bool(spec.externalIPs))
    policy, at = spec.externalTrafficPolicy, SPEC.child("externalTrafficPolicy")
    if not outside:
        if policy:
            found.append(invalid(at, policy, "may only be set for externally-accessible services"))
    elif not policy:
        found.append(required(at))
    elif policy not in ("Cluster", "Local"):
        found.append(not_supported(at, policy, ("Cluster", "Local")))
    check, at = spec.healthCheckNodePort, SPEC.child("healthCheckNodePort")
    if check:
        if spec.type == "LoadBalancer" and policy == "Local":
            found += [invalid(at, check, text) for text in port_number(check)]
        else:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            found.append(invalid(at, check, detail))
    internal, at = spec.internalTrafficPolicy, SPEC.child("internalTrafficPolicy")
    if spec.type in ("ClusterIP", "NodePort", "LoadBalancer"):
        if not internal:
            found.append(required(at))
        elif internal not in ("Cluster", "Local"):
            found.append(not_supported(at, internal, ("Cluster", "Local")))
    if spec.trafficDistribution is not None and spec.trafficDistribution not in DISTRIBUTIONS:
        found.append(not_supported(SPEC.child("trafficDistribution"), spec.trafficDistribution, DISTRIBUTIONS))
    return found


def needs_health_check(spec: ServiceSpec) -> bool:
    """Whether load balancers ask each node if it has endpoints of its own."""
    return spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local"


def validate_service_update(new: Service, old: Service) -> list[FieldError]:
    """Addresses that were given out stay; a second family may come and go."""
    found: list[FieldError] = []
    if "ExternalName" not in (new.spec.type, old.spec.type):
        found += _lasting_addresses(new.spec, old.spec)
        if not is_headless(new.spec) and not is_headless(old.spec):
            found += _lasting_families(new.spec, old.spec)
    both_balance = new.spec.type == old.spec.type == "LoadBalancer"
    if both_balance and new.spec.loadBalancerClass != old.spec.loadBalancerClass:
        found.append(invalid(SPEC.child("loadBalancerClass"), new.spec.loadBalancerClass, SET_ONCE))
    check = new.spec.healthCheckNodePort
    if needs_health_check(new.spec) and needs_health_check(old.spec) and check != old.spec.healthCheckNodePort:
        found.append(forbidden(SPEC.child("healthCheckNodePort"), "field is immutable"))
    return found


def _lasting_addresses(new: ServiceSpec, old: ServiceSpec) -> list[FieldError]:
    if is_headless(new) and is_headless(old):
        return []
    before, after = old.clusterIPs or [], new.clusterIPs or []
    path = SPEC.child("clusterIPs")
    found = [invalid(path.index(place), after, SET_ONCE) for place in _changed_places(before, after)]
    if before and not after:
        found.append(invalid(path.index(0), after, "primary clusterIP can not be unset"))
    return found + _release_findings(new, before, after, "clusterIP")


def _lasting_families(new: ServiceSpec, old: ServiceSpec) -> list[FieldError]:
    before, after = old.ipFamilies or [], new.ipFamilies or []
    at = SPEC.child("ipFamilies").index(0)
    found = [invalid(at, after, SET_ONCE) for _ in _changed_places(before, after)]
    if len(before) > len(after) and not new.clusterIPs:
        found.append(invalid(at, after, "primary ipFamily can not be unset"))
    return found + _release_findings(new, before, after, "ipFamily")


def _changed_places(before: list[str], after: list[str]) -> list[int]:
    """Where another value stands; of a list that grows or shrinks only the first is held."""
    places = range(len(before)) if len(before) == len(after) else range(min(len(before), len(after), 1))
    return [place for place in places if before[place] != after[place]]


def _release_findings(new: ServiceSpec, before: list[str], after: list[str], word: str) -> list[FieldError]:
    if len(before) <= len(after) or len(after) != 1 or new.ipFamilyPolicy == "SingleStack":
        return []
    detail = f"must be set to 'SingleStack' when releasing the secondary {word}"
    return [invalid(SPEC.child("ipFamilyPolicy"), new.ipFamilyPolicy, detail)]


def validate_service_status_update(new: Service, old: Service) -> list[FieldError]:
    entries = (new.status.loadBalancer.ingress if new.status.loadBalancer else None) or []
    path = Path("status.loadBalancer.ingress")
    if entries and new.spec.type != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    return validate_balancer_ingress(entries, path)

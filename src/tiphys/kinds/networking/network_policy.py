"""NetworkPolicies: who may talk to the pods of a selection, and to whom they may talk."""

from __future__ import annotations

import ipaddress

from tiphys.kinds import cells, unserved
from tiphys.kinds.address_leniency import tolerant_of_addresses
from tiphys.kinds.address_warnings import cidr_warnings
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.kinds.types.networking_v1 import IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from tiphys.kinds.value_findings import cidr, port_name, port_number
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

SPEC = Path("spec")
PROTOCOLS = ("TCP", "UDP", "SCTP")
TYPES = ("Ingress", "Egress")


def default(policy: NetworkPolicy) -> None:
    spec = policy.spec
    if spec.podSelector is None:
        spec.podSelector = LabelSelector()
    for rule in [*(spec.ingress or ()), *(spec.egress or ())]:
        for port in rule.ports or ():
            if port.protocol is None:
                port.protocol = "TCP"
    if not spec.policyTypes:
        spec.policyTypes = ["Ingress", "Egress"] if spec.egress else ["Ingress"]


def validate(policy: NetworkPolicy) -> list[FieldError]:
    spec = policy.spec
    found = validate_label_selector(spec.podSelector, SPEC.child("podSelector"))
    for position, rule in enumerate(spec.ingress or ()):
        at = SPEC.child("ingress").index(position)
        found += _rule_findings(rule.ports or [], rule.from_ or [], at, "from")
    for position, outgoing in enumerate(spec.egress or ()):
        at = SPEC.child("egress").index(position)
        found += _rule_findings(outgoing.ports or [], outgoing.to or [], at, "to")
    if len(spec.policyTypes or ()) > 2:
        detail = "may not specify more than two policyTypes"
        return [*found, invalid(SPEC.child("policyTypes"), spec.policyTypes, detail)]
    for position, kind in enumerate(spec.policyTypes or ()):
        if kind not in TYPES:
            found.append(not_supported(SPEC.child("policyTypes").index(position), kind, TYPES))
    return found


def _rule_findings(
    ports: list[NetworkPolicyPort], peers: list[NetworkPolicyPeer], path: Path, side: str
) -> list[FieldError]:
    found: list[FieldError] = []
    for position, port in enumerate(ports):
        found += _port_findings(port, path.child("ports").index(position))
    for position, peer in enumerate(peers):
        found += _peer_findings(peer, path.child(side).index(position))
    return found


def _port_findings(port: NetworkPolicyPort, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if port.protocol is not None and port.protocol not in PROTOCOLS:
        found.append(not_supported(path.child("protocol"), port.protocol, PROTOCOLS))
    at, number = path.child("port"), port.port
    if isinstance(number, int):
        found += [invalid(at, number, text) for text in port_number(number)]
        if port.endPort is not None:
            if port.endPort < number:
                detail = "must be greater than or equal to `port`"
                found.append(invalid(path.child("endPort"), number, detail))
            found += [invalid(path.child("endPort"), port.endPort, text) for text in port_number(port.endPort)]
    elif isinstance(number, str):
        if port.endPort is not None:
            detail = "may not be specified when `port` is non-numeric"
            found.append(invalid(path.child("endPort"), port.endPort, detail))
        found += [invalid(at, number, text) for text in port_name(number)]
    elif port.endPort is not None:
        found.append(invalid(path.child("endPort"), port.endPort, "may not be specified when `port` is not specified"))
    return found


def _peer_findings(peer: NetworkPolicyPeer, path: Path) -> list[FieldError]:
    found = validate_label_selector(peer.podSelector, path.child("podSelector"))
    found += validate_label_selector(peer.namespaceSelector, path.child("namespaceSelector"))
    if peer.podSelector is None and peer.namespaceSelector is None and peer.ipBlock is None:
        found.append(required(path, "must specify a peer"))
    if peer.ipBlock is not None:
        if peer.podSelector is not None or peer.namespaceSelector is not None:
            found.append(forbidden(path, "may not specify both ipBlock and another peer"))
        found += _block_findings(peer.ipBlock, path.child("ipBlock"))
    return found


def _block_findings(block: IPBlock, path: Path) -> list[FieldError]:
    if not block.cidr:
        return [required(path.child("cidr"))]
    found = [invalid(path.child("cidr"), block.cidr, text) for text in cidr(block.cidr)]
    whole = None if found else ipaddress.ip_network(block.cidr, strict=False)
    for position, exception in enumerate(block.except_ or ()):
        at = path.child("except").index(position)
        texts = cidr(exception)
        found += [invalid(at, exception, text) for text in texts]
        if texts or whole is None:
            continue
        part = ipaddress.ip_network(exception, strict=False)
        inside = part.version == whole.version and whole.prefixlen < part.prefixlen and whole.overlaps(part)
        if not inside:
            found.append(invalid(at, exception, "must be a strict subset of `cidr`"))
    return found


def warnings(policy: NetworkPolicy, old: NetworkPolicy | None) -> list[str]:
    found = [unserved.NETWORK_POLICIES]
    for position, rule in enumerate(policy.spec.ingress or ()):
        found += _block_warnings(rule.from_ or [], SPEC.child("ingress").index(position).child("from"))
    for position, outgoing in enumerate(policy.spec.egress or ()):
        found += _block_warnings(outgoing.to or [], SPEC.child("egress").index(position).child("to"))
    return found


def _block_warnings(peers: list[NetworkPolicyPeer], path: Path) -> list[str]:
    found: list[str] = []
    for position, peer in enumerate(peers):
        block, at = peer.ipBlock, path.index(position).child("ipBlock")
        if block is not None:
            found += cidr_warnings(block.cidr, at.child("cidr"))
            for place, network in enumerate(block.except_ or ()):
                found += cidr_warnings(network, at.child("except").index(place))
    return found


STRATEGY: Strategy[NetworkPolicy] = Strategy(
    warnings=warnings,
    default=default,
    validate=validate,
    validate_changed=tolerant_of_addresses(validate),
    columns=(
        cells.name_column(),
        cells.text("Pod-Selector", lambda policy: cells.selector_text(policy.spec.podSelector)),
        cells.age_column(),
    ),
    has_status=False,
)

"""Nodes: what a kubelet says about its machine, and what others ask of it (taints, unschedulable, pod networks)."""

from __future__ import annotations

from collections.abc import Callable

from tiphys.kinds import cells
from tiphys.kinds.address_warnings import cidr_warnings
from tiphys.kinds.core.resource_defaults import default_amounts
from tiphys.kinds.core.resource_validation import amount_findings
from tiphys.kinds.core.toleration_validation import validate_taints
from tiphys.kinds.spec_and_status import keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import Node
from tiphys.kinds.value_findings import address_family, cidr
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
SPEC = Path("spec")


def default(node: Node) -> None:
    """What a node has is what pods may use, unless it says less."""
    default_amounts(node.status.capacity)
    default_amounts(node.status.allocatable)
    if node.status.capacity and not node.status.allocatable:
        node.status.allocatable = dict(node.status.capacity)
    # Where the two disagree, the one network counts: writers of long ago know only that.
    if node.spec.podCIDR and node.spec.podCIDR not in (node.spec.podCIDRs or ())[:1]:
        node.spec.podCIDRs = [node.spec.podCIDR]
    if node.spec.podCIDRs and not node.spec.podCIDR:
        node.spec.podCIDR = node.spec.podCIDRs[0]


def validate(node: Node) -> list[FieldError]:
    found: list[FieldError] = []
    if node.spec.taints:
        found += validate_taints(node.spec.taints, Path("metadata.taints"))  # as clients know it
    if node.spec.podPreemptionPolicy is not None:
        found.append(forbidden(SPEC.child("podPreemptionPolicy"), "this cluster makes no room for pods that grow"))
    found += _network_findings(node)
    seen: set[tuple[str, str]] = set()
    for position, address in enumerate(node.status.addresses or ()):
        if (address.type, address.address) in seen:
            found.append(duplicate(Path("status.addresses").index(position), address))
        seen.add((address.type, address.address))
    return found + _amount_findings(node)


def _network_findings(node: Node) -> list[FieldError]:
    found: list[FieldError] = []
    networks = node.spec.podCIDRs or []
    path = SPEC.child("podCIDRs")
    for position, network in enumerate(networks):
        found += [invalid(path.index(position), network, text) for text in cidr(network)]
    if len(networks) > 2 or (
        len(networks) == 2 and address_family(networks[0].split("/")[0]) == address_family(networks[1].split("/")[0])
    ):
        found.append(invalid(path, networks, "may specify no more than one CIDR for each IP family"))
    return found


def _amount_findings(node: Node) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("capacity", "allocatable"):
        for name, amount in (getattr(node.status, field) or {}).items():
            at = Path(f"status.{field}").child(name)
            found += [invalid(at, str(amount), text) for text in amount_findings(name, amount)]
    return found


def validate_update(new: Node, old: Node) -> list[FieldError]:
    """Pod networks and the provider's id can be given once and not changed after."""
    found: list[FieldError] = []
    if old.spec.podCIDRs and new.spec.podCIDRs != old.spec.podCIDRs:
        found.append(forbidden(SPEC.child("podCIDRs"), 'node updates may not change podCIDR except from "" to valid'))
    if old.spec.providerID and new.spec.providerID != old.spec.providerID:
        detail = 'node updates may not change providerID except from "" to valid'
        found.append(forbidden(SPEC.child("providerID"), detail))
    return found


def warnings(node: Node, old: Node | None) -> list[str]:
    found: list[str] = []
    if node.spec.configSource is not None:
        found.append("spec.configSource: the spec.configSource field is deprecated, and is unused by Kubernetes")
    if node.spec.externalID:
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for position, text in enumerate(node.spec.podCIDRs or ()):
        found += cidr_warnings(text, SPEC.child("podCIDRs").index(position))
    return found


def status_word(node: Node) -> str:
    """`Ready`, `NotReady` or `Unknown`, and whether pods are kept away."""
    ready = next((c.status for c in node.status.conditions or () if c.type == "Ready"), "")
    word = {"True": "Ready", "": "Unknown"}.get(ready, "NotReady")
    return f"{word},SchedulingDisabled" if node.spec.unschedulable else word


def roles_text(node: Node) -> str:
    labels = node.metadata.labels or {}
    roles = {label.removeprefix(ROLE_PREFIX) for label in labels if label.startswith(ROLE_PREFIX)}
    if labels.get(ROLE_LABEL):
        roles.add(labels[ROLE_LABEL])
    return ",".join(sorted(role for role in roles if role)) or cells.NONE


def address_of(node: Node, address_type: str) -> str:
    found = next((a.address for a in node.status.addresses or () if a.type == address_type), "")
    return found or cells.NONE


def _info(field: str) -> Callable[[Node], str]:
    def cell(node: Node) -> str:
        return (getattr(node.status.nodeInfo, field) if node.status.nodeInfo else "") or cells.UNKNOWN

    return cell


STRATEGY: Strategy[Node] = Strategy(
    warnings=warnings,
    default=default,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=lambda new, _: validate(new),
    columns=(
        cells.name_column(),
        cells.text("Status", status_word),
        cells.text("Roles", roles_text),
        cells.age_column(),
        cells.text("Version", lambda node: node.status.nodeInfo.kubeletVersion if node.status.nodeInfo else ""),
        cells.text("Internal-IP", lambda node: address_of(node, "InternalIP"), wide=True),
        cells.text("External-IP", lambda node: address_of(node, "ExternalIP"), wide=True),
        cells.text("OS-Image", _info("osImage"), wide=True),
        cells.text("Kernel-Version", _info("kernelVersion"), wide=True),
        cells.text("Container-Runtime", _info("containerRuntimeVersion"), wide=True),
    ),
    fields=lambda node: {"spec.unschedulable": "true" if node.spec.unschedulable else "false"},
    has_generation=False,
    begins_with_status=True,  # kubelets register with it
)

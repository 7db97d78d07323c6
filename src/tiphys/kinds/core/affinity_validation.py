"""Whether what a pod asks of its place is well formed: node and pod affinity, spreading.

Node selectors are checked here wherever they stand.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import label_key_findings, label_name, label_value_findings, subdomain_name
from tiphys.kinds.types.core_v1 import (
    Affinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    TopologySpreadConstraint,
)
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def validate_affinity(affinity: Affinity, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    nodes = affinity.nodeAffinity
    if nodes is not None:
        at = path.child("nodeAffinity")
        if nodes.requiredDuringSchedulingIgnoredDuringExecution is not None:
            found += validate_node_selector(nodes.requiredDuringSchedulingIgnoredDuringExecution, at.child(REQUIRED))
        for position, preferred in enumerate(nodes.preferredDuringSchedulingIgnoredDuringExecution or ()):
            here = at.child(PREFERRED).index(position)
            if not 1 <= preferred.weight <= 100:
                found.append(invalid(here.child("weight"), preferred.weight, "must be in the range 1-100"))
            found += validate_node_selector_term(preferred.preference, here.child("preference"))
    if affinity.podAffinity is not None:
        found += _pod_affinity_findings(affinity.podAffinity, path.child("podAffinity"))
    if affinity.podAntiAffinity is not None:
        found += _pod_affinity_findings(affinity.podAntiAffinity, path.child("podAntiAffinity"))
    return found


def validate_node_selector(selector: NodeSelector, path: Path) -> list[FieldError]:
    at = path.child("nodeSelectorTerms")
    if not selector.nodeSelectorTerms:
        return [required(at, "must have at least one node selector term")]
    found: list[FieldError] = []
    for position, term in enumerate(selector.nodeSelectorTerms):
        found += validate_node_selector_term(term, at.index(position))
    return found


def validate_node_selector_term(term: NodeSelectorTerm, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, requirement in enumerate(term.matchExpressions or ()):
        found += _label_requirement(requirement, path.child("matchExpressions").index(position))
    for position, requirement in enumerate(term.matchFields or ()):
        found += _field_requirement(requirement, path.child("matchFields").index(position))
    return found


def _label_requirement(requirement: NodeSelectorRequirement, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    values = requirement.values or []
    if requirement.operator in ("In", "NotIn"):
        if not values:
            found.append(required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
    elif requirement.operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(forbidden(path.child("values"), detail))
    elif requirement.operator in ("Gt", "Lt"):
        if len(values) != 1:
            found.append(
                required(path.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'")
            )
    else:
        found.append(invalid(path.child("operator"), requirement.operator, "not a valid selector operator"))
    found += [invalid(path.child("key"), requirement.key, text) for text in label_key_findings(requirement.key)]
    for position, value in enumerate(values):
        found += [invalid(path.child("values").index(position), value, text) for text in label_value_findings(value)]
    return found


def _field_requirement(requirement: NodeSelectorRequirement, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    values = requirement.values or []
    if requirement.operator not in ("In", "NotIn"):
        found.append(invalid(path.child("operator"), requirement.operator, "not a valid selector operator"))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(required(path.child("values"), detail))
    if requirement.key != "metadata.name":
        found.append(invalid(path.child("key"), requirement.key, "not a valid field selector key"))
    else:
        for position, value in enumerate(values):
            found += [invalid(path.child("values").index(position), value, text) for text in subdomain_name(value)]
    return found


def _pod_affinity_findings(affinity: PodAffinity | PodAntiAffinity, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, term in enumerate(affinity.requiredDuringSchedulingIgnoredDuringExecution or ()):
        found += _pod_term(term, path.child(REQUIRED).index(position))
    for position, weighted in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution or ()):
        here = path.child(PREFERRED).index(position)
        if not 1 <= weighted.weight <= 100:
            found.append(invalid(here.child("weight"), weighted.weight, "must be in the range 1-100"))
        found += _pod_term(weighted.podAffinityTerm, here.child("podAffinityTerm"))
    return found


def _pod_term(term: PodAffinityTerm, path: Path) -> list[FieldError]:
    found = validate_label_selector(term.labelSelector, path.child("labelSelector"))
    found += validate_label_selector(term.namespaceSelector, path.child("namespaceSelector"))
    for name in term.namespaces or ():
        found += [invalid(path.child("namespace"), name, text) for text in label_name(name)]
    found += _label_keys(term.matchLabelKeys, path.child("matchLabelKeys"), term.labelSelector)
    found += _label_keys(term.mismatchLabelKeys, path.child("mismatchLabelKeys"), term.labelSelector)
    found += _repeated_keys(term.matchLabelKeys, path, term.labelSelector)
    both = set(term.matchLabelKeys or ()) & set(term.mismatchLabelKeys or ())
    for position, key in enumerate(term.matchLabelKeys or ()):
        if key in both:
            found.append(
                invalid(
                    path.child("matchLabelKeys").index(position),
                    key,
                    "exists in both matchLabelKeys and mismatchLabelKeys",
                )
            )
    if not term.topologyKey:
        found.append(required(path.child("topologyKey"), "can not be empty"))
    else:
        texts = label_key_findings(term.topologyKey)
        found += [invalid(path.child("topologyKey"), term.topologyKey, text) for text in texts]
    return found


def _label_keys(keys: Sequence[str] | None, path: Path, selector: LabelSelector | None) -> list[FieldError]:
    if not keys:
        return []
    if selector is None:
        return [forbidden(path, "must not be specified when labelSelector is not set")]
    found: list[FieldError] = []
    for position, key in enumerate(keys):
        found += [invalid(path.index(position), key, text) for text in label_key_findings(key)]
    return found


def _repeated_keys(keys: Sequence[str] | None, path: Path, selector: LabelSelector | None) -> list[FieldError]:
    """Keys that the selector names of its own. (What the server made of the keys is in it too, as an expression.)"""
    if not keys or selector is None:
        return []
    seen = set(selector.matchLabels or ())
    found: list[FieldError] = []
    for expression in selector.matchExpressions or ():
        if expression.key in seen and expression.key in keys:
            at = path.index(keys.index(expression.key))  # as clients know it
            found.append(invalid(at, expression.key, "exists in both matchLabelKeys and labelSelector"))
        seen.add(expression.key)
    return found


def validate_spread(constraints: Sequence[TopologySpreadConstraint], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    pairs = [(constraint.topologyKey, constraint.whenUnsatisfiable) for constraint in constraints]
    for position, constraint in enumerate(constraints):
        at = path.index(position)
        found += _constraint_findings(constraint, at)
        pair = pairs[position]
        if pair in pairs[position + 1 :]:
            found.append(duplicate(at.child("{topologyKey, whenUnsatisfiable}"), f"{{{pair[0]}, {pair[1]}}}"))
    return found


def _constraint_findings(constraint: TopologySpreadConstraint, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if constraint.maxSkew <= 0:
        found.append(invalid(path.child("maxSkew"), constraint.maxSkew, "must be greater than zero"))
    if not constraint.topologyKey:
        found.append(required(path.child("topologyKey"), "can not be empty"))
    choices = ("DoNotSchedule", "ScheduleAnyway")
    if constraint.whenUnsatisfiable not in choices:
        found.append(not_supported(path.child("whenUnsatisfiable"), constraint.whenUnsatisfiable, choices))
    if constraint.minDomains is not None:
        if constraint.minDomains <= 0:
            found.append(invalid(path.child("minDomains"), constraint.minDomains, "must be greater than zero"))
        if constraint.whenUnsatisfiable != "DoNotSchedule":
            detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {constraint.whenUnsatisfiable}"
            found.append(invalid(path.child("minDomains"), constraint.minDomains, detail))
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        value = getattr(constraint, name)
        if value is not None and value not in ("Honor", "Ignore"):
            found.append(not_supported(path.child(name), value, ("Honor", "Ignore")))
    found += _label_keys(constraint.matchLabelKeys, path.child("matchLabelKeys"), constraint.labelSelector)
    found += _repeated_keys(constraint.matchLabelKeys, path, constraint.labelSelector)
    return found + validate_label_selector(constraint.labelSelector, path.child("labelSelector"))

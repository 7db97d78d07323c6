"""A dumb scheduler: one node at a time, plain loops, no columns. The twin that the real one must agree with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tiphys.kinds.types import core_v1
from tiphys.machinery import labels as label_selectors

HOSTNAME = "kubernetes.io/hostname"


@dataclass
class NodeState:
    node: core_v1.Node
    pods: list[core_v1.Pod] = field(default_factory=list)

    @property
    def labels(self) -> dict[str, str]:
        return self.node.metadata.labels or {}


def request(pod: core_v1.Pod, resource: str, missing: int = 0) -> int:
    total = 0
    for container in pod.spec.containers:
        quantity = ((container.resources and container.resources.requests) or {}).get(resource)
        if quantity is None:
            total += missing
        else:
            total += quantity.milli_value if resource == "cpu" else quantity.value
    return total


def allocatable(state: NodeState, resource: str) -> int:
    quantity = (state.node.status.allocatable or {}).get(resource)
    if quantity is None:
        return 0
    return quantity.milli_value if resource == "cpu" else quantity.value


def tolerates(pod: core_v1.Pod, taint: core_v1.Taint, effects: tuple[str, ...] | None = None) -> bool:
    for toleration in pod.spec.tolerations or ():
        if effects is not None and (toleration.effect or "") not in effects:
            continue
        if toleration.effect and toleration.effect != taint.effect:
            continue
        if toleration.key and toleration.key != taint.key:
            continue
        if toleration.operator == "Exists" or (toleration.value or "") == (taint.value or ""):
            return True
    return False


def node_unschedulable(pod: core_v1.Pod, state: NodeState) -> list[str]:
    taint = core_v1.Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
    if state.node.spec.unschedulable and not tolerates(pod, taint):
        return ["node(s) were unschedulable"]
    return []


def taints(pod: core_v1.Pod, state: NodeState) -> list[str]:
    for taint in state.node.spec.taints or ():
        if taint.effect != "PreferNoSchedule" and not tolerates(pod, taint):
            return [f"node(s) had untolerated taint {{{taint.key}: {taint.value or ''}}}"]
    return []


def matches_term(term: core_v1.NodeSelectorTerm, state: NodeState) -> bool:
    if not term.matchExpressions:
        return False
    for expression in term.matchExpressions:
        value = state.labels.get(expression.key)
        values = expression.values or []
        ok = {
            "In": value in values,
            "NotIn": value is None or value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[expression.operator]
        if not ok:
            return False
    return True


def matches_node(pod: core_v1.Pod, state: NodeState) -> bool:
    for key, value in (pod.spec.nodeSelector or {}).items():
        if state.labels.get(key) != value:
            return False
    affinity = pod.spec.affinity and pod.spec.affinity.nodeAffinity
    required = affinity and affinity.requiredDuringSchedulingIgnoredDuringExecution
    return not required or any(matches_term(term, state) for term in required.nodeSelectorTerms)


def node_affinity(pod: core_v1.Pod, state: NodeState) -> list[str]:
    return [] if matches_node(pod, state) else ["node(s) didn't match Pod's node affinity/selector"]


def host_ports(pod: core_v1.Pod) -> list[core_v1.ContainerPort]:
    return [port for container in pod.spec.containers for port in container.ports or () if port.hostPort]


def node_ports(pod: core_v1.Pod, state: NodeState) -> list[str]:
    for wanted in host_ports(pod):
        for taken in (port for other in state.pods for port in host_ports(other)):
            everywhere = (None, "0.0.0.0")
            clash = wanted.hostIP in everywhere or taken.hostIP in everywhere or wanted.hostIP == taken.hostIP
            if clash and wanted.hostPort == taken.hostPort and (wanted.protocol or "TCP") == (taken.protocol or "TCP"):
                return ["node(s) didn't have free ports for the requested pod ports"]
    return []


def resources_fit(pod: core_v1.Pod, state: NodeState) -> list[str]:
    reasons = []
    if len(state.pods) + 1 > allocatable(state, "pods"):
        reasons.append("Too many pods")
    for resource in ("cpu", "memory", "example.com/gpu"):
        wanted = request(pod, resource)
        used = sum(request(other, resource) for other in state.pods)
        if wanted and used + wanted > allocatable(state, resource):
            reasons.append(f"Insufficient {resource}")
    return reasons


def selects(selector: object, pod: core_v1.Pod) -> bool:
    return label_selectors.from_object(selector).matches(pod.metadata.labels)  # type: ignore[arg-type]


def counting_pods(constraint: core_v1.TopologySpreadConstraint, pod: core_v1.Pod, state: NodeState) -> int:
    return sum(
        selects(constraint.labelSelector, other)
        for other in state.pods
        if other.metadata.namespace == pod.metadata.namespace and other.metadata.deletionTimestamp is None
    )


def included(constraint: core_v1.TopologySpreadConstraint, pod: core_v1.Pod, state: NodeState) -> bool:
    if (constraint.nodeAffinityPolicy or "Honor") == "Honor" and not matches_node(pod, state):
        return False
    return constraint.nodeTaintsPolicy != "Honor" or not taints(pod, state)


def topology_spread(pod: core_v1.Pod, state: NodeState, states: list[NodeState]) -> list[str]:
    hard = [c for c in pod.spec.topologySpreadConstraints or () if c.whenUnsatisfiable == "DoNotSchedule"]
    keys = [constraint.topologyKey for constraint in hard]
    for constraint in hard:
        domain = state.labels.get(constraint.topologyKey)
        if domain is None:
            return ["node(s) didn't match pod topology spread constraints (missing required label)"]
        domains: dict[str, int] = {}
        for other in states:
            if all(key in other.labels for key in keys) and included(constraint, pod, other):
                name = other.labels[constraint.topologyKey]
                domains[name] = domains.get(name, 0) + counting_pods(constraint, pod, other)
        lowest: float = min(domains.values(), default=math.inf)
        if len(domains) < (constraint.minDomains or 1):
            lowest = 0
        own = 1 if selects(constraint.labelSelector, pod) else 0
        if domains.get(domain, 0) + own - lowest > constraint.maxSkew:
            return ["node(s) didn't match pod topology spread constraints"]
    return []


def terms_of(pod: core_v1.Pod, kind: str) -> list[core_v1.PodAffinityTerm]:
    affinity = pod.spec.affinity and getattr(pod.spec.affinity, kind)
    return list((affinity and affinity.requiredDuringSchedulingIgnoredDuringExecution) or ())


def preferred_of(pod: core_v1.Pod) -> list[tuple[core_v1.PodAffinityTerm, int]]:
    found = []
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        affinity = pod.spec.affinity and getattr(pod.spec.affinity, kind)
        for item in (affinity and affinity.preferredDuringSchedulingIgnoredDuringExecution) or ():
            found.append((item.podAffinityTerm, sign * item.weight))
    return found


def term_selects(term: core_v1.PodAffinityTerm, owner: core_v1.Pod, other: core_v1.Pod) -> bool:
    namespaces = term.namespaces or [owner.metadata.namespace]
    return other.metadata.namespace in namespaces and selects(term.labelSelector, other)


def same_domain(key: str, one: NodeState, other: NodeState) -> bool:
    return key in one.labels and one.labels.get(key) == other.labels.get(key)


def inter_pod_affinity(pod: core_v1.Pod, state: NodeState, states: list[NodeState]) -> list[str]:
    wanted = terms_of(pod, "podAffinity")
    if wanted:
        fellows = [
            (other, there)
            for there in states
            for other in there.pods
            if all(term_selects(term, pod, other) for term in wanted)
        ]
        labelled = all(term.topologyKey in state.labels for term in wanted)
        near = all(any(same_domain(term.topologyKey, state, there) for _, there in fellows) for term in wanted)
        anywhere = any(term.topologyKey in there.labels for _, there in fellows for term in wanted)
        alone = not anywhere and all(term_selects(term, pod, pod) for term in wanted)
        if not labelled or not (near or alone):
            return ["node(s) didn't match pod affinity rules"]
    for term in terms_of(pod, "podAntiAffinity"):
        for there in states:
            if same_domain(term.topologyKey, state, there) and any(term_selects(term, pod, o) for o in there.pods):
                return ["node(s) didn't match pod anti-affinity rules"]
    for there in states:
        for other in there.pods:
            for term in terms_of(other, "podAntiAffinity"):
                if same_domain(term.topologyKey, state, there) and term_selects(term, other, pod):
                    return ["node(s) didn't satisfy existing pods anti-affinity rules"]
    return []


def rejection(pod: core_v1.Pod, state: NodeState, states: list[NodeState]) -> tuple[str, list[str]] | None:
    """The first plugin that rejects a node, and its reasons sorted."""
    for name, reasons in (
        ("NodeUnschedulable", node_unschedulable(pod, state)),
        ("TaintToleration", taints(pod, state)),
        ("NodeAffinity", node_affinity(pod, state)),
        ("NodePorts", node_ports(pod, state)),
        ("NodeResourcesFit", resources_fit(pod, state)),
        ("PodTopologySpread", topology_spread(pod, state, states)),
        ("InterPodAffinity", inter_pod_affinity(pod, state, states)),
    ):
        if reasons:
            return name, sorted(reasons)
    return None


def least_allocated(pod: core_v1.Pod, state: NodeState) -> int:
    total = weights = 0
    for resource, missing in (("cpu", 100), ("memory", 200 * 1024 * 1024)):
        offered = allocatable(state, resource)
        if not offered:
            continue
        used = sum(request(other, resource, missing) for other in [*state.pods, pod])
        total += 0 if used > offered else (offered - used) * 100 // offered
        weights += 1
    return total // weights if weights else 0


def balanced(pod: core_v1.Pod, state: NodeState) -> int:
    fractions = []
    for resource in ("cpu", "memory"):
        offered = allocatable(state, resource)
        if offered:
            used = sum(request(other, resource) for other in [*state.pods, pod])
            fractions.append(min(used / offered, 1.0))
    if not request(pod, "cpu") and not request(pod, "memory"):
        return 0
    deviation = abs(fractions[0] - fractions[1]) / 2 if len(fractions) == 2 else 0.0
    return int((1 - deviation) * 100)


def spread_scores(pod: core_v1.Pod, feasible: list[NodeState], states: list[NodeState]) -> dict[str, int]:
    soft = [c for c in pod.spec.topologySpreadConstraints or () if c.whenUnsatisfiable == "ScheduleAnyway"]
    if not soft:
        return {}
    keys = [constraint.topologyKey for constraint in soft]
    counted = [state for state in feasible if all(key in state.labels for key in keys)]
    raw: dict[str, int] = {}
    for state in counted:
        score = 0.0
        for constraint in soft:
            key = constraint.topologyKey
            if key == HOSTNAME:
                number, around = len(counted), counting_pods(constraint, pod, state)
            else:
                number = len({other.labels[key] for other in counted})
                around = sum(
                    counting_pods(constraint, pod, other)
                    for other in states
                    if all(k in other.labels for k in keys)
                    and included(constraint, pod, other)
                    and other.labels[key] == state.labels[key]
                )
            score += around * math.log(number + 2) + (constraint.maxSkew - 1)
        raw[state.node.metadata.name or ""] = math.floor(score + 0.5)
    lowest, highest = min(raw.values(), default=0), max(raw.values(), default=0)
    return {name: 100 if not highest else 100 * (highest + lowest - score) // highest for name, score in raw.items()}


def affinity_scores(pod: core_v1.Pod, feasible: list[NodeState], states: list[NodeState]) -> dict[str, int]:
    raw = {}
    for state in feasible:
        score = 0
        for there in states:
            for other in there.pods:
                for term, weight in preferred_of(pod):
                    if same_domain(term.topologyKey, state, there) and term_selects(term, pod, other):
                        score += weight
                carried = [*preferred_of(other), *((term, 1) for term in terms_of(other, "podAffinity"))]
                for term, weight in carried:
                    if same_domain(term.topologyKey, state, there) and term_selects(term, other, pod):
                        score += weight
        raw[state.node.metadata.name or ""] = score
    lowest, highest = min(raw.values(), default=0), max(raw.values(), default=0)
    if lowest == highest:
        return {}
    return {name: 100 * (score - lowest) // (highest - lowest) for name, score in raw.items()}


def scaled(raw: dict[str, int], reverse: bool) -> dict[str, int]:
    highest = max(raw.values(), default=0)
    if not highest:
        return dict.fromkeys(raw, 100 if reverse else 0)
    return {name: 100 - 100 * s // highest if reverse else 100 * s // highest for name, s in raw.items()}


def totals(pod: core_v1.Pod, feasible: list[NodeState], states: list[NodeState]) -> dict[str, int]:
    """The weighted total of each feasible node."""
    soft_taints = {}
    preferences = {}
    for state in feasible:
        name = state.node.metadata.name or ""
        soft_taints[name] = sum(
            taint.effect == "PreferNoSchedule" and not tolerates(pod, taint, ("", "PreferNoSchedule"))
            for taint in state.node.spec.taints or ()
        )
        affinity = pod.spec.affinity and pod.spec.affinity.nodeAffinity
        terms = (affinity and affinity.preferredDuringSchedulingIgnoredDuringExecution) or ()
        preferences[name] = sum(term.weight for term in terms if matches_term(term.preference, state))
    taint_scores, preference_scores = scaled(soft_taints, True), scaled(preferences, False)
    spread, near = spread_scores(pod, feasible, states), affinity_scores(pod, feasible, states)
    found = {}
    for state in feasible:
        name = state.node.metadata.name or ""
        found[name] = (
            3 * taint_scores[name]
            + 2 * preference_scores[name]
            + least_allocated(pod, state)
            + balanced(pod, state)
            + 2 * spread.get(name, 0)
            + 2 * near.get(name, 0)
        )
    return found

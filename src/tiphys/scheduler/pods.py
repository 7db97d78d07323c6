"""What the scheduler knows of a pod: its shape (all that decides where it fits) and its identity.

A `PodShape` is shared by all pods that the plugins cannot tell apart, such as the replicas of one ReplicaSet: it is
worked out once and every plugin sees the shape alone. Shapes are interned by `PodShapes`, so equal shapes are the
same object and can be compared by identity. Random parts of a pod (its name, the name of its token volume) are no
part of the shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.machinery import labels as label_selectors
from tiphys.machinery.labels import Requirement, Selector
from tiphys.scheduler.requests import PodRequests, requests_of


@dataclass(frozen=True, slots=True)
class Toleration:
    """`operator` is Exists, Equal, Lt or Gt; an empty `key` with Exists tolerates every taint, an empty `effect`
    every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: core_v1.Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        if self.operator == "Equal":
            return self.value == (taint.value or "")
        try:
            wanted, found = int(self.value), int(taint.value or "")
        except ValueError:
            return False
        return found < wanted if self.operator == "Lt" else found > wanted


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node itself; `address` 0.0.0.0 stands for every address."""

    address: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One (anti-)affinity term, with matchLabelKeys merged in. Namespaces are `namespaces` and all that
    `namespace_selector` selects (None selects none)."""

    topology_key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector | None

    def selects(self, group: LabelGroup, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether pods of a label group are meant. `namespaces` holds the labels of every namespace."""
        if group.namespace not in self.namespaces and (
            self.namespace_selector is None or not self.namespace_selector.matches(namespaces.get(group.namespace, {}))
        ):
            return False
        return self.selector.matches(group.labels)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One topology spread constraint; `hard` means DoNotSchedule."""

    topology_key: str
    maximum_skew: int
    hard: bool
    selector: Selector
    minimum_domains: int
    honor_affinity: bool
    honor_taints: bool


@dataclass(frozen=True, eq=False, slots=True)
class LabelGroup:
    """All pods with these labels in this namespace: the unit in which selectors count. Interned: equality is
    identity."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PodShape:
    """Everything plugins may look at. Equality is identity (see `PodShapes`)."""

    group: LabelGroup
    requests: PodRequests
    required_node: str = ""
    tolerations: tuple[Toleration, ...] = ()
    node_selector: tuple[tuple[str, str], ...] = ()
    required_node_affinity: core_v1.NodeSelector | None = None
    preferred_node_affinity: tuple[core_v1.PreferredSchedulingTerm, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    images: tuple[str, ...] = ()
    image_count: int = 0
    spread: tuple[SpreadConstraint, ...] = ()
    affinity: tuple[AffinityTerm, ...] = ()
    anti_affinity: tuple[AffinityTerm, ...] = ()
    preferred_affinity: tuple[tuple[AffinityTerm, int], ...] = ()
    """Weights are negative for preferred anti-affinity."""
    claims: tuple[tuple[str, bool], ...] = ()
    """Names of PersistentVolumeClaims; True for the claim of an ephemeral volume."""
    owner: tuple[str, str] = ("", "")
    """Kind and name of the controller, which decides the default spreading."""
    wants_devices: bool = False
    in_group: bool = False
    required_features: tuple[str, ...] = ()
    """What the kubelet must declare, sorted."""

    @property
    def namespace(self) -> str:
        return self.group.namespace

    @property
    def labels(self) -> Mapping[str, str]:
        return self.group.labels

    def tolerates(self, taint: core_v1.Taint) -> bool:
        return any(toleration.tolerates(taint) for toleration in self.tolerations)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PodInfo:
    """A pod as the scheduler keeps it. `node_name` is "" while it waits; `start_time` is RFC 3339 or ""."""

    namespace: str
    name: str
    uid: str
    priority: int
    shape: PodShape
    node_name: str
    nominated_node_name: str
    terminating: bool
    start_time: str
    pod: core_v1.Pod

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class PodShapes:
    """The interning table. It forgets everything when it has grown past `limit`: identity of shapes made before is
    then lost, which costs sharing and never correctness."""

    limit: int = 20_000
    shapes: dict[bytes, PodShape] = field(default_factory=dict)
    groups: dict[bytes, LabelGroup] = field(default_factory=dict)

    def info(self, pod: core_v1.Pod) -> PodInfo:
        """The pod as the scheduler keeps it."""
        meta, spec, status = pod.metadata, pod.spec, pod.status
        return PodInfo(
            namespace=meta.namespace or "",
            name=meta.name or "",
            uid=meta.uid or f"{meta.namespace}/{meta.name}",
            priority=spec.priority or 0,
            shape=self.shape(pod),
            node_name=spec.nodeName or "",
            nominated_node_name=status.nominatedNodeName or "",
            terminating=meta.deletionTimestamp is not None,
            start_time=status.startTime or "",
            pod=pod,
        )

    def shape(self, pod: core_v1.Pod, required_node: str = "") -> PodShape:
        """The shape of a pod. `required_node` asks whether it fits that node alone."""
        spec, meta = pod.spec, pod.metadata
        owner = _owner(pod)
        features = _required_features(spec)
        statuses = pod.status.containerStatuses if spec.nodeName else None
        key = codec.encode(
            (
                meta.namespace,
                meta.labels,
                required_node,
                owner,
                spec.nodeSelector,
                spec.affinity,
                spec.tolerations,
                spec.topologySpreadConstraints,
                spec.overhead,
                spec.resources,
                [(c.image, c.resources, c.ports) for c in spec.containers],
                [(c.image, c.resources, c.ports, c.restartPolicy) for c in spec.initContainers or ()],
                [(s.name, s.allocatedResources, s.resources) for s in statuses or ()],
                _claims(pod),
                bool(spec.resourceClaims),
                spec.schedulingGroup is not None,
                features,
            )
        )
        found = self.shapes.get(key)
        if found is None:
            if len(self.shapes) >= self.limit:
                self.shapes.clear()
            found = self.shapes[key] = self._make(pod, required_node, owner, features)
        return found

    def group(self, namespace: str, labels: Mapping[str, str] | None) -> LabelGroup:
        ordered = dict(sorted((labels or {}).items()))
        key = codec.encode((namespace, ordered))
        found = self.groups.get(key)
        if found is None:
            if len(self.groups) >= self.limit:
                self.groups.clear()
            found = self.groups[key] = LabelGroup(namespace, ordered)
        return found

    def _make(
        self, pod: core_v1.Pod, required_node: str, owner: tuple[str, str], features: tuple[str, ...]
    ) -> PodShape:
        spec, labels = pod.spec, pod.metadata.labels or {}
        namespace = pod.metadata.namespace or ""
        affinity = spec.affinity or core_v1.Affinity()
        node_affinity = affinity.nodeAffinity or core_v1.NodeAffinity()
        with_, against = (
            affinity.podAffinity or core_v1.PodAffinity(),
            affinity.podAntiAffinity or core_v1.PodAntiAffinity(),
        )
        containers = [*(spec.initContainers or ()), *spec.containers]
        return PodShape(
            group=self.group(namespace, labels),
            requests=requests_of(pod),
            required_node=required_node,
            tolerations=tuple(
                Toleration(t.key or "", t.operator or "Equal", t.value or "", t.effect or "")
                for t in spec.tolerations or ()
            ),
            node_selector=tuple(sorted((spec.nodeSelector or {}).items())),
            required_node_affinity=node_affinity.requiredDuringSchedulingIgnoredDuringExecution,
            preferred_node_affinity=tuple(node_affinity.preferredDuringSchedulingIgnoredDuringExecution or ()),
            host_ports=_host_ports(spec),
            images=tuple(normalized_image(container.image or "") for container in containers if container.image),
            image_count=len(containers),
            spread=tuple(_constraint(c, labels) for c in spec.topologySpreadConstraints or ()),
            affinity=_terms(with_.requiredDuringSchedulingIgnoredDuringExecution, namespace, labels),
            anti_affinity=_terms(against.requiredDuringSchedulingIgnoredDuringExecution, namespace, labels),
            preferred_affinity=(
                *_weighted(with_.preferredDuringSchedulingIgnoredDuringExecution, namespace, labels, 1),
                *_weighted(against.preferredDuringSchedulingIgnoredDuringExecution, namespace, labels, -1),
            ),
            claims=_claims(pod),
            owner=owner,
            wants_devices=bool(spec.resourceClaims),
            in_group=spec.schedulingGroup is not None,
            required_features=features,
        )


def _required_features(spec: core_v1.PodSpec) -> tuple[str, ...]:
    """What older kubelets would pass over in silence."""
    for container in (*(spec.initContainers or ()), *spec.containers):
        for rule in container.restartPolicyRules or ():
            if rule.action == "RestartAllContainers":
                return ("RestartAllContainersOnContainerExits",)
    return ()


def _owner(pod: core_v1.Pod) -> tuple[str, str]:
    for reference in pod.metadata.ownerReferences or ():
        if reference.controller:
            return (reference.kind, reference.name)
    return ("", "")


def _claims(pod: core_v1.Pod) -> tuple[tuple[str, bool], ...]:
    found: list[tuple[str, bool]] = []
    for volume in pod.spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            found.append((volume.persistentVolumeClaim.claimName, False))
        elif volume.ephemeral is not None:
            found.append((f"{pod.metadata.name}-{volume.name}", True))
    return tuple(found)


def _host_ports(spec: core_v1.PodSpec) -> tuple[HostPort, ...]:
    restartable = [c for c in spec.initContainers or () if c.restartPolicy == "Always"]
    return tuple(
        HostPort(port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)
        for container in (*spec.containers, *restartable)
        for port in container.ports or ()
        if port.hostPort
    )


def normalized_image(name: str) -> str:
    """The name under which nodes report an image: with `:latest` where it has neither tag nor digest."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"


def _merged(selector: Selector, keys: Iterable[str], labels: Mapping[str, str], operator: str) -> Selector:
    """`selector` and the pod's own values of `keys`; a requirement that is there already is not repeated."""
    if selector.nothing:
        return selector
    extra = [Requirement(key, operator, (labels[key],)) for key in keys if key in labels]
    return Selector((*selector.requirements, *(item for item in extra if item not in selector.requirements)))


def _constraint(constraint: core_v1.TopologySpreadConstraint, labels: Mapping[str, str]) -> SpreadConstraint:
    selector = label_selectors.from_object(constraint.labelSelector)
    return SpreadConstraint(
        topology_key=constraint.topologyKey,
        maximum_skew=constraint.maxSkew,
        hard=constraint.whenUnsatisfiable != "ScheduleAnyway",
        selector=_merged(selector, constraint.matchLabelKeys or (), labels, "In"),
        minimum_domains=constraint.minDomains or 1,
        honor_affinity=(constraint.nodeAffinityPolicy or "Honor") == "Honor",
        honor_taints=(constraint.nodeTaintsPolicy or "Ignore") == "Honor",
    )


def _term(term: core_v1.PodAffinityTerm, namespace: str, labels: Mapping[str, str]) -> AffinityTerm:
    selector = label_selectors.from_object(term.labelSelector)
    selector = _merged(selector, term.matchLabelKeys or (), labels, "In")
    selector = _merged(selector, term.mismatchLabelKeys or (), labels, "NotIn")
    names = frozenset(term.namespaces or ())
    by_selector = None if term.namespaceSelector is None else label_selectors.from_object(term.namespaceSelector)
    if not names and by_selector is None:
        names = frozenset((namespace,))
    return AffinityTerm(term.topologyKey, selector, names, by_selector)


def _terms(
    terms: Sequence[core_v1.PodAffinityTerm] | None, namespace: str, labels: Mapping[str, str]
) -> tuple[AffinityTerm, ...]:
    return tuple(_term(term, namespace, labels) for term in terms or ())


def _weighted(
    terms: Sequence[core_v1.WeightedPodAffinityTerm] | None, namespace: str, labels: Mapping[str, str], sign: int
) -> tuple[tuple[AffinityTerm, int], ...]:
    return tuple((_term(item.podAffinityTerm, namespace, labels), sign * item.weight) for item in terms or ())

"""The running totals of quotas against a naive twin that counts every object at every question."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.apiserver.quota_ledger import Ledger, PendingWrite
from tiphys.apiserver.watch_cache import Collection
from tiphys.kinds import codec, registry
from tiphys.kinds.core import quota_usage
from tiphys.kinds.core.pod_amounts import Amounts, gather
from tiphys.kinds.core.quota_usage import CLAIMS, PODS, Requirement, Scopes, Source
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import timestamps
from tiphys.machinery.quantity import Quantity, parse

NAMESPACES, NAMES = ("a", "b"), ("x", "y", "z")
SCOPES: dict[Source, tuple[Scopes, ...]] = {
    PODS: (
        (),
        (Requirement("BestEffort"),),
        (Requirement("NotTerminating"), Requirement("NotBestEffort")),
        (Requirement("PriorityClass", "NotIn", ("high",)),),
    ),
    CLAIMS: ((), (Requirement("VolumeAttributesClass", "In", ("gold",)),)),
}
SHAPES = 6
START = 1_000_000.0
ACTIONS = (*("begin", "land", "write", "pass", "ask") * 2, "ask", "end", "delete", "anew", "keep", "forget")


def made(source: Source, namespace: str, name: str, shape: int, uid: str, now: float) -> Any:
    """One of SHAPES objects that quotas see differently."""
    meta = meta_v1.ObjectMeta(name=name, namespace=namespace, uid=uid)
    if source == CLAIMS:
        resources = core_v1.VolumeResourceRequirements(requests={"storage": parse(f"{shape + 1}Gi")})
        attributes = "gold" if shape % 2 else None
        claim = core_v1.PersistentVolumeClaimSpec(resources=resources, volumeAttributesClassName=attributes)
        return core_v1.PersistentVolumeClaim(apiVersion="v1", kind="PersistentVolumeClaim", metadata=meta, spec=claim)
    requests = {"cpu": parse(f"{shape}50m"), "memory": parse(f"{shape}Gi")} if shape % 3 else None
    container = core_v1.Container(name="c", resources=core_v1.ResourceRequirements(requests=requests))
    spec = core_v1.PodSpec(
        containers=[container],
        activeDeadlineSeconds=60 if shape == 1 else None,
        priorityClassName="high" if shape > 3 else None,
    )
    if shape in (2, 3):
        meta.deletionTimestamp, meta.deletionGracePeriodSeconds = timestamps.time_of(now + 5), 5
    status = core_v1.PodStatus(phase="Succeeded" if shape == 5 else "Running")
    return core_v1.Pod(apiVersion="v1", kind="Pod", metadata=meta, spec=spec, status=status)


class Game:
    """One collection, the ledger that follows it, and writes under way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.now = START
        self.revision = 10
        self.ledger = Ledger(source)
        self.pending: list[PendingWrite] = []
        self.begin_anew()

    def begin_anew(self) -> None:
        """As when a definition is served anew: another collection with the same objects."""
        resource = registry.find("", "v1", self.source[1])
        assert resource is not None
        previous = getattr(self, "collection", ())
        self.collection = Collection(resource, self.revision, window_events=5)
        for entry in previous:
            self.collection.load(entry.namespace, entry.name, entry.revision, previous.stored(entry))
        self.collection.begin(self.revision)

    def apply(self, obj: Any, deleted: bool = False) -> None:
        self.revision += 1
        obj.metadata.resourceVersion = None
        meta = obj.metadata
        self.collection.apply(meta.namespace, meta.name, self.revision, codec.encode(obj), deleted, obj)

    def step(self, action: str, namespace: str, name: str, shape: int) -> None:
        entry = self.collection.get(namespace, name)
        obj = made(self.source, namespace, name, shape, f"uid-{self.revision}-{len(self.pending)}", self.now)
        if action == "begin":
            self.begin(obj, entry)
        elif action in ("land", "end") and self.pending:
            write = self.pending[shape % len(self.pending)]
            if action == "end":
                self.pending.remove(write)
                self.ledger.end(write)
            elif not write.replaced and self.collection.get(write.namespace, write.name) is None:
                self.apply(codec.copy(write.obj))
        elif action in ("write", "delete") and self.just_landed(entry):
            pass  # a write comes to an end before anybody can change what it wrote
        elif action == "write":
            self.apply(obj)
        elif action == "delete" and entry is not None:
            self.apply(codec.copy(entry.object), deleted=True)
        elif action == "pass":
            self.now += (1, 10, 11)[shape % 3]
        elif action == "anew":
            self.begin_anew()
        elif action == "keep":
            self.ledger.keep(namespace, frozenset(SCOPES[self.source][shape % 2 :]))
        elif action == "forget":
            self.ledger.forget(namespace)
        elif action == "ask":
            self.compare(namespace, SCOPES[self.source][shape % len(SCOPES[self.source])])

    def just_landed(self, entry: Any) -> bool:
        uids = {write.uid for write in self.pending if not write.replaced}
        return entry is not None and entry.object.metadata.uid in uids

    def begin(self, obj: Any, entry: Any) -> None:
        """A create, or a change of what is there."""
        replaced = str(entry.revision) if entry is not None else ""
        more = quota_usage.usage(self.source, obj, self.now)
        meta = obj.metadata
        write = PendingWrite(
            obj=obj, namespace=meta.namespace, name=meta.name, uid=meta.uid, replaced=replaced, more=more
        )
        self.pending.append(write)
        self.ledger.begin(write)

    def compare(self, namespace: str, scopes: Scopes) -> None:
        found = self.ledger.used(self.collection, namespace, scopes, self.now)
        assert {name: amount for name, amount in found.items() if amount} == self.counted(namespace, scopes)

    def counted(self, namespace: str, scopes: Scopes) -> Amounts:
        """The naive twin."""
        total: dict[str, Decimal] = {}
        for entry in self.collection.entries(namespace):
            if quota_usage.in_scopes(scopes, self.source, entry.object):
                gather(total, quota_usage.usage(self.source, entry.object, self.now))
        for write in self.pending:
            landed = write.landed(self.collection.get(namespace, write.name))
            if write.namespace == namespace and not landed and quota_usage.in_scopes(scopes, self.source, write.obj):
                gather(total, write.more)
        return {name: amount for name, amount in total.items() if amount}


steps = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.sampled_from(NAMESPACES),
        st.sampled_from(NAMES),
        st.integers(0, SHAPES - 1),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(st.sampled_from((PODS, CLAIMS)), steps)
def test_the_totals_are_what_counting_everything_finds(source: Source, played: list[tuple[str, str, str, int]]) -> None:
    game = Game(source)
    for step in played:
        game.step(*step)
    for namespace in NAMESPACES:
        for scopes in SCOPES[source]:
            game.compare(namespace, scopes)


amounts = st.dictionaries(st.sampled_from(("cpu", "memory", "example.com/gpu")), st.sampled_from(("1", "250m", "2Gi")))
sides = st.tuples(st.none() | amounts, st.none() | amounts)


@given(st.lists(sides, min_size=1, max_size=3))
def test_what_is_worked_out_once_is_what_the_pod_asks_for(asked: list[tuple[Any, Any]]) -> None:
    def quantities(side: dict[str, str] | None) -> dict[str, Quantity] | None:
        return {name: parse(text) for name, text in side.items()} if side is not None else None

    containers = [
        core_v1.Container(
            resources=core_v1.ResourceRequirements(requests=quantities(requests), limits=quantities(limits))
        )
        for requests, limits in asked
    ]
    plain = core_v1.Pod(spec=core_v1.PodSpec(containers=containers))
    # An init container that asks for nothing changes nothing, but is not worked out once for all.
    thorough = core_v1.Pod(spec=core_v1.PodSpec(containers=containers, initContainers=[core_v1.Container()]))
    assert quota_usage.pod_usage(plain) == quota_usage.pod_usage(thorough)

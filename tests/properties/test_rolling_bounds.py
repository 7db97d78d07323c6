"""Rolling updates under any order of events: the bounds hold at every step, and in the end the rollout is complete."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.controllers.deployment import rolling
from tiphys.kinds.types import apps_v1, meta_v1


class Set:
    """A ReplicaSet with its pods: True for a ready one. The status may lag behind."""

    def __init__(self, name: str, replicas: int, pods: list[bool]) -> None:
        self.name, self.pods = name, pods
        self.object = apps_v1.ReplicaSet(
            metadata=meta_v1.ObjectMeta(name=name, creationTimestamp=f"2026-01-01T00:00:0{name[-1]}Z"),  # type: ignore[arg-type]
            spec=apps_v1.ReplicaSetSpec(replicas=replicas),
        )
        self.report()

    def work(self) -> None:
        """Create what is missing, delete what is too much, not ready ones first."""
        wanted = rolling.size(self.object)
        self.pods.sort(reverse=True)
        del self.pods[wanted:]
        self.pods += [False] * (wanted - len(self.pods))

    def report(self) -> None:
        self.object.status.replicas = len(self.pods)
        self.object.status.availableReplicas = sum(self.pods)


def deployment(replicas: int, surge: int | str, unavailable: int | str) -> apps_v1.Deployment:
    update = apps_v1.RollingUpdateDeployment(maxSurge=surge, maxUnavailable=unavailable)
    strategy = apps_v1.DeploymentStrategy(type="RollingUpdate", rollingUpdate=update)
    return apps_v1.Deployment(spec=apps_v1.DeploymentSpec(replicas=replicas, strategy=strategy))


def roll(owner: apps_v1.Deployment, new: Set, old: list[Set]) -> bool:
    """One step of the Deployment; True when something changed."""
    active = [s.object for s in old if rolling.size(s.object) > 0]
    size = rolling.next_new_size(owner, new.object, active)
    if size != rolling.size(new.object):
        new.object.spec.replicas = size
        return True
    sizes = rolling.next_old_sizes(owner, new.object, active)
    for member in old:
        if member.name in sizes:
            assert 0 <= sizes[member.name] < rolling.size(member.object)
            member.object.spec.replicas = sizes[member.name]
    return bool(sizes)


amounts = st.one_of(st.integers(0, 4), st.sampled_from(("0%", "10%", "25%", "50%", "100%")))
events = st.lists(
    st.tuples(st.sampled_from(("roll", "work", "ready", "broken", "report")), st.integers(0, 30)), max_size=80
)


@settings(max_examples=150)
@given(st.integers(1, 12), amounts, amounts, st.lists(st.integers(0, 6), min_size=1, max_size=3), events)
def test_bounds_hold_and_the_rollout_ends(
    replicas: int, surge: int | str, unavailable: int | str, split: list[int], script: list[tuple[str, int]]
) -> None:
    owner = deployment(replicas, surge, unavailable)
    max_surge, max_unavailable = rolling.surge_and_unavailable(owner)
    assert max_surge + max_unavailable > 0
    old = []
    left = replicas
    for position, part in enumerate(split):
        take = left if position == len(split) - 1 else min(part, left)
        left -= take
        old.append(Set(f"old-{position}", take, [True] * take))
    new = Set("new-9", 0, [])
    everything = [*old, new]

    def total() -> int:
        return sum(rolling.size(s.object) for s in everything)

    def kept() -> int:
        return sum(rolling.available(s.object) for s in everything)

    for action, number in script:
        member = everything[number % len(everything)]
        if action == "roll":
            before = kept()
            roll(owner, new, old)
            assert total() <= replicas + max_surge
            assert kept() >= min(before, replicas - max_unavailable)
        elif action == "work":
            member.work()
        elif action == "report":
            member.report()
        elif member.pods:
            member.pods[number % len(member.pods)] = action == "ready"

    for _ in range(200):
        for member in everything:
            member.work()
            member.pods = [True] * len(member.pods)
            member.report()
        available = sum(sum(s.pods) for s in everything)
        assert available >= replicas - max_unavailable or total() < replicas - max_unavailable
        if not roll(owner, new, old):
            break
    assert [rolling.size(s.object) for s in everything] == [0] * len(old) + [replicas]


@settings(max_examples=150)
@given(st.integers(0, 30), st.integers(0, 30), amounts, st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_proportional_scaling_gives_out_exactly_what_there_is(
    before: int, after: int, surge: int | str, sizes: list[int]
) -> None:
    owner = deployment(after, surge, 0)
    max_surge, _ = rolling.surge_and_unavailable(owner)
    sets = [Set(f"s-{i}", size, []) for i, size in enumerate(sizes)]
    for member in sets:
        member.object.metadata.annotations = {"deployment.kubernetes.io/max-replicas": str(before)}
    owner.status.replicas = sum(sizes)
    found = rolling.proportional_sizes(owner, [s.object for s in sets])
    active = [s for s in sets if rolling.size(s.object) > 0]
    assert set(found) == {s.name for s in active}
    assert all(size >= 0 for size in found.values())
    if active:
        allowed = after + max_surge if after else 0
        assert sum(found.values()) == allowed

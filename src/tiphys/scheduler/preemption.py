"""Making room: which pods of lower priority must go from which node so that a pod fits.

A dry run per node where taking pods away could help: take away all pods of lower priority, and if the pod fits then,
put back as many as possible, those first whose loss would violate a PodDisruptionBudget, then by priority. Among the
nodes wins the one with the fewest violations, then the lowest highest victim, the smallest sum of priorities, the
fewest victims, the victims that started last. The cluster is left as it was found. Carrying it out (deleting,
nominating) is the component's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.kinds.types import policy_v1
from tiphys.machinery import labels as label_selectors
from tiphys.scheduler import messages
from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.cycle import Diagnosis, RandomSource, row_rejection
from tiphys.scheduler.framework import Plugin
from tiphys.scheduler.plugins.table import Entry
from tiphys.scheduler.pods import PodInfo

NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
CANDIDATE_PERCENT = 10
FEWEST_CANDIDATES = 100
PRIORITY_OFFSET = 2**31  # makes every priority positive, so that fewer victims always sum up to less
NEVER_STARTED = "9999-12-31T23:59:59Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node and the pods to take from it, most important first; `violations` of disruption budgets."""

    node_name: str
    victims: tuple[PodInfo, ...]
    violations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """Either the node to promise with its victims, or the message why there is none."""

    chosen: Candidate | None = None
    message: str = ""


@dataclass(slots=True)
class _DryRun:
    candidates: list[Candidate] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1


def preempt(
    table: Sequence[Entry],
    pod: PodInfo,
    diagnosis: Diagnosis,
    cluster: Cluster,
    random: RandomSource,
    *,
    nominated: Mapping[int, Sequence[PodInfo]] | None = None,
) -> Preemption:
    """`diagnosis` is what the cycle of this pod found; `nominated` as in `cycle.ShapeCycle`."""
    if pod.pod.spec.preemptionPolicy == "Never":
        return Preemption(message=messages.not_eligible(NEVER))
    if _waits_for_victims(pod, diagnosis, cluster):
        return Preemption(message=messages.not_eligible(TERMINATING))
    filters = [e.plugin for e in table if e.plugin.filter_scope and e.plugin.applies(pod.shape, cluster)]
    run = _DryRun()
    rows = _promising_rows(diagnosis, cluster, run)
    wanted = max(len(rows) * CANDIDATE_PERCENT // 100, FEWEST_CANDIDATES)
    start = random.randrange(len(rows)) if len(rows) > 1 else 0
    for row in rows[start:] + rows[:start]:
        _try_row(filters, pod, row, cluster, list((nominated or {}).get(row, ())), run)
        if len(run.candidates) >= wanted:
            break
    if not run.candidates:
        return Preemption(message=messages.preemption_failed(diagnosis.node_count, run.reasons))
    return Preemption(chosen=min(run.candidates, key=_preference))


def _waits_for_victims(pod: PodInfo, diagnosis: Diagnosis, cluster: Cluster) -> bool:
    """Whether earlier victims on the promised node are still on their way out."""
    row = cluster.nodes.row_of.get(pod.nominated_node_name)
    if row is None or (diagnosis.hopeless is not None and diagnosis.hopeless[row]):
        return False
    return any(
        other.terminating and other.priority < pod.priority and _was_preempted(other) for other in cluster.pods_of(row)
    )


def _was_preempted(pod: PodInfo) -> bool:
    return any(
        condition.type == "DisruptionTarget"
        and condition.reason == "PreemptionByScheduler"
        and condition.status == "True"
        for condition in pod.pod.status.conditions or ()
    )


def _promising_rows(diagnosis: Diagnosis, cluster: Cluster, run: _DryRun) -> list[int]:
    """The nodes where taking pods away may help; the others are counted."""
    rows = []
    for row in range(cluster.nodes.size):
        if not cluster.nodes.alive[row]:
            continue
        if diagnosis.hopeless is not None and diagnosis.hopeless[row]:
            run.count((messages.NOT_HELPFUL,))
        else:
            rows.append(row)
    return rows


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Most important first: higher priority, then the one that has run for longer."""
    return (-pod.priority, pod.start_time or NEVER_STARTED)


def _try_row(
    filters: Sequence[Plugin], pod: PodInfo, row: int, cluster: Cluster, promised: list[PodInfo], run: _DryRun
) -> None:
    lower = sorted((other for other in cluster.pods_of(row) if other.priority < pod.priority), key=_importance)
    if not lower:
        run.count((messages.NO_VICTIMS,))
        return
    with cluster.with_pods(row, promised, []):
        removed = {victim.uid: victim for victim in lower}
        for victim in lower:
            cluster.recount(row, victim, -1)
        try:
            rejection = row_rejection(filters, pod.shape, cluster, row)
            if rejection is not None:
                run.count(rejection.reasons)
                return
            violating, others = _by_budget(lower, cluster)
            violations = 0
            for victim in (*violating, *others):
                cluster.recount(row, victim, 1)
                del removed[victim.uid]
                if row_rejection(filters, pod.shape, cluster, row) is not None:
                    cluster.recount(row, victim, -1)
                    removed[victim.uid] = victim
                    violations += victim in violating
            victims = tuple(sorted(removed.values(), key=_importance))
            run.candidates.append(Candidate(node_name=cluster.nodes.names[row], victims=victims, violations=violations))
        finally:
            for victim in removed.values():
                cluster.recount(row, victim, 1)


def _by_budget(pods: Sequence[PodInfo], cluster: Cluster) -> tuple[list[PodInfo], list[PodInfo]]:
    """Split pods into those whose loss violates a budget, given that those before them are lost too, and the rest."""
    allowed = {key: budget.status.disruptionsAllowed or 0 for key, budget in cluster.budgets.items()}
    selectors = {key: _selector(budget) for key, budget in cluster.budgets.items()}
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        violates = False
        for key, budget in cluster.budgets.items():
            if key[0] != pod.namespace or not pod.shape.labels or not selectors[key].matches(pod.shape.labels):
                continue
            if pod.name in (budget.status.disruptedPods or {}):
                continue
            allowed[key] -= 1
            violates = violates or allowed[key] < 0
        (violating if violates else others).append(pod)
    return violating, others


def _selector(budget: policy_v1.PodDisruptionBudget) -> label_selectors.Selector:
    """An empty selector of a budget selects nothing here: nobody means all pods to be protected from the scheduler."""
    selector = label_selectors.from_object(budget.spec.selector)
    return label_selectors.NOTHING if selector.empty else selector


def _preference(candidate: Candidate) -> tuple[int, int, int, int, _Latest]:
    """The smallest wins."""
    victims = candidate.victims
    highest = victims[0].priority if victims else -PRIORITY_OFFSET
    most_important = [victim.start_time or NEVER_STARTED for victim in victims if victim.priority == highest]
    return (
        candidate.violations,
        highest,
        sum(victim.priority + PRIORITY_OFFSET for victim in victims),
        len(victims),
        _Latest(min(most_important, default=NEVER_STARTED)),
    )


@dataclass(frozen=True, slots=True)
class _Latest:
    """Orders times so that the latest is the smallest."""

    time: str

    def __lt__(self, other: _Latest) -> bool:
        return self.time > other.time

"""One scheduling cycle: where a pod goes, or why it goes nowhere; and the same for many pods of one shape in one go.

`ShapeCycle` asks every plugin about all nodes once. After each pod that is placed it asks again only what that pod
can have changed (`framework.Scope`), so a batch decides exactly as one cycle per pod would, with the same draws from
the random source. Among nodes of equal score the random source chooses.

Pods that were promised a node (nominated) count on that node for pods of no higher priority: such a node must have
room both with and without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows, one_row
from tiphys.scheduler.framework import Plugin, PreFilter, Rejection, Scope
from tiphys.scheduler.plugins.table import Entry
from tiphys.scheduler.pods import PodInfo, PodShape

NOT_FEASIBLE = -1
SMALLEST_ROUND = 4
ROUND_DEPTH = 4
ROUNDS_SKIPPED = 15


class RandomSource(Protocol):
    """`random.Random` will do."""

    def randrange(self, stop: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class NodeRejection:
    """Why one node was rejected: the first plugin in order that did, with all its reasons."""

    plugin: str
    reasons: tuple[str, ...]
    resolvable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why no node takes a pod. `refusal` is the plugin's and the text when the pod was refused before looking at
    nodes."""

    node_count: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    refusal: str = ""
    plugins: tuple[str, ...] = ()
    """The plugins that rejected anything, in order: what must change before another try is worthwhile."""
    hopeless: Mask | None = None
    """Rows of the table where taking pods away cannot help (rows that are no nodes included)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeExplanation:
    """All about one node: either the rejection, or each plugin's weighted score."""

    node: str
    rejection: NodeRejection | None
    scores: Mapping[str, int]
    total: int


class ShapeCycle:
    """The state of deciding about pods of one shape and one priority. The cluster must change only through `place`."""

    def __init__(
        self,
        table: Sequence[Entry],
        shape: PodShape,
        cluster: Cluster,
        *,
        nominated: Mapping[int, Sequence[PodInfo]] | None = None,
    ) -> None:
        """`nominated`: by row, the waiting pods that count there for this pod (of no lower priority, the pod
        itself left out)."""
        self.shape = shape
        self.cluster = cluster
        self.size = cluster.nodes.size
        self._skip_rounds = 0
        self.everything = slice(0, self.size)
        self.nominated = {row: list(pods) for row, pods in (nominated or {}).items()}
        self.refusal: tuple[str, PreFilter] | None = None
        self.restricting: list[str] = []
        self.allowed = cluster.nodes.alive[: self.size].copy()
        self._pre_filter(table)
        self.filters = [e.plugin for e in table if e.plugin.filter_scope and e.plugin.applies(shape, cluster)]
        self.scorers = [e for e in table if e.plugin.score_scope and e.plugin.scores(shape, cluster)]
        self.rejected: dict[str, list[Rejection]] = {}
        self.feasible: Mask = np.zeros(self.size, dtype=np.bool_)
        self.raw: dict[str, Column] = {}
        self.masked: Column = np.zeros(self.size, dtype=np.int64)
        if self.refusal is None:
            for plugin in self.filters:
                self.rejected[plugin.name] = list(plugin.filter(shape, cluster, self.everything))
            self._find_feasible()
            self._score_all()
        self.looks_elsewhere = any(plugin.filter_scope is Scope.PODS_ANYWHERE for plugin in self.filters) or any(
            entry.plugin.score_scope is Scope.PODS_ANYWHERE for entry in self.scorers
        )

    # Filtering

    def _pre_filter(self, table: Sequence[Entry]) -> None:
        for entry in table:
            verdict = entry.plugin.pre_filter(self.shape, self.cluster)
            if verdict is None:
                continue
            if verdict.refusal:
                self.refusal = (entry.plugin.name, verdict)
                return
            if verdict.node_names is not None:
                self.restricting.append(entry.plugin.name)
                named = np.zeros(self.size, dtype=np.bool_)
                for name in verdict.node_names:
                    row = self.cluster.nodes.row_of.get(name)
                    if row is not None:
                        named[row] = True
                self.allowed &= named

    def _find_feasible(self) -> None:
        feasible = self.allowed.copy()
        for rejections in self.rejected.values():
            for rejection in rejections:
                feasible &= ~rejection.mask
        self.feasible = feasible
        for row in self.nominated:
            if feasible[row] and not self._fits_with_nominated(row):
                feasible[row] = False

    def _fits_with_nominated(self, row: int) -> bool:
        with self.cluster.with_pods(row, self.nominated[row], []):
            return row_rejection(self.filters, self.shape, self.cluster, row) is None

    # Scoring

    def _score_all(self) -> None:
        for entry in self.scorers:
            plugin = entry.plugin
            self.raw[plugin.name] = plugin.score(self.shape, self.cluster, self.everything, self.feasible)
        self._total()

    def _normalized(self, entry: Entry) -> Column:
        raw = self.raw[entry.plugin.name]
        if entry.plugin.normalizes:
            raw = entry.plugin.normalize(self.shape, self.cluster, raw, self.feasible)
        return raw

    def _total(self) -> None:
        """Add up the weighted scores; the part of plugins that look at other nodes is kept for refreshing single
        rows."""
        self.shared: Column = np.zeros(self.size, dtype=np.int64)
        total = np.zeros(self.size, dtype=np.int64)
        self.uneven = False
        for entry in self.scorers:
            if entry.plugin.score_scope is Scope.PODS_ON_NODE:
                total += entry.weight * self.raw[entry.plugin.name]
                continue
            self.shared += entry.weight * self._normalized(entry)
            if entry.plugin.normalizes and self.size:
                raw = self.raw[entry.plugin.name][self.feasible]
                self.uneven = self.uneven or (bool(len(raw)) and int(raw.min()) != int(raw.max()))
        self.masked = np.where(self.feasible, total + self.shared, NOT_FEASIBLE)

    # Placing

    def pick(self, random: RandomSource, nominated_node: str = "") -> int | None:
        """The row for the next pod, or None. A pod that was promised a node gets it if it fits there."""
        if nominated_node:
            row = self.cluster.nodes.row_of.get(nominated_node)
            if row is not None and self.feasible[row]:
                return row
        if not self.size:
            return None
        best = int(self.masked.max())
        if best < 0 or not self.feasible.any():
            return None
        ties = np.flatnonzero(self.masked == best)
        return int(ties[0] if len(ties) == 1 else ties[random.randrange(len(ties))])

    def pick_round(self, random: RandomSource, limit: int) -> list[int]:
        """Rows for up to `limit` pods at once, where it is certain that single picks would take the same; else []."""
        if self.looks_elsewhere or self.nominated or limit < SMALLEST_ROUND or not self.size:
            return []
        if self._skip_rounds:
            self._skip_rounds -= 1
            return []
        best = int(self.masked.max())
        ties = np.flatnonzero(self.masked == best)
        stays = self._stays_best(ties, best) if best >= 0 and len(ties) >= SMALLEST_ROUND else None
        if stays is None:
            self._skip_rounds = ROUNDS_SKIPPED
            return []
        left, room = ties.tolist(), stays.tolist()
        picks: list[int] = []
        while left and len(picks) < limit:
            position = 0 if len(left) == 1 else random.randrange(len(left))
            picks.append(left[position])
            room[position] -= 1
            if room[position] == 0:
                del left[position], room[position]
            elif room[position] == -ROUND_DEPTH:  # what a further pod would do to its score has not been asked
                break
        return picks

    def _stays_best(self, ties: Column, best: int) -> Column | None:
        """How many pods each of the best rows takes until its score has dropped (or it is full); 0 where it has
        not after `ROUND_DEPTH`. None where a pod may make a score rise, or change the scores of other rows."""
        stays = np.zeros(len(ties), dtype=np.int64)
        unknown = np.arange(len(ties))
        for count in range(1, ROUND_DEPTH + 1):
            accepted, scores = self._ask_rows(ties[unknown], placed=count)
            if self.uneven and not accepted.all():
                return None
            if (accepted & (scores > best)).any():
                return None
            dropped = ~accepted | (scores < best)
            stays[unknown[dropped]] = count
            unknown = unknown[~dropped]
            if not len(unknown):
                break
        return stays

    def _ask_rows(self, rows: Column, placed: int = 0) -> tuple[Mask, Column]:
        """Whether the plugins that look at a node's pods accept rows, and the total scores of these."""
        accepted = np.ones(len(rows), dtype=np.bool_)
        for plugin in self.filters:
            if plugin.filter_scope is Scope.PODS_ON_NODE:
                for rejection in plugin.filter(self.shape, self.cluster, rows, placed):
                    accepted &= ~rejection.mask
        total = self.shared[rows]
        for entry in self.scorers:
            if entry.plugin.score_scope is Scope.PODS_ON_NODE:
                total = total + entry.weight * entry.plugin.score(self.shape, self.cluster, rows, self.feasible, placed)
        return accepted, total

    def placed(self, rows: Sequence[int]) -> None:
        """Take note that a pod of this shape was put on each of these rows (the cluster counts it already)."""
        asked = np.array(rows, dtype=np.int64)
        if self.looks_elsewhere or self.nominated:
            self._refresh_everything(asked)
            return
        accepted, total = self._ask_rows(asked)
        if accepted.all() or not self.uneven:
            self.feasible[asked] &= accepted
            self.masked[asked] = np.where(self.feasible[asked], total, NOT_FEASIBLE)
        else:
            self.feasible[asked] &= accepted
            self._refresh_row_scores(asked)
            self._total()

    def _refresh_row_scores(self, rows: Column) -> None:
        for entry in self.scorers:
            if entry.plugin.score_scope is Scope.PODS_ON_NODE:
                self.raw[entry.plugin.name] = entry.plugin.score(
                    self.shape, self.cluster, self.everything, self.feasible
                )

    def _refresh_everything(self, rows: Column) -> None:
        for plugin in self.filters:
            if plugin.filter_scope is not Scope.NODE:
                self.rejected[plugin.name] = list(plugin.filter(self.shape, self.cluster, self.everything))
        self._find_feasible()
        for entry in self.scorers:
            plugin = entry.plugin
            if plugin.score_scope is not Scope.NODE:
                self.raw[plugin.name] = plugin.score(self.shape, self.cluster, self.everything, self.feasible)
        self._total()

    # Explaining

    def diagnosis(self) -> Diagnosis:
        """Why there is no node, counted by reason as clients see it. Asks the plugins anew: the cluster may have
        filled up."""
        table = self.cluster.nodes
        if self.refusal is not None:
            name, verdict = self.refusal
            hopeless = None if verdict.resolvable else np.ones(self.size, dtype=np.bool_)
            return Diagnosis(node_count=table.alive_count, refusal=verdict.refusal, plugins=(name,), hopeless=hopeless)
        reasons: dict[str, int] = {}
        plugins: list[str] = []
        hopeless = ~self.allowed
        left = self.allowed.copy()
        absent = int((table.alive[: self.size] & ~self.allowed).sum())
        if absent:
            reasons[f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(self.restricting))}]"] = absent
        plugins.extend(self.restricting)
        for plugin in self.filters:
            rejections = plugin.filter(self.shape, self.cluster, self.everything)
            if self._count_reasons(rejections, left, reasons, hopeless):
                plugins.append(plugin.name)
        for row in [row for row in self.nominated if left[row]]:
            self._count_nominated(row, reasons, plugins)
        return Diagnosis(
            node_count=table.alive_count, reasons=reasons, plugins=tuple(dict.fromkeys(plugins)), hopeless=hopeless
        )

    def _count_reasons(
        self, rejections: Sequence[Rejection], left: Mask, reasons: dict[str, int], hopeless: Mask
    ) -> bool:
        """Count one plugin's rejections among the rows that are left, and take these out. Whether there were any."""
        gone = np.zeros(self.size, dtype=np.bool_)
        for rejection in rejections:
            hit = rejection.mask & left
            number = int(hit.sum())
            if number:
                reasons[rejection.reason] = reasons.get(rejection.reason, 0) + number
                gone |= hit
                if not rejection.resolvable:
                    hopeless |= hit
        left &= ~gone
        return bool(gone.any())

    def _count_nominated(self, row: int, reasons: dict[str, int], plugins: list[str]) -> None:
        with self.cluster.with_pods(row, self.nominated[row], []):
            found = row_rejection(self.filters, self.shape, self.cluster, row)
        if found is not None:
            plugins.append(found.plugin)
            for reason in found.reasons:
                reasons[reason] = reasons.get(reason, 0) + 1

    def explain(self) -> list[NodeExplanation]:
        """Every node with its rejection or its weighted scores, in the order of the rows."""
        weighted = {entry.plugin.name: entry.weight * self._normalized(entry) for entry in self.scorers if self.raw}
        found = []
        for row, name in enumerate(self.cluster.nodes.names):
            if not self.cluster.nodes.alive[row]:
                continue
            rejection = self._rejection_of(row)
            scores = {} if rejection else {plugin: int(column[row]) for plugin, column in weighted.items()}
            found.append(NodeExplanation(node=name, rejection=rejection, scores=scores, total=sum(scores.values())))
        return found

    def _rejection_of(self, row: int) -> NodeRejection | None:
        if self.refusal is not None:
            name, verdict = self.refusal
            return NodeRejection(name, (verdict.refusal,), verdict.resolvable)
        if not self.allowed[row]:
            text = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(self.restricting))}]"
            return NodeRejection(self.restricting[0], (text,), False)
        found = row_rejection(self.filters, self.shape, self.cluster, row)
        if found is None and row in self.nominated:
            with self.cluster.with_pods(row, self.nominated[row], []):
                found = row_rejection(self.filters, self.shape, self.cluster, row)
        return found


def row_rejection(filters: Sequence[Plugin], shape: PodShape, cluster: Cluster, row: int) -> NodeRejection | None:
    """Why one row is rejected as the cluster is now, or None when it is accepted."""
    rows: Rows = one_row(row)
    for plugin in filters:
        hits = [found for found in plugin.filter(shape, cluster, rows) if found.mask[0]]
        if hits:
            return NodeRejection(
                plugin.name, tuple(found.reason for found in hits), all(found.resolvable for found in hits)
            )
    return None

"""How many pods a selector matches on each node, kept as columns that are updated with every pod.

Pods are held by label group (same namespace, same labels), so a new question costs one match per group and later
changes cost one addition. Two kinds of question: pods that match a conjunction of terms (`PodQuery`), and terms that
pods themselves carry (`CarriedTerm`: the anti-affinity of pods that run already works against those to come). Which
node means which row is the caller's business; rows of removed nodes are cleared with `clear_row`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tiphys.machinery.labels import Selector
from tiphys.scheduler.columns import Column, grown
from tiphys.scheduler.pods import AffinityTerm, LabelGroup, PodInfo, PodShape

QUERY_LIMIT = 512


@dataclass(frozen=True, slots=True)
class PodQuery:
    """Pods that every part matches: a part is a set of namespaces (None: all) and a selector."""

    parts: tuple[tuple[frozenset[str] | None, Selector], ...]
    terminating_too: bool = True

    def matches(self, group: LabelGroup) -> bool:
        return all(
            (namespaces is None or group.namespace in namespaces) and selector.matches(group.labels)
            for namespaces, selector in self.parts
        )


@dataclass(frozen=True, slots=True)
class CarriedTerm:
    """A term of pods that are on nodes. `weight` is 0 for required terms, negative for preferred anti-affinity."""

    kind: Literal["affinity", "anti_affinity", "preferred"]
    term: AffinityTerm
    weight: int = 0


@dataclass(slots=True)
class _GroupCount:
    """Pods per row in one label group; those being deleted are part of `all_pods` only."""

    all_pods: dict[int, int] = field(default_factory=dict)
    living: dict[int, int] = field(default_factory=dict)


class PodCounts:
    """The counts of all pods that are on a node of the table."""

    def __init__(self, capacity: int = 64) -> None:
        self.capacity = capacity
        self._groups: dict[LabelGroup, _GroupCount] = {}
        self._queries: OrderedDict[PodQuery, Column] = OrderedDict()
        self._columns_of: dict[LabelGroup, tuple[list[Column], list[Column]]] = {}
        self.carried: dict[CarriedTerm, Column] = {}

    def count(self, pod: PodInfo, row: int, sign: int) -> None:
        """Add (1) or take away (-1) a pod on a row."""
        self._ensure(row)
        shape = pod.shape
        group = self._groups.get(shape.group)
        if group is None:
            group = self._groups[shape.group] = _GroupCount()
        _bump(group.all_pods, row, sign)
        if not pod.terminating:
            _bump(group.living, row, sign)
        every, living = self._matching(shape.group)
        for column in every:
            column[row] += sign
        if not pod.terminating:
            for column in living:
                column[row] += sign
        if not group.all_pods:
            del self._groups[shape.group]
            self._columns_of.pop(shape.group, None)
        if shape.anti_affinity or shape.affinity or shape.preferred_affinity:
            self._count_carried(shape, row, sign)

    def _count_carried(self, shape: PodShape, row: int, sign: int) -> None:
        for carried in carried_terms(shape):
            column = self.carried.get(carried)
            if column is None:
                column = self.carried[carried] = np.zeros(self.capacity, dtype=np.int64)
            column[row] += sign
            if sign < 0 and not column.any():
                del self.carried[carried]

    def _matching(self, group: LabelGroup) -> tuple[list[Column], list[Column]]:
        """The columns of the queries that match a group: those that count all its pods, and those that count the
        living."""
        found = self._columns_of.get(group)
        if found is None:
            matching = [(query, column) for query, column in self._queries.items() if query.matches(group)]
            found = self._columns_of[group] = (
                [column for query, column in matching if query.terminating_too],
                [column for query, column in matching if not query.terminating_too],
            )
        return found

    def column(self, query: PodQuery) -> Column:
        """The number of matching pods per row. The array is the live one: read it, never change it."""
        found = self._queries.get(query)
        if found is not None:
            self._queries.move_to_end(query)
            return found
        found = np.zeros(self.capacity, dtype=np.int64)
        for group, count in self._groups.items():
            if query.matches(group):
                for row, number in (count.all_pods if query.terminating_too else count.living).items():
                    found[row] += number
        self._queries[query] = found
        if len(self._queries) > QUERY_LIMIT:
            self._queries.popitem(last=False)
        self._columns_of.clear()
        return found

    def clear_row(self, row: int) -> None:
        """Forget all pods of a row (its node is gone)."""
        for group in list(self._groups):
            count = self._groups[group]
            count.all_pods.pop(row, None)
            count.living.pop(row, None)
            if not count.all_pods:
                del self._groups[group]
                self._columns_of.pop(group, None)
        for column in (*self._queries.values(), *self.carried.values()):
            if row < len(column):
                column[row] = 0
        self.carried = {carried: column for carried, column in self.carried.items() if column.any()}

    def _ensure(self, row: int) -> None:
        if row < self.capacity:
            return
        self.grow(max(self.capacity * 2, row + 1))

    def grow(self, capacity: int) -> None:
        """Columns must be at least as long as the node table's."""
        if capacity <= self.capacity:
            return
        self.capacity = capacity
        self._queries = OrderedDict((query, grown(column, capacity)) for query, column in self._queries.items())
        self.carried = {carried: grown(column, capacity) for carried, column in self.carried.items()}
        self._columns_of.clear()


def _bump(counts: dict[int, int], row: int, sign: int) -> None:
    number = counts.get(row, 0) + sign
    if number:
        counts[row] = number
    else:
        counts.pop(row, None)


def carried_terms(shape: PodShape) -> list[CarriedTerm]:
    """The terms that pods of a shape carry."""
    return [
        *(CarriedTerm("anti_affinity", term) for term in shape.anti_affinity),
        *(CarriedTerm("affinity", term) for term in shape.affinity),
        *(CarriedTerm("preferred", term, weight) for term, weight in shape.preferred_affinity),
    ]


def namespaces_of(term: AffinityTerm, namespaces: Mapping[str, Mapping[str, str]]) -> frozenset[str] | None:
    """The namespaces a term means now; None for all of them."""
    if term.namespace_selector is None:
        return term.namespaces
    if term.namespace_selector.empty:
        return None
    return term.namespaces | {name for name, labels in namespaces.items() if term.namespace_selector.matches(labels)}

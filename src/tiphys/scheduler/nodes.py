"""The nodes as columns: what each offers, what is taken, its labels, taints, ports and images.

A node has a row for as long as it exists; rows of removed nodes are reused. All columns are as long as `capacity`;
only the rows below `size` have ever been used, and `alive` says which of these are nodes now. Pods are known by node
name and may come before their node does: they are counted as soon as the node is there. Label columns are made for
the keys that somebody asks about.

Invariants: `requested`, `scored`, `pod_count` and `ports` of a row are the sums over the pods of that node, and
nothing else. What pods match which selectors is counted in `counting.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tiphys.kinds.types import core_v1
from tiphys.scheduler.columns import Column, Mask, Rows, grown
from tiphys.scheduler.pods import HostPort, PodInfo, PodShape, normalized_image
from tiphys.scheduler.requests import CPU, MEMORY, PODS, amount

ANY_ADDRESS = "0.0.0.0"


@dataclass(slots=True)
class LabelColumn:
    """The values of one label: `ids` per row point into `values`, -1 where the node lacks the label."""

    ids: Column
    values: list[str] = field(default_factory=list)
    id_of: dict[str, int] = field(default_factory=dict)

    def intern(self, value: str) -> int:
        found = self.id_of.get(value)
        if found is None:
            found = self.id_of[value] = len(self.values)
            self.values.append(value)
        return found


class NodeTable:
    """Columns over nodes. Rows stay the same while a node lives; see the module's invariants."""

    def __init__(self, capacity: int = 64) -> None:
        self.capacity = capacity
        self.size = 0
        self.alive_count = 0
        self.names: list[str] = []
        self.nodes: list[core_v1.Node | None] = []
        self.row_of: dict[str, int] = {}
        self.free: list[int] = []
        self.resources: dict[str, int] = {CPU: 0, MEMORY: 1}
        self.alive: Mask = np.zeros(capacity, dtype=np.bool_)
        self.unschedulable: Mask = np.zeros(capacity, dtype=np.bool_)
        self.allocatable: Column = np.zeros((2, capacity), dtype=np.int64)
        self.requested: Column = np.zeros((2, capacity), dtype=np.int64)
        self.scored: Column = np.zeros((2, capacity), dtype=np.int64)
        self.pod_count: Column = np.zeros(capacity, dtype=np.int64)
        self.allowed_pods: Column = np.zeros(capacity, dtype=np.int64)
        self.taint_set: Column = np.zeros(capacity, dtype=np.int64)
        self.taint_sets: list[tuple[core_v1.Taint, ...]] = [()]
        self._taint_set_of: dict[tuple[tuple[str, str, str], ...], int] = {(): 0}
        self._labels: dict[str, LabelColumn] = {}
        self.images: dict[str, dict[int, int]] = {}
        self.ports: dict[tuple[str, int], dict[int, list[str]]] = {}
        self._vectors: dict[PodShape, Column] = {}

    @property
    def rows(self) -> slice:
        """All rows in use, removed nodes included."""
        return slice(0, self.size)

    # Nodes

    def set_node(self, node: core_v1.Node) -> int:
        """Add a node or replace what is known of it; the new row of a node has no pods. Returns its row."""
        name = node.metadata.name or ""
        row = self.row_of.get(name)
        if row is None:
            row = self._new_row(name)
        previous = self.nodes[row]
        self.nodes[row] = node
        self.unschedulable[row] = bool(node.spec.unschedulable)
        self._set_allocatable(row, node)
        self._set_taints(row, node.spec.taints or ())
        labels = node.metadata.labels or {}
        if previous is None or previous.metadata.labels != node.metadata.labels:
            for key, column in self._labels.items():
                value = labels.get(key)
                column.ids[row] = -1 if value is None else column.intern(value)
        self._set_images(row, previous, node)
        return row

    def remove_node(self, name: str) -> int | None:
        """Forget a node; its row may be given to another. Returns the row it had."""
        row = self.row_of.pop(name, None)
        if row is None:
            return None
        self._set_images(row, self.nodes[row], None)
        self.nodes[row] = None
        self.names[row] = ""
        self.alive[row] = False
        self.alive_count -= 1
        for column in (self.allocatable, self.requested, self.scored):
            column[:, row] = 0
        self.pod_count[row] = self.allowed_pods[row] = self.taint_set[row] = 0
        for label in self._labels.values():
            label.ids[row] = -1
        for taken in self.ports.values():
            taken.pop(row, None)
        self.free.append(row)
        return row

    def _new_row(self, name: str) -> int:
        if self.free:
            row = self.free.pop()
            self.names[row] = name
        else:
            row = self.size
            self.size += 1
            self.names.append(name)
            self.nodes.append(None)
            if row >= self.capacity:
                self._grow(self.capacity * 2)
        self.row_of[name] = row
        self.alive[row] = True
        self.alive_count += 1
        return row

    def _grow(self, capacity: int) -> None:
        self.capacity = capacity
        self.alive, self.unschedulable = grown(self.alive, capacity), grown(self.unschedulable, capacity)
        self.allocatable, self.requested = grown(self.allocatable, capacity), grown(self.requested, capacity)
        self.scored, self.taint_set = grown(self.scored, capacity), grown(self.taint_set, capacity)
        self.pod_count, self.allowed_pods = grown(self.pod_count, capacity), grown(self.allowed_pods, capacity)
        for column in self._labels.values():
            column.ids = grown(column.ids, capacity, -1)

    def _resource(self, name: str) -> int:
        found = self.resources.get(name)
        if found is None:
            found = self.resources[name] = len(self.resources)
            empty = np.zeros((1, self.capacity), dtype=np.int64)
            self.allocatable = np.concatenate([self.allocatable, empty])
            self.requested = np.concatenate([self.requested, empty])
            self._vectors.clear()
        return found

    def _set_allocatable(self, row: int, node: core_v1.Node) -> None:
        quantities = node.status.allocatable or node.status.capacity or {}
        self.allocatable[:, row] = 0
        for resource, quantity in quantities.items():
            if resource != PODS:
                index = self._resource(resource)  # may replace the array
                self.allocatable[index, row] = amount(resource, quantity)
        pods = quantities.get(PODS)
        self.allowed_pods[row] = pods.value if pods is not None else 0

    def _set_taints(self, row: int, taints: Iterable[core_v1.Taint]) -> None:
        ordered = tuple(taints)
        key = tuple((taint.key, taint.value or "", taint.effect) for taint in ordered)
        found = self._taint_set_of.get(key)
        if found is None:
            found = self._taint_set_of[key] = len(self.taint_sets)
            self.taint_sets.append(ordered)
        self.taint_set[row] = found

    def _set_images(self, row: int, previous: core_v1.Node | None, node: core_v1.Node | None) -> None:
        before = previous.status.images if previous is not None else None
        after = node.status.images if node is not None else None
        if before == after:
            return
        for image in before or ():
            for name in image.names or ():
                holders = self.images.get(normalized_image(name), {})
                holders.pop(row, None)
                if not holders:
                    self.images.pop(normalized_image(name), None)
        for image in after or ():
            for name in image.names or ():
                self.images.setdefault(normalized_image(name), {})[row] = image.sizeBytes or 0

    def label(self, key: str) -> LabelColumn:
        """The values of a label over all rows; kept up to date from the first question on."""
        column = self._labels.get(key)
        if column is None:
            column = LabelColumn(np.full(self.capacity, -1, dtype=np.int64))
            for row, node in enumerate(self.nodes):
                value = (node.metadata.labels or {}).get(key) if node is not None else None
                if value is not None:
                    column.ids[row] = column.intern(value)
            self._labels[key] = column
        return column

    def labels_of(self, row: int) -> Mapping[str, str]:
        node = self.nodes[row]
        return (node.metadata.labels or {}) if node is not None else {}

    # Pods

    def vector(self, shape: PodShape) -> Column:
        """What a shape asks for, one entry per resource column."""
        found = self._vectors.get(shape)
        if found is None:
            columns = {self._resource(resource): value for resource, value in shape.requests.amounts.items()}
            found = np.zeros(len(self.resources), dtype=np.int64)
            for index, value in columns.items():
                found[index] = value
            if len(self._vectors) > 4096:
                self._vectors.clear()
            self._vectors[shape] = found
        return found

    def count(self, pod: PodInfo, row: int, sign: int) -> None:
        """Add (1) or take away (-1) a pod's share of a row."""
        vector = self.vector(pod.shape)  # may replace the array
        self.requested[:, row] += sign * vector
        self.scored[0, row] += sign * pod.shape.requests.scored_milli_cpu
        self.scored[1, row] += sign * pod.shape.requests.scored_memory_bytes
        self.pod_count[row] += sign
        for port in pod.shape.host_ports:
            addresses = self.ports.setdefault((port.protocol, port.port), {}).setdefault(row, [])
            if sign > 0:
                addresses.append(port.address)
            else:
                addresses.remove(port.address)
                self._drop_empty(port, row)

    def _drop_empty(self, port: HostPort, row: int) -> None:
        taken = self.ports[(port.protocol, port.port)]
        if not taken[row]:
            del taken[row]
        if not taken:
            del self.ports[(port.protocol, port.port)]

    def rows_with_port(self, port: HostPort) -> list[int]:
        """The rows where the port is taken; 0.0.0.0 conflicts with every address."""
        return [
            row
            for row, addresses in self.ports.get((port.protocol, port.port), {}).items()
            if port.address == ANY_ADDRESS or ANY_ADDRESS in addresses or port.address in addresses
        ]


def mask_of(table: NodeTable, rows: Rows, marked: Iterable[int]) -> Mask:
    """A mask over `rows` that is true for the row numbers in `marked`."""
    full = np.zeros(table.size, dtype=np.bool_)
    for row in marked:
        full[row] = True
    return full[rows]


def width(table: NodeTable, rows: Rows) -> int:
    """How many rows are meant."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(table.size)
        return max(0, stop - start)
    return int(math.prod(rows.shape))

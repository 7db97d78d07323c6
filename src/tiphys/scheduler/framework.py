"""What a scheduling plugin is: it filters and scores whole columns of nodes for one pod shape.

A plugin is pure and keeps nothing between calls. It declares on what its answer for a node depends (`Scope`), so that
a batch of pods of one shape asks again only where a placed pod can have changed the answer:

- NODE: on the node object alone; asked once.
- PODS_ON_NODE: also on the pods of that node; asked again for the row that got a pod.
- PODS_ANYWHERE: also on pods elsewhere; asked again for all rows (if the plugin `applies` to the shape at all).

Reasons are the texts clients see in `FailedScheduling`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.pods import PodShape

MAXIMUM_SCORE = 100


class Scope(enum.Enum):
    NODE = "node"
    PODS_ON_NODE = "pods on node"
    PODS_ANYWHERE = "pods anywhere"


@dataclass(frozen=True, slots=True, eq=False)
class Rejection:
    """The rows (`mask`, over the rows asked about) that a plugin rejects for one reason. `resolvable`: taking pods
    away could help, so preemption may try; where a row has several rejections, one that is not resolvable decides."""

    reason: str
    mask: Mask
    resolvable: bool = True


@dataclass(frozen=True, slots=True)
class PreFilter:
    """A verdict about the pod before any node is looked at: `refusal` fits no node whatever; `node_names` leaves
    only these."""

    refusal: str = ""
    resolvable: bool = False
    node_names: frozenset[str] | None = None


class EventKind(enum.Enum):
    """What happened in the cluster, in the terms that decide whether it could help a pod."""

    NODE_ADD = "NodeAdd"
    NODE_UPDATE = "NodeUpdate"
    NODE_DELETE = "NodeDelete"
    POD_ADD = "AssignedPodAdd"
    POD_UPDATE = "AssignedPodUpdate"
    POD_DELETE = "AssignedPodDelete"
    CLAIM_CHANGE = "PersistentVolumeClaimChange"
    VOLUME_CHANGE = "PersistentVolumeChange"
    CLASS_CHANGE = "StorageClassChange"
    NAMESPACE_CHANGE = "NamespaceChange"


@dataclass(frozen=True, slots=True, eq=False)
class ClusterEvent:
    """`old` and `new` are nodes for NODE_*, PodInfos for POD_*, and the objects themselves for the rest; None
    where absent."""

    kind: EventKind
    old: Any = None
    new: Any = None


class Plugin:
    """The base of all plugins: accepts every node and scores nothing. Subclasses override what they decide."""

    name: ClassVar[str]
    filter_scope: ClassVar[Scope | None] = None
    score_scope: ClassVar[Scope | None] = None
    normalizes: ClassVar[bool] = False
    """Whether `normalize` looks at other nodes than the row itself."""
    wakes_on: ClassVar[frozenset[EventKind]] = frozenset()

    def pre_filter(self, shape: PodShape, cluster: Cluster) -> PreFilter | None:
        """None when there is nothing to say before looking at nodes."""
        return None

    def applies(self, shape: PodShape, cluster: Cluster) -> bool:
        """Whether `filter` could reject anything. Must not change while a batch of this shape is placed."""
        return True

    def filter(self, shape: PodShape, cluster: Cluster, rows: Rows, placed: int = 0) -> Sequence[Rejection]:
        """Rejections among `rows`, as if `placed` more pods of the shape were on each of them already."""
        return ()

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        """Whether `score` could tell nodes apart. Must not change while a batch of this shape is placed."""
        return True

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        """A raw score per row. `feasible` is over all rows of the table: the nodes that are still in question."""
        raise NotImplementedError

    def normalize(self, shape: PodShape, cluster: Cluster, raw: Column, feasible: Mask) -> Column:
        """Scores from 0 to 100 over all rows; what is said of rows that are not feasible is of no account."""
        return raw

    def may_help(self, event: ClusterEvent, shape: PodShape, cluster: Cluster) -> bool:
        """Whether an event of one of the kinds in `wakes_on` could make a node acceptable to this plugin."""
        return True


def scaled_to_maximum(raw: Column, feasible: Mask, *, reverse: bool = False) -> Column:
    """Scores so that the highest feasible one becomes 100; reversed, the lowest raw score is the best."""
    highest = int(raw[feasible].max()) if feasible.any() else 0
    if highest == 0:
        return np.full_like(raw, MAXIMUM_SCORE if reverse else 0)
    scaled = raw * MAXIMUM_SCORE // highest
    return MAXIMUM_SCORE - scaled if reverse else scaled

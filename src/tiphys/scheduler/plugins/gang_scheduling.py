"""GangScheduling: refuses pods of a group. Deciding about all pods of a group at once is not done here, and a part
of a group would hold what the whole needs."""

from __future__ import annotations

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.framework import Plugin, PreFilter
from tiphys.scheduler.pods import PodShape

REASON = "pod groups (spec.schedulingGroup) are not supported by this scheduler"


class GangScheduling(Plugin):
    name = "GangScheduling"

    def pre_filter(self, shape: PodShape, cluster: Cluster) -> PreFilter | None:
        return PreFilter(refusal=REASON) if shape.in_group else None

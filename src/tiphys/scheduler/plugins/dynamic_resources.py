"""DynamicResources: refuses pods with resource claims. Allocating devices is not done here, and running such a pod
without them would be wrong."""

from __future__ import annotations

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.framework import Plugin, PreFilter
from tiphys.scheduler.pods import PodShape

REASON = "dynamic resource allocation (spec.resourceClaims) is not supported by this scheduler"


class DynamicResources(Plugin):
    name = "DynamicResources"

    def pre_filter(self, shape: PodShape, cluster: Cluster) -> PreFilter | None:
        return PreFilter(refusal=REASON) if shape.wants_devices else None

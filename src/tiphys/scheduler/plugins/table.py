"""The plugins of the default scheduler, in the order in which they filter, with the weights of their scores.

The table is the whole configuration: a profile may disable plugins or change weights by name (see `config.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.scheduler.framework import Plugin
from tiphys.scheduler.plugins.dynamic_resources import DynamicResources
from tiphys.scheduler.plugins.gang_scheduling import GangScheduling
from tiphys.scheduler.plugins.image_locality import ImageLocality
from tiphys.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from tiphys.scheduler.plugins.node_affinity import NodeAffinity
from tiphys.scheduler.plugins.node_declared_features import NodeDeclaredFeatures
from tiphys.scheduler.plugins.node_name import NodeName
from tiphys.scheduler.plugins.node_ports import NodePorts
from tiphys.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from tiphys.scheduler.plugins.node_resources_fit import NodeResourcesFit
from tiphys.scheduler.plugins.node_unschedulable import NodeUnschedulable
from tiphys.scheduler.plugins.pod_topology_spread import PodTopologySpread
from tiphys.scheduler.plugins.taint_toleration import TaintToleration
from tiphys.scheduler.plugins.volume_binding import VolumeBinding
from tiphys.scheduler.plugins.volume_restrictions import VolumeRestrictions
from tiphys.scheduler.plugins.volume_zone import VolumeZone


@dataclass(frozen=True, slots=True)
class Entry:
    """A plugin and the weight of its score (of no account for plugins that do not score)."""

    plugin: Plugin
    weight: int = 1


DEFAULT_PLUGINS: tuple[Entry, ...] = (
    Entry(GangScheduling()),
    Entry(DynamicResources()),
    Entry(NodeDeclaredFeatures()),
    Entry(NodeUnschedulable()),
    Entry(NodeName()),
    Entry(TaintToleration(), 3),
    Entry(NodeAffinity(), 2),
    Entry(NodePorts()),
    Entry(NodeResourcesFit(), 1),
    Entry(VolumeRestrictions()),
    Entry(VolumeBinding()),
    Entry(VolumeZone()),
    Entry(PodTopologySpread(), 2),
    Entry(InterPodAffinity(), 2),
    Entry(NodeResourcesBalancedAllocation(), 1),
    Entry(ImageLocality(), 1),
)

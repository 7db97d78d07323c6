"""What earlier statuses say about a pod: restarts that the runtime may have forgotten, and what others have written.

The kubelet owns the pod's status but for some fields and all conditions of foreign types; those of the object win.
"""

from __future__ import annotations

import msgspec

from tiphys.kinds.types import core_v1
from tiphys.kubelet.pod_status import OWN_CONDITIONS


def known_restarts(shown: core_v1.PodStatus) -> dict[str, int]:
    """Reported restart counts by container name. A container that never began has none."""
    found: dict[str, int] = {}
    groups = (shown.initContainerStatuses, shown.containerStatuses, shown.ephemeralContainerStatuses)
    for each in (entry for group in groups for entry in group or ()):
        if each.containerID:
            found[each.name] = each.restartCount
    return found


def with_foreign_changes(own: core_v1.PodStatus, shown: core_v1.PodStatus) -> core_v1.PodStatus:
    """The kubelet's own last status, with what others have written to the object's since."""
    ours = {each.type for each in own.conditions or ()}
    foreign = [each for each in shown.conditions or () if each.type not in ours]
    theirs = {each.type: each for each in shown.conditions or ()}
    kept = [each if each.type in OWN_CONDITIONS else theirs.get(each.type) for each in own.conditions or ()]
    return msgspec.structs.replace(
        own,
        conditions=[*(each for each in kept if each is not None), *foreign],
        resize=shown.resize,
        nominatedNodeName=shown.nominatedNodeName,
        resourceClaimStatuses=shown.resourceClaimStatuses,
    )

"""Objects that are stored although nothing acts on them yet: their creators are told so, by a warning with every write.

A kind leaves this list when its controller or its part of the API server exists.
"""

from __future__ import annotations

from collections.abc import Callable

WEBHOOKS = "this server does not call admission webhooks yet: the configuration is stored, but has no effect"
POLICIES = "this server does not evaluate admission policies yet: the object is stored, but has no effect"
AGGREGATION = "this server does not pass requests on to extension API servers yet: the APIService has no effect"
NETWORK_POLICIES = "this cluster's network does not enforce NetworkPolicies: the object is stored, but has no effect"
AUTOSCALING = "no controller of this cluster scales by metrics yet: the object is stored, but has no effect"
FAIRNESS = "this server serves requests as they come, of whatever flow: the object is stored, but has no effect"
STORAGE_DRIVERS = "this cluster's kubelets do not mount volumes of CSI drivers yet: the object has no effect on them"
STORAGE_CAPACITY = (
    "this server's scheduler does not look at storage capacity yet: the object is stored, but has no effect"
)
ELECTION = "this server elects no leaders: the field is stored, but has no effect"
POD_GROUPS = "this server's Jobs do not schedule their pods as a group: the field is stored, but has no effect"
DEVICES = "no scheduler of this cluster allocates devices yet: the object is stored, but has no effect"


def warned(text: str) -> Callable[..., list[str]]:
    """A strategy's `warnings` hook."""
    return lambda *_: [text]

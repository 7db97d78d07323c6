"""ReplicationControllers: the older form of ReplicaSets, with the same behaviour (`replica_count.py`)."""

from __future__ import annotations

from tiphys.controllers import replica_count
from tiphys.controllers.claims import adopt_if_alive, claimant_keys
from tiphys.controllers.controller import Controller, Watch, controller_index, own_key
from tiphys.kinds.types import core_v1

BEHAVIOR = replica_count.Behavior(kind=core_v1.ReplicationController, condition=core_v1.ReplicationControllerCondition)

CONTROLLER = Controller(
    name="replication",
    identity="system:serviceaccount:kube-system:replication-controller",
    source="replication-controller",
    reconcile=BEHAVIOR.reconcile,
    after_failure=BEHAVIOR.after_failure,
    answered=adopt_if_alive(core_v1.ReplicationController),
    watches=(
        Watch(kind=core_v1.ReplicationController, keys=own_key),
        Watch(kind=core_v1.Pod, keys=claimant_keys(core_v1.ReplicationController)),
    ),
    indexes=(controller_index(core_v1.Pod), controller_index(core_v1.ReplicationController)),
)

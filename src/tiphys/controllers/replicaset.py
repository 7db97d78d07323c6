"""ReplicaSets: as many active pods as wanted, the least valuable deleted first; the status says what is there.

ReplicationControllers behave the same way: `replica_count.py` holds what both share.
Specified in "ReplicaSet" and "Pod deletion cost".
"""

from __future__ import annotations

from tiphys.controllers import replica_count
from tiphys.controllers.claims import adopt_if_alive, claimant_keys
from tiphys.controllers.controller import Controller, Watch, controller_index, own_key
from tiphys.kinds.types import apps_v1, core_v1

BEHAVIOR = replica_count.Behavior(kind=apps_v1.ReplicaSet, condition=apps_v1.ReplicaSetCondition)

CONTROLLER = Controller(
    name="replicaset",
    reconcile=BEHAVIOR.reconcile,
    after_failure=BEHAVIOR.after_failure,
    answered=adopt_if_alive(apps_v1.ReplicaSet),
    watches=(
        Watch(kind=apps_v1.ReplicaSet, keys=own_key),
        Watch(kind=core_v1.Pod, keys=claimant_keys(apps_v1.ReplicaSet)),
    ),
    indexes=(controller_index(core_v1.Pod), controller_index(apps_v1.ReplicaSet)),
)

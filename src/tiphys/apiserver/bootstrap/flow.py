"""How requests are shared out among their senders on a new cluster: flow schemas and priority levels.

The mandatory ones (exempt, catch-all) and the suggested ones, with the numbers that operators know.
"""

from __future__ import annotations

from typing import Any

from tiphys.kinds.flowcontrol import mandatory
from tiphys.kinds.types.flowcontrol_v1 import (
    FlowDistinguisherMethod,
    FlowSchema,
    FlowSchemaSpec,
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationReference,
    PriorityLevelConfigurationSpec,
    QueuingConfiguration,
    ResourcePolicyRule,
    ServiceAccountSubject,
    Subject,
    UserSubject,
)
from tiphys.kinds.types.meta_v1 import ObjectMeta

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"

# Name: shares, lendable percent, and (queues, hand size, queue length).
_LIMITED = {
    "node-high": (40, 25, (64, 6, 50)),
    "system": (30, 33, (64, 6, 50)),
    "leader-election": (10, 0, (16, 4, 50)),
    "workload-high": (40, 50, (128, 6, 50)),
    "workload-low": (100, 90, (128, 6, 50)),
    "global-default": (20, 50, (128, 6, 50)),
}


def wanted_flow() -> list[Any]:
    """Every priority level, then every flow schema."""
    return [*_levels(), *_schemas()]


def _metadata(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, annotations={AUTOUPDATE: "true"})


def _levels() -> list[PriorityLevelConfiguration]:
    specs = dict(mandatory.LEVELS)
    for name, (shares, lendable, (queues, hand_size, length)) in _LIMITED.items():
        queuing = QueuingConfiguration(queues=queues, handSize=hand_size, queueLengthLimit=length)
        limited = LimitedPriorityLevelConfiguration(
            nominalConcurrencyShares=shares,
            lendablePercent=lendable,
            limitResponse=LimitResponse(type="Queue", queuing=queuing),
        )
        specs[name] = PriorityLevelConfigurationSpec(type="Limited", limited=limited)
    return [PriorityLevelConfiguration(metadata=_metadata(name), spec=spec) for name, spec in specs.items()]


def _groups(*names: str) -> list[Subject]:
    return mandatory.of_groups(names)


def _user(name: str) -> list[Subject]:
    return [Subject(kind="User", user=UserSubject(name=name))]


def _account(namespace: str, name: str) -> Subject:
    return Subject(kind="ServiceAccount", serviceAccount=ServiceAccountSubject(namespace=namespace, name=name))


def _resources(verbs: list[str], group: str, resources: list[str], **scope: Any) -> ResourcePolicyRule:
    return ResourcePolicyRule(verbs=verbs, apiGroups=[group], resources=resources, **scope)


def _schema(
    name: str,
    level: str,
    precedence: int,
    distinguisher: str,
    subjects: list[Subject],
    resource_rules: list[ResourcePolicyRule],
    path_rules: list[NonResourcePolicyRule] | None = None,
) -> FlowSchema:
    return FlowSchema(
        metadata=_metadata(name),
        spec=FlowSchemaSpec(
            priorityLevelConfiguration=PriorityLevelConfigurationReference(name=level),
            matchingPrecedence=precedence,
            distinguisherMethod=FlowDistinguisherMethod(type=distinguisher) if distinguisher else None,
            rules=[
                PolicyRulesWithSubjects(
                    subjects=subjects, resourceRules=resource_rules or None, nonResourceRules=path_rules
                )
            ],
        ),
    )


def _schemas() -> list[FlowSchema]:
    everything: Any = {"resource_rules": [mandatory.ANY_RESOURCE], "path_rules": [mandatory.ANY_PATH]}
    nodes = _groups("system:nodes")
    lock_verbs = ["get", "create", "update"]
    leases = "coordination.k8s.io"
    node_status = _resources(["update", "patch"], "", ["nodes", "nodes/status"], clusterScope=True, namespaces=["*"])
    node_leases = _resources(["*"], leases, ["leases"], clusterScope=False, namespaces=["*"])
    leader_subjects = [*_user("system:kube-controller-manager"), *_user("system:kube-scheduler")]
    leader_subjects.append(_account("kube-system", "*"))
    system_locks = [_resources(lock_verbs, leases, ["leases"], namespaces=["kube-system"])]
    workload_locks = [_resources(lock_verbs, leases, ["leases"], namespaces=["*"])]
    endpoints = [
        _resources(["get", "create", "update"], "", ["endpoints"], namespaces=["*"]),
        _resources(["get", "create", "update"], "discovery.k8s.io", ["endpointslices"], namespaces=["*"]),
    ]
    probe_paths = NonResourcePolicyRule(verbs=["get"], nonResourceURLs=["/healthz", "/readyz", "/livez"])
    manager = _user("system:kube-controller-manager")
    return [
        *(FlowSchema(metadata=_metadata(name), spec=spec) for name, spec in mandatory.SCHEMAS.items()),
        _schema("probes", "exempt", 2, "", _groups(*mandatory.EVERYBODY), [], [probe_paths]),
        _schema("system-leader-election", "leader-election", 100, "ByUser", leader_subjects, system_locks),
        _schema("endpoint-controller", "workload-high", 150, "ByUser", manager, endpoints),
        _schema(
            "workload-leader-election",
            "leader-election",
            200,
            "ByUser",
            [_account("kube-system", "*")],
            workload_locks,
        ),
        _schema("system-node-high", "node-high", 400, "ByUser", nodes, [node_status, node_leases]),
        _schema("system-nodes", "system", 500, "ByUser", nodes, **everything),
        _schema("kube-controller-manager", "workload-high", 800, "ByNamespace", manager, **everything),
        _schema("kube-scheduler", "workload-high", 800, "ByNamespace", _user("system:kube-scheduler"), **everything),
        _schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            "ByNamespace",
            [_account("kube-system", "*")],
            **everything,
        ),
        _schema("service-accounts", "workload-low", 9000, "ByUser", _groups("system:serviceaccounts"), **everything),
        _schema("global-default", "global-default", 9900, "ByUser", _groups(*mandatory.EVERYBODY), **everything),
    ]

"""The flow schemas and priority levels that every cluster has: for requests that never wait, and for all the others.

What is written of them has to be what stands here; an administrator may only say how much the exempt level lends.
Specified in "API Priority and Fairness", "Mandatory configuration objects".
"""

from __future__ import annotations

from collections.abc import Iterable

from tiphys.kinds.types.flowcontrol_v1 import (
    ExemptPriorityLevelConfiguration,
    FlowDistinguisherMethod,
    FlowSchemaSpec,
    GroupSubject,
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfigurationReference,
    PriorityLevelConfigurationSpec,
    ResourcePolicyRule,
    Subject,
)

EXEMPT, CATCH_ALL = "exempt", "catch-all"
ANY_RESOURCE = ResourcePolicyRule(verbs=["*"], apiGroups=["*"], resources=["*"], clusterScope=True, namespaces=["*"])
ANY_PATH = NonResourcePolicyRule(verbs=["*"], nonResourceURLs=["*"])
EVERYBODY = ("system:unauthenticated", "system:authenticated")

LEVELS = {
    EXEMPT: PriorityLevelConfigurationSpec(
        type="Exempt", exempt=ExemptPriorityLevelConfiguration(nominalConcurrencyShares=0, lendablePercent=0)
    ),
    CATCH_ALL: PriorityLevelConfigurationSpec(
        type="Limited",
        limited=LimitedPriorityLevelConfiguration(
            nominalConcurrencyShares=5, lendablePercent=0, limitResponse=LimitResponse(type="Reject")
        ),
    ),
}


def of_groups(names: Iterable[str]) -> list[Subject]:
    return [Subject(kind="Group", group=GroupSubject(name=name)) for name in names]


def _everything_of(groups: Iterable[str]) -> list[PolicyRulesWithSubjects]:
    return [
        PolicyRulesWithSubjects(subjects=of_groups(groups), resourceRules=[ANY_RESOURCE], nonResourceRules=[ANY_PATH])
    ]


SCHEMAS = {
    EXEMPT: FlowSchemaSpec(
        priorityLevelConfiguration=PriorityLevelConfigurationReference(name=EXEMPT),
        matchingPrecedence=1,
        rules=_everything_of(["system:masters"]),
    ),
    CATCH_ALL: FlowSchemaSpec(
        priorityLevelConfiguration=PriorityLevelConfigurationReference(name=CATCH_ALL),
        matchingPrecedence=10000,
        distinguisherMethod=FlowDistinguisherMethod(type="ByUser"),
        rules=_everything_of(EVERYBODY),
    ),
}

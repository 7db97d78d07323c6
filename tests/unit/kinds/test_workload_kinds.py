"""Deployments, StatefulSets, DaemonSets, Jobs, CronJobs and the like: defaults, rules, columns."""

from __future__ import annotations

from typing import Any

import pytest
from documents import NOTHING, changed, create_findings, created, decoded, row, stored, told, update_findings

from tiphys.kinds import codec, registry
from tiphys.kinds.apps import daemon_set as daemon_sets
from tiphys.kinds.apps import stateful_set as stateful_sets
from tiphys.kinds.apps.stateful_set import CHANGEABLE

META = {"name": "a", "namespace": "default"}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}
ENDING = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
SELECTOR = {"matchLabels": {"app": "web"}}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    content = {"selector": SELECTOR, "template": TEMPLATE, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": dict(META), "spec": content}


DEPLOYMENT, REPLICA_SET = workload("Deployment"), workload("ReplicaSet")
STATEFUL_SET, DAEMON_SET = workload("StatefulSet", serviceName="a"), workload("DaemonSet")
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": dict(META),
    "spec": {"template": TEMPLATE},
}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": dict(META), "spec": {"template": ENDING}}
CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": dict(META),
    "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": ENDING}}},
}
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": dict(META), "spec": {"minAvailable": 1}}
MISMATCH = "`selector` does not match template `labels`"
RULES = "spec.podFailurePolicy.rules[0]"

CREATES: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = [
    ("deployment", DEPLOYMENT, {}, []),
    (
        "no selector",
        DEPLOYMENT,
        {"spec.selector": NOTHING},
        [
            ("spec.selector", "Required", "Required value"),
            ("spec.template.metadata.labels", "Invalid", f'Invalid value: {{"app":"web"}}: {MISMATCH}'),
        ],
    ),
    (
        "selector of others",
        DEPLOYMENT,
        {"spec.selector.matchLabels.app": "db"},
        [("spec.template.metadata.labels", "Invalid", f'Invalid value: {{"app":"web"}}: {MISMATCH}')],
    ),
    (
        "image of a template",
        DEPLOYMENT,
        {"spec.template.spec.containers.0.image": ""},
        [("spec.template.spec.containers[0].image", "Required", "Required value")],
    ),
    (
        "pods that end",
        DEPLOYMENT,
        {"spec.template.spec.restartPolicy": "Never"},
        [
            (
                "spec.template.spec.restartPolicy",
                "NotSupported",
                'Unsupported value: "Never": supported values: "Always"',
            )
        ],
    ),
    (
        "fewer than none",
        DEPLOYMENT,
        {"spec.replicas": -1},
        [("spec.replicas", "Invalid", "Invalid value: -1: must be greater than or equal to 0")],
    ),
    (
        "an update that cannot move",
        DEPLOYMENT,
        {"spec.strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
        [
            (
                "spec.strategy.rollingUpdate.maxUnavailable",
                "Invalid",
                'Invalid value: "0%": may not be 0 when `maxSurge` is 0',
            )
        ],
    ),
    (
        "recreate with settings of the other",
        DEPLOYMENT,
        {"spec.strategy": {"type": "Recreate", "rollingUpdate": {}}},
        [
            (
                "spec.strategy.rollingUpdate",
                "Forbidden",
                "Forbidden: may not be specified when strategy `type` is 'Recreate'",
            )
        ],
    ),
    (
        "more than all",
        DEPLOYMENT,
        {"spec.strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
        [
            (
                "spec.strategy.rollingUpdate.maxUnavailable",
                "Invalid",
                'Invalid value: "101%": must not be greater than 100%',
            )
        ],
    ),
    (
        "impatience",
        DEPLOYMENT,
        {"spec.progressDeadlineSeconds": 10, "spec.minReadySeconds": 10},
        [("spec.progressDeadlineSeconds", "Invalid", "Invalid value: 10: must be greater than minReadySeconds")],
    ),
    ("replica set", REPLICA_SET, {}, []),
    ("stateful set", STATEFUL_SET, {}, []),
    (
        "order of a stateful set",
        STATEFUL_SET,
        {"spec.podManagementPolicy": "Random"},
        [("spec.podManagementPolicy", "Invalid", "Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'")],
    ),
    (
        "claims of a stateful set",
        STATEFUL_SET,
        {"spec.volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]},
        [("spec.volumeClaimTemplates[0].spec.resources[storage]", "Required", "Required value")],
    ),
    ("daemon set", DAEMON_SET, {}, []),
    (
        "how a daemon set updates",
        DAEMON_SET,
        {"spec.updateStrategy": {"type": "Never"}},
        [
            (
                "spec.updateStrategy",
                "NotSupported",
                'Unsupported value: {"type":"Never"}: supported values: "RollingUpdate", "OnDelete"',
            ),
        ],
    ),
    (
        "selector that cannot be read",
        DEPLOYMENT,
        {"spec.selector.matchExpressions": [{"key": "a", "operator": "Is"}]},
        [
            (
                "spec.selector.matchExpressions[0].operator",
                "Invalid",
                'Invalid value: "Is": not a valid selector operator',
            ),
            (
                "spec.selector",
                "Invalid",
                'Invalid value: {"matchExpressions":[{"key":"a","operator":"Is"}],"matchLabels":{"app":"web"}}:'
                " invalid label selector",
            ),
        ],
    ),
    (
        "surge and unavailable",
        DAEMON_SET,
        {"spec.updateStrategy": {"rollingUpdate": {"maxSurge": 1}}},
        [
            (
                "spec.updateStrategy.rollingUpdate.maxSurge",
                "Invalid",
                "Invalid value: 1: may not be set when maxUnavailable is non-zero",
            )
        ],
    ),
    ("replication controller", CONTROLLER, {}, []),
    ("job", JOB, {}, []),
    (
        "job whose pods never end",
        JOB,
        {"spec.template.spec.restartPolicy": NOTHING},
        [("spec.template.spec.restartPolicy", "Required", 'Required value: valid values: "OnFailure", "Never"')],
    ),
    (
        "indexes of no number",
        JOB,
        {"spec.completionMode": "Indexed", "spec.parallelism": 1},
        [("spec.completions", "Required", "Required value: when completion mode is Indexed")],
    ),
    (
        "failure rules",
        JOB,
        {"spec.podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}},
        [(f"{RULES}.onExitCodes.values[0]", "Invalid", "Invalid value: 0: must not be 0 for the In operator")],
    ),
    (
        "selector without manualSelector",
        JOB,
        {"spec.selector": {"matchLabels": {"app": "web"}}},
        [
            (
                "spec.selector",
                "Invalid",
                'Invalid value: {"matchLabels":{"app":"web","batch.kubernetes.io/controller-uid":"u-1"}}:'
                " `selector` not auto-generated",
            )
        ],
    ),
    (
        "restart policy",
        JOB,
        {"spec.template.spec.restartPolicy": "Maybe"},
        [
            (
                "spec.template.spec.restartPolicy",
                "NotSupported",
                'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
            ),
            (
                "spec.template.spec.restartPolicy",
                "NotSupported",
                'Unsupported value: "Maybe": supported values: "OnFailure", "Never"',
            ),
        ],
    ),
    (
        "selector in a cron job",
        CRON_JOB,
        {"spec.jobTemplate.spec.selector": {}, "spec.jobTemplate.spec.manualSelector": True},
        [
            (
                "spec.jobTemplate.spec.selector",
                "Invalid",
                "Invalid value: {}: `selector` will be auto-generated",
            ),
            (
                "spec.jobTemplate.spec.manualSelector",
                "NotSupported",
                'Unsupported value: true: supported values: "nil", "false"',
            ),
        ],
    ),
    ("cron job", CRON_JOB, {}, []),
    (
        "schedule",
        CRON_JOB,
        {"spec.schedule": "* * * *"},
        [
            (
                "spec.schedule",
                "Invalid",
                'Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
            )
        ],
    ),
    (
        "time zone",
        CRON_JOB,
        {"spec.timeZone": "Moon/Sea"},
        [("spec.timeZone", "Invalid", 'Invalid value: "Moon/Sea": unknown time zone Moon/Sea')],
    ),
    (
        "zone in the schedule",
        CRON_JOB,
        {"spec.schedule": "TZ=UTC 0 * * * *"},
        [
            (
                "spec.schedule",
                "Invalid",
                'Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
            )
        ],
    ),
    ("budget", BUDGET, {}, []),
    (
        "two budgets in one",
        BUDGET,
        {"spec.maxUnavailable": 1},
        [
            (
                "spec",
                "Invalid",
                'Invalid value: {"maxUnavailable":1,"minAvailable":1}: minAvailable and maxUnavailable cannot be both'
                " set",
            )
        ],
    ),
]


@pytest.mark.parametrize(("document", "changes", "expected"), [c[1:] for c in CREATES], ids=[c[0] for c in CREATES])
def test_creates_of_workloads(
    document: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert create_findings(changed(document, changes)) == expected


def spec_of(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = codec.plain(created(document))["spec"]
    del spec["template"]
    return spec


def test_deployment_defaults() -> None:
    assert spec_of(DEPLOYMENT) == {
        "replicas": 1,
        "selector": SELECTOR,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }


def test_stateful_set_defaults() -> None:
    assert spec_of(STATEFUL_SET) == {
        "replicas": 1,
        "selector": SELECTOR,
        "serviceName": "a",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "revisionHistoryLimit": 10,
    }


def test_daemon_set_defaults() -> None:
    assert spec_of(DAEMON_SET) == {
        "selector": SELECTOR,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "revisionHistoryLimit": 10,
    }


def test_replication_controllers_take_the_labels_of_their_template() -> None:
    controller = created(CONTROLLER)
    assert (controller.spec.selector, controller.metadata.labels, controller.spec.replicas) == (
        {"app": "web"},
        {"app": "web"},
        1,
    )


def template_generation(daemon_set: Any) -> str | None:
    return (daemon_set.metadata.annotations or {}).get("deprecated.daemonset.template.generation")


def test_daemon_sets_count_their_templates() -> None:
    old = stored(DAEMON_SET)
    assert template_generation(old) == "1"
    strategy = daemon_sets.STRATEGY
    for changes, expected in (
        ({"spec.minReadySeconds": 5}, "1"),
        ({"spec.template.spec.containers.0.image": "web:2"}, "2"),
        ({"metadata.annotations": {"deprecated.daemonset.template.generation": "9"}}, "1"),
    ):
        new = decoded(changed(DAEMON_SET, changes))
        strategy.default(new)
        strategy.prepare_for_update(new, old)
        assert template_generation(new) == expected


def test_jobs_find_their_pods_by_uid() -> None:
    job = created(JOB)
    generated = {
        "app": "web",
        "batch.kubernetes.io/controller-uid": "u-1",
        "batch.kubernetes.io/job-name": "a",
        "controller-uid": "u-1",
        "job-name": "a",
    }
    assert job.spec.template.metadata.labels == generated
    assert job.metadata.labels == generated
    assert spec_of(JOB) == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}},
        "suspend": False,
    }


def test_a_selector_of_ones_own_stays() -> None:
    job = created(changed(JOB, {"spec.manualSelector": True, "spec.selector": SELECTOR}))
    assert codec.plain(job.spec.selector) == SELECTOR
    assert job.spec.template.metadata.labels == {"app": "web"}


def test_cron_job_defaults() -> None:
    spec = codec.plain(created(CRON_JOB))["spec"]
    template = spec.pop("jobTemplate")["spec"]
    assert list(template) == ["template"], "the defaults of Jobs are for the Jobs"
    assert template["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    assert spec == {
        "schedule": "*/5 * * * *",
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }


@pytest.mark.parametrize("document", [DEPLOYMENT, REPLICA_SET, DAEMON_SET], ids=lambda d: d["kind"])
def test_selectors_stay(document: dict[str, Any]) -> None:
    new = changed(
        document, {"spec.selector.matchLabels": {"tier": "x"}, "spec.template.metadata.labels": {"tier": "x"}}
    )
    assert update_findings(stored(document), new) == [
        ("spec.selector", "Invalid", 'Invalid value: {"matchLabels":{"tier":"x"}}: field is immutable')
    ]
    assert update_findings(stored(document), changed(document, {"spec.selector.matchExpressions": []})) == []


def test_what_a_stateful_set_may_change() -> None:
    old = stored(STATEFUL_SET)
    assert update_findings(old, changed(STATEFUL_SET, {"spec.replicas": 3, "spec.minReadySeconds": 1})) == []
    assert update_findings(old, changed(STATEFUL_SET, {"spec.serviceName": "b"})) == [
        ("spec", "Forbidden", f"Forbidden: {CHANGEABLE}")
    ]


def test_what_a_job_may_change() -> None:
    old = stored(JOB)
    new = codec.plain(old)
    assert update_findings(old, changed(new, {"spec.parallelism": 3, "spec.suspend": True})) == []
    assert update_findings(old, changed(new, {"spec.completions": 3})) == [
        ("spec.completions", "Invalid", "Invalid value: 3: field is immutable")
    ]
    found = update_findings(old, changed(new, {"spec.template.spec.nodeSelector": {"zone": "a"}}))
    assert [(field, reason) for field, reason, _ in found] == [("spec.template", "Invalid")]
    suspended = stored(changed(JOB, {"spec.suspend": True}))
    placed = changed(codec.plain(suspended), {"spec.template.spec.nodeSelector": {"zone": "a"}})
    assert update_findings(suspended, placed) == []


CLAIM = {
    "metadata": {"name": "d"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
MOUNTS = "spec.template.spec.containers.0.volumeMounts"


def test_the_containers_of_a_stateful_set_mount_its_claims() -> None:
    mounting = {MOUNTS: [{"name": "d", "mountPath": "/d"}], "spec.volumeClaimTemplates": [CLAIM]}
    assert create_findings(changed(STATEFUL_SET, mounting)) == []
    other = create_findings(changed(STATEFUL_SET, {**mounting, f"{MOUNTS}.0.name": "e"}))
    assert other == [("spec.template.spec.containers[0].volumeMounts[0].name", "NotFound", 'Not found: "e"')]


def test_a_stateful_set_keeps_what_was_not_looked_at_before() -> None:
    broken = {
        "spec.serviceName": "Not_A_Label",
        MOUNTS: [{"name": "d", "mountPath": "/d"}],
        "spec.template.spec.volumes": [],
    }
    found = create_findings(changed(STATEFUL_SET, broken))
    assert [field for field, _, _ in found] == [
        "spec.serviceName",
        "spec.template.spec.containers[0].volumeMounts[0].name",
    ]
    old, new = stored(changed(STATEFUL_SET, broken)), stored(changed(STATEFUL_SET, {**broken, "spec.replicas": 3}))
    assert stateful_sets.validate_changed(new, old) == []
    assert told(stateful_sets.validate_changed(new, stored(STATEFUL_SET))) == found[1:]


def test_a_negative_limit_keeps_every_revision() -> None:
    keeping = changed(STATEFUL_SET, {"spec.revisionHistoryLimit": -1})
    assert create_findings(keeping) == []
    assert stateful_sets.STRATEGY.warnings(created(keeping), None) == [
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    ]


@pytest.mark.parametrize(
    ("unavailable", "surge", "expected"),
    [
        (1, 0, []),
        (0, "10%", []),
        (1, 1, ["spec.updateStrategy.rollingUpdate.maxSurge"]),
        ("0%", 0, ["spec.updateStrategy.rollingUpdate.maxUnavailable"]),
        ("x", 0, ["spec.updateStrategy.rollingUpdate.maxUnavailable"] * 2),
        ("200%", 1, ["spec.updateStrategy.rollingUpdate.maxUnavailable", "spec.updateStrategy.rollingUpdate.maxSurge"]),
    ],
)
def test_daemon_sets_lack_pods_or_have_more(unavailable: int | str, surge: int | str, expected: list[str]) -> None:
    rolling = {"maxUnavailable": unavailable, "maxSurge": surge}
    found = create_findings(changed(DAEMON_SET, {"spec.updateStrategy": {"rollingUpdate": rolling}}))
    assert [field for field, _, _ in found] == expected


def test_terminating_replicas_are_not_negative() -> None:
    for document in (DEPLOYMENT, REPLICA_SET):
        new = stored(document, {"replicas": 0, "terminatingReplicas": -1})
        assert told(registry.resource_of(type(new)).strategy.validate_status_update(new, new)) == [
            ("status.terminatingReplicas", "Invalid", "Invalid value: -1: must be greater than or equal to 0")
        ]


def test_counts_in_the_status_of_a_deployment() -> None:
    new = stored(DEPLOYMENT, {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3})
    strategy = __import__("tiphys.kinds.apps.deployment", fromlist=["STRATEGY"]).STRATEGY
    assert told(strategy.validate_status_update(new, stored(DEPLOYMENT, {}))) == [
        ("status.readyReplicas", "Invalid", "Invalid value: 2: cannot be greater than status.replicas"),
        ("status.availableReplicas", "Invalid", "Invalid value: 3: cannot be greater than status.replicas"),
        ("status.availableReplicas", "Invalid", "Invalid value: 3: cannot be greater than readyReplicas"),
    ]


def test_columns_of_workloads() -> None:
    status = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}
    assert row(stored(changed(DEPLOYMENT, {"spec.replicas": 3}), status)) == {
        "Name": "a",
        "Ready": "2/3",
        "Up-to-date": 1,
        "Available": 2,
        "Age": "<unknown>",
        "Containers": "c",
        "Images": "web:1",
        "Selector": "app=web",
    }
    assert row(stored(changed(REPLICA_SET, {"spec.replicas": 3}), {"replicas": 3, "readyReplicas": 2}), wide=False) == {
        "Name": "a",
        "Desired": 3,
        "Current": 3,
        "Ready": 2,
        "Age": "<unknown>",
    }
    assert row(stored(STATEFUL_SET, {"replicas": 1, "readyReplicas": 1}), wide=False) == {
        "Name": "a",
        "Ready": "1/1",
        "Age": "<unknown>",
    }
    counts = {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1, "numberMisscheduled": 0}
    assert row(stored(DAEMON_SET, counts), wide=False) == {
        "Name": "a",
        "Desired": 3,
        "Current": 2,
        "Ready": 1,
        "Up-to-date": 0,
        "Available": 0,
        "Node Selector": "<none>",
        "Age": "<unknown>",
    }


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        ({}, {}, ("Running", "0/1", "")),
        (
            {"startTime": "2025-12-31T23:55:00Z", "succeeded": 1, "completionTime": "2025-12-31T23:56:30Z"},
            {},
            ("Running", "1/1", "90s"),
        ),
        (
            {"startTime": "2025-12-31T23:55:00Z", "conditions": [{"type": "Complete", "status": "True"}]},
            {"spec.completions": 3},
            ("Complete", "0/3", "5m"),
        ),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, {}, ("Failed", "0/1", "")),
        ({"conditions": [{"type": "Suspended", "status": "True"}]}, {}, ("Suspended", "0/1", "")),
        ({}, {"spec.parallelism": 3}, ("Running", "0/1 of 3", "")),
        ({}, {"metadata.deletionTimestamp": "2025-12-31T23:55:00Z"}, ("Terminating", "0/1", "")),
    ],
)
def test_job_columns(status: dict[str, Any], changes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    shown = row(stored(changed(JOB, changes), status))
    assert (shown["Status"], shown["Completions"], shown["Duration"]) == expected


def test_cron_job_columns() -> None:
    cron_job = stored(CRON_JOB, {"lastScheduleTime": "2025-12-31T23:59:00Z"})
    assert row(cron_job, wide=False) == {
        "Name": "a",
        "Schedule": "*/5 * * * *",
        "Timezone": "<none>",
        "Suspend": "False",
        "Active": 0,
        "Last Schedule": "60s",
        "Age": "<unknown>",
    }


def test_budget_columns() -> None:
    assert row(stored(BUDGET, {"disruptionsAllowed": 2}), wide=False) == {
        "Name": "a",
        "Min Available": "1",
        "Max Unavailable": "N/A",
        "Allowed Disruptions": 2,
        "Age": "<unknown>",
    }


@pytest.mark.parametrize("field", ["maxSurge", "maxUnavailable"])
@pytest.mark.parametrize(("document", "strategy"), [(DEPLOYMENT, "strategy"), (DAEMON_SET, "updateStrategy")])
def test_nothing_is_no_percentage(document: dict[str, Any], strategy: str, field: str) -> None:
    found = create_findings(changed(document, {f"spec.{strategy}": {"rollingUpdate": {field: ""}}}))
    assert (f"spec.{strategy}.rollingUpdate.{field}", "Invalid") in [finding[:2] for finding in found]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (DEPLOYMENT, [("spec.selector.matchLabels", "Invalid"), ("spec.selector", "Invalid")]),
        (REPLICA_SET, [("spec.selector.matchLabels", "Invalid"), ("spec.selector", "Invalid")]),
        (DAEMON_SET, [("spec.selector.matchLabels", "Invalid")]),
        (STATEFUL_SET, [("spec.selector.matchLabels", "Invalid"), ("spec.selector", "Invalid")]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_with_a_selector_that_cannot_be_read_nothing_is_looked_for(
    document: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = create_findings(changed(document, {"spec.selector.matchLabels": {"/x": "y"}}))
    assert [finding[:2] for finding in found] == expected


def test_a_replica_set_without_a_template_lacks_containers_alone() -> None:
    found = create_findings(changed(REPLICA_SET, {"spec.template": NOTHING}))
    assert [finding[:2] for finding in found] == [
        ("spec.template.metadata.labels", "Invalid"),
        ("spec.template.spec.containers", "Required"),
    ]

"""Jobs and CronJobs: the rules of their specs, of what changes, and of what the status may say."""

from __future__ import annotations

from typing import Any

import pytest
from documents import changed, create_findings, stored, told, update_findings
from hypothesis import given
from hypothesis import strategies as st

from tiphys.kinds import codec, unserved
from tiphys.kinds.batch import cron_job, job
from tiphys.kinds.batch.completion_indexes import count_indexes, first_common_index

META = {"name": "a", "namespace": "default"}
TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "web:1"}], "restartPolicy": "Never"}}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": META, "spec": {"template": TEMPLATE}}
INDEXED = changed(JOB, {"spec.completionMode": "Indexed", "spec.completions": 5, "spec.parallelism": 5})
CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": META,
    "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
}
MANY = {"spec.completions": 100_001, "spec.backoffLimitPerIndex": 1}
MANY_WORDS = (
    "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"
)
RULE, SUCCESS = "spec.podFailurePolicy.rules[0]", "spec.successPolicy.rules[0]"
Findings = list[tuple[str, str, str]]


def invalid(field: str, text: str) -> tuple[str, str, str]:
    return (field, "Invalid", f"Invalid value: {text}")


def required(field: str, text: str) -> tuple[str, str, str]:
    return (field, "Required", f"Required value: {text}")


@pytest.mark.parametrize(
    ("document", "changes", "expected"),
    [
        (JOB, {"spec.managedBy": "acme.io/foo"}, []),
        (JOB, {"spec.managedBy": ""}, [("spec.managedBy", "Required", "Required value")]),
        (
            JOB,
            {"spec.managedBy": "foo"},
            [invalid("spec.managedBy", '"foo": must be a domain-prefixed path (such as "acme.io/foo")')],
        ),
        (
            JOB,
            {"spec.managedBy": "a.io/" + "x" * 59},
            [("spec.managedBy", "TooLong", "Too long: may not be more than 63 bytes")],
        ),
        (
            JOB,
            {"spec.completionMode": "Counted"},
            [
                (
                    "spec.completionMode",
                    "NotSupported",
                    'Unsupported value: "Counted": supported values: "NonIndexed", "Indexed"',
                )
            ],
        ),
        (
            JOB,
            {"spec.backoffLimitPerIndex": 1, "spec.maxFailedIndexes": 1},
            [
                invalid("spec.backoffLimitPerIndex", "1: requires indexed completion mode"),
                invalid("spec.maxFailedIndexes", "1: requires indexed completion mode"),
            ],
        ),
        (
            INDEXED,
            {"spec.maxFailedIndexes": 6},
            [
                required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"),
                invalid("spec.maxFailedIndexes", "6: must be less than or equal to completions"),
            ],
        ),
        (INDEXED, MANY, [required("spec.maxFailedIndexes", "must be specified when completions is above 100000")]),
        (
            INDEXED,
            {**MANY, "spec.maxFailedIndexes": 10_001, "spec.parallelism": 10_002},
            [
                invalid("spec.parallelism", f"10002: {MANY_WORDS}"),
                invalid("spec.maxFailedIndexes", f"10001: {MANY_WORDS}"),
            ],
        ),
        (
            INDEXED,
            {"metadata.name": "a.b"},
            [invalid("metadata.name", '"a.b": will not able to create pod with invalid DNS label: a.b-4')],
        ),
        (
            JOB,
            {"spec.podReplacementPolicy": "Always"},
            [
                (
                    "spec.podReplacementPolicy",
                    "NotSupported",
                    'Unsupported value: "Always": supported values: "Failed", "TerminatingOrFailed"',
                )
            ],
        ),
        (
            JOB,
            {"spec.podReplacementPolicy": "TerminatingOrFailed", "spec.podFailurePolicy": {"rules": []}},
            [
                (
                    "spec.podReplacementPolicy",
                    "NotSupported",
                    'Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
                )
            ],
        ),
    ],
)
def test_specs_of_jobs(document: dict[str, Any], changes: dict[str, Any], expected: Findings) -> None:
    assert create_findings(changed(document, changes)) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"onExitCodes": {"values": [2, 1]}},
            [
                required(f"{RULE}.action", 'valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'),
                required(f"{RULE}.onExitCodes.operator", 'valid values: ["In" "NotIn"]'),
                invalid(f"{RULE}.onExitCodes.values", "[2,1]: must be ordered"),
            ],
        ),
        (
            {"action": "FailIndex"},
            [
                invalid(f"{RULE}.action", '"FailIndex": requires the backoffLimitPerIndex to be set'),
                invalid(RULE, "specifying one of OnExitCodes and OnPodConditions is required"),
            ],
        ),
        (
            {
                "action": "Count",
                "onExitCodes": {"operator": "NotIn", "values": [0]},
                "onPodConditions": [{"type": "A", "status": "Maybe"}],
            },
            [
                (
                    f"{RULE}.onPodConditions[0].status",
                    "NotSupported",
                    'Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
                ),
                invalid(RULE, "specifying both OnExitCodes and OnPodConditions is not supported"),
            ],
        ),
    ],
)
def test_failure_rules(rule: dict[str, Any], expected: Findings) -> None:
    assert create_findings(changed(JOB, {"spec.podFailurePolicy": {"rules": [rule]}})) == expected


def test_too_many_failure_rules_are_looked_at_all_the_same() -> None:
    found = create_findings(changed(JOB, {"spec.podFailurePolicy": {"rules": [{"action": "Count"}] * 21}}))
    assert found[0] == ("spec.podFailurePolicy.rules", "TooMany", "Too many: 21: must have at most 20 items")
    assert len(found) == 22


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"succeededIndexes": "0,2-4"}, []),
        ({}, [required(SUCCESS, "at least one of succeededCount or succeededIndexes must be specified")]),
        (
            {"succeededIndexes": "3-1"},
            [
                invalid(
                    f"{SUCCESS}.succeededIndexes",
                    '"3-1": error parsing succeededIndexes: non-increasing order, previous: 3, current: 1',
                )
            ],
        ),
        (
            {"succeededIndexes": "0-1", "succeededCount": 6},
            [
                invalid(
                    f"{SUCCESS}.succeededCount",
                    "6: must be less than or equal to 5 (the number of specified completions)",
                ),
                invalid(
                    f"{SUCCESS}.succeededCount",
                    "6: must be less than or equal to 2"
                    " (the number of indexes in the specified succeededIndexes field)",
                ),
            ],
        ),
        (
            {"succeededCount": -1},
            [invalid(f"{SUCCESS}.succeededCount", "-1: must be greater than or equal to 0")],
        ),
    ],
)
def test_success_rules(rule: dict[str, Any], expected: Findings) -> None:
    assert create_findings(changed(INDEXED, {"spec.successPolicy": {"rules": [rule]}})) == expected


def test_success_needs_indexes_and_rules() -> None:
    assert create_findings(changed(JOB, {"spec.successPolicy": {"rules": []}})) == [
        invalid("spec.successPolicy", '{"rules":[]}: requires indexed completion mode')
    ]
    assert create_findings(changed(INDEXED, {"spec.successPolicy": {"rules": []}})) == [
        required("spec.successPolicy.rules", "at least one rules must be specified when the successPolicy is specified")
    ]


def test_scheduling_as_a_group_is_warned_of() -> None:
    thing = stored(changed(JOB, {"spec.scheduling": {"schedulingPolicy": {"basic": {}}}}))
    assert job.STRATEGY.warnings(thing, None) == [f"spec.scheduling: {unserved.POD_GROUPS}"]


def test_indexed_jobs_are_elastic() -> None:
    old = stored(INDEXED)
    new = codec.plain(old)
    assert update_findings(old, changed(new, {"spec.completions": 9, "spec.parallelism": 9})) == []
    assert update_findings(old, changed(new, {"spec.completions": 9})) == [
        invalid("spec.completions", "9: can only be modified in tandem with spec.parallelism")
    ]


NEEDS = {
    "spec.template.spec.nodeSelector": {"zone": "a"},
    "spec.template.spec.containers.0.resources": {"requests": {"cpu": "2"}},
    "spec.template.metadata.annotations": {"queue": "q"},
}
SUSPENDED = {"type": "Suspended", "status": "True"}
BEGUN = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, []),
        ({"startTime": BEGUN}, ["spec.template"]),
        ({"startTime": BEGUN, "conditions": [SUSPENDED]}, []),
        ({"startTime": BEGUN, "conditions": [SUSPENDED], "active": 1}, ["spec.template"]),
        ({"active": 1}, ["spec.template"]),
    ],
)
def test_what_pods_need_changes_while_there_are_none(status: dict[str, Any], expected: list[str]) -> None:
    old = stored(changed(JOB, {"spec.suspend": True}), status)
    found = update_findings(old, changed(codec.plain(old), NEEDS))
    assert [field for field, _, _ in found] == expected


def test_images_stay_while_a_job_is_suspended() -> None:
    old = stored(changed(JOB, {"spec.suspend": True}))
    found = update_findings(old, changed(codec.plain(old), {"spec.template.spec.containers.0.image": "web:2"}))
    assert [(field, message.rpartition(": ")[2]) for field, _, message in found] == [
        ("spec.template.spec", "field is immutable")
    ]


def condition(kind: str) -> dict[str, Any]:
    return {"type": kind, "status": "True"}


MET, COMPLETE, TARGET, FAILED = map(condition, ("SuccessCriteriaMet", "Complete", "FailureTarget", "Failed"))
DONE = {"startTime": BEGUN, "completionTime": BEGUN, "conditions": [MET, COMPLETE]}
CONDITIONS = "status.conditions"


@pytest.mark.parametrize(
    ("document", "before", "after", "expected"),
    [
        (JOB, {"startTime": BEGUN}, DONE, []),
        (JOB, DONE, DONE, []),
        (
            JOB,
            {},
            {"conditions": [COMPLETE]},
            [
                required("status.completionTime", "completionTime is required for Complete jobs"),
                invalid(CONDITIONS, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
                required("status.startTime", "startTime is required for finished job"),
            ],
        ),
        (
            JOB,
            {"startTime": BEGUN},
            {"startTime": BEGUN, "active": 1, "ready": 2, "terminating": 1, "conditions": [FAILED]},
            [
                invalid(CONDITIONS, "cannot set Failed=True condition without the FailureTarget=true condition"),
                invalid("status.active", "1: active>0 is invalid for finished job"),
                invalid("status.terminating", "1: terminating>0 is invalid for finished job"),
                invalid("status.ready", "2: cannot set more ready pods than active"),
            ],
        ),
        (
            JOB,
            {},
            {"startTime": BEGUN, "completionTime": "2025-12-31T23:59:59Z"},
            [
                invalid(
                    "status.completionTime",
                    '"2025-12-31T23:59:59Z": cannot set completionTime when there is no Complete=True condition',
                ),
                invalid(
                    "status.completionTime", '"2025-12-31T23:59:59Z": completionTime cannot be set before startTime'
                ),
            ],
        ),
        (
            JOB,
            {"startTime": BEGUN, "conditions": [MET]},
            {"startTime": BEGUN, "conditions": [TARGET]},
            [invalid(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition")],
        ),
        (
            JOB,
            {"startTime": BEGUN, "conditions": [TARGET]},
            {"startTime": BEGUN, "conditions": [MET, TARGET, FAILED]},
            [
                invalid(CONDITIONS, "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
                invalid(CONDITIONS, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
            ],
        ),
        (
            JOB,
            DONE,
            {**DONE, "completionTime": "2026-01-01T00:00:01Z", "conditions": [MET]},
            [
                invalid(
                    "status.completionTime",
                    '"2026-01-01T00:00:01Z": cannot set completionTime when there is no Complete=True condition',
                ),
                invalid(CONDITIONS, "cannot disable the terminal Complete=True condition"),
                invalid("status.completionTime", '"2026-01-01T00:00:01Z": completionTime cannot be mutated'),
            ],
        ),
        (
            JOB,
            {"startTime": BEGUN, "failed": 2, "succeeded": 2},
            {"failed": 1, "succeeded": 1},
            [
                invalid("status.failed", "1: cannot decrease the failed counter"),
                invalid("status.succeeded", "1: cannot decrease the succeeded counter"),
                required("status.startTime", "startTime cannot be removed for unsuspended job"),
            ],
        ),
        (INDEXED, {"succeeded": 2}, {"succeeded": 1}, []),
        (
            JOB,
            {},
            {"completedIndexes": "0", "failedIndexes": ""},
            [
                invalid(
                    "status.completedIndexes",
                    '"0": cannot set non-empty completedIndexes when non-indexed completion mode',
                ),
                invalid(
                    "status.failedIndexes", '"": cannot set non-null failedIndexes when backoffLimitPerIndex is null'
                ),
            ],
        ),
        (
            changed(INDEXED, {"spec.backoffLimitPerIndex": 1}),
            {},
            {"completedIndexes": "0-2,9", "failedIndexes": "2-3"},
            [
                invalid("status.completedIndexes", '"0-2,9": error parsing completedIndexes: too large index: "9"'),
                invalid("status.failedIndexes", '"2-3": failedIndexes and completedIndexes overlap at index: 2'),
            ],
        ),
        (
            JOB,
            {},
            {"uncountedTerminatedPods": {"succeeded": ["u", ""], "failed": ["u"]}},
            [
                invalid("status.uncountedTerminatedPods.succeeded[1]", '"": must not be empty'),
                ("status.uncountedTerminatedPods.failed[0]", "Duplicate", 'Duplicate value: "u"'),
            ],
        ),
    ],
)
def test_what_the_status_of_a_job_may_say(
    document: dict[str, Any], before: dict[str, Any], after: dict[str, Any], expected: Findings
) -> None:
    assert told(job.STRATEGY.validate_status_update(stored(document, after), stored(document, before))) == expected


def test_jobs_without_work_complete_while_they_are_suspended() -> None:
    idle = changed(JOB, {"spec.completions": 0, "spec.suspend": True})
    done = stored(idle, {"completionTime": BEGUN, "conditions": [MET, COMPLETE]})
    assert job.STRATEGY.validate_status_update(done, stored(idle, {})) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 1),
        ("0,2-4", 4),
        ("", 0),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        ("4-9", 'too large index: "9"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("9" * 5000, f'cannot convert string to integer for index: "{"9" * 5000}"'),
        (
            "1-2-3",
            'the fragment "1-2-3" violates the requirement that an index interval can have at most two parts'
            " separated by '-'",
        ),
    ],
)
def test_indexes_in_words(text: str, expected: int | str) -> None:
    if isinstance(expected, int):
        assert count_indexes(text, 5) == expected
        return
    with pytest.raises(ValueError) as problem:
        count_indexes(text, 5)
    assert str(problem.value) == expected


def in_words(indexes: set[int]) -> str:
    return ",".join(map(str, sorted(indexes)))


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_the_first_common_index_is_that_of_the_sets(one: set[int], other: set[int]) -> None:
    assert first_common_index(in_words(one), in_words(other), 21) == min(one & other, default=None)


def test_intervals_meet_where_the_later_one_begins() -> None:
    assert first_common_index("0-3,x,9", "2-5", 10) == 2


def test_cron_jobs_keep_what_was_good_before() -> None:
    named = {"metadata.name": "a" * 53, "spec.schedule": "TZ=UTC * * * * *"}
    assert [field for field, _, _ in create_findings(changed(CRON_JOB, named))] == ["metadata.name", "spec.schedule"]
    old, new = stored(changed(CRON_JOB, named)), stored(changed(CRON_JOB, {**named, "spec.suspend": True}))
    assert cron_job.STRATEGY.validate_changed is not None
    assert told(cron_job.STRATEGY.validate_changed(new, old)) == []
    new.spec.timeZone = "UTC"
    assert told(cron_job.STRATEGY.validate_changed(new, old)) == [
        invalid("spec.schedule", '"TZ=UTC * * * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule')
    ]


@pytest.mark.parametrize("zone", ["../etc", "America//Denver", "/UTC", "-UTC", "A" * 15, "Mars/Sea"])
def test_unknown_zones(zone: str) -> None:
    assert create_findings(changed(CRON_JOB, {"spec.timeZone": zone})) == [
        invalid("spec.timeZone", f'"{zone}": unknown time zone {zone}')
    ]

"""What the conditions of a Job's status say of it."""

from __future__ import annotations

from tiphys.kinds.types.batch_v1 import JobStatus

COMPLETE, FAILED = "Complete", "Failed"
FAILURE_TARGET, SUCCESS_CRITERIA_MET = "FailureTarget", "SuccessCriteriaMet"


def true_conditions(status: JobStatus) -> set[str]:
    return {condition.type for condition in status.conditions or () if condition.status == "True"}

"""Jobs and CronJobs to their end, or not."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds.types import batch_v1, core_v1, meta_v1


def job(name: str = "work", **spec: Any) -> batch_v1.Job:
    labels = {"job": name}
    template = core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=labels),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="a")], restartPolicy="Never"),
    )
    values: dict[str, Any] = {"completions": 1, "parallelism": 1, "backoffLimit": 6, **spec}
    selector = meta_v1.LabelSelector(matchLabels=labels)
    return batch_v1.Job(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=batch_v1.JobSpec(template=template, selector=selector, **values),
    )


def found(cluster: Any, name: str = "work") -> batch_v1.Job:
    result: batch_v1.Job = cluster.api.get(batch_v1.Job, "default", name)
    return result


def conditions(cluster: Any, name: str = "work") -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason or "") for c in found(cluster, name).status.conditions or ()}


def pods(cluster: Any) -> list[core_v1.Pod]:
    result: list[core_v1.Pod] = cluster.api.list(core_v1.Pod)
    return result


async def test_a_job_completes_and_each_success_counts_once(cluster: Any) -> None:
    cluster.finish = lambda pod: "Succeeded"
    cluster.api.add(job(completions=5, parallelism=2))
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, sum(p.status.phase == "Running" for p in pods(cluster)))

    cluster.after_step = look
    await cluster.steps(12)
    status = found(cluster).status
    assert (status.succeeded, status.failed, status.active, status.ready) == (5, None, None, 0)
    assert conditions(cluster) == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    assert status.completionTime is not None
    assert len(pods(cluster)) == 5
    assert all(not p.metadata.finalizers for p in pods(cluster))
    assert most == 2


async def test_pods_that_somebody_deletes_are_still_counted(cluster: Any) -> None:
    cluster.finish = lambda pod: "Succeeded"
    cluster.api.add(job(completions=2))
    await cluster.quiet()
    cluster.run_agent()
    await cluster.quiet()
    cluster.run_agent()
    [first] = pods(cluster)
    assert first.status.phase == "Succeeded"
    cluster.api.remove(core_v1.Pod, "default", first.metadata.name)
    await cluster.steps(6)
    assert found(cluster).status.succeeded == 2
    assert len(pods(cluster)) == 1


async def test_failures_are_retried_more_and_more_slowly_up_to_the_limit(cluster: Any) -> None:
    cluster.finish = lambda pod: "Failed"
    cluster.api.add(job(backoffLimit=2))
    await cluster.steps(4)
    assert len(pods(cluster)) == 1
    await cluster.steps(11)
    assert len(pods(cluster)) == 2
    await cluster.steps(9)
    assert len(pods(cluster)) == 2
    await cluster.steps(20)
    assert found(cluster).status.failed == 3
    assert conditions(cluster)["Failed"] == ("True", "BackoffLimitExceeded")
    assert ("BackoffLimitExceeded", "Job has reached the specified backoff limit") in cluster.events()


async def test_a_deadline_stops_what_runs(cluster: Any) -> None:
    cluster.api.add(job(parallelism=2, completions=2, activeDeadlineSeconds=30))
    await cluster.steps(3)
    assert found(cluster).status.active == 2
    await cluster.steps(4, seconds=10)
    assert conditions(cluster)["Failed"] == ("True", "DeadlineExceeded")
    assert pods(cluster) == []


async def test_indexed_jobs_give_each_index_a_pod(cluster: Any) -> None:
    done: set[str] = {"0", "2"}
    cluster.finish = lambda pod: (
        "Succeeded" if pod.metadata.annotations["batch.kubernetes.io/job-completion-index"] in done else ""
    )
    cluster.api.add(job(completions=4, parallelism=4, completionMode="Indexed"))
    await cluster.steps(4)
    assert found(cluster).status.completedIndexes == "0,2"
    hosts = sorted(p.spec.hostname or "" for p in pods(cluster))
    assert hosts == ["work-0", "work-1", "work-2", "work-3"]
    [variable] = pods(cluster)[0].spec.containers[0].env or []
    assert variable.name == "JOB_COMPLETION_INDEX"
    done |= {"1", "3"}
    await cluster.steps(5)
    assert found(cluster).status.completedIndexes == "0-3"
    assert conditions(cluster)["Complete"] == ("True", "CompletionsReached")


async def test_suspending_removes_the_pods_and_resuming_begins_anew(cluster: Any) -> None:
    cluster.api.add(job())
    await cluster.steps(2)

    def suspend(value: bool) -> Any:
        def edit(obj: batch_v1.Job) -> None:
            obj.spec.suspend = value

        return edit

    cluster.api.change(batch_v1.Job, "default", "work", suspend(True))
    await cluster.steps(4)
    assert pods(cluster) == []
    assert conditions(cluster) == {"Suspended": ("True", "JobSuspended")}
    assert found(cluster).status.startTime is None
    cluster.api.change(batch_v1.Job, "default", "work", suspend(False))
    await cluster.steps(2)
    assert len(pods(cluster)) == 1
    assert conditions(cluster) == {"Suspended": ("False", "JobResumed")}


async def test_an_indexed_job_that_shrinks_forgets_the_indexes_beyond(cluster: Any) -> None:
    ends = {"work-2"}
    cluster.finish = lambda pod: "Succeeded" if pod.spec.hostname in ends else ""
    cluster.api.add(job(completions=3, parallelism=3, completionMode="Indexed"))
    await cluster.steps(4)
    assert found(cluster).status.completedIndexes == "2"

    def shrink(obj: batch_v1.Job) -> None:
        obj.spec.completions = obj.spec.parallelism = 2

    cluster.api.change(batch_v1.Job, "default", "work", shrink)
    await cluster.steps(3)
    assert (found(cluster).status.completedIndexes, found(cluster).status.succeeded) == (None, None)
    assert sorted(p.spec.hostname for p in pods(cluster) if p.status.phase == "Running") == ["work-0", "work-1"]
    ends.update(("work-0", "work-1"))
    await cluster.steps(6)
    assert found(cluster).status.completedIndexes == "0,1"
    assert conditions(cluster)["Complete"] == ("True", "CompletionsReached")


async def test_a_job_without_work_completes_while_it_is_suspended(cluster: Any) -> None:
    cluster.api.add(job(completions=0, suspend=True))
    await cluster.steps(4)
    assert conditions(cluster)["Complete"] == ("True", "CompletionsReached")
    assert pods(cluster) == []


async def test_a_pod_failure_policy_ends_the_job_at_once(cluster: Any) -> None:
    cluster.finish = lambda pod: "Failed"
    codes = batch_v1.PodFailurePolicyOnExitCodesRequirement(operator="In", values=[1])
    rule = batch_v1.PodFailurePolicyRule(action="FailJob", onExitCodes=codes)
    cluster.api.add(job(podFailurePolicy=batch_v1.PodFailurePolicy(rules=[rule])))
    await cluster.steps(5)
    assert conditions(cluster)["Failed"] == ("True", "PodFailurePolicy")
    assert found(cluster).status.failed == 1


def by_index(ends: dict[str, str]) -> Any:
    """How the pod of each index ends; the others run on."""
    return lambda pod: ends.get(pod.metadata.annotations["batch.kubernetes.io/job-completion-index"], "")


ODD_FAIL = by_index({"0": "Succeeded", "1": "Failed", "2": "Succeeded", "3": "Failed"})
ON_ONE = batch_v1.PodFailurePolicyOnExitCodesRequirement(operator="In", values=[1])
FAIL_INDEX = batch_v1.PodFailurePolicy(rules=[batch_v1.PodFailurePolicyRule(action="FailIndex", onExitCodes=ON_ONE)])


@pytest.mark.parametrize(
    ("policy", "failed"), [(None, 4), (FAIL_INDEX, 2)], ids=["each is tried again", "the policy forbids it"]
)
async def test_some_indexes_may_fail_while_the_others_go_on(cluster: Any, policy: Any, failed: int) -> None:
    cluster.finish = ODD_FAIL
    limits = {"backoffLimitPerIndex": 1, "podFailurePolicy": policy}
    cluster.api.add(job(completions=4, parallelism=2, completionMode="Indexed", backoffLimit=2**31 - 1, **limits))
    await cluster.steps(60)
    status = found(cluster).status
    assert (status.completedIndexes, status.failedIndexes) == ("0,2", "1,3")
    assert (status.succeeded, status.failed, status.active) == (2, failed, None)
    assert conditions(cluster) == {
        "FailureTarget": ("True", "FailedIndexes"),
        "Failed": ("True", "FailedIndexes"),
    }


async def test_too_many_failed_indexes_end_the_job(cluster: Any) -> None:
    cluster.finish = lambda pod: "Failed"
    limits = {"backoffLimitPerIndex": 0, "maxFailedIndexes": 0}
    cluster.api.add(job(completions=4, completionMode="Indexed", backoffLimit=2**31 - 1, **limits))
    await cluster.steps(10)
    status = found(cluster).status
    assert (status.failedIndexes, status.failed, status.active) == ("0", 1, None)
    assert conditions(cluster) == {
        "FailureTarget": ("True", "MaxFailedIndexesExceeded"),
        "Failed": ("True", "MaxFailedIndexesExceeded"),
    }
    assert len(pods(cluster)) == 1


@pytest.mark.parametrize(
    ("rule", "ends", "completed"),
    [
        ({"succeededCount": 2}, {"0": "Succeeded", "1": "Succeeded"}, "0,1"),
        ({"succeededIndexes": "0"}, {"0": "Succeeded"}, "0"),
        ({"succeededCount": 1}, {"1": "Succeeded"}, "1"),
        ({"succeededCount": 1, "succeededIndexes": "1-2"}, {"0": "Succeeded", "1": "Succeeded"}, "0,1"),
    ],
    ids=["all", "indexes", "count", "count of indexes"],
)
async def test_enough_indexes_are_success(
    cluster: Any, rule: dict[str, Any], ends: dict[str, str], completed: str
) -> None:
    cluster.finish = by_index(ends)
    policy = batch_v1.SuccessPolicy(rules=[batch_v1.SuccessPolicyRule(**rule)])
    count = max(2, len(ends) + ("succeededIndexes" in rule))
    cluster.api.add(job(completions=count, parallelism=count, completionMode="Indexed", successPolicy=policy))
    await cluster.steps(10)
    status = found(cluster).status
    assert (status.completedIndexes, status.active) == (completed, None)
    assert conditions(cluster) == {
        "SuccessCriteriaMet": ("True", "SuccessPolicy"),
        "Complete": ("True", "SuccessPolicy"),
    }
    assert [pod for pod in pods(cluster) if pod.status.phase == "Running"] == []


async def test_disruptions_do_not_count_where_the_policy_says_so(cluster: Any) -> None:
    pattern = batch_v1.PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    rules = [batch_v1.PodFailurePolicyRule(action="Ignore", onPodConditions=[pattern])]
    policy = batch_v1.PodFailurePolicy(rules=rules)
    cluster.api.add(
        job(completions=2, parallelism=2, backoffLimit=0, completionMode="Indexed", podFailurePolicy=policy)
    )
    await cluster.steps(2)
    victim = pods(cluster)[0]

    def disrupt(pod: core_v1.Pod) -> None:
        pod.status.phase = "Failed"
        condition = core_v1.PodCondition(type="DisruptionTarget", status="True", reason="EvictionByEvictionAPI")
        pod.status.conditions = [*(pod.status.conditions or ()), condition]

    cluster.api.change(core_v1.Pod, "default", victim.metadata.name, disrupt)
    await cluster.steps(20)
    cluster.finish = lambda pod: "Succeeded"
    await cluster.steps(5)
    assert conditions(cluster)["Complete"] == ("True", "CompletionsReached")
    assert (found(cluster).status.succeeded, found(cluster).status.completedIndexes) == (2, "0,1")


async def test_a_finished_job_goes_after_its_time_to_live_with_its_pods(cluster: Any) -> None:
    cluster.finish = lambda pod: "Succeeded"
    cluster.api.add(job(ttlSecondsAfterFinished=60))
    await cluster.steps(6)
    assert conditions(cluster)["Complete"][0] == "True"
    await cluster.steps(8, seconds=10)
    assert found(cluster) is None
    assert pods(cluster) == []


async def test_deleting_a_job_frees_its_pods_from_their_finalizers(cluster: Any) -> None:
    cluster.api.add(job())
    await cluster.steps(2)
    cluster.api.remove(batch_v1.Job, "default", "work", meta_v1.DeleteOptions(propagationPolicy="Background"))
    await cluster.steps(4)
    assert pods(cluster) == []


def cron_job(**spec: Any) -> batch_v1.CronJob:
    template = batch_v1.JobTemplateSpec(spec=job().spec)
    values: dict[str, Any] = {"schedule": "*/5 * * * *", "jobTemplate": template, **spec}
    return batch_v1.CronJob(
        metadata=meta_v1.ObjectMeta(name="tick", namespace="default"), spec=batch_v1.CronJobSpec(**values)
    )


async def test_a_cron_job_starts_a_job_at_each_moment_and_keeps_a_short_history(cluster: Any) -> None:
    cluster.finish = lambda pod: "Succeeded"
    cluster.api.add(cron_job())
    await cluster.steps(160, seconds=10)
    names = [j.metadata.name for j in cluster.api.list(batch_v1.Job)]
    first = (1_700_000_000 // 300) * 5
    assert names == [f"tick-{first + minutes}" for minutes in (15, 20, 25)]
    status = cluster.api.get(batch_v1.CronJob, "default", "tick").status
    assert status.active is None
    assert status.lastScheduleTime == "2023-11-14T22:35:00Z"
    assert status.lastSuccessfulTime is not None


async def test_forbid_waits_and_replace_takes_the_place(cluster: Any) -> None:
    cluster.api.add(cron_job(concurrencyPolicy="Forbid"))
    await cluster.steps(80, seconds=10)
    assert len(cluster.api.list(batch_v1.Job)) == 1
    [first] = cluster.api.list(batch_v1.Job)

    def replace(obj: batch_v1.CronJob) -> None:
        obj.spec.concurrencyPolicy = "Replace"

    cluster.api.change(batch_v1.CronJob, "default", "tick", replace)
    await cluster.steps(40, seconds=10)
    [second] = cluster.api.list(batch_v1.Job)
    assert second.metadata.name != first.metadata.name
    active = cluster.api.get(batch_v1.CronJob, "default", "tick").status.active
    assert [reference.name for reference in active] == [second.metadata.name]


async def test_a_suspended_cron_job_starts_nothing_and_several_run_beside_each_other(cluster: Any) -> None:
    cluster.api.add(cron_job(suspend=True, concurrencyPolicy="Allow"))
    await cluster.steps(80, seconds=10)
    assert cluster.api.list(batch_v1.Job) == []

    def resume(obj: batch_v1.CronJob) -> None:
        obj.spec.suspend = False

    cluster.api.change(batch_v1.CronJob, "default", "tick", resume)
    await cluster.steps(60, seconds=10)
    active = cluster.api.get(batch_v1.CronJob, "default", "tick").status.active
    assert len(active) >= 2
    assert {reference.name for reference in active} == {j.metadata.name for j in cluster.api.list(batch_v1.Job)}

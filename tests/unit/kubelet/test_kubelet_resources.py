"""Requests and limits as control groups see them."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet import resources
from tiphys.machinery import quantity

GIB = 1 << 30


def requirements(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> Any:
    def amounts(texts: dict[str, str] | None) -> dict[str, quantity.Quantity] | None:
        return {key: quantity.parse(value) for key, value in texts.items()} if texts else None

    return core_v1.ResourceRequirements(requests=amounts(requests), limits=amounts(limits))


def pod(*each: Any, init: Any = (), **spec: Any) -> core_v1.Pod:
    containers = [core_v1.Container(name=f"c{n}", resources=r) for n, r in enumerate(each)]
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(uid="u"),
        spec=core_v1.PodSpec(containers=containers, initContainers=init or None, **spec),
    )


@pytest.mark.parametrize(
    ("milli", "shares", "quota"),
    [(0, 2, 0), (1, 2, 1000), (100, 102, 10_000), (1000, 1024, 100_000), (2500, 2560, 250_000)],
)
def test_cpu(milli: int, shares: int, quota: int) -> None:
    assert (resources.shares(milli), resources.quota(milli)) == (shares, quota)


FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("of", "quality"),
    [
        (pod(None), "BestEffort"),
        (pod(requirements({"ephemeral-storage": "1Gi"})), "BestEffort"),
        (pod(requirements(FULL, FULL)), "Guaranteed"),
        (pod(requirements(None, FULL)), "Guaranteed"),
        (pod(requirements(FULL, FULL), None), "Burstable"),
        (pod(requirements({"cpu": "1"})), "Burstable"),
        (pod(requirements({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"})), "Burstable"),
        (pod(requirements(FULL, FULL), init=[core_v1.Container(name="i")]), "Burstable"),
    ],
)
def test_quality_of_service(of: core_v1.Pod, quality: str) -> None:
    assert resources.qos_class(of) == quality


@pytest.mark.parametrize(
    ("of", "score"),
    [
        (pod(None), 1000),
        (pod(requirements(FULL, FULL)), -997),
        (pod(requirements({"memory": "1Gi"})), 875),
        (pod(requirements({"memory": "1Ki"})), 999),
        (pod(requirements({"memory": "8Gi"})), 3),
        (pod(None, priority=2_000_001_000), -997),
    ],
)
def test_who_is_killed_first(of: core_v1.Pod, score: int) -> None:
    assert resources.oom_score_adj(of, of.spec.containers[0], 8 * GIB) == score


def test_a_container() -> None:
    of = pod(requirements({"cpu": "250m"}, {"cpu": "500m", "memory": "64Mi", "hugepages-2Mi": "4Mi"}))
    assert resources.linux_resources(of, of.spec.containers[0], 8 * GIB, unified=True) == {
        "cpu_period": 100_000,
        "cpu_shares": 256,
        "cpu_quota": 50_000,
        "memory_limit_in_bytes": 64 << 20,
        "oom_score_adj": 993,
        "hugepage_limits": [{"page_size": "2MB", "limit": 4 << 20}],
        "unified": {"memory.oom.group": "1"},
    }


def test_a_pod_asks_for_its_peak() -> None:
    sidecar = core_v1.Container(name="s", restartPolicy="Always", resources=requirements({"cpu": "1"}))
    big = core_v1.Container(name="i", resources=requirements({"cpu": "5"}))
    of = pod(requirements({"cpu": "1"}), requirements({"cpu": "2"}), init=[sidecar, big])
    assert resources.pod_requests(of) == {"cpu": "6"}
    of = pod(
        requirements({"cpu": "4"}),
        requirements({"cpu": "2"}),
        init=[big, sidecar],
        overhead={"cpu": quantity.parse("1")},
    )
    assert resources.pod_requests(of) == {"cpu": "8"}


def test_groups() -> None:
    assert resources.pod_cgroup("/node", pod(None)) == "/node/kubepods/besteffort/podu"
    assert resources.pod_cgroup("", pod(requirements({"cpu": "1"}))) == "/kubepods/burstable/podu"
    assert resources.pod_cgroup("/", pod(requirements(FULL, FULL))) == "/kubepods/podu"


def test_a_pod_is_limited_when_all_its_containers_are() -> None:
    both = resources.pod_cgroup_limits(pod(requirements(None, FULL), requirements(None, FULL)), 100)
    assert both == resources.CgroupLimits(cpu_shares=2048, cpu_quota=200_000, memory_bytes=2 * GIB, pids=100)
    one = resources.pod_cgroup_limits(pod(requirements(None, FULL), None), 0)
    assert one == resources.CgroupLimits(cpu_shares=1024)

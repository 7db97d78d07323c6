"""What becomes of pods on their way through the whole server: each request as kubectl and controllers make it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from api_site import Answer, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/one/pods"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def container(name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "example.com/image:1", **more}


def pod(name: str, metadata: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **(metadata or {})}, "spec": {"containers": [container()], **spec}}


async def made(site: Site, body: Mapping[str, Any]) -> Any:
    answer = await site("POST", PODS, body)
    assert answer.code == 201, answer.body
    return answer.body


def causes(answer: Answer) -> list[tuple[str, str]]:
    """What is wrong, as (path, words)."""
    assert answer.code == 422, answer.body
    return [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]]


# -- create


async def test_a_gated_pod_says_why_it_is_not_placed_and_may_be_narrowed_until_it_is_let_go(site: Site) -> None:
    gates = [{"name": "example.com/quota"}, {"name": "example.com/picture"}]
    created = await made(site, pod("gated", schedulingGates=gates))
    (condition,) = created["status"]["conditions"]
    assert {key: condition[key] for key in ("type", "status", "reason")} == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
    }
    narrowed = await site("PATCH", f"{PODS}/gated", {"spec": {"nodeSelector": {"disk": "fast"}}}, media=MERGE)
    assert (narrowed.code, narrowed.body["metadata"]["generation"]) == (200, 2)
    widened = await site("PATCH", f"{PODS}/gated", {"spec": {"nodeSelector": None}}, media=MERGE)
    assert [path for path, _ in causes(widened)] == ["spec.nodeSelector"]
    let_go = await site("PATCH", f"{PODS}/gated", {"spec": {"schedulingGates": None}}, media=MERGE)
    assert let_go.code == 200, let_go.body
    late = await site("PATCH", f"{PODS}/gated", {"spec": {"nodeSelector": {"disk": "slow"}}}, media=MERGE)
    assert [path for path, _ in causes(late)] == ["spec"]


async def test_label_keys_become_part_of_the_selectors_that_everybody_reads(site: Site) -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["pod-template-hash"],
    }
    labels = {"app": "web", "pod-template-hash": "5f"}
    created = await made(site, pod("spread", {"labels": labels}, topologySpreadConstraints=[spread]))
    assert created["spec"]["topologySpreadConstraints"][0]["labelSelector"] == {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "pod-template-hash", "operator": "In", "values": ["5f"]}],
    }


async def test_everything_that_is_wrong_is_said_at_once_and_warnings_come_with_what_is_accepted(site: Site) -> None:
    wrong = pod(
        "wrong",
        hostnameOverride="Not A Name",
        os={"name": "plan9"},
        containers=[container(env=[{"name": "A", "valueFrom": {"fileKeyRef": reference("nothing")}}])],
    )
    refused = await site("POST", PODS, wrong)
    assert {path for path, _ in causes(refused)} == {
        "spec.hostnameOverride",
        "spec.os",
        "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName",
    }
    warned = await site("POST", PODS, pod("warned", terminationGracePeriodSeconds=-5))
    assert (warned.code, warned.body["spec"]["terminationGracePeriodSeconds"]) == (201, -5)
    assert "terminationGracePeriodSeconds" in warned.headers["Warning"]


def reference(volume: str) -> dict[str, str]:
    """A variable's reference to a file in a volume."""
    return {"volumeName": volume, "path": "settings", "key": "A"}


# -- subresources


async def test_a_resize_changes_amounts_and_nothing_else(site: Site) -> None:
    sized = [container(name, resources={"requests": {"cpu": "1"}}) for name in ("main", "side")]
    await made(site, pod("sized", containers=sized))
    grown = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}]}}
    answer = await site("PATCH", f"{PODS}/sized/resize", grown, media=STRATEGIC)
    assert answer.code == 200, answer.body
    amounts = [one["resources"]["requests"]["cpu"] for one in answer.body["spec"]["containers"]]
    assert (amounts, answer.body["metadata"]["generation"]) == (["2", "1"], 2)

    names = [{"name": "side"}, {"name": "main"}]
    swapped = {"spec": {"$setElementOrder/containers": names, "containers": names}}
    reordered = await site("PATCH", f"{PODS}/sized/resize", swapped, media=STRATEGIC)
    detail = "Forbidden: containers may not be renamed or reordered on resize"
    assert causes(reordered) == [(f"spec.containers[{position}].name", detail) for position in (0, 1)]
    assert f"spec.containers[0].name: {detail}, spec.containers[1].name: {detail}" in reordered.body["message"]
    removed = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": None}}}]}}
    bare = await site("PATCH", f"{PODS}/sized/resize", removed, media=STRATEGIC)
    assert "resource requests cannot be removed" in str(causes(bare))


async def test_a_kubelet_that_knows_no_generations_loses_none(site: Site) -> None:
    ready = {"type": "Ready", "status": "False"}
    await made(site, pod("reported"))
    newer = {"status": {"observedGeneration": 1, "conditions": [{**ready, "observedGeneration": 1}]}}
    assert (await site("PATCH", f"{PODS}/reported/status", newer, media=MERGE)).code == 200
    older = {"status": {"observedGeneration": None, "conditions": [{**ready, "status": "True"}]}}
    answer = await site("PATCH", f"{PODS}/reported/status", older, media=MERGE)
    status = answer.body["status"]
    assert (status["observedGeneration"], status["conditions"][0]["observedGeneration"]) == (1, 1)
    assert status["conditions"][0]["status"] == "True"


async def test_ephemeral_containers_come_and_stay(site: Site) -> None:
    await made(site, pod("debugged"))
    added = {"spec": {"ephemeralContainers": [container("shell", stdin=True)]}}
    answer = await site("PATCH", f"{PODS}/debugged/ephemeralcontainers", added, media=STRATEGIC)
    assert (answer.code, answer.body["metadata"]["generation"]) == (200, 2)
    gone = await site(
        "PATCH", f"{PODS}/debugged/ephemeralcontainers", {"spec": {"ephemeralContainers": []}}, media=MERGE
    )
    assert [path for path, _ in causes(gone)] == ["spec.ephemeralContainers"]


# -- lists


async def test_pods_are_selected_by_what_the_scheduler_and_kubelets_ask_for(site: Site) -> None:
    await made(site, pod("placed", nodeName="far"))
    await made(site, pod("shared", nodeName="far", hostNetwork=True))
    for selector, names in (
        ("spec.host=far", ["placed", "shared"]),
        ("spec.nodeName=far,spec.hostNetwork=true", ["shared"]),
        ("status.podIPs=10.0.0.1", []),
    ):
        listed = (await site("GET", f"{PODS}?fieldSelector={selector}")).body
        assert [item["metadata"]["name"] for item in listed["items"]] == names, selector

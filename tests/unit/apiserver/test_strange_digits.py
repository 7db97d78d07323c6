"""Digits of other scripts, raised ones and far too many, where clients write numbers as text."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World

PODS = "/api/v1/namespaces/default/pods"
SETS = "/apis/apps/v1/namespaces/default/deployments"
MIGRATIONS = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
STRANGE = ["²", "٣", "9" * 5000]


def deployment(share: str) -> dict[str, Any]:
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": share}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "strategy": strategy}
    return {"metadata": {"name": "d"}, "spec": spec}


def policy(cidr: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "n"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": cidr}}]}]},
    }


def cron(schedule: str) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
    return {"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": pod}}}}


def tolerating(value: str) -> dict[str, Any]:
    toleration = {"key": "k", "operator": "Gt", "value": value}
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "tolerations": [toleration]},
    }


@pytest.mark.parametrize("digits", STRANGE, ids=["raised", "arabic", "many"])
async def test_strange_digits_are_refused_as_what_they_are(world: World, digits: str) -> None:
    groups = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
    for path, body in (
        (SETS, deployment(f"{digits}%")),
        (groups, policy(f"10.0.0.0/{digits}")),
        ("/apis/batch/v1/namespaces/default/cronjobs", cron(f"{digits} * * * *")),
        (PODS, tolerating(digits)),
    ):
        answer = await world.http("POST", path, body)
        assert (answer.code, answer.body["reason"]) == (422, "Invalid"), path


@pytest.mark.parametrize("digits", STRANGE, ids=["raised", "arabic", "many"])
async def test_strange_revisions(world: World, digits: str) -> None:
    await world.http("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
    named = {"metadata": {"name": "a", "resourceVersion": digits}}
    replaced = await world.http("PUT", "/api/v1/namespaces/default/configmaps/a", named)
    assert replaced.code == (400 if len(digits) < 9 or len(digits) > 4300 else 409)
    spec = {"resource": {"group": "", "resource": "pods"}}
    made = (await world.http("POST", MIGRATIONS, {"metadata": {"name": "m"}, "spec": spec})).body
    told = await world.http("PUT", f"{MIGRATIONS}/m/status", {**made, "status": {"resourceVersion": digits}})
    assert told.code == 422


@pytest.mark.parametrize("digits", ["%C2%B2", "%D9%A3", "9" * 5000], ids=["raised", "arabic", "many"])
async def test_strange_ports_and_numbers_in_paths(world: World, digits: str) -> None:
    for path in (f"{PODS}/p:{digits}/proxy/", f"/api/v1/namespaces/default/services/s:{digits}/proxy/"):
        assert (await world.http("GET", path)).code in (400, 404)
    for query in ("limit", "timeoutSeconds", "resourceVersion"):
        code = (await world.http("GET", f"{PODS}?{query}={digits}")).code
        assert code in (200, 400), query

"""Durable writes: create, update, the patches, apply, delete; with validation, admission and managedFields."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.api.objects import IMAGE, Plain, config_map, deployment, pod
from bench.api.server import Load, Server, show_load

NAMES = 1000
APPLY = "application/apply-patch+yaml"
APPLIED = "fieldManager=bench&force=true"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
PODS = "/api/v1/namespaces/{}/pods"


def creates(name: str, where: str, make: Callable[[str], Plain], server: Server, runs: int, **peer: str) -> None:
    found = []
    for run in range(runs):
        namespace = f"bench-create-{where.rpartition('/')[2]}-{run}"
        server.namespace(namespace)
        found.append(server.wrk(Load(method="POST", path=where.format(namespace), body=make("NAME"), prefix="n-")))
    show_load(f"create {name}, 32 connections", found, **peer)


def changes(
    name: str, where: str, make: Callable[[str], Plain], load: Callable[[str], Load], server: Server, runs: int
) -> None:
    """Change NAMES objects, named n-0 and so on, in turn; `load` gets their path."""
    namespace = f"bench-change-{where.rpartition('/')[2]}"
    base = where.format(namespace)
    server.namespace(namespace)
    if b'"items":[]' in server.call("GET", f"{base}?limit=1"):
        server.fill(base, [make(f"n-{n}") for n in range(NAMES)])
    show_load(name, [server.wrk(load(f"{base}/NAME")) for _ in range(runs)])


def changing(method: str, media: str, body: object, query: str = "") -> Callable[[str], Load]:
    """The load of one change, in turn on every object."""
    return lambda path: Load(method=method, path=path + query, media=media, body=body, prefix="n-", names=NAMES)


def applies_creating(server: Server, runs: int) -> None:
    found = []
    for run in range(runs):
        namespace = f"bench-apply-{run}"
        server.namespace(namespace)
        path = f"{DEPLOYMENTS.format(namespace)}/NAME?{APPLIED}"
        load = Load(method="PATCH", path=path, media=APPLY, body=deployment("NAME"), prefix="n-")
        found.append(server.wrk(load))
    show_load("apply a Deployment that is not there", found)


def deletes(server: Server, runs: int) -> None:
    seconds, enough = 1, 16_000
    found = []
    for run in range(runs):
        base = f"{server.namespace(f'bench-delete-{run}')}/configmaps"
        server.fill(base, [config_map(f"n-{n + 1}") for n in range(enough)])
        load = Load(method="DELETE", path=f"{base}/NAME", prefix="n-", seconds=seconds)
        found.append(server.wrk(load))
    show_load("delete ConfigMap, 32 connections", found)


def _pod_status() -> Plain:
    condition = {"type": "Ready", "status": "True", "message": "NUMBER"}
    return {"status": {"phase": "Running", "conditions": [condition]}}


def _image() -> Plain:
    container = {"name": "main", "image": f"{IMAGE}-NUMBER"}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def _json_patch() -> list[Any]:
    return [{"op": "add", "path": "/data/n", "value": "NUMBER"}, {"op": "test", "path": "/kind", "value": "ConfigMap"}]


_maps = partial(changes, where=CONFIG_MAPS, make=config_map)
_deployments = partial(changes, where=DEPLOYMENTS, make=deployment)
_pods = partial(changes, where=PODS, make=pod)
Row = Callable[[Server, int], None]


def _change(of: Callable[..., None], name: str, load: Callable[[str], Load]) -> Row:
    return lambda server, runs: of(name, load=load, server=server, runs=runs)


ROWS: dict[str, Row] = {
    "configmaps": lambda server, runs: creates(
        "ConfigMap 200 B", CONFIG_MAPS, config_map, server, runs, peer_rate="1,070", peer_late="158"
    ),
    "pods": lambda server, runs: creates("Pod", PODS, pod, server, runs, peer_rate="850", peer_late="100"),
    "deployments": lambda server, runs: creates("Deployment", DEPLOYMENTS, deployment, server, runs),
    "update": _change(_maps, "update ConfigMap", changing("PUT", "application/json", config_map("NAME", n="NUMBER"))),
    "json-patch": _change(_maps, "JSON patch of a ConfigMap", changing("PATCH", JSON_PATCH, _json_patch())),
    "merge-patch": _change(
        _maps, "merge patch of a ConfigMap", changing("PATCH", MERGE_PATCH, {"data": {"n": "NUMBER"}})
    ),
    "strategic-patch": _change(
        _deployments, "strategic patch of a Deployment", changing("PATCH", STRATEGIC_PATCH, _image())
    ),
    "pod-status": _change(
        _pods,
        "strategic patch of a Pod's status",
        lambda path: changing("PATCH", STRATEGIC_PATCH, _pod_status())(f"{path}/status"),
    ),
    "apply": _change(
        _deployments,
        "apply a Deployment with a change",
        changing("PATCH", APPLY, deployment("NAME", "NUMBER"), f"?{APPLIED}"),
    ),
    "apply-same": _change(
        _deployments, "apply a Deployment as it is", changing("PATCH", APPLY, deployment("NAME", "same"), f"?{APPLIED}")
    ),
    "apply-new": applies_creating,
    "delete": deletes,
}

"""An operator as people write them with kopf: a boat has a crew list and a deployment of its own. Run by `kopf`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import kopf
import kubernetes

GROUP, VERSION, PLURAL = "harbour.example.com", "v1", "boats"
BOATS = (GROUP, VERSION, PLURAL)
TICKS = 3


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    kubernetes.config.load_kube_config()
    settings.posting.level = logging.WARNING
    settings.networking.error_backoffs = [0.1, 0.2, 0.5]


def core() -> Any:
    return kubernetes.client.CoreV1Api()


def put(namespace: str, body: dict[str, Any]) -> None:
    """Create or change a config map: handlers may run again."""
    try:
        core().create_namespaced_config_map(namespace, body)
    except kubernetes.client.ApiException as error:
        if error.status != 409:
            raise
        core().patch_namespaced_config_map(body["metadata"]["name"], namespace, body)


@kopf.on.create(*BOATS)
def build(name: str, namespace: str, spec: kopf.Spec, **_: Any) -> dict[str, str]:
    """A config map and a deployment that go with the boat."""
    crew = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-crew"}, "data": dict(spec["crew"])}
    pod = {"containers": [{"name": "hull", "image": spec["image"]}]}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": spec["masts"],
            "selector": {"matchLabels": {"boat": name}},
            "template": {"metadata": {"labels": {"boat": name}}, "spec": pod},
        },
    }
    kopf.adopt([crew, workload])
    kopf.label([crew, workload], {"boat": name})
    core().create_namespaced_config_map(namespace, crew)
    kubernetes.client.AppsV1Api().create_namespaced_deployment(namespace, workload)
    return {"deployment": name}


@kopf.on.create(*BOATS, labels={"flag": "pirate"})
def hide(**_: Any) -> str:
    return "hidden"


@kopf.on.create(*BOATS, field="spec.cargo", value=kopf.PRESENT, backoff=0.1)
def load(retry: int, **_: Any) -> dict[str, int]:
    """Succeeds at the third attempt."""
    if retry < 2:
        raise kopf.TemporaryError("the crane is busy", delay=0.1)
    return {"attempts": retry + 1}


@kopf.on.create(*BOATS, annotations={"launch": "never"})
def launch(**_: Any) -> None:
    raise kopf.PermanentError("there is no water")


@kopf.on.create(*BOATS, annotations={"launch": "gated"})
def pass_gate(name: str, namespace: str, retry: int, **_: Any) -> str:
    """Waits for a config map, however long that takes and however often the operator is killed."""
    try:
        core().read_namespaced_config_map(f"{name}-gate", namespace)
    except kubernetes.client.ApiException as error:
        raise kopf.TemporaryError("the gate is closed", delay=0.2) from error
    return "passed at once" if retry == 0 else "passed"


@kopf.on.update(*BOATS)
def refit(name: str, namespace: str, spec: kopf.Spec, diff: kopf.Diff, patch: kopf.Patch, **_: Any) -> None:
    core().patch_namespaced_config_map(f"{name}-crew", namespace, {"data": dict(spec["crew"])})
    changes = [[operation, ".".join(field), old, new] for operation, field, old, new in diff]
    patch.status["refitted"] = sorted(changes, key=lambda change: change[1])  # a diff has no order of its own


@kopf.on.field(*BOATS, field="spec.masts")
def set_masts(name: str, namespace: str, old: int | None, new: int, **_: Any) -> list[int | None]:
    if old is not None:
        workload = {"spec": {"replicas": new}}
        kubernetes.client.AppsV1Api().patch_namespaced_deployment(name, namespace, workload)
    return [old, new]


@kopf.on.resume(*BOATS)
def salute(patch: kopf.Patch, status: kopf.Status, **_: Any) -> None:
    patch.status["resumed"] = status.get("resumed", 0) + 1


@kopf.on.delete(*BOATS)
def wreck(name: str, namespace: str, spec: kopf.Spec, **_: Any) -> None:
    body = {"metadata": {"name": f"{name}-wreck"}, "data": {"masts": str(spec["masts"])}}
    put(namespace, body)


@kopf.timer(*BOATS, interval=0.1)
def tick(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    if status.get("ticks", 0) < TICKS:
        patch.status["ticks"] = status.get("ticks", 0) + 1


@kopf.daemon(*BOATS, field="spec.lookout", value=True, cancellation_polling=0.1)
async def keep_watch(stopped: kopf.DaemonStopped, name: str, namespace: str, **_: Any) -> None:
    """Says that it is there, and says so when it goes."""

    def log(text: str) -> None:
        put(namespace, {"metadata": {"name": f"{name}-lookout"}, "data": {"log": text}})

    await asyncio.to_thread(log, "on watch")
    await stopped.wait()
    await asyncio.to_thread(log, "off watch")


@kopf.index("configmaps", labels={"boat": kopf.PRESENT})
def crews(name: str, labels: kopf.Labels, body: kopf.Body, **_: Any) -> dict[str, list[str]]:
    return {labels["boat"]: sorted(body.get("data", {}))}


@kopf.on.event("configmaps", labels={"boat": kopf.PRESENT, "muster": "yes"})
def muster(type: str | None, labels: kopf.Labels, namespace: str, crews: kopf.Index[str, list[str]], **_: Any) -> None:
    """What the index knows of the boat when somebody asks with a labelled config map."""
    if type == "DELETED":
        return
    found = sorted(name for names in crews.get(labels["boat"], []) for name in names)
    body = {"status": {"muster": found}}
    custom = kubernetes.client.CustomObjectsApi()
    custom.patch_namespaced_custom_object_status(GROUP, VERSION, namespace, PLURAL, labels["boat"], body)
